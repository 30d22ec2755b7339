"""evenmatch calibrate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_outputs, print_summary

__all__ = ["calibrate"]


def calibrate(
    file: Annotated[
        Path, typer.Argument(help="Embeddings, or a saved audit (.audit), which takes no pass over pairs.")
    ],
    labels: Annotated[Path | None, typer.Option(help="Labels: .npy, .csv, .txt or .parquet, one a row.")] = None,
    ref: Annotated[Path | None, typer.Option(help="A gallery: pairs are then those between FILE and it.")] = None,
    ref_labels: Annotated[Path | None, typer.Option(help="Labels of the gallery, like --labels.")] = None,
    far: Annotated[float | None, typer.Option(help="Highest false accept rate.")] = None,
    frr: Annotated[float | None, typer.Option(help="Highest false reject rate.")] = None,
    utility: Annotated[float | None, typer.Option(help="Lowest utility of all pairs.")] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of TAR in the utility; alone: the highest utility.")
    ] = None,
    cost_false_accept: Annotated[float | None, typer.Option(help="Cost of a false accept.")] = None,
    cost_false_reject: Annotated[float | None, typer.Option(help="Cost of a false reject.")] = None,
    prior: Annotated[float | None, typer.Option(help="Share of matches among the pairs to be compared.")] = None,
    guarantee: Annotated[str, typer.Option(help="mean, or upper: the interval's upper end meets the target.")] = "mean",
    n_classes: Annotated[int | None, typer.Option(help="Classes of the deployment, for --guarantee upper.")] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    probability: Annotated[str, typer.Option(help="isotonic, beta, platt, temperature or none.")] = "isotonic",
    metric: Annotated[str | None, typer.Option(help="cosine (the default), or euclidean (score -‖x-y‖).")] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:0.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    out: Annotated[Path, typer.Option(help="Where to write the operating point.")] = Path("point.json"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
) -> None:
    """Calibrate: choose the one threshold to ship, with honest intervals for classes never seen.

    [bold]Examples[/bold]

    evenmatch calibrate embeddings.npz --far 1e-3

    evenmatch calibrate run.audit --far 0.02 --out point.json

    evenmatch calibrate embeddings.npz --far 1e-2 --guarantee upper --n-classes 500

    evenmatch calibrate embeddings.npz --cost-false-accept 50 --cost-false-reject 1 --prior 0.01
    """
    if ref is None and ref_labels is not None:
        raise typer.BadParameter("needs a gallery, too: give it with --ref", param_hint="--ref-labels")
    if file.suffix == ".audit" and labels is not None:
        raise typer.BadParameter("an audit has its own labels; leave it out", param_hint="--labels")
    check_outputs(out)

    import evenmatch as em
    from evenmatch.report import print_point

    references = None if ref is None else em.load(ref, labels=ref_labels)
    data = em.Audit.load(file) if file.suffix == ".audit" else em.load(file, labels=labels)
    point = em.calibrate(
        data,
        far=far,
        frr=frr,
        utility=utility,
        beta=beta,
        cost_false_accept=cost_false_accept,
        cost_false_reject=cost_false_reject,
        prior=prior,
        guarantee=guarantee,
        n_classes=n_classes,
        confidence=confidence,
        probability=None if probability == "none" else probability,
        ref=references,
        metric=metric,
        device=device,
        threads=threads,
        progress=sys.stderr.isatty(),
    )
    point.save(out)
    print_summary(point.summary(), print_point, json)
    if not json:
        typer.echo(f"\nwrote {out}; next: evenmatch check NEW_DATA --point {out}")
