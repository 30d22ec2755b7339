"""evenmatch robustness."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_limits, check_outputs, numbers, parse_limits, print_summary, write_csv

__all__ = ["robustness"]

_LIMITS = ["far", "frr", "opis"]


def robustness(
    file: Annotated[Path, typer.Argument(help="Labelled embeddings, as for evenmatch audit.")],
    labels: Annotated[Path | None, typer.Option(help="Labels: .npy, .csv, .txt or .parquet, one a row.")] = None,
    point: Annotated[Path | None, typer.Option(help="Disturb data for this operating point's threshold.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Or for this one; by default the lowest that keeps the lower FAR.")
    ] = None,
    disturb: Annotated[
        list[str] | None,
        typer.Option(
            help="What to do and how much, as 'wrong labels=0.01,0.1'; also embedding noise, outliers, fewer samples. "
            "Repeatable; by default three levels of each."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Random draws of each.")] = 3,
    metric: Annotated[
        str | None, typer.Option(help="cosine, or euclidean (score -‖x-y‖); by default the point's, else cosine.")
    ] = None,
    far: Annotated[str, typer.Option(help="The two false accept rates that bound the range of OPIS.")] = "1e-2,1e-1",
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table here.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw FAR, FRR and OPIS here: .png, .pdf or .svg.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 if the highest far, frr or opis is above a limit, as far=2e-2; repeatable."),
    ] = None,
) -> None:
    """Robustness: what a threshold does when data get noisier, labels worse, samples fewer.

    Every row of the table is a full count of all pairs: by default 37 of them.

    [bold]Examples[/bold]

    evenmatch robustness embeddings.npz --point point.json

    evenmatch robustness embeddings.npz --disturb "outliers=0.05" --repeats 10 --fail-above far=2e-2

    evenmatch robustness embeddings.npz --figure robustness.png --csv robustness.csv
    """
    limits = parse_limits(fail_above or [], _LIMITS)
    rates = numbers(far, "--far")
    if len(rates) != 2:
        raise typer.BadParameter(f"{far!r} is not two rates; write them as 1e-2,1e-1", param_hint="--far")
    if point is not None and threshold is not None:
        raise typer.BadParameter("say the same thing twice; give one of them", param_hint="--point, --threshold")
    wanted: dict[str, list[float]] = {}
    for each in disturb or []:
        name, _, levels = each.partition("=")
        wanted.setdefault(name.strip(), []).extend(numbers(levels, f"--disturb {name.strip()!r}"))
    check_outputs(csv)

    import evenmatch as em
    from evenmatch.embeddings import require_writable
    from evenmatch.report import print_robustness

    if figure is not None:
        require_writable(figure, (".png", ".pdf", ".svg"))
    if point is not None:
        shipped = em.OperatingPoint.load(point, metric=metric)
        metric, threshold = shipped.metric, shipped.threshold
    found = em.robustness(
        em.load(file, labels=labels),
        threshold=threshold,
        disturbances=wanted or None,
        repeats=repeats,
        metric=metric or "cosine",
        far=(rates[0], rates[1]),
        seed=seed,
        threads=threads,
        progress=sys.stderr.isatty(),
    )
    if csv is not None:
        write_csv(found.table.set_index("disturbance"), csv)
    if figure is not None:
        found.save_figure(figure)
    summary = found.summary()
    print_summary(summary, print_robustness, json)
    if not json:
        for path in (csv, figure):
            if path is not None:
                typer.echo(f"wrote {path}")
    check_limits({name: max(row[name] for row in summary["rows"]) for name in _LIMITS}, limits)
