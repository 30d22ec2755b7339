"""Error rates of all pairs together, at thresholds that were counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.pairs import PairCounts

__all__ = ["Admissible", "Curve", "equal_error_rate", "error_curve", "rates_at", "tar_at_far", "threshold_at_far"]

#: A rate is reported when at least this many errors are expected at it (the "rule of 30" of Doddington et al.,
#: Speech Communication 31, 2000: then the true rate lies within about 30% of the observed one at 90% confidence).
RULE_OF_30 = 30


@dataclass(frozen=True)
class Admissible:
    """The lowest counted threshold that keeps a false accept rate.

    Attributes:
        threshold: accept if and only if score ≥ threshold; may be ``+inf``.
        target: the FAR asked for.
        far, frr: the rates realised at the threshold, exact shares of the pairs counted.
    """

    threshold: float
    target: float
    far: float
    frr: float


@dataclass(frozen=True, eq=False)
class Curve:
    """FAR and FRR of all pairs at every grid threshold and at ``+inf``; draw it as ROC or DET.

    Attributes:
        thresholds: ascending, ``(size + 1,)`` float64.
        far, frr: ``(size + 1,)`` float64 in [0, 1]; FAR falls, FRR rises.
    """

    thresholds: np.ndarray
    far: np.ndarray
    frr: np.ndarray


def error_curve(counts: PairCounts) -> Curve:
    """FAR(t) = share of negative pairs with score ≥ t, FRR(t) = share of positive pairs with score < t."""
    return Curve(
        np.append(counts.grid.thresholds, np.inf),
        counts.accepted_negatives / counts.n_negatives,
        1.0 - counts.accepted_positives / counts.n_positives,
    )


def rates_at(counts: PairCounts, threshold: float) -> tuple[float, float]:
    """FAR and FRR of all pairs at a threshold.

    A class threshold (see ``PairCounts.thresholds``) is met exactly. Any other is moved up to the next threshold of
    the grid, at most one step (5e-5 in cosine) away.

    Args:
        counts: the counts.
        threshold: any number; ``+inf`` rejects everything.

    Raises:
        InputError: the threshold is NaN.

    Examples:
        >>> import numpy as np
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> counts = count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))
        >>> rates_at(counts, -1.1), rates_at(counts, 1.1)
        ((1.0, 0.0), (0.0, 1.0))
    """
    if math.isnan(threshold):
        raise InputError("the threshold is NaN; give a number in the range of the scores")
    near = np.flatnonzero(np.abs(counts.thresholds - threshold) <= 1e-6 * counts.grid.step)
    if near.size:
        false_accepts = counts.negatives_accepted[:, near[0]].sum() / 2
        true_accepts = counts.positives_accepted[:, near[0]].sum()
    else:
        index = counts.grid.index_at_or_above(threshold)
        false_accepts = counts.accepted_negatives[index]
        true_accepts = counts.accepted_positives[index]
    return float(false_accepts / counts.n_negatives), float(1.0 - true_accepts / counts.n_positives)


def threshold_at_far(counts: PairCounts, far: float) -> Admissible:
    """The lowest grid threshold whose realised FAR is at most ``far``.

    The FAR is a count over all negative pairs, never interpolated; ``+inf`` (reject everything) is admissible, so only
    a target outside [0, 1] cannot be reached.

    Raises:
        UnreachableTargetError: ``far`` is not a rate.
    """
    if not 0 <= far <= 1:
        raise UnreachableTargetError(f"a false accept rate of {far:g} cannot be reached; give a rate between 0 and 1")
    index = counts.index_at_far(far)
    threshold = float(counts.grid.threshold(index))
    return Admissible(
        threshold,
        far,
        float(counts.accepted_negatives[index] / counts.n_negatives),
        float(1.0 - counts.accepted_positives[index] / counts.n_positives),
    )


def tar_at_far(
    counts: PairCounts, targets: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
) -> dict[float, float | None]:
    """True accept rate at the admissible threshold of each FAR.

    None where the negative pairs are too few to speak of the rate: fewer than 30 expected false accepts among those
    counted.
    """
    counted = counts.n_negatives if counts.sampling is None else int(counts.sampling.negatives.sum())
    return {far: 1.0 - threshold_at_far(counts, far).frr if far * counted >= RULE_OF_30 else None for far in targets}


def equal_error_rate(counts: PairCounts) -> tuple[float, float]:
    """The equal error rate and its threshold: (FAR + FRR) / 2 at the grid threshold where they differ least."""
    curve = error_curve(counts)
    index = int(np.argmin(np.abs(curve.far - curve.frr)))
    return float((curve.far[index] + curve.frr[index]) / 2), float(curve.thresholds[index])
