"""A progress bar for work of more than two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]

_PATIENCE_SECONDS = 2.0


@contextmanager
def progress_bar(title: str, progress: bool | Callable[[float], None]) -> Iterator[Callable[[float], None] | None]:
    """Give a function that takes the share of work done, in [0, 1]; None if no progress is wanted.

    With True, a bar with the time left appears on stderr once two seconds have passed, and goes away at the end.
    """
    if callable(progress) or not progress:
        yield progress if callable(progress) else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(title, total=1.0)
    started = time.monotonic()
    shown = False

    def report(share: float) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > _PATIENCE_SECONDS:
            bar.start()
            shown = True
        bar.update(task, completed=share)

    try:
        yield report
    finally:
        if shown:
            bar.stop()
