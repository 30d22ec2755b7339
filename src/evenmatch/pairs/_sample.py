"""The engine for estimates: some pairs of every class instead of all pairs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar
from weakref import WeakKeyDictionary

from evenmatch.errors import InputError
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import available_cores, count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._sample_plan import parse_budget, plan_sample
from evenmatch.pairs._sample_result import sampled_counts
from evenmatch.pairs._sample_run import SampleRun

__all__ = ["SampleEngine"]

_DEFAULT_PAIRS = 10**9
_PROBE_SECONDS = 0.5
#: of the measured speed, for what comes before and after the pass
_TRUSTED = 0.85


@dataclass(frozen=True)
class SampleEngine:
    """The engine ``"sample"``: an estimate from random pairs, with every class represented.

    Positive pairs are few and all are counted, unless they would take more than a quarter of the budget; then those
    among some samples of each large class are. For negative pairs each class's samples (or a random few of them, at
    least 2) are compared with references drawn at random from all samples in 16 disjoint groups, and each class's
    shares are scaled to its true number of pairs. Groups are not estimated, nor is a sample's best-scoring other sample
    (recall@1). Where the budget covers all pairs, all are counted, exactly.

    Memory: the references' vectors (at most 512 MiB), a few rows a thread, and class tables: 16 bytes a cell for the
    result, 8 during the pass and 64 bytes a class and knot (at most 32).

    Attributes:
        budget: time for the pass, in seconds or as ``"30s"``, ``"5m"``; a probe of half a second turns it into pairs.
        pairs: pairs to count, at most about; 10⁹ where neither is given.
        seed: of the draw; the same seed and number of pairs give the same counts.
        precision: ``"exact"``: each pair's score is that of float32.
        threads: worker threads; by default one for each core at hand.
    """

    budget: str | float | None = None
    pairs: float | None = None
    seed: int = 0
    precision: str = "exact"
    threads: int | None = None
    name: ClassVar[str] = "sample"
    # a second pass over the same problem must draw the same pairs
    _probed: WeakKeyDictionary[Problem, int] = field(default_factory=WeakKeyDictionary, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.precision != "exact":
            raise InputError(f"precision {self.precision!r} is not available for estimates; use 'exact'")
        if self.budget is not None and self.pairs is not None:
            raise InputError("budget and pairs are both given; give the time or the number of pairs")
        if self.budget is not None:
            parse_budget(self.budget)
        if self.pairs is not None and not 1 <= self.pairs < float("inf"):
            raise InputError(f"pairs is {self.pairs:g}; give a number of pairs above 0, as 1e9")

    def __call__(
        self, problem: Problem, ladder: Ladder, *, progress: Callable[[float], None] | None = None
    ) -> PairCounts:
        pairs = self.pairs_for(problem, ladder)
        if pairs >= problem.n_pairs:
            return count_cpu(problem, ladder, threads=self.threads, progress=progress)
        run = SampleRun(problem, ladder, plan_sample(problem, pairs), self.seed)
        _run_tasks(run, self.threads or available_cores(), progress)
        return sampled_counts(run)

    def pairs_for(self, problem: Problem, ladder: Ladder) -> int:
        """How many pairs the budget buys on this problem; measured once for each."""
        if self.budget is None:
            return int(_DEFAULT_PAIRS if self.pairs is None else self.pairs)
        if problem not in self._probed:
            seconds = parse_budget(self.budget)
            rate = measure_rate(problem, ladder, self.threads, min(_PROBE_SECONDS, seconds / 4))
            self._probed[problem] = max(int(rate * seconds * _TRUSTED), 1)
        return self._probed[problem]


def measure_rate(problem: Problem, ladder: Ladder, threads: int | None, seconds: float) -> float:
    """Pairs per second that an estimate counts on this problem, from the first tasks of a larger one."""
    n_threads = threads or available_cores()
    every = sum(min(side.n, 4096) for side in (problem.rows, problem.cols))
    plan = plan_sample(problem, max(every * 4096, 1000 * problem.classes.size))
    rate = 0.0
    for limit in (seconds / 10, seconds):  # the first one compiles
        run = SampleRun(problem, ladder, plan, seed=0)
        started = time.perf_counter()
        _run_tasks(run, n_threads, None, limit)
        rate = run.pairs_done / max(time.perf_counter() - started, 1e-9)
    return rate


def _run_tasks(
    run: SampleRun, threads: int, progress: Callable[[float], None] | None, limit: float | None = None
) -> None:
    """Work off all tasks, or as many as start within ``limit`` seconds."""
    lock, stop = threading.Lock(), threading.Event()
    queue = iter(run.tasks(shuffled=limit is not None))
    deadline = None if limit is None else time.perf_counter() + limit

    def work() -> None:
        tally = run.tally()
        while not stop.is_set() and (deadline is None or time.perf_counter() < deadline):
            with lock:
                task = next(queue, None)
            if task is None:
                break
            pairs = run.do(task, tally)
            with lock:
                run.pairs_done += pairs
        with lock:
            run.add(tally)

    for direction in run.directions:
        _ = direction.vectors  # once, not by every thread for itself
    with one_blas_thread(), ThreadPoolExecutor(threads, thread_name_prefix="evenmatch") as pool:
        jobs = [pool.submit(work) for _ in range(threads)]
        try:
            while not all(job.done() for job in jobs):
                for job in jobs:
                    if job.done():
                        job.result()
                time.sleep(0.005 if limit is not None else 0.05)
                if progress is not None:
                    progress(min(run.pairs_done / run.pairs_planned, 1.0))
            for job in jobs:
                job.result()
        except BaseException:
            stop.set()
            raise
    if progress is not None:
        progress(1.0)
