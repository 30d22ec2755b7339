"""evenmatch check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_limits, parse_limits, print_json

__all__ = ["check"]

_LIMITS = ["far", "frr"]


def check(
    file: Annotated[Path, typer.Argument(help="Labelled embeddings of the same model.")],
    point: Annotated[Path, typer.Option(help="The operating point that evenmatch calibrate wrote.")],
    labels: Annotated[Path | None, typer.Option(help="Labels: .npy, .csv, .txt or .parquet, one a row.")] = None,
    groups: Annotated[Path | None, typer.Option(help="Groups (domain, site, …), in a file like --labels.")] = None,
    ref: Annotated[Path | None, typer.Option(help="A gallery: pairs are then those between FILE and it.")] = None,
    ref_labels: Annotated[Path | None, typer.Option(help="Labels of the gallery, like --labels.")] = None,
    ref_groups: Annotated[Path | None, typer.Option(help="Groups of the gallery, like --groups.")] = None,
    metric: Annotated[str | None, typer.Option(help="Refuse a point that is for another metric.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
    fail_above: Annotated[
        list[str] | None, typer.Option(help="Exit with 1 if a rate is above a limit, as far=2e-3; repeatable.")
    ] = None,
) -> None:
    """Check: what a shipped threshold realises on new labelled data, overall and for every group.

    [bold]Examples[/bold]

    evenmatch check new.npz --point point.json

    evenmatch check new.npz --point point.json --fail-above far=2e-3 --json
    """
    limits = parse_limits(fail_above or [], _LIMITS)

    import evenmatch as em
    from evenmatch.auditing import progress_bar

    shipped = em.OperatingPoint.load(point, metric=metric)
    data = em.load(file, labels=labels, groups=groups)
    references = None if ref is None else em.load(ref, labels=ref_labels, groups=ref_groups)
    with progress_bar("Counting pairs", sys.stderr.isatty()) as report:
        summary = shipped.check(data, references, threads=threads, progress=report).summary()
    if json:
        print_json(summary)
    else:
        from rich.console import Console

        from evenmatch.report import print_check

        print_check(summary, Console())
    check_limits(summary, limits)
