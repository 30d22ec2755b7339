"""What disturbances do to a threshold, on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from evenmatch.report._text import number, rate

__all__ = ["print_robustness"]


def print_robustness(summary: dict[str, Any], console: Console) -> None:
    """Print ``Robustness.summary()``: a row a disturbance and level, and what raises each rate most."""
    repeats = summary["repeats"]
    draws = "one draw of each" if repeats == 1 else f"means of {repeats} draws ± their standard deviation"
    console.print(f"at the threshold {summary['threshold']:.6f}, {draws}")
    table = Table()
    table.add_column("disturbance")
    for name in ("level", "FAR", "FRR", "OPIS", "debiased OPIS"):
        table.add_column(name, justify="right")
    for row in summary["rows"]:
        undisturbed = row["disturbance"] == "none"
        cells = (
            show(row[name]) + ("" if row[f"{name}_deviation"] is None else f" ± {show(row[f'{name}_deviation'])}")
            for name, show in (("far", rate), ("frr", rate), ("opis", number))
        )
        table.add_row(
            row["disturbance"], "" if undisturbed else f"{row['level']:g}", *cells, number(row["opis_debiased"]),
            end_section=undisturbed,
        )  # fmt: skip
    console.print(table)
    worst = (f"{name.upper()} {cause} at {level:g}" for name, (cause, level) in summary["worst"].items())
    console.print(f"raised most by: {', '.join(worst)}", highlight=False)
