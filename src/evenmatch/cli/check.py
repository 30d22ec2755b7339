"""evenmatch check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from evenmatch.cli._options import check_limits, parse_limits, print_summary
from evenmatch.errors import CheckFailed, InputError

__all__ = ["check"]

_LIMITS = ["far", "frr"]


def check(
    file: Annotated[Path, typer.Argument(help="Embeddings of the same model, labelled or with --unlabeled.")],
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
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="Look at no labels: test whether the scores have drifted.")
    ] = False,
    alpha: Annotated[float | None, typer.Option(help="False-alarm rate of --unlabeled; 0.01 by default.")] = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="With --unlabeled: exit with 1 if they have drifted.")
    ] = False,
) -> None:
    """Check: what a shipped threshold realises on new labelled data, overall and for every group.

    With --unlabeled: whether new data without labels still score as the calibration data did.

    [bold]Examples[/bold]

    evenmatch check new.npz --point point.json

    evenmatch check new.npz --point point.json --fail-above far=2e-3 --json

    evenmatch check --unlabeled new.npz --point point.json --alpha 0.01 --fail-on-drift
    """
    limits = parse_limits(fail_above or [], _LIMITS)
    if ref is None and not unlabeled and (ref_labels is not None or ref_groups is not None):
        raise typer.BadParameter("needs a gallery, too: give it with --ref", param_hint="--ref-labels, --ref-groups")
    if unlabeled:
        given = {
            "--labels": labels,
            "--groups": groups,
            "--ref": ref,
            "--ref-labels": ref_labels,
            "--ref-groups": ref_groups,
            "--fail-above": fail_above,
        }
        _check_unlabeled(file, point, metric, 0.01 if alpha is None else alpha, threads, json, fail_on_drift, given)
        return
    if alpha is not None or fail_on_drift:
        raise InputError("--alpha and --fail-on-drift belong to --unlabeled; add it, or use --fail-above far=…")

    import evenmatch as em
    from evenmatch.auditing import progress_bar
    from evenmatch.report import print_check

    shipped = em.OperatingPoint.load(point, metric=metric)
    data = em.load(file, labels=labels, groups=groups)
    references = None if ref is None else em.load(ref, labels=ref_labels, groups=ref_groups)
    with progress_bar("Counting pairs", sys.stderr.isatty()) as report:
        summary = shipped.check(data, references, threads=threads, progress=report).summary()
    print_summary(summary, print_check, json)
    check_limits(summary, limits)


def _check_unlabeled(
    file: Path,
    point: Path,
    metric: str | None,
    alpha: float,
    threads: int | None,
    json: bool,
    fail_on_drift: bool,
    given: dict[str, Any],
) -> None:
    for option, value in given.items():
        if value:
            raise InputError(f"{option} needs labels or a gallery, which --unlabeled does not look at; leave one out")

    import evenmatch as em
    from evenmatch.embeddings import load_unlabeled
    from evenmatch.report import print_drift

    shipped = em.OperatingPoint.load(point, metric=metric)
    found = em.drift(shipped, load_unlabeled(file), alpha=alpha, threads=threads, progress=sys.stderr.isatty())
    print_summary(found.summary(), print_drift, json)
    if found.drift and fail_on_drift:
        raise CheckFailed(f"the scores of {file} have drifted (p = {found.p_value:.3g} < alpha = {alpha:g})")
