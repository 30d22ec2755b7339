"""Audits of several models on one test set, next to each other on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evenmatch.report._text import audit_rows, data_line

__all__ = ["print_side_by_side"]


def print_side_by_side(summaries: Mapping[str, dict[str, Any]], console: Console) -> None:
    """Print the headline quantities of each ``Audit.summary()``, a column each, with their intervals.

    Args:
        summaries: title → summary; the audits have the same settings.
        console: where to print.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    rows: dict[str, dict[str, str]] = {}
    for title, summary in summaries.items():
        table.add_column(escape(title))
        for name, value in audit_rows(summary):
            rows.setdefault(name, {})[title] = value
    for name, values in rows.items():
        table.add_row(f"[bold]{escape(name)}[/bold]", *(escape(values.get(title, "–")) for title in summaries))
    first = next(iter(summaries.values()))
    console.print(data_line(first), markup=False, highlight=False)
    console.print()
    console.print(table)
    confidence = first["settings"]["confidence"]
    console.print(f"[dim]in brackets: {confidence:.0%} interval for other classes of the same kind[/dim]")
