"""evenmatch compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import check_outputs, print_summary

__all__ = ["compare"]


def compare(
    files: Annotated[list[Path], typer.Argument(help="Saved audits (evenmatch audit --save), the baseline first.")],
    names: Annotated[
        str, typer.Option(help="Names of the models, as base,tcm; by default those of the files or folders.")
    ] = "",
    html: Annotated[
        Path | None, typer.Option(help="Write a report for the browser here: one file, no network.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
    allow_different: Annotated[
        bool, typer.Option("--allow-different", help="Compare although the test sets differ; without intervals.")
    ] = False,
) -> None:
    """Compare: which model treats the classes more alike, and what does it cost?

    [bold]Examples[/bold]

    evenmatch compare base.audit tcm.audit

    evenmatch compare base.audit tcm.audit --names base,tcm --html compare.html --json
    """
    labels = [name.strip() for name in names.split(",")] if names else _names(files)
    if len(labels) != len(files):
        raise typer.BadParameter(f"{len(labels)} names for {len(files)} audits; give one a file", param_hint="--names")
    if len(set(labels)) != len(labels):
        raise typer.BadParameter(
            f"the names {', '.join(labels)} are not distinct; name each model", param_hint="--names"
        )
    check_outputs(html)

    import evenmatch as em
    from evenmatch.report import print_comparison

    audits = {label: em.Audit.load(file) for label, file in zip(labels, files, strict=True)}
    result = em.compare(audits, allow_different=allow_different)
    if html is not None:
        result.to_html(html)
    print_summary(result.summary(), print_comparison, json)
    if html is not None and not json:
        typer.echo(f"wrote {html}")


def _names(files: list[Path]) -> list[str]:
    """Names of the files; those of their folders where runs keep their audits under one name."""
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [file.absolute().parent.name for file in files]
