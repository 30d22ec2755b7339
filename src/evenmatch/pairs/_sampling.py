"""What was counted of all pairs, and how much two halves of it differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Sampling"]


@dataclass(frozen=True, eq=False)
class Sampling:
    """How counts were estimated from a random sample of pairs, for K classes, g replicates and T knots.

    Every class has anchors, all of its samples or a random few. Their negative pairs are those with references drawn
    at random from all samples, in disjoint groups of equal size: the replicates. Each class's shares were then scaled
    to its true number of pairs.

    Attributes:
        seed: of the draw.
        pairs: pairs counted.
        positives, negatives: pairs counted of each class, ``(K,)`` int64.
        reference_share: share of all samples that were drawn as references, in (0, 1]; across two sets that of the set
            with the smaller one, and the replicates of the other deviate as if theirs were that.
        knots: thresholds for which the arrays below are kept, ``(T,)``; they reach beyond the class thresholds.
        knot_tar: TAR of each class at the knots, ``(K, T)`` float32.
        replicate_far: FAR of each class at the knots against each group of references, ``(g, K, T)`` float32.
        replicate_pooled: the pooled histogram of negative pairs of each group, ``(g, grid.size)`` int64, in a unit of
            its own.
        far_noise: parts of the error that the choice of anchors causes in each class's FAR, ``(p, K, T)`` float32: with
            random signs they sum to an error of the right size; empty where every sample was an anchor.
        tar_noise: the same in TAR, ``(1, K, T)``, of classes so large that not all positive pairs were counted.
    """

    seed: int
    pairs: int
    positives: np.ndarray
    negatives: np.ndarray
    reference_share: float
    knots: np.ndarray
    knot_tar: np.ndarray
    replicate_far: np.ndarray
    replicate_pooled: np.ndarray
    far_noise: np.ndarray
    tar_noise: np.ndarray
