"""What a point remembers of the scores that it was calibrated on: enough to recognise them without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from evenmatch.pairs import PairCounts

__all__ = ["LEVELS", "ScoreCurves", "score_curves"]

#: False accept rates at which the spread between classes is kept.
LEVELS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
_KNOTS = 64
_CLOSE = 1.25  # a counted threshold stands for a level if its FAR is within this factor
_FEWEST_CLASSES = 20
_FEWEST_EFFECTIVE = 10


@dataclass(frozen=True)
class ScoreCurves:
    """FAR and TAR of the calibration data as functions of the threshold, and how they vary between classes.

    Attributes:
        thresholds: where both curves are kept, ascending, m of them; linear between.
        far, tar: exact rates there, m each.
        classes: distinct labels, K.
        positives: share of matches among all pairs.
        level_thresholds: thresholds of the levels, L of them, ascending.
        level_far, level_tar: exact rates there, L each.
        covariance: of ``(logit FAR_1 … logit FAR_L, logit TAR_1 … logit TAR_L)`` over classes, the delete-one-class
            jackknife, ``(2L)²`` values row by row.
    """

    thresholds: tuple[float, ...]
    far: tuple[float, ...]
    tar: tuple[float, ...]
    classes: int
    positives: float
    level_thresholds: tuple[float, ...]
    level_far: tuple[float, ...]
    level_tar: tuple[float, ...]
    covariance: tuple[float, ...]

    @property
    def matrix(self) -> np.ndarray:
        """The covariance as ``(2L, 2L)``."""
        size = 2 * len(self.level_thresholds)
        return np.array(self.covariance).reshape(size, size)

    def far_at(self, thresholds: np.ndarray) -> np.ndarray:
        """FAR of the calibration data at any thresholds."""
        return np.interp(thresholds, self.thresholds, self.far)

    def tar_at(self, thresholds: np.ndarray) -> np.ndarray:
        """TAR of the calibration data at any thresholds."""
        return np.interp(thresholds, self.thresholds, self.tar)

    def threshold_at(self, far: float) -> float:
        """The lowest threshold whose FAR, linear between the knots, is at most ``far``."""
        rates, thresholds = np.array(self.far), np.array(self.thresholds)
        above = int(np.argmax(rates <= far)) if (rates <= far).any() else rates.size - 1
        if above == 0 or rates[above - 1] == rates[above]:
            return float(thresholds[above])
        share = (rates[above - 1] - far) / (rates[above - 1] - rates[above])
        return float(thresholds[above - 1] + min(share, 1.0) * (thresholds[above] - thresholds[above - 1]))

    def nearest_level(self, threshold: float) -> int:
        """Index of the level whose threshold is nearest."""
        return int(np.argmin(np.abs(np.array(self.level_thresholds) - threshold)))


def score_curves(counts: PairCounts) -> ScoreCurves | None:
    """The curves of counted pairs, or None where the classes do not suffice.

    Levels are those of ``LEVELS`` at which the classes were counted (to a factor of 1.25 in FAR) and whose false
    accepts rest on at least 10 effective classes, ``(Σ e_i)² / Σ e_i²``.

    Args:
        counts: counts whose class thresholds reach over the levels.

    Returns:
        None with fewer than 20 classes or fewer than 2 levels.
    """
    far = counts.accepted_negatives[:-1] / counts.n_negatives
    tar = counts.accepted_positives[:-1] / counts.n_positives
    levels = _levels(counts)
    if counts.classes.size < _FEWEST_CLASSES or len(levels) < 2:
        return None
    lowest = 1 / counts.n_negatives
    indices = np.concatenate(
        [
            np.searchsorted(-far, -np.geomspace(1, lowest, _KNOTS)),
            np.searchsorted(-far, -np.linspace(1, 0, _KNOTS)),
            np.searchsorted(-tar, -np.linspace(1, 0, _KNOTS)),
            [counts.grid.index_at_or_above(float(threshold)) for threshold in counts.thresholds[levels]],
            [0, int(np.flatnonzero(tar > 0)[-1])],
        ]
    )
    kept = np.unique(np.clip(indices, 0, counts.grid.size - 1))
    matrix, level_far, level_tar = _spread(counts, levels)
    return ScoreCurves(
        thresholds=_rounded(counts.grid.threshold(kept), 9),
        far=tuple(float(f"{rate:.7g}") for rate in far[kept]),
        tar=_rounded(tar[kept], 6),
        classes=int(counts.classes.size),
        positives=counts.n_positives / (counts.n_positives + counts.n_negatives),
        level_thresholds=_rounded(counts.thresholds[levels], 9),
        level_far=_rounded(level_far, 8),
        level_tar=_rounded(level_tar, 8),
        covariance=tuple(float(f"{value:.7g}") for value in matrix.ravel()),
    )


def _levels(counts: PairCounts) -> list[int]:
    """Columns of the class tables that stand for the levels, thresholds ascending."""
    if not counts.thresholds.size:
        return []
    errors = counts.negatives_accepted.astype(float)
    total = errors.sum(axis=0)
    rates = np.maximum(total / 2, 0.5) / counts.n_negatives
    effective = total**2 / np.maximum(np.square(errors).sum(axis=0), 1.0)
    found: list[int] = []
    for level in LEVELS:
        column = int(np.argmin(np.abs(np.log(rates / level))))
        close = abs(np.log(rates[column] / level)) <= np.log(_CLOSE)
        if close and effective[column] >= _FEWEST_EFFECTIVE and column not in found:
            found.append(column)
    return sorted(found)


def _spread(counts: PairCounts, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jackknife covariance over classes of the logits, and the rates themselves."""
    k = counts.classes.size
    false_accepts, true_accepts = counts.negatives_accepted[:, columns], counts.positives_accepted[:, columns]
    false_total, true_total = false_accepts.sum(axis=0) / 2, true_accepts.sum(axis=0)

    def logits(accepted: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        return logit((accepted + 0.5) / (pairs[:, None] + 1))  # a rate of 0 or 1 has no logit

    left_out = np.concatenate(
        [
            logits(false_total - false_accepts, counts.n_negatives - counts.negatives),
            logits(true_total - true_accepts, counts.n_positives - counts.positives),
        ],
        axis=1,
    )
    influence = left_out - left_out.mean(axis=0)
    return influence.T @ influence * (k - 1) / k, false_total / counts.n_negatives, true_total / counts.n_positives


def _rounded(values: np.ndarray, digits: int) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
