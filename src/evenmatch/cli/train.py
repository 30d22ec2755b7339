"""evenmatch train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenmatch.cli._interrupted import Interrupted
from evenmatch.cli._options import print_json
from evenmatch.errors import InputError

__all__ = ["train"]


def train(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration, as those in configs/; none with --resume.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder, new or empty; by default runs/NAME of CONFIG.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value, as optimizer.lr=3e-4; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole configuration and stop.")] = False,
    resume: Annotated[
        Path | None, typer.Option(help="Continue the run in this folder from its last checkpoint.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be decoded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the audit of the test images as JSON.")] = False,
) -> None:
    """Train: a base loss with TCM, from a configuration to a run folder with checkpoints, embeddings and an audit.

    [bold]Examples[/bold]

    evenmatch train configs/omniglot.yaml --set data.root=data/omniglot

    evenmatch train configs/cub.yaml --set tcm.weight=0 --set schedule.steps=500 --out runs/cub-base

    evenmatch train configs/sop.yaml --dry-run

    evenmatch train --resume runs/omniglot
    """
    if (config is None) == (resume is None):
        raise InputError("give either a configuration or --resume RUN; see evenmatch train --help")
    if resume is not None and (changes or out is not None or dry_run):
        raise InputError("--resume continues a run as it was started; leave out --set, --out and --dry-run")

    from evenmatch import training

    console = sys.stderr if json else sys.stdout

    def say(text: str) -> None:
        typer.echo(text, file=console)

    folder = resume or out or Path("runs") / (config.stem if config else "run")
    settings = None if config is None else training.load_config(config, changes or [])
    if settings is not None and dry_run:
        typer.echo(training.dump_config(settings), nl=False)
        return
    progress = sys.stderr.isatty()
    try:
        if settings is None:
            result = training.resume(folder, skip_bad=skip_bad, say=say, progress=progress)
        else:
            result = training.train(settings, folder, skip_bad=skip_bad, say=say, progress=progress)
    except KeyboardInterrupt:
        if not (folder / "config.yaml").is_file():  # the images were still being looked at
            raise
        raise Interrupted(
            f"continue with: evenmatch train --resume {folder}{' --skip-bad' if skip_bad else ''}"
        ) from None
    if result is None:  # another process of a distributed run reports
        return
    summary = result.audit.summary()
    if json:
        print_json({"folder": str(result.folder), "seconds": result.seconds, **summary})
        return
    from rich.console import Console

    from evenmatch.report import print_audit

    print_audit(summary, Console())
    typer.echo(f"\nwrote {result.folder}: {', '.join(sorted(path.name for path in result.folder.iterdir()))}")
