"""The audit in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["headline", "percent"]


def percent(rate: float) -> str:
    """A rate as people read it: a percentage of about two significant digits.

    Examples:
        >>> percent(0.0437), percent(0.0000123), percent(0.0), percent(0.5)
        ('4.4%', '0.0012%', '0%', '50%')
    """
    value = 100 * rate
    if value == 0 or value >= 10:
        return f"{value:.0f}%"
    return f"{value:.1f}%" if value >= 1 else f"{value:.2g}%"


def headline(by_class: pd.DataFrame, threshold: float, far: float) -> str:
    """Say what one threshold does to the class that suffers most and to the one that suffers least."""
    (most, most_far), (least, least_far) = _ends(by_class, "far")
    (missed, missed_frr), (found, found_frr) = _ends(by_class, "frr")
    return (
        f"At the threshold that gives {percent(far)} false accepts overall ({threshold:.6f}), "
        f"class {most} gets {percent(most_far)} and class {least} {percent(least_far)}; "
        f"class {missed} misses {percent(missed_frr)} of its genuine pairs, class {found} {percent(found_frr)}."
    )


def _ends(by_class: pd.DataFrame, column: str) -> tuple[tuple[object, float], tuple[object, float]]:
    """The labels with the highest and the lowest rate, with those rates; undefined ones are left out."""
    labels, values = by_class.index.tolist(), by_class[column].to_numpy(dtype=float)
    high, low = int(np.nanargmax(values)), int(np.nanargmin(values))
    return (labels[high], float(values[high])), (labels[low], float(values[low]))
