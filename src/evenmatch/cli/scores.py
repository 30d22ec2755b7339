"""evenmatch scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_limits, numbers, parse_limits, print_summary

__all__ = ["scores"]


def scores(
    file: Annotated[
        Path,
        typer.Argument(help="Scored pairs, .csv or .parquet: columns score, same, and if known fold, class, group."),
    ],
    far: Annotated[str, typer.Option(help="False accept rates; groups are judged at the first.")] = "1e-2,1e-3,1e-4",
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 if eer, or frr at the first FAR, is above a limit, as eer=0.02; repeatable."),
    ] = None,
) -> None:
    """Scores: judge a fixed list of scored pairs, as LFW and IJB do.

    With folds, accuracy at the threshold that is best on the other folds. OPIS needs all pairs: see audit.

    [bold]Examples[/bold]

    evenmatch scores pairs.csv

    evenmatch scores pairs.parquet --far 1e-3,1e-4 --fail-above eer=0.02 --json
    """
    limits = parse_limits(fail_above or [], ["eer", "frr"])
    rates = numbers(far, "--far")
    if not rates or not all(0 <= rate <= 1 for rate in rates):
        raise typer.BadParameter(f"{far!r} is no list of rates from 0 to 1; write it as 1e-2,1e-3", param_hint="--far")
    if not 0 < confidence < 1:
        raise typer.BadParameter(f"{confidence:g} is not between 0 and 1", param_hint="--confidence")

    import evenmatch as em
    from evenmatch.embeddings import load_scores
    from evenmatch.errors import InputError
    from evenmatch.report import print_scores

    columns = load_scores(file)
    try:
        found = em.audit_scores(**columns, far=rates, confidence=confidence)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    print_summary(found.summary(), print_scores, json)
    check_limits({"eer": found.eer, "frr": 1 - found.rates[0].tar}, limits)
