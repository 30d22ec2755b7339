"""How much error rates differ between groups: the summary measures of the biometrics literature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.measures._tables import touching_pairs
from evenmatch.pairs import PairCounts

__all__ = ["Differential", "GroupDifferentials", "differential", "group_differentials"]


@dataclass(frozen=True)
class Differential:
    """How one error rate differs between G groups.

    Attributes:
        highest, lowest: the extreme rates, in [0, 1].
        highest_group, lowest_group: index of the groups that have them.
        ratio: highest / lowest, at least 1; None where the lowest is 0.
        to_geometric_mean: highest / geometric mean of the groups, at least 1; None where a group has rate 0.
        gini: Gini coefficient with the small-sample factor G/(G-1), in [0, 1]; 0 where all rates are 0.
        groups: how many have the rate.
    """

    highest: float
    lowest: float
    highest_group: int
    lowest_group: int
    ratio: float | None
    to_geometric_mean: float | None
    gini: float
    groups: int

    @property
    def difference(self) -> float:
        """Highest less lowest, in [0, 1]."""
        return self.highest - self.lowest


@dataclass(frozen=True)
class GroupDifferentials:
    """Group differences at one threshold.

    Attributes:
        far: false accepts among pairs with at least one end in the group, or None below two groups.
        far_within: false accepts among pairs with both ends in the group, or None.
        frr: false rejects among pairs with at least one end in the group, or None.
    """

    far: Differential | None
    far_within: Differential | None
    frr: Differential | None

    def fairness_discrepancy_rate(self, alpha: float = 0.5) -> float | None:
        """FDR, in [0, 1], 1 where groups do not differ: ``1 - (α·ΔFAR + (1-α)·ΔFRR)``, of the FAR within groups.

        Pereira and Marcel, IEEE Transactions on Biometrics, Behavior, and Identity Science 4 (2022). None where either
        rate is unknown.
        """
        if self.far_within is None or self.frr is None:
            return None
        return 1 - (alpha * self.far_within.difference + (1 - alpha) * self.frr.difference)

    def garbe(self, alpha: float = 0.5) -> float | None:
        """GARBE, in [0, 1], 0 where groups do not differ: ``α·Gini(FAR) + (1-α)·Gini(FRR)``, of the FAR within groups.

        Howard, Laird, Sirotin, Rubin, Tipton and Vemury (arXiv 2203.05051). None where either rate is unknown.
        """
        if self.far_within is None or self.frr is None:
            return None
        return alpha * self.far_within.gini + (1 - alpha) * self.frr.gini


def differential(rates: np.ndarray) -> Differential | None:
    """Summarise the rates of groups, ``(G,)`` with NaN where a group has no pair; None below two known rates.

    Difference and ratio of the extremes are those of NISTIR 8280 (Grother, Ngan and Hanaoka, FRVT Part 3, 2019); the
    highest over the geometric mean is what NIST IR 8429 (Grother, FRVT Part 8, 2022) prefers, because a single small
    rate does not decide it; the Gini coefficient is that of Howard et al. (arXiv 2203.05051). ISO/IEC 19795-10:2024 is
    the standard on reporting such differences; it asks for the uncertainty of each group's rate, too.

    Examples:
        >>> found = differential(np.array([0.01, 0.04]))
        >>> found.ratio, round(found.to_geometric_mean, 12), round(found.gini, 12)
        (4.0, 2.0, 0.6)
    """
    known = np.flatnonzero(~np.isnan(rates))
    if known.size < 2:
        return None
    values = rates[known]
    high, low = int(np.argmax(values)), int(np.argmin(values))
    ranked, n = np.sort(values), values.size
    total = float(ranked.sum())
    spread = float(((2 * np.arange(1, n + 1) - n - 1) * ranked).sum())  # Σ_i Σ_j |x_i - x_j| / 2
    return Differential(
        highest=float(values[high]),
        lowest=float(values[low]),
        highest_group=int(known[high]),
        lowest_group=int(known[low]),
        ratio=float(values[high] / values[low]) if values[low] > 0 else None,
        to_geometric_mean=float(values[high] / np.exp(np.log(values).mean())) if values[low] > 0 else None,
        gini=spread / (total * (n - 1)) if total > 0 else 0.0,
        groups=n,
    )


def group_differentials(counts: PairCounts, threshold: float) -> GroupDifferentials:
    """Differences of FAR, FAR within and FRR between groups at a counted threshold, from exact counts.

    A bad value: see by FAR within whether the model tells people (parts, documents) of one group apart less well, and
    collect or weigh training data of that group; by FRR whether its images are worse. Until then fix the threshold on
    the group with the highest FAR.

    Args:
        counts: counts with groups.
        threshold: a counted threshold.

    Raises:
        InputError: the groups were not counted at this threshold.
    """
    if counts.groups is None:
        raise ValueError("these counts have no groups")
    groups, column = counts.groups, counts.column(threshold)
    accepted = groups.negatives_accepted[:, :, column]
    positives = touching_pairs(groups, groups.positives)
    rejected = positives - touching_pairs(groups, groups.positives_accepted[:, :, column])
    return GroupDifferentials(
        far=differential(_share(touching_pairs(groups, accepted), touching_pairs(groups, groups.negatives))),
        far_within=differential(_share(np.diagonal(accepted), np.diagonal(groups.negatives))),
        frr=differential(_share(rejected, positives)),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
