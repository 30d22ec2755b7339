"""OPIS from a sample of pairs: what the noise of sampling adds is taken off, and an interval says what remains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from evenmatch.measures._utility import utility
from evenmatch.pairs import PairCounts, Sampling

__all__ = ["SamplingError", "sampling_error"]

_POINTS = 33
_SIGN_CELLS = 2**18


@dataclass(frozen=True, eq=False)
class SamplingError:
    """What sampling did to OPIS, ε-OPIS and the calibration range, for K classes of which D are defined.

    Attributes:
        class_opis: what the noise added to each class's share of OPIS, ``(D,)``.
        eps_opis: what it added to ε-OPIS.
        standard_errors: of ``opis``, ``eps_opis`` (both after the correction), ``threshold_low`` and
            ``threshold_high``.
        degrees_of_freedom: of intervals by Student's t.
    """

    class_opis: np.ndarray
    eps_opis: float
    standard_errors: dict[str, float]
    degrees_of_freedom: int

    def reach(self, name: str, confidence: float) -> float:
        """Half the width of the interval that holds the exact value."""
        return float(stdtrit(self.degrees_of_freedom, (1 + confidence) / 2)) * self.standard_errors[name]


def sampling_error(
    counts: PairCounts, sampling: Sampling, defined: np.ndarray, *, far: tuple[float, float], beta: float, n_worst: int
) -> SamplingError:
    """The bias and the standard error that sampling gave OPIS and ε-OPIS.

    Both are means of squares, so noise in the classes' utilities adds to them. Two sources are told apart. The
    references are shared by all classes and move the calibration range, too: their part comes from the delete-one-group
    jackknife over the 16 groups of references, times one minus the share of all samples that they are (Quenouille,
    Biometrika 43, 1956). The choice of anchors is another for each class: noise of that size is added once more, with
    random signs, and what it adds is taken off (Cook and Stefanski, JASA 89, 1994).

    Args:
        counts: the estimated counts.
        sampling: how they were drawn.
        defined: indices of the defined classes, ``(D,)``.
        far: the false accept rates that bound the range.
        beta: weight of TAR in the utility.
        n_worst: classes in ε-OPIS.
    """
    knots, groups = sampling.knots, len(sampling.replicate_far)
    tar = sampling.knot_tar[defined].astype(np.float64)
    far_sum = sampling.replicate_far[:, defined].sum(axis=0, dtype=np.float64)
    accepted = np.cumsum(sampling.replicate_pooled[:, ::-1].astype(np.float64), axis=1)[:, ::-1]
    accepted_sum = accepted.sum(axis=0)

    def measure(far_curve: np.ndarray, tar_curve: np.ndarray, ends: tuple[float, ...]) -> tuple[np.ndarray, float]:
        curves = _along(knots, utility(tar_curve, 1 - far_curve, beta), ends)
        return _class_shares(curves), _eps_opis(curves, n_worst)

    ends = _range(counts, accepted_sum, far)
    shares, eps = measure(far_sum / groups, tar, ends)
    left_out_shares, left_out = np.zeros_like(shares), []
    for group in range(groups):
        rest = np.maximum(far_sum - sampling.replicate_far[group, defined], 0) / (groups - 1)
        without = _range(counts, accepted_sum - accepted[group], far)
        own_shares, own_eps = measure(rest, tar, without)
        left_out_shares += own_shares / groups
        left_out.append([own_shares.sum(), own_eps, *without])
    finite = 1 - sampling.reference_share
    table = np.array(left_out)
    variance = finite * (groups - 1) * table.var(axis=0)
    share_bias = finite * (groups - 1) * (left_out_shares - shares)
    eps_bias = finite * (groups - 1) * (table[:, 1].mean() - eps)

    if sampling.far_noise.size or sampling.tar_noise.size:
        rng = np.random.default_rng(sampling.seed)
        share_of_pairs = counts.negatives / counts.negatives.sum()
        pooled = share_of_pairs @ sampling.replicate_far.mean(axis=0, dtype=np.float64)
        noisy_shares, noisy = np.zeros_like(shares), []
        repeats = int(np.clip(_SIGN_CELLS // counts.classes.size, 32, 128))
        for _ in range(repeats):
            far_noise, tar_noise = (_signed(rng, each) for each in (sampling.far_noise, sampling.tar_noise))
            of_all = share_of_pairs @ far_noise
            moved = tuple(
                end + _crossing(knots, pooled + of_all, rate) - _crossing(knots, pooled, rate)
                for end, rate in zip(ends, (max(far), min(far)), strict=True)
            )
            own_shares, own_eps = measure(
                np.clip(far_sum / groups + far_noise[defined], 0, 1),
                np.clip(tar + tar_noise[defined], 0, 1),
                moved,
            )
            noisy_shares += own_shares / repeats
            noisy.append([own_shares.sum(), own_eps, *moved])
        variance += np.var(noisy, axis=0, ddof=1)
        share_bias += noisy_shares - shares
        eps_bias += float(np.mean(noisy, axis=0)[1]) - eps
    # a threshold is one of the grid
    variance[2:] += counts.grid.step**2 / 4
    names: list[str] = ["opis", "eps_opis", "threshold_low", "threshold_high"]
    errors = {name: float(each) for name, each in zip(names, np.sqrt(variance), strict=True)}
    return SamplingError(share_bias, float(eps_bias), errors, groups - 1)


def _range(counts: PairCounts, accepted: np.ndarray, far: tuple[float, float]) -> tuple[float, float]:
    # between the thresholds of the grid: the jackknife would multiply their steps
    thresholds, rates = counts.grid.thresholds, accepted / accepted[0]
    return _crossing(thresholds, rates, max(far)), _crossing(thresholds, rates, min(far))


def _signed(rng: np.random.Generator, noise: np.ndarray) -> np.ndarray:
    """The parts of an error, each with a random sign for each class, summed: ``(p, K, T)`` → ``(K, T)``."""
    signs = rng.choice(np.array([-1, 1], np.float32), noise.shape[:2])
    return np.einsum("pk,pkt->kt", signs, noise)


def _crossing(knots: np.ndarray, rates: np.ndarray, rate: float) -> float:
    """Where a falling curve given at the knots reaches a rate."""
    return float(np.interp(-rate, np.maximum.accumulate(-rates), knots))


def _along(knots: np.ndarray, curves: np.ndarray, ends: tuple[float, ...]) -> np.ndarray:
    """Curves at equally spaced thresholds from one end to the other, linear between the knots: ``(D, 33)``."""
    thresholds = np.clip(np.linspace(ends[0], ends[1], _POINTS), knots[0], knots[-1])
    after = np.clip(np.searchsorted(knots, thresholds), 1, knots.size - 1)
    share = (thresholds - knots[after - 1]) / (knots[after] - knots[after - 1])
    return curves[:, after - 1] * (1 - share) + curves[:, after] * share


def _mean_over_range(values: np.ndarray) -> np.ndarray:
    return (values.sum(axis=-1) - (values[..., 0] + values[..., -1]) / 2) / (_POINTS - 1)


def _class_shares(curves: np.ndarray) -> np.ndarray:
    return _mean_over_range(np.square(curves - curves.mean(axis=0))) / len(curves)


def _eps_opis(curves: np.ndarray, n_worst: int) -> float:
    order = np.argsort(_mean_over_range(curves), kind="stable")[:n_worst]
    return float(_mean_over_range(np.square(curves[order].mean(axis=0) - curves.mean(axis=0))))
