"""Classes and groups as tables at one counted threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evenmatch.measures._consistency import Consistency
from evenmatch.measures._gaps import own_thresholds
from evenmatch.pairs import GroupCounts, PairCounts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["class_table", "group_table", "touching_pairs"]


def class_table(counts: PairCounts, result: Consistency, threshold: float) -> pd.DataFrame:
    """One row a class, indexed by label, at a counted threshold.

    Columns: ``n`` samples; ``positives`` and ``negatives`` pairs; ``utility``, the mean of U_i over the calibration
    range; ``opis``, the class's share of OPIS; ``far`` and ``frr`` at the threshold; ``own_threshold``, where in the
    range U_i is highest. ``utility``, ``opis``, ``frr`` and ``own_threshold`` are NaN for a class without a positive
    pair.

    Raises:
        InputError: the classes were not counted at this threshold.
    """
    import pandas as pd

    column = counts.column(threshold)
    own = np.full(counts.classes.size, np.nan)
    own[result.defined] = own_thresholds(result).thresholds
    return pd.DataFrame(
        {
            "n": np.bincount(counts.codes, minlength=counts.classes.size),
            "positives": counts.positives,
            "negatives": counts.negatives,
            "utility": result.class_utility,
            "opis": result.class_opis,
            "far": _share(counts.negatives_accepted[:, column], counts.negatives),
            "frr": 1.0 - _share(counts.positives_accepted[:, column], counts.positives),
            "own_threshold": own,
        },
        index=pd.Index(counts.classes, name="class"),
    )


def group_table(counts: PairCounts, threshold: float) -> pd.DataFrame:
    """One row a group, indexed by its name, at a counted threshold.

    Columns: ``n`` samples; ``positives`` and ``negatives``, pairs with at least one end in the group; ``far`` and
    ``frr`` over those; ``far_within``, the FAR among the negative pairs with both ends in the group. A rate without
    a pair is NaN.

    Args:
        counts: counts with groups.
        threshold: a counted threshold.

    Raises:
        InputError: the groups were not counted at this threshold.
    """
    import pandas as pd

    if counts.groups is None:
        raise ValueError("these counts have no groups")
    groups, column = counts.groups, counts.column(threshold)
    positives, negatives = touching_pairs(groups, groups.positives), touching_pairs(groups, groups.negatives)
    accepted = groups.negatives_accepted[:, :, column]
    return pd.DataFrame(
        {
            "n": groups.sizes,
            "positives": positives,
            "negatives": negatives,
            "far": _share(touching_pairs(groups, accepted), negatives),
            "far_within": _share(np.diagonal(accepted), np.diagonal(groups.negatives)),
            "frr": 1.0 - _share(touching_pairs(groups, groups.positives_accepted[:, :, column]), positives),
        },
        index=pd.Index(groups.names, name="group"),
    )


def touching_pairs(groups: GroupCounts, matrix: np.ndarray) -> np.ndarray:
    """Pairs with at least one end in each group, from a matrix of pairs between groups: ``(G, G, …)`` → ``(G, …)``."""
    rows = matrix.sum(axis=1)
    return rows + matrix.sum(axis=0) - np.einsum("ii...->i...", matrix) if groups.directed else rows


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
