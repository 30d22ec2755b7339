"""Which models no other model beats in both accuracy and consistency."""

from __future__ import annotations

import numpy as np

__all__ = ["pareto_front"]


def pareto_front(recall: np.ndarray, opis: np.ndarray) -> np.ndarray:
    """Whether each of m models is on the Pareto front of recall (more is better) and OPIS (less is better).

    Args:
        recall: ``(m,)`` in [0, 1].
        opis: ``(m,)``, ≥ 0.

    Returns:
        ``(m,)`` bool: no other model is at least as good in both and better in one.

    Examples:
        >>> pareto_front(np.array([0.9, 0.8, 0.7]), np.array([0.02, 0.01, 0.015])).tolist()
        [True, True, False]
    """
    recall, opis = np.asarray(recall, dtype=float), np.asarray(opis, dtype=float)
    as_good = (recall[None, :] >= recall[:, None]) & (opis[None, :] <= opis[:, None])
    better = (recall[None, :] > recall[:, None]) | (opis[None, :] < opis[:, None])
    return np.logical_not(np.any(as_good & better, axis=1))
