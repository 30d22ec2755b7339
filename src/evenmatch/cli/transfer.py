"""evenmatch transfer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_outputs, print_summary

__all__ = ["transfer"]


def transfer(
    file: Annotated[Path, typer.Argument(help="Embeddings of the new domain; their labels are not looked at.")],
    point: Annotated[Path, typer.Option(help="The operating point that evenmatch calibrate wrote.")],
    source: Annotated[
        Path | None, typer.Option(help="The labelled data it was calibrated on: a much better estimate.")
    ] = None,
    source_labels: Annotated[
        Path | None, typer.Option(help="Labels of --source: .npy, .csv, .txt or .parquet.")
    ] = None,
    far: Annotated[float | None, typer.Option(help="Target; by default the point's.")] = None,
    positives: Annotated[float | None, typer.Option(help="Share of matches among all pairs, if known.")] = None,
    samples_per_class: Annotated[float | None, typer.Option(help="Or how many samples a class has, if known.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    out: Annotated[Path, typer.Option(help="Where to write the operating point.")] = Path("transferred.json"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
) -> None:
    """Transfer: find the threshold that keeps the FAR on a new domain, without labels.

    Nothing is written, and the exit code is 2, where the evidence is too thin.

    [bold]Examples[/bold]

    evenmatch transfer new.npy --point point.json --source embeddings.npz --out new_point.json

    evenmatch transfer new.npy --point point.json --samples-per-class 20 --json
    """
    if source is None and source_labels is not None:
        raise typer.BadParameter(
            "needs the calibration data, too: give them with --source", param_hint="--source-labels"
        )
    check_outputs(out)

    import evenmatch as em
    from evenmatch.embeddings import load_unlabeled
    from evenmatch.report import print_transfer

    found = em.transfer(
        em.OperatingPoint.load(point),
        load_unlabeled(file),
        source=None if source is None else em.load(source, labels=source_labels),
        far=far,
        positives=positives,
        samples_per_class=samples_per_class,
        threads=threads,
        progress=sys.stderr.isatty(),
    )
    print_summary(found.summary(), print_transfer, json)
    found.point.save(out)
    if not json:
        typer.echo(f"\nwrote {out}")
