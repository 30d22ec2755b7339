"""Which images the batch of a step holds: a function of the seed and the step, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_metric_learning.samplers import MPerClassSampler
from torch.utils.data import Sampler

from evenmatch.errors import InputError

__all__ = ["BalancedBatches", "BatchPlan", "OrderedBatches"]

_SEED_RANGE = 2**32


@dataclass(frozen=True)
class BatchPlan:
    """A batch to come.

    Attributes:
        rows: (n,) rows of the data set.
        seeds: (n,) seed of each row's augmentation, or None for no augmentation.
    """

    rows: NDArray[np.int64]
    seeds: NDArray[np.uint64] | None = None


class BalancedBatches(Sampler[BatchPlan]):
    """Batches of `per_class` images of each of batch_size / per_class random classes, for one process.

    pytorch-metric-learning's MPerClassSampler draws each batch from a generator seeded by (seed, step), so that a run
    that was interrupted continues with the batches that it would have had, whatever was drawn before. In a distributed
    run every process draws the same whole batch and takes its own part; joined in rank order, the parts are the batch.

    Args:
        labels: (n,) class of each image, as integers.
        batch_size: images of a batch, over all processes.
        per_class: images of a class; classes with fewer give some of them twice.
        start: the first step.
        steps: how many.
        seed: of the run.
        rank: number of this process.
        world_size: how many there are.

    Raises:
        InputError: a batch without a positive or without a negative pair, one that does not divide among classes or
            processes, or one with more classes than there are.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[Any],
        batch_size: int,
        per_class: int,
        *,
        start: int = 0,
        steps: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        labels = np.asarray(labels)
        check_batch(len(np.unique(labels)), batch_size, per_class, world_size)
        self._sampler = MPerClassSampler(labels, per_class, batch_size, length_before_new_iter=batch_size)
        self._classes = sorted(self._sampler.labels)
        self._steps = range(start, start + steps)
        self._seed = seed
        self._part = slice(rank * (batch_size // world_size), (rank + 1) * (batch_size // world_size))

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[BatchPlan]:
        for step in self._steps:
            yield self.plan(step)

    def plan(self, step: int) -> BatchPlan:
        """The batch of a step."""
        draw, augment = np.random.SeedSequence([self._seed, step]).generate_state(2, np.uint32)
        state = np.random.get_state()  # noqa: NPY002 - the library draws from NumPy's global generator
        try:
            np.random.seed(draw)  # noqa: NPY002
            self._sampler.labels = list(self._classes)  # the library shuffles it in place
            rows = np.array(list(self._sampler), dtype=np.int64)
        finally:
            np.random.set_state(state)  # noqa: NPY002
        seeds = np.random.default_rng(augment).integers(_SEED_RANGE, size=len(rows), dtype=np.uint64)
        return BatchPlan(rows[self._part], seeds[self._part])


class OrderedBatches(Sampler[BatchPlan]):
    """All rows in their order, in batches, without augmentation; every world_size-th row for each process.

    Args:
        n: how many rows.
        batch_size: rows of a batch in each process.
        rank: number of this process.
        world_size: how many there are.
    """

    def __init__(self, n: int, batch_size: int, *, rank: int = 0, world_size: int = 1) -> None:
        self._rows = np.arange(rank, n, world_size, dtype=np.int64)
        self._size = batch_size

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def __iter__(self) -> Iterator[BatchPlan]:
        for start in range(0, len(self._rows), self._size):
            yield BatchPlan(self._rows[start : start + self._size])


def check_batch(n_classes: int, batch_size: int, per_class: int, world_size: int = 1) -> None:
    """Raise `InputError` unless batches of this shape have positive and negative pairs and can be made."""
    if per_class < 2:
        raise InputError(f"batch.per_class is {per_class}: no batch would have a positive pair; use at least 2")
    if batch_size % per_class:
        raise InputError(f"batch.size {batch_size} is no multiple of batch.per_class {per_class}; make it one")
    if batch_size < 2 * per_class:
        raise InputError(
            f"batch.size {batch_size} with batch.per_class {per_class} is a single class: no batch would have a "
            "negative pair; use at least two classes a batch"
        )
    if batch_size // per_class > n_classes:
        raise InputError(
            f"batch.size {batch_size} with batch.per_class {per_class} needs {batch_size // per_class} classes with "
            f"two images or more, and the training images have {n_classes}; use a smaller batch or more of each class"
        )
    if batch_size % world_size:
        raise InputError(f"batch.size {batch_size} does not divide among {world_size} processes; make it a multiple")
