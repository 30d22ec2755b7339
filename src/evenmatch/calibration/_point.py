"""OperatingPoint: a threshold with its evidence, fit to be shipped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.calibration._curves import ScoreCurves
from evenmatch.calibration._objective import Objective
from evenmatch.calibration._origin import Origin
from evenmatch.calibration._probability import ScoreCalibrator
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import ArtefactError, InputError
from evenmatch.measures import ClassRate

if TYPE_CHECKING:
    from evenmatch.calibration._check import PointCheck
    from evenmatch.calibration._decide import Matches

__all__ = ["CAUTIONS", "CalibrationData", "OperatingPoint"]

CAUTIONS = (
    "embeddings of another model, or of this one after training or another normalisation",
    "another metric, or scores that are not this metric's",
    "data of another kind than the calibration data (check with evenmatch check first)",
    "single classes or groups: the rates are means over pairs, and classes differ",
    "picking the best of many candidates (identification), whose false accepts grow with the gallery",
)


@dataclass(frozen=True)
class CalibrationData:
    """What a point was calibrated on.

    Attributes:
        name: of the data, for people.
        samples: how many (queries, where there is a gallery).
        references: samples of the gallery, or None.
        dim: values per embedding.
        classes: distinct labels.
        positives, negatives: pairs.
        fingerprint: SHA-256 of vectors and labels.
    """

    name: str
    samples: int
    references: int | None
    dim: int
    classes: int
    positives: int
    negatives: int
    fingerprint: str


@dataclass(frozen=True, repr=False)
class OperatingPoint:
    """A threshold with its evidence; made by `em.calibrate`, kept as JSON by `save` and `load`.

    Attributes:
        threshold: accept if and only if score ≥ threshold.
        metric: ``"cosine"``, or ``"euclidean"`` with score ``-‖x - y‖``.
        objective: what was asked for.
        guarantee: ``"mean"``: the realised rate on the calibration data meets the target; ``"upper"``: so does the
            upper end of the prediction interval for ``guarantee_classes`` new classes.
        guarantee_classes: see there; None for ``"mean"``.
        confidence: of the intervals.
        far_evidence, frr_evidence: the realised rates, exact, with their uncertainty over classes.
        data: what it was calibrated on.
        probability: the calibrator of P(match | score), or None.
        not_for: what the point must not be used for.
        curves: what data without labels are compared with, or None where the calibration data do not suffice.
        origin: what the point rests on if it comes from data without labels (`em.transfer`), else None. Its rates are
            then estimates, not counts.
    """

    threshold: float
    metric: str
    objective: Objective
    guarantee: str
    guarantee_classes: int | None
    confidence: float
    far_evidence: ClassRate
    frr_evidence: ClassRate
    data: CalibrationData
    probability: ScoreCalibrator | None = None
    not_for: tuple[str, ...] = field(default=CAUTIONS)
    curves: ScoreCurves | None = None
    origin: Origin | None = None

    @property
    def target(self) -> float | None:
        """The rate or utility that was asked for, if one was."""
        return self.objective.target

    @property
    def far(self) -> float:
        """Realised FAR on the calibration data: an exact share of its negative pairs (an estimate with ``origin``)."""
        return self.far_evidence.value

    @property
    def frr(self) -> float:
        """Realised FRR on the calibration data: an exact share of its positive pairs (an estimate with ``origin``)."""
        return self.frr_evidence.value

    @property
    def far_ci(self) -> tuple[float, float]:
        """Confidence interval of the FAR for the population of classes that these were drawn from."""
        return self.far_evidence.interval(self.confidence)

    @property
    def frr_ci(self) -> tuple[float, float]:
        """Confidence interval of the FRR for the population of classes that these were drawn from."""
        return self.frr_evidence.interval(self.confidence)

    @property
    def threshold_probability(self) -> float | None:
        """P(match | score = threshold) at the calibrator's prior, or None without a calibrator."""
        return None if self.probability is None else float(self.probability(np.array([self.threshold]))[0])

    def far_interval(self, n_classes: int) -> tuple[float, float]:
        """Prediction interval of the FAR that a deployment with ``n_classes`` other classes will realise."""
        return self.far_evidence.prediction(n_classes, self.confidence)

    def frr_interval(self, n_classes: int) -> tuple[float, float]:
        """Prediction interval of the FRR that a deployment with ``n_classes`` other classes will realise."""
        return self.frr_evidence.prediction(n_classes, self.confidence)

    def accepts(self, scores: Any) -> np.ndarray:
        """Which scores are accepted.

        Args:
            scores: similarities of the point's metric, any shape.

        Returns:
            Booleans of the same shape.

        Raises:
            InputError: a score is NaN, or not a number.
        """
        try:
            values = np.asarray(scores, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"scores cannot be read as numbers ({error}); pass an array of floats") from error
        if np.isnan(values).any():
            raise InputError(f"{np.count_nonzero(np.isnan(values))} scores are NaN; repair the embeddings first")
        return values >= self.threshold

    def decide(self, query: Any, gallery: Any, *, engine: str = "auto") -> Matches:
        """All accepted pairs between queries and a gallery.

        Args:
            query: ``(m, d)`` floating point embeddings of the model that the point was calibrated for.
            gallery: ``(n, d)``.
            engine: ``"faiss"``, ``"blocks"`` (numpy), or ``"auto"``: faiss where it is installed. Both give the same
                matches, because each candidate near the threshold is scored again in float64.

        Raises:
            InputError: the embeddings cannot be used, or are not of the point's dimension.
            MissingExtraError: faiss is asked for and not installed.
        """
        from evenmatch.calibration._decide import decide

        return decide(query, gallery, self.threshold, self.metric, self.data.dim, engine)

    def check(self, data: EmbeddingSet, references: EmbeddingSet | None = None, **options: Any) -> PointCheck:
        """The FAR and FRR that this point realises on other labelled data, with intervals and a row a group.

        Args:
            data: labelled embeddings.
            references: a labelled gallery; pairs are then those across the two.
            options: ``metric``, ``threads`` and ``progress`` as in `evenmatch.calibration.check_point`.
        """
        from evenmatch.calibration._check import check_point

        return check_point(self, data, references, **options)

    def require_metric(self, metric: str) -> None:
        """Refuse to be used with another metric.

        Raises:
            ArtefactError: names both.
        """
        if metric != self.metric:
            raise ArtefactError(
                f"this operating point was calibrated for {self.metric} scores and cannot be used with {metric} "
                "scores; calibrate again with the other metric"
            )

    def summary(self) -> dict[str, Any]:
        """What matters for people and pipelines, as a dict that JSON can hold."""
        n = self.data.classes
        return {
            "threshold": self.threshold,
            "threshold_probability": self.threshold_probability,
            "metric": self.metric,
            "objective": self.objective.describe(),
            "target": self.target,
            "guarantee": self.guarantee,
            "guarantee_classes": self.guarantee_classes,
            "confidence": self.confidence,
            "far": self.far,
            "far_ci": list(self.far_ci),
            "far_interval": list(self.far_interval(max(n, 2))),
            "frr": self.frr,
            "frr_ci": list(self.frr_ci),
            "frr_interval": list(self.frr_interval(max(n, 2))),
            "interval_classes": n,
            "scarce": self.far_evidence.scarce,
            "data": {
                name: getattr(self.data, name)
                for name in ("name", "samples", "references", "dim", "classes", "positives", "negatives", "fingerprint")
            },
            "unlabeled": self.origin is not None,
            "origin": None if self.origin is None else _plain(asdict(self.origin)),
            "not_for": list(self.not_for),
        }

    def save(self, path: str | Path) -> None:
        """Write the point as JSON with a checksum, whole or not at all.

        Raises:
            InputError: the folder cannot be written to.
        """
        from evenmatch.calibration._store import save

        save(self, Path(path))

    @staticmethod
    def load(path: str | Path, metric: str | None = None) -> OperatingPoint:
        """Read a saved point.

        Args:
            path: a file that `save` wrote.
            metric: the metric that the caller's scores have; the point is refused if it is for another.

        Raises:
            ArtefactError: the file is no point, is truncated or altered, is of a schema version that this version of
                evenmatch does not know, or of another metric.
        """
        from evenmatch.calibration._store import load

        return load(Path(path), metric)

    def __repr__(self) -> str:
        return (
            f"OperatingPoint(threshold={self.threshold:.6g} ({self.metric}), {self.objective.describe()}, "
            f"FAR={self.far:.3g}, FRR={self.frr:.3g}, classes={self.data.classes})"
        )

    def _repr_html_(self) -> str:
        from evenmatch.calibration._text import point_card

        return point_card(self.summary())


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON gives it back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
