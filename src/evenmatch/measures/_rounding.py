"""How far rounded vectors (precision "fast") can have moved OPIS and the thresholds, from a recount of a sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from evenmatch.measures._consistency import Consistency
from evenmatch.measures._utility import utility
from evenmatch.pairs import PairCounts, Recount

__all__ = ["rounding_bars", "threshold_bar"]

#: a number is rounded by at most 2⁻⁸ of itself: a cosine moves no further than this, a distance this times the norm
_MOST_ROUNDED = 2**-7 + 2**-16

_Shifts = Callable[[Consistency, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def rounding_bars(
    counts: PairCounts,
    result: Consistency,
    *,
    far: tuple[float, float] = (1e-2, 1e-1),
    beta: float = 1.0,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Intervals that hold what float32 scores would have given.

    OPIS is a function of the classes' accepted counts, so a pair whose rounded score passes other thresholds than its
    float32 score shifts OPIS by a known amount. The shifts of the sampled pairs estimate that of all pairs, and the
    spread between the 16 independent replicates how well; the bar is the estimated shift plus that spread times
    Student's t, on either side. The thresholds that bound the range add what their own bars allow.

    Args:
        counts: counts with a recount.
        result: what `consistency` made of them.
        far: the false accept rates that bound the range.
        beta: weight of TAR in the utility.
        confidence: in (0, 1).

    Returns:
        ``opis``, ``eps_opis``, ``threshold_low`` and ``threshold_high``, each ``(low, high)``; empty without a recount.
    """
    sample = counts.recount
    if sample is None:
        return {}
    low, high = (threshold_bar(counts, rate, confidence=confidence) for rate in (max(far), min(far)))
    bars = {"threshold_low": low, "threshold_high": high}
    curves, mean = result.curves, result.mean_curve
    is_worst = np.isin(result.defined, result.worst)
    worst = curves[is_worst].mean(axis=0)
    spread = np.square(curves - mean).mean(axis=0)
    values = {
        # what a change of one class's utility does: exactly for OPIS, to first order for ε-OPIS
        "opis": (result.opis, spread, _opis_shifts),
        "eps_opis": (result.eps_opis, np.square(worst - mean), _eps_shifts),
    }
    for name, (value, along, shifts_of) in values.items():
        shift = _replicate_totals(counts, result, sample, beta, shifts_of)
        reach = _bar(shift, confidence)
        width = result.range[1] - result.range[0]
        ends = zip((low, high), result.range, (along[0], along[-1]), strict=True)
        reach += sum(abs(at_end - value) / width * max(end - bar[0], bar[1] - end) for bar, end, at_end in ends)
        bars[name] = (max(value - reach, 0.0), value + reach)
    return bars


def threshold_bar(counts: PairCounts, far: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """An interval that holds the threshold that float32 scores would have given for a false accept rate.

    It reaches no further than rounding can move any score; that is what remains at rates too low for the recount.

    Args:
        counts: counts with a recount; without one, the threshold itself comes back twice.
        far: the false accept rate, in [0, 1].
        confidence: in (0, 1).
    """
    sample, grid = counts.recount, counts.grid
    index = counts.index_at_far(far)
    if sample is None:
        return float(grid.threshold(index)), float(grid.threshold(index))
    accepted = np.cumsum(sample.pooled_shift[:, ::-1], axis=1)[:, ::-1] / np.maximum(sample.negatives, 1)[:, None]
    shift = accepted.mean(axis=0)
    reach = float(stdtrit(sample.replicates - 1, (1 + confidence) / 2)) * _standard_error(accepted)
    reach += 3.0 / max(int(sample.negatives.sum()), 1)  # none seen among m is at most 3/m (rule of three)
    float32_far = counts.accepted_negatives[:-1] / counts.n_negatives - shift
    lowest = _first(float32_far - reach <= far)
    highest = _first(float32_far + reach <= far)
    ends = grid.threshold(np.array([min(lowest, index), max(highest, index)]))
    # the grid of distances is two of the largest norm wide
    bound = _MOST_ROUNDED * -grid.low / (1 if grid.metric == "cosine" else 2)
    lowest_possible, highest_possible = grid.threshold(index - 1) - bound, grid.threshold(index) + grid.step + bound
    return float(max(ends[0], lowest_possible)), float(min(ends[1], highest_possible))


def _first(holds: np.ndarray) -> int:
    return int(np.argmax(holds)) if holds.any() else holds.size


def _standard_error(replicates: np.ndarray) -> np.ndarray:
    return replicates.std(axis=0, ddof=1) / np.sqrt(len(replicates))


def _bar(shift: np.ndarray, confidence: float) -> float:
    student = float(stdtrit(shift.size - 1, (1 + confidence) / 2))
    return float(abs(shift.mean()) + student * _standard_error(shift))


def _replicate_totals(
    counts: PairCounts, result: Consistency, sample: Recount, beta: float, shifts_of: _Shifts
) -> np.ndarray:
    """Estimated shift of a quantity, rounded less exact, from each replicate: ``(g,)``."""
    first = counts.column(result.range[0])
    last = first + result.thresholds.size
    position = np.full(counts.classes.size, -1)
    position[result.defined] = np.arange(result.defined.size)
    totals = np.zeros(sample.replicates)
    for codes in (sample.first, sample.second):
        known = codes >= 0
        known[known] = position[codes[known]] >= 0
        # a pair counts at the thresholds between its two slots, those that only one of its scores reaches
        start = np.clip(np.minimum(sample.used, sample.exact)[known], first, last)
        stop = np.clip(np.maximum(sample.used, sample.exact)[known], first, last)
        lengths = stop - start
        pair = np.repeat(np.flatnonzero(known), lengths)
        column = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(start, lengths)
        code = codes[pair]
        sign = np.where(sample.used[pair] > sample.exact[pair], 1, -1)
        genuine = sample.second[pair] < 0
        true_accepts = counts.positives_accepted[code, column] - sign * genuine
        false_accepts = counts.negatives_accepted[code, column] - sign * ~genuine
        exact = utility(
            np.clip(true_accepts / counts.positives[code], 0, 1),
            np.clip(1 - false_accepts / counts.negatives[code], 0, 1),
            beta,
        )
        shifts = shifts_of(result, position[code], column - first, exact)
        totals += np.bincount(sample.replicate[pair], shifts * sample.weight[pair], minlength=sample.replicates)
    return totals


def _opis_shifts(result: Consistency, row: np.ndarray, column: np.ndarray, exact: np.ndarray) -> np.ndarray:
    mean = result.mean_curve[column]
    difference = np.square(result.curves[row, column] - mean) - np.square(exact - mean)
    return result.weights[column] * difference / result.defined.size


def _eps_shifts(result: Consistency, row: np.ndarray, column: np.ndarray, exact: np.ndarray) -> np.ndarray:
    is_worst = np.isin(result.defined, result.worst)
    gap = result.curves[is_worst].mean(axis=0) - result.mean_curve
    share = is_worst[row] / is_worst.sum() - 1 / result.defined.size
    return 2 * result.weights[column] * gap[column] * share * (result.curves[row, column] - exact)
