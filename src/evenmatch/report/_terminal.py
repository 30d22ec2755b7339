"""An audit on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evenmatch.report._text import DEBIASED, audit_rows, comparison_rows, data_line, number, rate

__all__ = ["print_audit", "print_comparison"]


def print_audit(summary: dict[str, Any], console: Console) -> None:
    """Print the headline, the quantities, the ten worst classes and the groups of ``Audit.summary()``."""
    console.print(Text(data_line(summary)))
    console.print()
    overview = Table(show_header=False, box=None, pad_edge=False)
    overview.add_column(style="bold")
    overview.add_column()
    for name, value in audit_rows(summary):
        overview.add_row(name, Text(value))
    console.print(overview)
    confidence = summary["settings"]["confidence"]
    console.print(f"[dim]in brackets: {100 * confidence:g}% interval for other classes of the same kind[/dim]")
    if summary["opis_debiased"] is not None:
        console.print(f"[dim]{DEBIASED}[/dim]")
    console.print()
    console.print(_table("Worst classes (lowest mean utility in the range)", "class", summary["worst_classes"]))
    if summary["groups"]:
        console.print(_table("Groups", "group", summary["groups"]))
    if summary.get("confusable"):
        console.print(_taken_for_each_other(summary["confusable"]))
    console.print(Text(summary["headline"], style="bold"))


def print_comparison(summary: dict[str, Any], console: Console) -> None:
    """Print the quantities of ``Comparison.summary()`` side by side, with their differences."""
    table = Table(title="Models side by side", title_justify="left", title_style="bold")
    table.add_column("")
    for name in summary["models"]:
        table.add_column(Text(name), justify="right")
    for name in summary["differences"]:
        table.add_column(Text(f"{name} − {summary['baseline']}"), justify="right")
    for name, cells in comparison_rows(summary):
        table.add_row(name, *cells)
    console.print(table)
    how = f"in brackets: {100 * summary['confidence']:g}% interval for other classes of the same kind"
    paired = "; differences resample the same classes for both" if summary["same_test_set"] else ""
    console.print(f"[dim]{how}{paired}[/dim]\n")
    console.print(summary["headline"], markup=False, highlight=False, style="bold")


def _table(title: str, index: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(index)
    shown = {"n": _count, "utility": number, "opis": number, "far": rate, "far_within": rate, "frr": rate}
    names = {"opis": "share of OPIS", "far": "FAR", "far_within": "FAR within", "frr": "FRR"}
    columns = [name for name in shown if name in rows[0]]
    for name in columns:
        table.add_column(names.get(name, name), justify="right")
    for row in rows:
        table.add_row(Text(str(row[index])), *(shown[name](row[name]) for name in columns))
    return table


def _taken_for_each_other(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Classes taken for each other at the threshold", title_justify="left", title_style="bold")
    for name in ("class", "taken for"):
        table.add_column(name)
    for name in ("FAR between them", "overlap"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(Text(str(row["class"])), Text(str(row["nearest"])), rate(row["far"]), rate(row["overlap"]))
    return table


def _count(value: int) -> str:
    return f"{value:,}"
