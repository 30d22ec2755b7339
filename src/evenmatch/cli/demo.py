"""evenmatch demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._options import print_json

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the rendering.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
) -> None:
    """Demo: fit a model on Latin characters, audit it on four scripts that it has never seen.

    [bold]Examples[/bold]

    evenmatch demo

    evenmatch demo --out /tmp/demo --json
    """
    from rich.console import Console

    from evenmatch.report import print_audit
    from evenmatch.training import run_demo

    console = Console(stderr=json)
    result = run_demo(out, seed=seed, say=lambda text: console.print(text, markup=False, highlight=False))
    if json:
        print_json(result.audit.summary())
        return
    console.print()
    print_audit(result.audit.summary(), console)
    console.print(f"\nwrote to {out}/: {', '.join(path.name for path in result.files)}", markup=False, highlight=False)
    console.print(f"next: evenmatch audit {result.files[0]} --k 1,5 --csv by_class.csv", markup=False, highlight=False)
