"""Where the threshold of a transferred point comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """What a point that was transferred to data without labels rests on.

    Attributes:
        method: how the share of matches was found: ``"neighbours"``, ``"curves"`` or ``"given"``.
        positives: that share.
        positives_ci: its confidence interval.
        far_ci: confidence interval of the FAR among the pairs of the new data.
        assumed: what the estimate rests on.
        calibrated_on: the labelled data of the point that was transferred, as in `CalibrationData`.
    """

    method: str
    positives: float
    positives_ci: tuple[float, float]
    far_ci: tuple[float, float]
    assumed: tuple[str, ...]
    calibrated_on: dict[str, Any]
