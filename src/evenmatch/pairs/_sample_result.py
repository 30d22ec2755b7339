"""What the tables of an estimate say about all pairs."""

from __future__ import annotations

import numpy as np

from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._sample_plan import ANCHOR_PARTS, REPLICATES
from evenmatch.pairs._sample_run import SampleRun
from evenmatch.pairs._sampling import Sampling

__all__ = ["sampled_counts"]


def sampled_counts(run: SampleRun) -> PairCounts:
    """The tables of a run that is done, each class scaled to its true number of pairs."""
    problem = run.problem
    n_negatives, n_positives = int(run.negatives.sum()) // 2, int(run.positives.sum())
    counted = [each.counted.sum(axis=0) for each in run.directions]
    accepted = sum(
        _share(_accepted(table), each.counted.sum(axis=0)[:, None]) * each.negatives[:, None]
        for table, each in zip(run.table_neg, run.directions, strict=True)
    )
    tar = _share(_accepted(run.table_pos), run.positives_counted[:, None])
    codes = np.empty(problem.rows.n, np.int64)
    codes[problem.rows.order] = problem.rows.codes
    unknown = np.full(problem.rows.n, -np.inf, np.float32)
    sampling = Sampling(
        seed=run.seed,
        pairs=int(sum(each.sum() for each in counted) + run.positives_counted.sum()),
        positives=run.positives_counted,
        negatives=np.sum(counted, axis=0),
        reference_share=min(_reference_shares(run)),
        knots=run.knot_ladder.thresholds,
        knot_tar=_share(_accepted(run.knot_positive), run.positives_counted[:, None]).astype(np.float32),
        replicate_far=_replicate_far(run),
        replicate_pooled=_replicate_pooled(run),
        far_noise=_far_noise(run),
        tar_noise=_tar_noise(run),
    )
    return PairCounts(
        grid=problem.grid,
        classes=problem.classes,
        thresholds=run.ladder.thresholds,
        positives=run.positives,
        negatives=run.negatives,
        positives_accepted=np.rint(tar * run.positives[:, None]).astype(np.int64),
        negatives_accepted=np.rint(accepted).astype(np.int64),
        pooled_positives=_scaled(run.pooled_pos, n_positives),
        pooled_negatives=_scaled(run.pooled_neg.sum(axis=(0, 1)), n_negatives),
        best_positive=unknown,
        best_negative=unknown,
        codes=codes,
        sampling=sampling,
    )


def _reference_shares(run: SampleRun) -> list[float]:
    return [each.references.size / each.others.n for each in run.directions]


def _shrinkage(run: SampleRun) -> list[float]:
    """What replicates of either direction keep of their deviations.

    References that are a share f of a set err by (1 - f) of what drawing with replacement would; the smallest share is
    taken off the variance of the whole, so that the direction with a larger one has its replicates drawn together.
    """
    shares = _reference_shares(run)
    return [float(np.sqrt((1 - share) / max(1 - min(shares), 1e-12))) for share in shares]


def _replicate_pooled(run: SampleRun) -> np.ndarray:
    total = np.zeros(run.pooled_neg.shape[1:], np.int64)
    for groups, kept in zip(run.pooled_neg, _shrinkage(run), strict=True):
        mean = groups.mean(axis=0)
        total += np.rint(mean + kept * (groups - mean)).astype(np.int64) if kept < 1 else groups
    return total


def _replicate_far(run: SampleRun) -> np.ndarray:
    total = np.zeros((REPLICATES, run.problem.classes.size, run.knots.size))
    for tables, each, kept in zip(run.knot_tables, run.directions, _shrinkage(run), strict=True):
        overall = _share(_accepted(tables.sum(axis=0)), each.counted.sum(axis=0)[:, None])
        weight = _share(each.negatives, run.negatives)[:, None]
        total += overall * weight  # all that is known where there are fewer references than replicates
        for replicate in range(len(each.groups)):
            counted = each.counted[replicate][:, None]
            own = np.where(counted > 0, _share(_accepted(tables[replicate]), counted), overall)
            total[replicate] += kept * (own - overall) * weight
    return total.astype(np.float32)


def _far_noise(run: SampleRun) -> np.ndarray:
    """Deviations of parts of the anchors, scaled to the error of the mean of all that were drawn.

    With parts of a_h anchors, Σ a_h (m_h - m)² / (p - 1) estimates their variance S²; the mean of A of n errs by
    S² (1/A - 1/n).
    """
    shape = (ANCHOR_PARTS, run.problem.classes.size, run.knots.size)
    if not run.anchors_drawn:
        return np.empty((0, *shape[1:]), np.float32)
    noise = np.zeros(shape, np.float32)
    for tables, each in zip(run.part_tables, run.directions, strict=True):
        n, drawn = each.anchors.sizes, each.sizes
        per_anchor = _share(each.counted.sum(axis=0), drawn)
        mean = _share(_accepted(tables.sum(axis=0)), (drawn * per_anchor)[:, None])
        used = np.minimum(drawn, ANCHOR_PARTS)
        scale = np.where((used > 1) & (n > drawn), (_share(1, drawn) - _share(1, n)) / np.maximum(used - 1, 1), 0.0)
        weight = _share(each.negatives, run.negatives) * np.sqrt(scale)
        for part in range(ANCHOR_PARTS):
            size = (drawn - part + ANCHOR_PARTS - 1) // ANCHOR_PARTS
            deviation = _share(_accepted(tables[part]), (size * per_anchor)[:, None]) - mean
            noise[part] += (weight * np.sqrt(size))[:, None] * deviation
    return noise


def _tar_noise(run: SampleRun) -> np.ndarray:
    if not run.positives_drawn:
        return np.empty((0, run.problem.classes.size, run.knots.size), np.float32)
    drawn = [
        size < side.sizes for size, side in zip(run.positive_sizes, (run.problem.rows, run.problem.cols), strict=True)
    ]
    first, second = [
        (np.where(split, size // 2, size), np.where(split, size - size // 2, size))
        for size, split in zip(run.positive_sizes, drawn, strict=True)
    ]
    tar = []
    for half in (0, 1):
        a, b = (first[half], second[half]) if not run.problem.half else (first[half], first[half] - 1)
        pairs = a * b // 2 if run.problem.half else a * b
        tar.append(_share(_accepted(run.half_positive[half]), pairs[:, None]))
    share = _share(run.positives_counted, run.positives)
    share = np.where(drawn[0] & drawn[1], np.sqrt(share), share)  # of the samples
    # to first order a statistic of pairs has twice the variance when it has half the samples
    factor = np.where(share < 1, np.sqrt(1 - share) / 2, 0.0)
    return (factor[:, None] * (tar[0] - tar[1])).astype(np.float32)[None]


def _accepted(table: np.ndarray) -> np.ndarray:
    """Slots → accepted at each threshold."""
    return np.cumsum(table[:, ::-1], axis=1, dtype=np.int64)[:, ::-1][:, 1:]


def _share(part: np.ndarray | int, whole: np.ndarray) -> np.ndarray:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)


def _scaled(histogram: np.ndarray, total: int) -> np.ndarray:
    """A histogram of weights as whole pairs that sum to ``total``."""
    cumulative = np.cumsum(histogram[::-1], dtype=np.float64)
    if not cumulative[-1]:
        return np.zeros(histogram.size, np.int64)
    edges = np.rint(cumulative * (total / cumulative[-1])).astype(np.int64)
    return np.diff(edges, prepend=0)[::-1].copy()
