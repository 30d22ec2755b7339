"""Figures and reports, drawn from results."""
