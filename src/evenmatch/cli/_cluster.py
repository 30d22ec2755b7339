"""What the options for a Dask cluster have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evenmatch.cli._interrupted import Interrupted
from evenmatch.errors import InputError

if TYPE_CHECKING:
    from evenmatch.pairs import Engine

__all__ = ["choose_engine", "resumable"]


def choose_engine(
    engine: str | None,
    scheduler: str | None,
    workers: int | None,
    checkpoint: Path | None,
    resume: bool,
    precision: str = "exact",
    threads: int | None = None,
) -> str | Engine | None:
    """The engine that the options ask for: a name, or a Dask engine with its settings. Each of them implies Dask.

    Raises:
        InputError: another engine is named beside them.
    """
    given = {"--scheduler": scheduler, "--workers": workers, "--checkpoint": checkpoint, "--resume": resume or None}
    present = [name for name, value in given.items() if value is not None]
    if engine != "dask" and not present:
        return engine
    if engine not in (None, "dask"):
        raise InputError(f"{', '.join(present)} belong to --engine dask, not to {engine}; leave one of them out")
    from evenmatch.pairs import DaskEngine

    return DaskEngine(scheduler, workers, checkpoint, resume, precision, threads)


@contextmanager
def resumable(checkpoint: Path | None) -> Iterator[None]:
    """Say on stderr where tasks can be watched, and how to go on after Ctrl-C."""
    logger = logging.getLogger("evenmatch.dask")
    handler, level = logging.StreamHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is None:
            raise
        raise Interrupted(f"continue with the same command and --resume (checkpoint {checkpoint})") from None
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
