"""A shipped point on new data: what it realises there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenmatch.embeddings import EmbeddingSet, fingerprint_of
from evenmatch.errors import InputError
from evenmatch.measures import ClassRate, class_rates_at, group_table
from evenmatch.pairs import PairCounts, count_pairs

if TYPE_CHECKING:
    import pandas as pd

    from evenmatch.calibration._point import OperatingPoint

__all__ = ["PointCheck", "check_point"]


@dataclass(frozen=True, eq=False)
class PointCheck:
    """What an operating point realises on other data.

    Attributes:
        point: the point.
        counts: every class and group, counted at the point's threshold.
        far_evidence, frr_evidence: exact rates with their uncertainty over classes.
        same_data: whether these are the very data that the point was calibrated on, which would prove nothing.
    """

    point: OperatingPoint
    counts: PairCounts
    far_evidence: ClassRate
    frr_evidence: ClassRate
    same_data: bool

    @property
    def far(self) -> float:
        """Realised FAR."""
        return self.far_evidence.value

    @property
    def frr(self) -> float:
        """Realised FRR."""
        return self.frr_evidence.value

    @property
    def by_group(self) -> pd.DataFrame:
        """One row a group: n, positives, negatives, far, far_within, frr; empty without groups."""
        import pandas as pd

        return pd.DataFrame() if self.counts.groups is None else group_table(self.counts, self.point.threshold)

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold; ``expected`` is what the point predicted for so many classes."""
        confidence = self.point.confidence
        found: dict[str, Any] = {
            "threshold": self.point.threshold,
            "metric": self.point.metric,
            "objective": self.point.objective.describe(),
            "confidence": confidence,
            "samples": self.counts.codes.size,
            "classes": self.counts.classes.size,
            "positives": self.counts.n_positives,
            "negatives": self.counts.n_negatives,
            "same_data": self.same_data,
        }
        sides = (
            ("far", self.far_evidence, self.point.far_evidence),
            ("frr", self.frr_evidence, self.point.frr_evidence),
        )
        for name, here, before in sides:
            low, high = before.prediction(max(here.classes, 2), confidence)
            found[name] = here.value
            found[f"{name}_ci"] = list(here.interval(confidence))
            found[f"{name}_expected"] = [low, high]
            found[f"{name}_as_expected"] = bool(low <= here.value <= high)
        groups = []
        for name, row in zip(self.by_group.index.tolist(), self.by_group.to_dict("records"), strict=True):
            numbers = {str(key): None if value != value else float(value) for key, value in row.items()}
            groups.append({"group": name if isinstance(name, str | int | bool) else str(name), **numbers})
        found["groups"] = groups
        return found


def check_point(
    point: OperatingPoint,
    data: EmbeddingSet,
    references: EmbeddingSet | None = None,
    *,
    metric: str | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> PointCheck:
    """Count every pair of labelled data at the threshold of a point.

    Args:
        point: the point.
        data: labelled embeddings of the same model.
        references: a labelled gallery; pairs are then those across the two.
        metric: the metric of these embeddings, if it is to be compared with the point's.
        threads: CPU threads; by default one a core.
        progress: called with the share of pairs done.

    Raises:
        ArtefactError: the point is for another metric.
        InputError: the embeddings have another dimension than the calibration data, or cannot be counted.
    """
    if metric is not None:
        point.require_metric(metric)
    for given in (data, references):
        if given is not None and not isinstance(given, EmbeddingSet):
            raise InputError(
                f"a {type(given).__name__} has no labels; pass an EmbeddingSet, from em.load or from_arrays"
            )
    if data.dim != point.data.dim:
        raise InputError(
            f"these embeddings have {data.dim} dimensions and the point was calibrated on {point.data.dim}; "
            "it holds for one model only: calibrate again"
        )
    counts = count_pairs(
        data, references, metric=point.metric, far=(), thresholds=[point.threshold], threads=threads, progress=progress
    )
    far, frr = class_rates_at(counts, point.threshold)
    same = fingerprint_of(data, references) == point.data.fingerprint
    return PointCheck(point, counts, far, frr, same)
