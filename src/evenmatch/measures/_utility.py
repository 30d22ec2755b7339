"""The utility of a class at a threshold (arXiv 2307.04047)."""

from __future__ import annotations

import numpy as np

__all__ = ["utility"]


def utility(tar: np.ndarray, tnr: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """Utility of accepting and rejecting: the F-score of TAR and TNR.

    ``(1 + β²)·TNR·TAR / (β²·TNR + TAR)``, 0 where the denominator is 0 (arXiv 2307.04047, section 3).

    Args:
        tar: true accept rates in [0, 1], of any shape.
        tnr: true negative rates in [0, 1], of the same shape.
        beta: weight of TAR against TNR, > 0.

    Examples:
        >>> float(utility(np.array(0.5), np.array(0.5)))
        0.5
    """
    below = beta**2 * tnr + tar
    above = (1 + beta**2) * tnr * tar
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
