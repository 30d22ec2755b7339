"""evenmatch datasets list, evenmatch datasets check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import print_json

__all__ = ["app", "check", "list_"]

app = typer.Typer(
    help="The data sets that evenmatch reads, and whether yours is complete.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines, with what to fetch.")] = False,
) -> None:
    """List the data sets with their splits and published counts.

    [bold]Examples[/bold]

    evenmatch datasets list

    evenmatch datasets list --json
    """
    from evenmatch import datasets

    entries = datasets.catalogue()
    if json:
        print_json([entry.to_dict() for entry in entries])
    else:
        for entry in entries:
            typer.echo(entry)


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A data set, as evenmatch datasets list calls it.")],
    root: Annotated[Path | None, typer.Argument(help="The folder it lies in; glyphs needs none.")] = None,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every image, too, to find damaged ones.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Images decoded at a time; by default one a core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of lines.")] = False,
) -> None:
    """Check a data set: every file there, counts as published, no class in both train and test.

    Exits with 1 if something is wrong, with 2 if the data set cannot be read at all.

    [bold]Examples[/bold]

    evenmatch datasets check cub data/CUB_200_2011

    evenmatch datasets check omniglot data/omniglot --decode

    evenmatch datasets check manifest parts.csv --json
    """
    from evenmatch import datasets

    def show(done: int, total: int) -> None:
        typer.echo(f"\r{done:,} of {total:,} images decoded", nl=done == total, err=True)

    report = datasets.check(name, root, decode=decode, threads=threads, progress=show if sys.stderr.isatty() else None)
    if json:
        print_json(report.to_dict())
    else:
        typer.echo(report)
    report.require_ok()
