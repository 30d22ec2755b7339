"""Pairs of samples without labels: how many score how high, for all pairs and for every sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import METRICS, Problem, Side, _mean, _radius
from evenmatch.pairs._run import Engine, make_engine
from evenmatch.pairs._sample import SampleEngine

__all__ = ["UnlabeledCounts", "count_unlabeled"]


@dataclass(frozen=True, eq=False)
class UnlabeledCounts:
    """What one pass over all pairs of n samples without labels counted.

    Attributes:
        grid: the fine grid of the histogram.
        histogram: pairs in each of its bins, ``(grid.size,)`` int64, each pair once.
        thresholds: where every sample is counted, ``(T,)`` float64: the grid thresholds at or just above those asked
            for, in their order.
        accepted: for each sample, its pairs with score ≥ threshold, ``(n, T)`` int64, in no particular order of the
            samples.
    """

    grid: ScoreGrid
    histogram: np.ndarray
    thresholds: np.ndarray
    accepted: np.ndarray

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.accepted.shape[0]

    @cached_property
    def n_pairs(self) -> int:
        """Number of pairs, n(n-1)/2."""
        return int(self.histogram.sum())

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of all pairs accepted at each grid threshold and at ``+inf``, ``(grid.size + 1,)``."""
        return np.concatenate([np.cumsum(self.histogram[::-1])[::-1], [0]]) / self.n_pairs

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the shares at ``thresholds`` over samples, ``(T, T)``: the delete-one-sample jackknife.

        Leaving a sample out takes its own pairs away, so its counts alone give it exactly. It knows nothing of
        classes: that samples of one class come and go together makes the true variance larger.
        """
        n, accepted = self.n, self.accepted.astype(float)
        left_out = (accepted.sum(axis=0) / 2 - accepted) / ((n - 1) * (n - 2) / 2)
        influence = left_out - left_out.mean(axis=0)
        return influence.T @ influence * (n - 1) / n


def count_unlabeled(
    embeddings: EmbeddingSet,
    *,
    metric: str = "cosine",
    thresholds: Sequence[float] = (),
    engine: str | Engine = "cpu",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> UnlabeledCounts:
    """Count every pair once, whatever the labels of the set say.

    Every engine that counts all pairs does it: to an engine each sample is a class of its own, so that all pairs are
    negative and a class table is a table of samples.

    Args:
        embeddings: n ≥ 3 embeddings; the labels are not looked at.
        metric: ``"cosine"``, or ``"euclidean"`` for the score ``-‖x - y‖``.
        thresholds: scores at which every sample is counted, each moved up to the grid, at most one step.
        engine: the name of an engine, or an engine.
        threads: worker threads; by default one a core.
        progress: called with the share of pairs done, in [0, 1].

    Raises:
        InputError: unknown metric or engine, zero vectors under cosine, fewer than 3 samples, or a NaN threshold; or an
            engine that estimated the counts, since their spread is taken to be that of all pairs.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> counts = count_unlabeled(EmbeddingSet.from_arrays(x, range(60)), thresholds=[0.5])
        >>> counts.n_pairs, int(counts.accepted.sum()) == 2 * round(counts.n_pairs * counts.shares[
        ...     counts.grid.index_at_or_above(0.5)])
        (1770, True)
    """
    run = make_engine(engine, threads=threads)
    if metric not in METRICS:
        raise InputError(f"metric {metric!r} is unknown; use one of {', '.join(map(repr, METRICS))}")
    if embeddings.n < 3:
        raise InputError(f"there are only {embeddings.n} samples; pass more of them")
    mean = None
    if metric == "cosine":
        embeddings.require_nonzero()
        grid = ScoreGrid.cosine()
    else:
        mean = _mean([embeddings])
        grid = ScoreGrid.euclidean(2.001 * _radius(embeddings, mean))
    own = np.arange(embeddings.n)
    side = Side.build(embeddings, own, embeddings.n, None, mean)
    problem = Problem(grid, own, side, side, None)
    indices = np.array([grid.index_at_or_above(float(t)) for t in thresholds], dtype=np.int64)
    inside = np.unique(indices[indices < grid.size])
    ladder = Ladder.build(grid, inside)
    if isinstance(run, SampleEngine):  # says so before the work; another engine may estimate, too
        _require_all(run.pairs_for(problem, ladder), problem)
    counts: PairCounts = run(problem, ladder, progress=progress)
    if counts.sampling is not None:
        _require_all(counts.sampling.pairs, problem)
    counts.require_conserved(problem.n_pairs)
    accepted = np.zeros((embeddings.n, indices.size), dtype=np.int64)
    for column, index in enumerate(indices):
        if index < grid.size:
            accepted[:, column] = counts.negatives_accepted[:, counts.column(float(grid.threshold(index)))]
    return UnlabeledCounts(grid, counts.pooled_negatives, grid.threshold(indices).astype(np.float64), accepted)


def _require_all(pairs: int, problem: Problem) -> None:
    if pairs < problem.n_pairs:
        raise InputError(
            f"samples without labels need every pair, and this is an estimate from {pairs:,} of {problem.n_pairs:,}; "
            "use another engine"
        )
