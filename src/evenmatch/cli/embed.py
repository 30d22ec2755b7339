"""evenmatch embed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import print_json

__all__ = ["embed"]


def embed(
    run: Annotated[Path, typer.Argument(help="Folder of a run of evenmatch train.")],
    data: Annotated[
        str | None,
        typer.Argument(help="A data set (with --root), a folder of classes or a manifest; by default the run's own."),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write: .npz, .parquet or .safetensors.")] = Path("embeddings.npz"),
    root: Annotated[Path | None, typer.Option(help="Where a data set by name lies.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the data; by default test, of folders all.")] = None,
    role: Annotated[str | None, typer.Option(help="Only the images of this role, query or gallery.")] = None,
    checkpoint: Annotated[str, typer.Option(help="Which checkpoint, last or best.")] = "last",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load images.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be decoded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Embed: images through the network of a run, to a file that evenmatch audit reads.

    [bold]Examples[/bold]

    evenmatch embed runs/omniglot --out test.npz

    evenmatch embed runs/cub cars --root data/cars --out cars.npz

    evenmatch embed runs/cub photos/ --out photos.parquet
    """
    from evenmatch.embeddings import require_writable, save
    from evenmatch.training import embed_with_run

    require_writable(out, (".npz", ".parquet", ".safetensors"))
    embeddings = embed_with_run(
        run,
        data,
        root=root,
        split=split,
        role=role,
        checkpoint=checkpoint,
        device=device,
        workers=workers,
        skip_bad=skip_bad,
        say=lambda text: typer.echo(text, err=json),
        progress=sys.stderr.isatty(),
    )
    save(out, embeddings)
    if json:
        print_json({"file": str(out), "n": embeddings.n, "dim": embeddings.dim, "classes": len(embeddings.classes)})
    else:
        typer.echo(f"wrote {out}: {embeddings.n:,} × {embeddings.dim}, {len(embeddings.classes):,} classes")
