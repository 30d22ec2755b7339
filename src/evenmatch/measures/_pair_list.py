"""Error rates of a fixed list of scored pairs, as in the LFW and IJB protocols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

__all__ = ["FoldAccuracy", "PairRates", "fold_accuracy", "pair_rates", "rates_by_unit", "threshold_for_far"]


@dataclass(frozen=True)
class PairRates:
    """What one threshold does to the list.

    Attributes:
        threshold: accept iff score ≥ threshold; ``+inf`` if only rejecting every pair keeps the target.
        target: the FAR asked for.
        far, tar: realised, exact shares of the pairs.
    """

    threshold: float
    target: float
    far: float
    tar: float


@dataclass(frozen=True, eq=False)
class FoldAccuracy:
    """Accuracy on each fold at the threshold that is best on the others.

    Attributes:
        accuracy: ``(F,)`` in [0, 1].
        thresholds: chosen on the other folds, ``(F,)``.
    """

    accuracy: np.ndarray
    thresholds: np.ndarray

    @property
    def mean(self) -> float:
        """Of the folds."""
        return float(self.accuracy.mean())

    @property
    def standard_error(self) -> float:
        """Standard deviation of the folds over √F, as LFW asks (Huang et al., 2007)."""
        return float(self.accuracy.std(ddof=1) / self.accuracy.size**0.5)


def threshold_for_far(scores: np.ndarray, same: np.ndarray, far: float) -> float:
    """The lowest score, or ``+inf``, at or above which at most a share ``far`` of the impostor scores lies.

    Args:
        scores: ``(p,)`` similarities.
        same: ``(p,)`` bool, whether the pair is genuine; at least one is not.
        far: in [0, 1].
    """
    candidates = np.append(np.unique(scores), np.inf)
    impostors = np.sort(scores[~same])
    accepted = impostors.size - np.searchsorted(impostors, candidates, side="left")
    return float(candidates[np.argmax(accepted / impostors.size <= far)])


def pair_rates(scores: np.ndarray, same: np.ndarray, far: float) -> PairRates:
    """TAR@FAR: the rates at the lowest threshold that keeps a FAR, with both realised.

    A list whose impostor pairs are fewer than 30/far says little about that FAR (the rule of 30).

    Examples:
        >>> found = pair_rates(np.array([0.9, 0.4, 0.5, 0.1]), np.array([True, True, False, False]), 0.0)
        >>> found.threshold, found.tar
        (0.9, 0.5)
    """
    threshold = threshold_for_far(scores, same, far)
    accepted = scores >= threshold
    return PairRates(threshold, far, float(accepted[~same].mean()), float(accepted[same].mean()))


def fold_accuracy(scores: np.ndarray, same: np.ndarray, folds: np.ndarray) -> FoldAccuracy:
    """Accuracy on every fold at the threshold with the highest accuracy on all other folds.

    Of several best thresholds the lowest is taken. This is the protocol of LFW (Huang, Ramesh, Berg and Learned-Miller,
    University of Massachusetts technical report 07-49, 2007), whose ten folds share no person.

    A bad value, folds far apart: the threshold does not carry over from some people to others; look at their groups.

    Args:
        scores: ``(p,)`` similarities.
        same: ``(p,)`` bool.
        folds: ``(p,)`` int, 0 … F - 1, F at least 2.

    Examples:
        >>> fold_accuracy(np.array([0.9, 0.1, 0.8, 0.2]), np.array([True, False] * 2), np.array([0, 0, 1, 1])).mean
        0.75
    """
    n = int(folds.max()) + 1
    accuracy, thresholds = np.empty(n), np.empty(n)
    for fold in range(n):
        inside = folds == fold
        thresholds[fold] = _most_accurate(scores[~inside], same[~inside])
        accuracy[fold] = np.mean((scores[inside] >= thresholds[fold]) == same[inside])
    return FoldAccuracy(accuracy, thresholds)


def _most_accurate(scores: np.ndarray, same: np.ndarray) -> float:
    candidates = np.append(np.unique(scores), np.inf)
    rejected = np.searchsorted(np.sort(scores[~same]), candidates, side="left")
    missed = np.searchsorted(np.sort(scores[same]), candidates, side="left")
    return float(candidates[np.argmax(rejected - missed)])


def rates_by_unit(wrong: np.ndarray, units: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """Confidence interval of a share of wrong decisions whose pairs come in dependent units.

    Delete-one-unit jackknife with Student's t, U - 1 degrees of freedom, cut to [0, 1]; units are folds, groups or
    subjects, and pairs of different units are taken as independent.

    Args:
        wrong: ``(p,)`` bool.
        units: ``(p,)`` int codes of the unit of each pair.
        confidence: in (0, 1).

    Returns:
        ``(low, high)``; None below 5 units, and where none or all of the decisions are wrong: units that do not differ
        say nothing of how much they may.
    """
    _, codes = np.unique(units, return_inverse=True)
    pairs, errors = np.bincount(codes), np.bincount(codes, weights=wrong)
    n = pairs.size
    if n < 5 or errors.sum() in (0, pairs.sum()):
        return None
    left_out = (errors.sum() - errors) / (pairs.sum() - pairs)
    error = float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum()))
    reach, value = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error, float(errors.sum() / pairs.sum())
    return max(value - reach, 0.0), min(value + reach, 1.0)
