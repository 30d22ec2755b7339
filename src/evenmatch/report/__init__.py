"""Figures, terminal tables and notebook cards, drawn from results; knows no engine."""

from evenmatch.report import figures
from evenmatch.report._audit_page import audit_page
from evenmatch.report._card import audit_card
from evenmatch.report._terminal import print_audit
from evenmatch.report._thumbnails import thumbnail

__all__ = ["audit_card", "audit_page", "figures", "print_audit", "thumbnail"]
