"""A fixed list of scored pairs, on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evenmatch.report._points import facts_table
from evenmatch.report._text import rate, with_interval

__all__ = ["print_scores"]


def print_scores(summary: dict[str, Any], console: Console) -> None:
    """Print ``ScoreAudit.summary()``: TAR at each FAR, accuracy over the folds, and the groups."""
    rows = [
        ("pairs", f"{summary['genuine']:,} genuine, {summary['impostor']:,} impostor"),
        ("EER", rate(summary["eer"])),
    ]
    accuracy = summary["accuracy"]
    if accuracy is not None:
        rows.append(
            (
                "accuracy",
                f"{rate(accuracy['mean'])} ± {rate(accuracy['standard_error'])} "
                f"({len(accuracy['folds'])} folds, each at the threshold that is best on the others)",
            )
        )
    console.print(facts_table(rows))
    console.print()
    table = Table(
        title="TAR at FAR", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in ("FAR at most", "threshold", "FAR", "TAR"):
        table.add_column(name, justify="right")
    for row in summary["tar_at_far"]:
        table.add_row(
            f"{row['target']:g}",
            "none" if row["threshold"] is None else f"{row['threshold']:.6g}",
            with_interval(f"{row['far']:.3g}", row["far_interval"], lambda value: f"{value:.3g}"),
            with_interval(rate(row["tar"]), row["tar_interval"], rate),
        )
    console.print(table)
    few = [f"{row['target']:g}" for row in summary["tar_at_far"] if not row["enough_impostors"]]
    if few:
        console.print(f"too few impostor pairs for FAR {', '.join(few)}: under 30 false accepts are expected")
    if any(row[name] is not None for row in summary["tar_at_far"] for name in ("far_interval", "tar_interval")):
        how = f"{100 * summary['confidence']:g}% interval that leaves out one {summary['units']} at a time"
        console.print(f"[dim]in brackets: {how}[/dim]")
    if summary["groups"]:
        title = f"Groups at the threshold of FAR {summary['tar_at_far'][0]['target']:g}"
        groups = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        groups.add_column("group")
        for name in ("FAR", "FRR"):
            groups.add_column(name, justify="right")
        for row in summary["groups"]:
            groups.add_row(Text(row["group"]), rate(row["far"]), rate(row["frr"]))
        console.print(groups)
