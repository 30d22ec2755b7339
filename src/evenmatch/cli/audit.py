"""evenmatch audit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._cluster import choose_engine, resumable
from evenmatch.cli._options import check_limits, check_outputs, numbers, parse_limits, print_summary, write_csv

__all__ = ["audit"]

_LIMITS = ["opis", "eps_opis", "opis_debiased", "eer", "far", "frr", "threshold"]


def audit(
    file: Annotated[
        Path,
        typer.Argument(help="Embeddings: .npz, .npy (with --labels), .parquet, .safetensors, or a folder of shards."),
    ],
    labels: Annotated[Path | None, typer.Option(help="Labels: .npy, .csv, .txt or .parquet, one a row.")] = None,
    groups: Annotated[Path | None, typer.Option(help="Groups (domain, site, …), in a file like --labels.")] = None,
    ref: Annotated[Path | None, typer.Option(help="A gallery: pairs are then those between FILE and it.")] = None,
    ref_labels: Annotated[Path | None, typer.Option(help="Labels of the gallery, like --labels.")] = None,
    ref_groups: Annotated[Path | None, typer.Option(help="Groups of the gallery, like --groups.")] = None,
    metric: Annotated[str, typer.Option(help="cosine, or euclidean (score -‖x-y‖).")] = "cosine",
    far: Annotated[str, typer.Option(help="The two false accept rates that bound the range.")] = "1e-2,1e-1",
    beta: Annotated[float, typer.Option(help="Weight of TAR against TNR in the utility.")] = 1.0,
    eps: Annotated[float, typer.Option(help="Share of classes in ε-OPIS.")] = 0.1,
    k: Annotated[str, typer.Option("--k", help="Neighbours for recall@k, as 1,5,10.")] = "1",
    map_at_r: Annotated[bool, typer.Option("--map-at-r", help="Also compute MAP@R.")] = False,
    threshold: Annotated[str, typer.Option("--thresholds", help="Also count every class at these scores.")] = "",
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:0.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    precision: Annotated[str, typer.Option(help="exact (float32), or fast (bfloat16, with error bars).")] = "exact",
    engine: Annotated[
        str | None, typer.Option(help="What counts the pairs: cpu, cuda, dask (processes, clusters), sample.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler, as tcp://10.0.0.1:8786.")] = None,
    workers: Annotated[int | None, typer.Option(help="Dask: processes on this machine; by default one a core.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Dask: folder that keeps what has been counted.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Dask: continue from --checkpoint.")] = False,
    budget: Annotated[str | None, typer.Option(help="Estimate from the pairs that this time allows, as 30s.")] = None,
    pairs: Annotated[float | None, typer.Option(help="Estimate from this many random pairs, as 1e9.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Do not audit: say what it would cost on each engine.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the audit in this file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table of all classes here.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report for the browser here: one file, no network.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the ids are paths under: shows the worst pairs in --html.")
    ] = None,
    confusable: Annotated[
        int, typer.Option(min=0, help="Also name this many pairs of classes that are taken for each other.")
    ] = 0,
    fail_above: Annotated[
        list[str] | None, typer.Option(help="Exit with 1 if a quantity is above a limit, as opis=0.02; repeatable.")
    ] = None,
) -> None:
    """Audit: is one threshold enough for every class, which one, and which classes suffer?

    [bold]Examples[/bold]

    evenmatch audit embeddings.npz

    evenmatch audit embeddings.npy --labels labels.csv --k 1,5 --save run.audit

    evenmatch audit queries.npz --ref gallery.npz --json

    evenmatch audit embeddings.parquet --fail-above opis=0.02 --csv by_class.csv

    evenmatch audit embeddings.npy --labels labels.csv --budget 30s

    evenmatch audit embeddings.npz --plan

    evenmatch audit photos.npz --html report.html --images photos/

    evenmatch audit shards/ --scheduler tcp://10.0.0.1:8786 --checkpoint counted/
    """
    limits = parse_limits(fail_above or [], _LIMITS)
    rates, neighbours, thresholds = numbers(far, "--far"), numbers(k, "--k"), numbers(threshold, "--thresholds")
    if len(rates) != 2:
        raise typer.BadParameter(f"{far!r} is not two rates; write them as 1e-2,1e-1", param_hint="--far")
    if not all(value.is_integer() for value in neighbours):
        raise typer.BadParameter(f"{k!r} is not a list of whole numbers; write it as 1,5,10", param_hint="--k")

    if images is not None and html is None:
        raise typer.BadParameter("images are shown in the report; give --html report.html, too", param_hint="--images")
    if ref is None and (ref_labels is not None or ref_groups is not None):
        raise typer.BadParameter("needs a gallery, too: give it with --ref", param_hint="--ref-labels, --ref-groups")
    if ref is not None and confusable:
        raise typer.BadParameter("names classes of one set; leave --ref out", param_hint="--confusable")
    check_outputs(save, csv, html)
    chosen = choose_engine(engine, scheduler, workers, checkpoint, resume, threads=threads)

    import evenmatch as em
    from evenmatch.auditing import records
    from evenmatch.auditing._gallery import require_images
    from evenmatch.auditing._store import require_savable
    from evenmatch.report import print_audit, print_plan

    queries = em.load(file, labels=labels, groups=groups)
    references = None if ref is None else em.load(ref, labels=ref_labels, groups=ref_groups)
    if plan:
        costs = em.plan(queries, ref=references, metric=metric, threads=threads).summary()
        print_summary(costs, print_plan, json)
        return
    if save is not None:
        require_savable(queries, references)
    if images is not None:
        require_images(images, queries, references)
    with resumable(checkpoint):
        result = em.audit(
            queries,
            ref=references,
            metric=metric,
            far=(rates[0], rates[1]),
            beta=beta,
            eps=eps,
            k=tuple(int(value) for value in neighbours),
            map_at_r=map_at_r,
            thresholds=thresholds,
            device=device,
            threads=threads,
            precision=precision,
            budget=budget,
            pairs=pairs,
            engine=chosen,
            progress=sys.stderr.isatty(),
        )
    summary = result.summary()
    if confusable:
        summary["confusable"] = records(result.confusable(queries, confusable))
    if save is not None:
        result.save(save)
    if csv is not None:
        write_csv(result.by_class, csv)
    if html is not None:
        result.to_html(html, images, embeddings=queries, ref=references)
    print_summary(summary, print_audit, json)
    if not json:
        for path in (save, csv, html):
            if path is not None:
                typer.echo(f"wrote {path}")
    check_limits(summary, limits)
