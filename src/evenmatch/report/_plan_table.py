"""A plan on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evenmatch.report._text import rate

__all__ = ["print_plan"]


def print_plan(summary: dict[str, Any], console: Console) -> None:
    """Print ``Plan.summary()``: what there is to count, and what it costs on each engine."""
    against = "" if summary["n_references"] is None else f" against {summary['n_references']:,} references"
    console.print(
        Text(
            f"{summary['n']:,} × {summary['dim']}{against}, {summary['n_classes']:,} classes: "
            f"{summary['pairs']:,} pairs, {summary['operations']:.3g} floating-point operations, "
            f"{_bytes(summary['bytes'])} of embeddings"
        )
    )
    table = Table(title=f"One audit on {summary['cores']} cores", title_justify="left", title_style="bold")
    for name in ("engine", "precision", "pairs", "time", "memory", "error of OPIS", ""):
        table.add_column(name, justify="left" if name in ("engine", "precision", "") else "right")
    for cost in summary["costs"]:
        error = f"± {rate(cost['opis_error'])}" if cost["opis_error"] else "–"
        table.add_row(
            cost["engine"], cost["precision"], f"{cost['pairs']:.3g}", duration(cost["seconds"]),
            _bytes(cost["memory"]), error, cost["note"],
        )  # fmt: skip
    console.print(table)
    console.print(Text(f"measured in {summary['probe_seconds']:.1f} s on some of the rows", style="dim"))


def duration(seconds: float) -> str:
    """A time in the unit that people would use.

    Examples:
        >>> duration(0.42), duration(95), duration(7300), duration(300_000)
        ('0.42 s', '1.6 min', '2.0 h', '3.5 days')
    """
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.2g} {name}" if value < 1 else f"{value:.1f} {name}"
    return f"{seconds / 86_400:.1f} days"


def _bytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
