"""How far apart the classes' error rates lie at one threshold, and which threshold each class would choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.measures._consistency import Consistency
from evenmatch.pairs import PairCounts

__all__ = ["OwnThresholds", "RateGaps", "own_thresholds", "rate_gaps"]


@dataclass(frozen=True)
class RateGaps:
    """The classes' values of one error rate at one threshold.

    Attributes:
        worst: the highest, in [0, 1].
        worst_class: index of the class that has it (the first of several).
        best: the lowest, in [0, 1].
        median: of the classes.
        quantile_gap: 95th less 5th percentile of the classes, in [0, 1]: what all but the outermost tenth differ by.
        worst_ratio: ``worst / median``, at least 1; None where the median is 0.
        classes: how many have the rate.
    """

    worst: float
    worst_class: int
    best: float
    median: float
    quantile_gap: float
    worst_ratio: float | None
    classes: int

    @property
    def gap(self) -> float:
        """Worst less best, in [0, 1]; 0 where all classes have one rate."""
        return self.worst - self.best


def rate_gaps(counts: PairCounts, threshold: float) -> tuple[RateGaps, RateGaps]:
    """Gaps of FAR and of FRR between classes at a counted threshold.

    ``FAR_i`` and ``FRR_i`` are exact shares of the pairs of class i; percentiles are those of the K (for FRR the
    defined) classes with linear interpolation (Hyndman and Fan, American Statistician 50, 1996, type 7). The worst of
    many small classes is high by chance alone, so that for small classes the quantile gap says more.

    A bad value: look at the worst class's pairs (wrong labels, copies, a class that is really two); if its rate is
    real, raise the threshold until its FAR is acceptable, or train against it.

    Raises:
        InputError: the classes were not counted at this threshold.

    Examples:
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> counts = count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))
        >>> far, frr = rate_gaps(counts, float(counts.thresholds[0]))
        >>> far.best <= far.median <= far.worst
        True
    """
    column = counts.column(threshold)
    return (
        _gaps(counts.negatives_accepted[:, column], counts.negatives),
        _gaps(counts.positives - counts.positives_accepted[:, column], counts.positives),
    )


def _gaps(errors: np.ndarray, pairs: np.ndarray) -> RateGaps:
    known = np.flatnonzero(pairs > 0)
    rates = errors[known] / pairs[known]
    low, median, high = (float(value) for value in np.quantile(rates, [0.05, 0.5, 0.95]))
    worst = int(np.argmax(rates))
    return RateGaps(
        worst=float(rates[worst]),
        worst_class=int(known[worst]),
        best=float(rates.min()),
        median=median,
        quantile_gap=high - low,
        worst_ratio=float(rates[worst]) / median if median > 0 else None,
        classes=known.size,
    )


@dataclass(frozen=True, eq=False)
class OwnThresholds:
    """The threshold in the calibration range that each of D defined classes would choose for itself.

    Attributes:
        thresholds: where U_i is highest, ``(D,)``; the middle of a plateau.
        deviation: standard deviation over classes, in the unit of the score; 0 where one threshold is best for all.
        quantile_gap: 95th less 5th percentile over classes, in the unit of the score.
        at_edge: share of the classes whose best threshold is an end of the range, and may lie beyond it.
        utility_lost: mean over classes of the utility at their own threshold less that at the best common one, in
            [0, 1]: what one threshold for all costs.
        common: the best common threshold, where the mean utility is highest.
    """

    thresholds: np.ndarray
    deviation: float
    quantile_gap: float
    at_edge: float
    utility_lost: float
    common: float


def own_thresholds(result: Consistency) -> OwnThresholds:
    """Each class's best threshold and how far these lie apart.

    ``t_i = argmax U_i(t)`` over the counted thresholds of the calibration range.

    A bad value: a wide spread with much utility lost means that the scores of classes lie on different scales; train
    against it (TCM), or give the classes that lie apart a threshold of their own. A wide spread with little lost means
    that the utilities are flat: one threshold does for all.

    Examples:
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.measures import consistency
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> own = own_thresholds(consistency(count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))))
        >>> own.deviation >= 0 and own.utility_lost >= 0
        True
    """
    curves, last = result.curves, result.thresholds.size - 1
    chosen, edge = np.empty(len(curves)), 0
    highest = curves.max(axis=1)
    for at in range(0, len(curves), 4096):
        part = curves[at : at + 4096]
        best = part == highest[at : at + 4096, None]
        first, final = best.argmax(axis=1), last - best[:, ::-1].argmax(axis=1)
        chosen[at : at + 4096] = (result.thresholds[first] + result.thresholds[final]) / 2
        edge += int(np.count_nonzero((first == 0) | (final == last)))
    common = int(np.argmax(result.mean_curve))
    low, high = np.quantile(chosen, [0.05, 0.95])
    return OwnThresholds(
        thresholds=chosen,
        deviation=float(chosen.std()),
        quantile_gap=float(high - low),
        at_edge=edge / len(curves),
        utility_lost=float(highest.mean() - result.mean_curve[common]),
        common=float(result.thresholds[common]),
    )
