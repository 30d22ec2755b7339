"""Figures, terminal tables, notebook cards and pages, drawn from results; knows no engine."""

from evenmatch.report import figures
from evenmatch.report._audit_page import audit_page
from evenmatch.report._card import audit_card, comparison_card
from evenmatch.report._compare_page import ComparedModel, compare_page, comparison_headline
from evenmatch.report._plan_table import print_plan
from evenmatch.report._points import print_check, print_point, reliability
from evenmatch.report._robustness_table import print_robustness
from evenmatch.report._scores_table import print_scores
from evenmatch.report._terminal import print_audit, print_comparison
from evenmatch.report._thumbnails import thumbnail
from evenmatch.report._unlabeled import print_drift, print_transfer

__all__ = [
    "ComparedModel",
    "audit_card",
    "audit_page",
    "compare_page",
    "comparison_card",
    "comparison_headline",
    "figures",
    "print_audit",
    "print_check",
    "print_comparison",
    "print_drift",
    "print_plan",
    "print_point",
    "print_robustness",
    "print_scores",
    "print_transfer",
    "reliability",
    "thumbnail",
]
