"""Thresholds with their evidence."""
