"""What disturbances do to a threshold, on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["print_robustness"]


def print_robustness(summary: dict[str, Any], console: Console) -> None:
    """Print ``Robustness.summary()``: a row a disturbance and level, and what raises each rate most."""
    repeats = summary["repeats"]
    draws = "one draw of each" if repeats == 1 else f"means of {repeats} draws ± their standard deviation"
    console.print(f"at the threshold {summary['threshold']:.6f}, {draws}")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("disturbance", no_wrap=True)
    for name in ("level", "FAR", "FRR", "OPIS ×1e-3", "debiased"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary["rows"]:
        undisturbed = row["disturbance"] == "none"
        debiased = row["opis_debiased"]
        table.add_row(
            row["disturbance"], "" if undisturbed else f"{row['level']:g}",
            _spread(row, "far", 100, "%"), _spread(row, "frr", 100, "%"), _spread(row, "opis", 1000, ""),
            "–" if debiased is None else f"{1000 * debiased:.2f}", end_section=undisturbed,
        )  # fmt: skip
    console.print(table)
    worst = (
        f"{name.upper()} {f'{cause} at {level:g}' if level else 'nothing'}"
        for name, (cause, level) in summary["worst"].items()
    )
    console.print(f"raised most by: {', '.join(worst)}", highlight=False)


def _spread(row: dict[str, Any], name: str, scale: float, unit: str) -> str:
    """A mean and the standard deviation of the draws, where there are several."""
    deviation = row[f"{name}_deviation"]
    return f"{scale * row[name]:.2f}" + ("" if deviation is None else f" ± {scale * deviation:.2f}") + unit
