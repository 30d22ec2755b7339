"""Figures, terminal tables and notebook cards, drawn from results; knows no engine."""

from evenmatch.report import figures
from evenmatch.report._card import audit_card
from evenmatch.report._points import print_check, print_point, reliability
from evenmatch.report._side_by_side import print_side_by_side
from evenmatch.report._terminal import print_audit

__all__ = [
    "audit_card",
    "figures",
    "print_audit",
    "print_check",
    "print_point",
    "print_side_by_side",
    "reliability",
]
