"""The result of a pass over pairs: integer counts that merge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenmatch.errors import EvenmatchError, InputError
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._recount import Recount
from evenmatch.pairs._sampling import Sampling

__all__ = ["GroupCounts", "PairCounts"]


def _accepted(histogram: np.ndarray) -> np.ndarray:
    """Number of scores at or above each bin's threshold, with a last 0 for ``+inf``."""
    return np.concatenate([np.cumsum(histogram[::-1])[::-1], [0]])


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """Accepted pairs between groups at every class threshold, for T thresholds and G groups.

    Attributes:
        names: the groups, shape ``(G,)``.
        positives, negatives: pairs between two groups, ``(G, G)`` int64. Without a reference set the matrices are
            symmetric and an unordered pair across groups stands in both of its cells; with one, rows are the
            groups of the queries and columns those of the references.
        positives_accepted, negatives_accepted: the same at each threshold, ``(G, G, T)`` int64.
        sizes: samples (with a reference set: queries) of each group, ``(G,)`` int64.
        directed: whether rows are queries and columns references.
    """

    names: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray
    sizes: np.ndarray
    directed: bool

    def __add__(self, other: GroupCounts) -> GroupCounts:
        if not np.array_equal(self.names, other.names):
            raise InputError("these counts belong to different groups; merge counts of one data set only")
        return replace(
            self,
            positives=self.positives + other.positives,
            negatives=self.negatives + other.negatives,
            positives_accepted=self.positives_accepted + other.positives_accepted,
            negatives_accepted=self.negatives_accepted + other.negatives_accepted,
        )


@dataclass(frozen=True, eq=False)
class PairCounts:
    """What one pass over (a part of) all pairs counted, for n samples, K classes and T class thresholds.

    A score is accepted at a threshold if and only if score ≥ threshold. Counts of disjoint sets of pairs merge with
    ``+``, so threads, processes and machines may each count a part.

    Attributes:
        grid: the fine grid of the pooled histograms.
        classes: the class labels, ``(K,)``.
        thresholds: where every class is counted, ``(T,)`` float64, ascending.
        positives, negatives: pairs of each class, ``(K,)`` int64. A negative pair belongs to both of its classes, so
            ``negatives`` sums to twice the number of negative pairs.
        positives_accepted, negatives_accepted: those with score ≥ threshold, ``(K, T)`` int64.
        pooled_positives, pooled_negatives: histograms over the bins of ``grid``, ``(grid.size,)`` int64, each pair
            counted once.
        best_positive, best_negative: each sample's highest score with a sample of its own and of another class,
            ``(n,)`` float32, ``-inf`` where there is none; with a reference set, of each query with the references.
        codes: the class index of each of these n samples, ``(n,)`` int64.
        groups: counts between groups, or None.
        reference_best: with a reference set of m samples, the best positive and negative score of each reference with
            the queries, ``(2, m)`` float32, ``-inf`` where there is none; None within one set, of merged counts, and
            from engines that do not look for it.
        arithmetic: of the products behind the scores, ``"float32"`` or ``"bfloat16"``.
        recount: what rounding to bfloat16 changed in a sample of pairs, or None.
        sampling: how the counts were estimated from some of the pairs, or None where every pair was counted. An
            estimate's numbers of pairs are the true ones, its accepted pairs and histograms scaled to them.
    """

    grid: ScoreGrid
    classes: np.ndarray
    thresholds: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray
    pooled_positives: np.ndarray
    pooled_negatives: np.ndarray
    best_positive: np.ndarray
    best_negative: np.ndarray
    codes: np.ndarray
    groups: GroupCounts | None = None
    reference_best: np.ndarray | None = None
    arithmetic: str = "float32"
    recount: Recount | None = None
    sampling: Sampling | None = None

    @cached_property
    def n_positives(self) -> int:
        """Number of positive pairs."""
        return int(self.pooled_positives.sum())

    @cached_property
    def n_negatives(self) -> int:
        """Number of negative pairs."""
        return int(self.pooled_negatives.sum())

    @cached_property
    def accepted_positives(self) -> np.ndarray:
        """Positive pairs accepted at each grid threshold and at ``+inf``, ``(grid.size + 1,)`` int64."""
        return _accepted(self.pooled_positives)

    @cached_property
    def accepted_negatives(self) -> np.ndarray:
        """Negative pairs accepted at each grid threshold and at ``+inf``, ``(grid.size + 1,)`` int64."""
        return _accepted(self.pooled_negatives)

    def index_at_far(self, far: float) -> int:
        """Lowest grid index whose realised FAR over all negative pairs is ≤ ``far``; ``grid.size`` is ``+inf``."""
        allowed = int(far * self.n_negatives)
        # the product may round to either side of a count that just fits
        allowed += (allowed + 1) / max(self.n_negatives, 1) <= far
        allowed -= allowed / max(self.n_negatives, 1) > far
        return int(np.searchsorted(-self.accepted_negatives, -allowed))

    def column(self, threshold: float) -> int:
        """Index into ``thresholds`` of a counted threshold (to 1e-6 of a grid step).

        Raises:
            InputError: the classes were not counted at this threshold.
        """
        return int(self.columns(np.array([threshold]))[0])

    def columns(self, thresholds: np.ndarray) -> np.ndarray:
        """The same of several, ``(T,)``."""
        edges = np.append(self.thresholds, np.inf)
        found = np.searchsorted(edges[:-1], thresholds)
        with np.errstate(invalid="ignore"):  # +inf, which is refused
            found -= np.abs(edges[found - 1] - thresholds) < np.abs(edges[found] - thresholds)
            # "not ≤" rather than ">", so that NaN is refused
            wrong = ~(np.abs(edges[found] - thresholds) <= 1e-6 * self.grid.step)
        for threshold in thresholds[wrong]:
            span = f" from {self.thresholds[0]:.6g} to {self.thresholds[-1]:.6g}" if self.thresholds.size else ""
            raise InputError(
                f"the classes were not counted at threshold {threshold:.6g} (they were at {self.thresholds.size} "
                f"thresholds{span}); pass thresholds=[{threshold:.6g}] when counting"
            )
        return found

    def __add__(self, other: PairCounts) -> PairCounts:
        """Counts of the union of two disjoint sets of pairs over the same samples, classes and thresholds."""
        if self.sampling is not None or other.sampling is not None:
            raise InputError("estimates from samples cannot be merged; count once, with a larger budget")
        same = (
            self.grid == other.grid
            and np.array_equal(self.thresholds, other.thresholds)
            and np.array_equal(self.classes, other.classes)
            and np.array_equal(self.codes, other.codes)
            and (self.groups is None) == (other.groups is None)
        )
        if not same:
            raise InputError(
                "these counts differ in samples, classes, grid or thresholds; count both parts with the same ones"
            )
        if self.arithmetic != other.arithmetic:
            raise InputError(
                f"these counts are of {self.arithmetic} and {other.arithmetic} products; "
                "count both parts with one precision"
            )
        groups = None if self.groups is None or other.groups is None else self.groups + other.groups
        return replace(
            self,
            positives=self.positives + other.positives,
            negatives=self.negatives + other.negatives,
            positives_accepted=self.positives_accepted + other.positives_accepted,
            negatives_accepted=self.negatives_accepted + other.negatives_accepted,
            pooled_positives=self.pooled_positives + other.pooled_positives,
            pooled_negatives=self.pooled_negatives + other.pooled_negatives,
            best_positive=np.maximum(self.best_positive, other.best_positive),
            best_negative=np.maximum(self.best_negative, other.best_negative),
            groups=groups,
            reference_best=None,  # the two may be of different references
        )

    def require_conserved(self, n_pairs: int) -> None:
        """Check that no pair was lost or counted twice.

        Of an estimate, whose accepted pairs are rounded class by class, the numbers of pairs are checked alone.

        Args:
            n_pairs: how many pairs there are: n(n-1)/2 within one set, n·m across two.

        Raises:
            EvenmatchError: the counts do not add up; this is a defect of evenmatch, never of the data.
        """
        positives, negatives = int(self.positives.sum()), int(self.negatives.sum())
        facts = {
            "all pairs": (self.n_positives + self.n_negatives, n_pairs),
            "positive pairs": (self.n_positives, positives),
            "negative pairs": (2 * self.n_negatives, negatives),
        }
        if self.thresholds.size and self.sampling is None:
            bin_ = self.grid.index_at_or_above(float(self.thresholds[0]))
            if abs(self.grid.threshold(bin_) - self.thresholds[0]) < 1e-6 * self.grid.step:
                facts["accepted negatives"] = (
                    2 * int(self.accepted_negatives[bin_]),
                    int(self.negatives_accepted[:, 0].sum()),
                )
        for name, (counted, expected) in facts.items():
            if counted != expected:
                raise EvenmatchError(f"internal error: {counted} {name} counted, {expected} expected; please report it")
