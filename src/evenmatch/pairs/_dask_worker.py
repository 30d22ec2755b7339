"""What runs on a Dask worker: it holds the problem, counts parts of it, and merges counts."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from distributed import WorkerPlugin, get_worker

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import EvenmatchError
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cuda import gpu_visible
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._parts import BlockGrid, PartCounts, count_part, merged
from evenmatch.pairs._problem import Problem

__all__ = ["Host", "Job", "merge_parts", "run_part", "without_labels"]

_TASK_PATIENCE_SECONDS = 10  # a task looks several times a second whether its job has ended


@dataclass(frozen=True, eq=False)
class Job:
    """All that a worker needs to know for one pass; vectors travel as the names of their files."""

    problem: Problem
    ladder: Ladder
    grid: BlockGrid
    precision: str
    stopped: threading.Event = field(default_factory=threading.Event)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "stopped"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, stopped=threading.Event())


class Host(WorkerPlugin):
    """Gives every worker the job, those too that join or come back later, and takes it away at the end."""

    _jobs: ClassVar[dict[str, tuple[Job, int]]] = {}  # by name, with the number of workers in this process
    _refused: ClassVar[dict[str, Exception]] = {}  # by name, why this process could not take the job
    _tasks: ClassVar[Counter[str]] = Counter()  # that are being done in this process, by the name of their job
    _lock = threading.Lock()
    _blas: ClassVar[Any] = None
    _holders = 0  # workers of this process for whose jobs the BLAS is held to one thread

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._payload = pickle.dumps(job)

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Unpack the job, and hold the BLAS to one thread: Dask's threads are the parallel ones."""
        with Host._lock:
            job, users = Host._jobs.get(self.name, (None, 0))
            if job is None:
                try:
                    job = self._unpacked()
                except Exception as error:
                    # a worker that joins later is not asked how this went, and gets tasks all the same
                    Host._refused[self.name] = error
                    raise
            if not Host._holders:  # held by this thread, the worker's event loop, from the first job to the last
                Host._blas = one_blas_thread()
                Host._blas.__enter__()
            Host._holders += 1
            Host._jobs[self.name] = job, users + 1

    def _unpacked(self) -> Job:
        job = pickle.loads(self._payload)
        for side in (job.problem.rows, job.problem.cols):
            side.source.vectors[:1]  # is the file here?
        return job

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Stop tasks that are being done for the job, and forget it."""
        with Host._lock:
            Host._refused.pop(self.name, None)
            if self.name not in Host._jobs:
                return
            job, users = Host._jobs.pop(self.name)
            job.stopped.set()
            if users > 1:
                Host._jobs[self.name] = job, users - 1
        # a task limits the BLAS too: one that ended after the limit here would give back one thread, for good
        patience = time.monotonic() + _TASK_PATIENCE_SECONDS
        while Host._tasks[self.name] and time.monotonic() < patience:
            await asyncio.sleep(0.02)
        with Host._lock:
            Host._holders -= 1
            if not Host._holders:
                Host._blas.__exit__(None, None, None)

    @classmethod
    @contextmanager
    def task(cls, name: str) -> Iterator[Job]:
        """The job of this process, while a task of it is done."""
        with cls._lock:
            if name not in cls._jobs:
                if name in cls._refused:
                    raise cls._refused[name]
                raise EvenmatchError(f"internal error: this worker was not given the job {name}; please report it")
            job = cls._jobs[name][0]
            cls._tasks[name] += 1
        try:
            yield job
        finally:
            with cls._lock:
                cls._tasks[name] -= 1
                if not cls._tasks[name]:
                    del cls._tasks[name]


def run_part(name: str, part: tuple[int, int]) -> PartCounts:
    """Count one part of a job."""
    with Host.task(name) as job:
        engine = _engine(job.precision)

        def go_on(share: float) -> None:  # noqa: ARG001
            if job.stopped.is_set():
                raise EvenmatchError("the run that this task belongs to has ended")

        def count(problem: Problem) -> PairCounts:
            return engine(problem, job.ladder, progress=go_on)

        return count_part(job.problem, job.grid, part, count, time.monotonic, get_worker().address)


def merge_parts(several: list[PartCounts]) -> PartCounts:
    """Merge counts where most of them are."""
    return merged(several)


def _engine(precision: str) -> Callable[..., PairCounts]:
    from evenmatch.pairs._run import ENGINES

    if gpu_visible():
        return ENGINES["cuda"](precision=precision)
    return ENGINES["cpu"](precision=precision, threads=1)


def without_labels(source: EmbeddingSet, vectors: Any) -> EmbeddingSet:
    """A set of which only vectors and norms travel."""
    nothing = np.empty(0, np.int64)
    return EmbeddingSet(vectors, nothing, None, None, source.name, nothing, nothing, None, None, source.norms)
