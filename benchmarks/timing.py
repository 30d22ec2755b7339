"""Times of works that take turns, and the ratios of runs that followed each other.

A machine's speed drifts, and other programs take their share of it: a figure that matters is a ratio of two times taken
one after the other in the same process, as a median over several runs with its spread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["Times", "Work", "in_turn", "median_seconds", "ratio", "ratios", "seconds"]

Work = Callable[[], object]
Times = Mapping[str, list[float]]


def seconds(work: Work) -> float:
    """Time of one run."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_seconds(work: Work, runs: int, *, warm_up: bool = True) -> float:
    """Median time of one work alone, after a run that does not count."""
    return statistics.median(in_turn({"": work}, runs, warm_up=warm_up)[""])


def in_turn(
    works: Mapping[str, Work], runs: int, *, warm_up: bool = True, clock: Callable[[Work], float] = seconds
) -> Times:
    """Times of several works, taken in turn, after one run of each that does not count.

    Args:
        works: by name, in the order in which they are run.
        runs: of each work.
        warm_up: whether to run each once beforehand.
        clock: runs a work and tells its seconds.
    """
    for work in works.values() if warm_up else ():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            times[name].append(clock(work))
    return times


def ratios(times: Times, name: str, floor: str) -> list[float]:
    """Time of a work over that of another, for the runs that followed each other."""
    return [a / b for a, b in zip(times[name], times[floor], strict=True)]


def ratio(times: Times, name: str, floor: str = "product") -> dict[str, float]:
    """Median and spread of the ratios, and both median times, rounded for a table."""
    found = ratios(times, name, floor)
    return {
        "ratio": round(statistics.median(found), 3),
        "min": round(min(found), 3),
        "max": round(max(found), 3),
        "seconds": round(statistics.median(times[name]), 4),
        f"{floor}_seconds": round(statistics.median(times[floor]), 4),
    }
