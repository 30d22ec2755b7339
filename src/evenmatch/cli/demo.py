"""evenmatch demo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenmatch.cli._options import print_json
from evenmatch.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the rendering and of the training.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Batches that each of the two models is trained on.")] = 300,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="Take principal components instead of trained networks: seconds.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")] = False,
) -> None:
    """Demo: train on Latin characters, with and without TCM, and audit on four scripts never seen.

    Without the train extra, or with --no-train, the model is a PCA of the pixels.

    [bold]Examples[/bold]

    evenmatch demo

    evenmatch demo --out /tmp/demo --json

    evenmatch demo --no-train
    """
    from rich.console import Console

    console = Console(stderr=json)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    if not no_train:
        try:
            _trained(out, seed, steps, json, console, say)
            return
        except MissingExtraError as error:
            say(f"no training: {error}; showing the demo without it")
    _principal_components(out, seed, json, console, say)


def _trained(out: Path, seed: int, steps: int, json: bool, console: Console, say: Callable[[str], None]) -> None:
    from evenmatch.report import print_audit, print_comparison
    from evenmatch.training import run_demo

    result = run_demo(out, seed=seed, steps=steps, say=say)
    if json:
        print_json({arm: audit.summary() for arm, audit in result.audits.items()})
        return
    say("")
    print_comparison(result.comparison.summary(), console)
    say("\nThe audit with TCM in full")
    print_audit(result.audits["tcm"].summary(), console)
    say(f"\nwrote to {out}/: audits.json; in base/ and tcm/ a run folder each, with figures")
    say(f"open in a browser: {out / 'report.html'} (the audit with TCM), {out / 'compare.html'} (both models)")
    say(f"next: evenmatch audit {out / 'tcm' / 'test.npz'} --k 1,5 --csv by_class.csv")


def _principal_components(out: Path, seed: int, json: bool, console: Console, say: Callable[[str], None]) -> None:
    from evenmatch.report import print_audit
    from evenmatch.training import run_pca_demo

    result = run_pca_demo(out, seed=seed, say=say)
    if json:
        print_json(result.audit.summary())
        return
    say("")
    print_audit(result.audit.summary(), console)
    say(f"\nwrote to {out}/: {', '.join(path.name for path in result.files)}")
    say(f"next: evenmatch audit {result.files[0]} --k 1,5 --csv by_class.csv")
