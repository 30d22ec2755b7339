"""The Dask engine: parts of the matrix of pairs as tasks, on this machine's cores or on a cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evenmatch.errors import InputError, MissingExtraError
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["DaskEngine"]


@dataclass(frozen=True)
class DaskEngine:
    """The engine ``"dask"``: the same counts as the CPU engine's, from many processes or machines.

    Sorted samples are cut into blocks, and each pair of blocks is a task that a worker counts with the CPU engine, or
    with the GPU engine where it sees a GPU. Workers read the rows of a task's two blocks themselves, from the
    memory-mapped file or the shards that the embeddings lie in; embeddings in memory are written to a temporary file
    first (TMPDIR chooses where). So all workers must see that file under the same path: on one machine they do, on a
    cluster put the embeddings on a shared file system. Beside their rows, what travels is 28 bytes a sample to each
    worker, once.

    Counts are merged as a tree, on the worker that has them first. A task's counts hold the classes of its own blocks
    only, and there are so few tasks that merging costs a small share of the time. Where CPU workers have the same
    version of NumPy and its BLAS, every count and best score equals the single-machine one bit for bit: blocks begin
    where the tiles of the CPU engine do. A worker that dies costs the tasks that it was at and those whose counts it
    held; they are done again elsewhere.

    Each call makes one pass. Memory of a worker: for each of its threads, two blocks and the tables of `count_cpu`.

    Attributes:
        scheduler: address of a running scheduler, as ``"tcp://10.0.0.1:8786"``. By default the current
            ``distributed.Client``, if there is one and ``workers`` is not given; otherwise a cluster of processes on
            this machine, started for the call and closed at its end.
        workers: processes of that cluster; by default one for each core at hand.
        checkpoint: a folder, seen by this process alone, that keeps what has been counted: finished tasks are collected
            and the file is replaced whenever this has last taken less than a twentieth of the time since. A pass that
            is finished there is not counted again.
        resume: continue from what the folder holds, if anything; tasks in it are not done again.
        precision: ``"exact"`` or ``"fast"``.
        threads: of each process of a local cluster; by default 1.

    Raises:
        MissingExtraError: Dask is not installed.
        InputError: unknown precision, a number below 1, or settings that contradict each other.

    Examples:
        >>> DaskEngine(workers=4).workers
        4
    """

    scheduler: str | None = None
    workers: int | None = None
    checkpoint: str | Path | None = None
    resume: bool = False
    precision: str = "exact"
    threads: int | None = None
    name: ClassVar[str] = "dask"

    def __post_init__(self) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise MissingExtraError("dask.distributed", "cluster", "engine 'dask'")
        if self.precision not in ("exact", "fast"):
            raise InputError(f"precision {self.precision!r} is unknown to the engine 'dask'; use 'exact' or 'fast'")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads is {self.threads}; give 1 or more, or leave it out for 1")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers is {self.workers}; give 1 or more, or leave it out for one a core")
        if self.scheduler is not None and self.workers is not None:
            raise InputError("the cluster at scheduler has its own workers; give either scheduler or workers")
        if self.resume and self.checkpoint is None:
            raise InputError("resume needs the checkpoint folder to continue from; give checkpoint too")

    def __call__(
        self, problem: Problem, ladder: Ladder, *, progress: Callable[[float], None] | None = None
    ) -> PairCounts:
        from evenmatch.pairs._dask_run import count_on_cluster

        return count_on_cluster(problem, ladder, self, progress)
