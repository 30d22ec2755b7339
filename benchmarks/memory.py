"""Memory of this process as Linux tells it, and processes of their own in which to measure it."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

__all__ = ["in_fresh_process", "peak_memory", "status_bytes"]

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def status_bytes(key: str) -> int:
    """A line of /proc/self/status, in bytes: VmRSS, RssAnon, VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {key}; the memory figures need Linux")


@contextmanager
def peak_memory(key: str) -> Iterator[Callable[[], int]]:
    """Watch a line of /proc/self/status: gives a function that tells its peak since the beginning, in bytes beyond it.

    It is read 200 times a second: a peak that is over sooner is missed.
    """
    before = highest = status_bytes(key)
    running = True

    def watch() -> None:
        nonlocal highest
        while running:
            highest = max(highest, status_bytes(key))
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: highest - before
    finally:
        running = False
        watcher.join()


def in_fresh_process(work: Callable[[*_Arguments], _Result], *args: *_Arguments) -> _Result:
    """What a function of a script's top level returns in a new process, which takes over none of this one's memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()
