"""Operating points and their checks on the terminal, and the reliability diagram of probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evenmatch.calibration import ProbabilityJudgement, point_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["facts_table", "print_check", "print_point", "reliability"]


def facts_table(rows: list[tuple[str, str]]) -> Table:
    """Names in bold, values beside them, every string escaped."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows:
        table.add_row(name, escape(value))
    return table


def print_point(summary: dict[str, Any], console: Console) -> None:
    """Print ``OperatingPoint.summary()`` and what the point must not be used for."""
    console.print(facts_table(point_rows(summary)))
    console.print("\nnot for:", style="bold")
    for caution in summary["not_for"]:
        console.print(f"  - {caution}", markup=False, highlight=False)


def print_check(summary: dict[str, Any], console: Console) -> None:
    """Print ``PointCheck.summary()``: realised rates, what the point predicted, and a row a group."""
    rows = [("threshold", f"{summary['threshold']:.6f} ({summary['metric']}), calibrated for {summary['objective']}")]
    for name in ("far", "frr"):
        low, high = summary[f"{name}_ci"]
        expected = summary[f"{name}_expected"]
        verdict = "as expected" if summary[f"{name}_as_expected"] else "NOT as expected"
        rows.append((name.upper(), f"{summary[name]:.3%}  [{low:.3%}, {high:.3%}]"))
        rows.append(("  the point predicted", f"{expected[0]:.3%} … {expected[1]:.3%}: {verdict}"))
    rows.append(
        (
            "on",
            f"{summary['samples']:,} samples, {summary['classes']:,} classes, {summary['positives']:,} genuine and "
            f"{summary['negatives']:,} impostor pairs",
        )
    )
    console.print(facts_table(rows))
    console.print(
        f"[dim]in brackets: {100 * summary['confidence']:g}% interval for other classes of the same kind[/dim]"
    )
    if summary["same_data"]:
        console.print("these are the data that the point was calibrated on: they prove nothing", style="bold")
    if summary["groups"]:
        table = Table(title="Groups", title_justify="left", title_style="bold")
        table.add_column("group")
        for head in ("n", "FAR", "FAR within", "FRR"):
            table.add_column(head, justify="right")
        for row in summary["groups"]:
            rates = ("–" if row[key] is None else f"{row[key]:.3%}" for key in ("far", "far_within", "frr"))
            table.add_row(escape(str(row["group"])), f"{row['n']:,.0f}", *rates)
        console.print(table)


def reliability(judgement: ProbabilityJudgement, ax: Axes | None = None) -> Axes:
    """Reliability diagram: observed share of matches over the predicted probability, and how many pairs each bin has.

    Args:
        judgement: from ``evenmatch.calibration.judge_probability``.
        ax: axes to draw on; by default new ones.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(4.2, 4.0), layout="constrained")[1]
    filled = judgement.share > 0
    edges = np.linspace(0, 1, judgement.share.size + 1)
    tallest = float(judgement.share.max())
    ax.bar(
        edges[:-1], 0.25 * judgement.share / tallest, width=np.diff(edges), align="edge", color="#999999", alpha=0.35,
        lw=0, label="pairs (relative)",
    )  # fmt: skip
    ax.plot([0, 1], [0, 1], color="#444444", lw=0.8, ls=":", label="perfect")
    ax.plot(judgement.predicted[filled], judgement.observed[filled], "o-", color="#0072B2", ms=4, label="observed")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xlabel("predicted probability of a match")
    ax.set_ylabel("observed share of matches")
    ax.set_title(f"ECE {judgement.ece:.4f} at prior {judgement.prior:.3g}", fontsize=10)
    ax.legend(loc="upper left", fontsize=8)
    return ax
