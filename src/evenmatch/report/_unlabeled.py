"""What data without labels say about a point, on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from evenmatch.report._points import facts_table

__all__ = ["print_drift", "print_transfer"]


def print_drift(summary: dict[str, Any], console: Console) -> None:
    """Print ``DriftCheck.summary()``: the verdict, and observed against expected shares."""
    verdict = "DRIFT" if summary["drift"] else "no drift seen"
    rows = [
        ("verdict", f"{verdict}: p = {summary['p_value']:.3g}, false-alarm rate {summary['alpha']:g}"),
        ("threshold", f"{summary['threshold']:.6f} ({summary['metric']})"),
        (
            "  share of all pairs accepted",
            f"{summary['accepted_at_threshold']:.3%}, expected {summary['expected_at_threshold']:.3%}",
        ),
        ("share of matches that fits", f"{summary['positives']:.3%} (about {summary['classes']:,.0f} equal classes)"),
        ("on", f"{summary['samples']:,} samples without labels" + _copies(summary)),
    ]
    console.print(facts_table(rows))
    table = Table(title="Share of pairs accepted", title_justify="left", title_style="bold")
    for head in ("where the FAR was", "here", "expected"):
        table.add_column(head, justify="right")
    for far, accepted, expected in zip(summary["far"], summary["accepted"], summary["expected"], strict=True):
        table.add_row(f"{far:.3%}", f"{accepted:.3%}", f"{expected:.3%}")
    console.print(table)
    if summary["drift"]:
        console.print("next: label a sample and calibrate, or evenmatch transfer NEW_DATA --point POINT")


def print_transfer(summary: dict[str, Any], console: Console) -> None:
    """Print ``Transfer.summary()``: the threshold, its estimated FAR, and what was assumed."""
    low, high = summary["far_ci"]
    old_low, old_high = summary["untouched_far_ci"]
    share_low, share_high = summary["positives_ci"]
    confidence = f"{100 * summary['confidence']:g}%"
    rows = [
        ("threshold", f"{summary['threshold']:.6f} ({summary['metric']}; accept if score ≥ threshold)"),
        ("  estimated FAR", f"{summary['far']:.3%}  [{low:.3%}, {high:.3%}], target {summary['target']:g}"),
        ("the old threshold", f"{summary['source']['threshold']:.6f}"),
        ("  estimated FAR", f"{summary['untouched_far']:.3%}  [{old_low:.3%}, {old_high:.3%}]"),
        ("share of matches", f"{summary['positives']:.3%}  [{share_low:.3%}, {share_high:.3%}], {summary['method']}"),
        ("on", f"{summary['samples']:,} samples without labels" + _copies(summary)),
    ]
    rows += [("assumed", assumption) for assumption in summary["assumed"]]
    rows += [("TOO THIN", reason) for reason in summary["thin"]]
    console.print(facts_table(rows))
    console.print(f"[dim]in brackets: {confidence} interval, if what is assumed holds[/dim]")


def _copies(summary: dict[str, Any]) -> str:
    return f", {summary['copies']:,} exact copies left out" if summary["copies"] else ""
