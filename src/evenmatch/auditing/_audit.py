"""Audit: the result of an audit, with many views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenmatch.auditing._finer import finer_measures
from evenmatch.auditing._headline import headline
from evenmatch.auditing._plots import AuditPlots
from evenmatch.auditing._precision import how_measured
from evenmatch.auditing._records import records
from evenmatch.measures import (
    Admissible,
    Consistency,
    Curve,
    DebiasedOpis,
    SamplingNoise,
    class_table,
    debiased_opis,
    equal_error_rate,
    error_curve,
    group_table,
    rates_at,
    tar_at_far,
    threshold_at_far,
)
from evenmatch.pairs import PairCounts
from evenmatch.report import audit_card

if TYPE_CHECKING:
    import pandas as pd

    from evenmatch.embeddings import EmbeddingSet

__all__ = ["Audit", "AuditSettings", "DataFacts"]


@dataclass(frozen=True)
class AuditSettings:
    """What was asked of an audit; see `audit` for the meaning of each."""

    metric: str
    far: tuple[float, float]
    beta: float
    eps: float
    precision: str
    engine: str
    confidence: float


@dataclass(frozen=True)
class DataFacts:
    """What was audited.

    Attributes:
        name: of the data, for people.
        n: samples (queries, where there is a reference set).
        n_references: samples of the reference set, or None.
        dim: values per embedding.
        dtype: of the embeddings as given.
        n_classes: distinct labels.
        n_defined: those with at least one positive and one negative pair; only they have a utility.
        fingerprint: SHA-256 of vectors and labels (with a reference set, of both).
    """

    name: str
    n: int
    n_references: int | None
    dim: int
    dtype: str
    n_classes: int
    n_defined: int
    fingerprint: str


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """How consistent one threshold is across the classes of a data set; made by `audit`, kept by `save` and `load`.

    Attributes:
        counts: the integer counts that everything is derived from.
        consistency: utility curves, OPIS and ε-OPIS.
        settings: what was asked.
        data: what was audited.
        recall_at_k: for each k asked for, the share of samples with one of their class among the k nearest.
        map_at_r: mean average precision at R, or None if it was not asked for.
        intervals: name → (low, high) for ``opis``, ``eps_opis``, ``opis_debiased``, ``recall_at_1``, ``far`` and
            ``frr`` at `threshold`, and ``eer`` where the classes were counted around it: what other classes of the same
            kind would give, at ``settings.confidence``.
        noise: what the samples at hand add to the spread of the utilities; None with a reference set.
        error_bars: name → (low, high) for ``opis``, ``eps_opis`` and the ends ``threshold_low`` and
            ``threshold_high`` of the range: what counting every pair in float32 would give, at
            ``settings.confidence``; empty where that was done.
    """

    counts: PairCounts
    consistency: Consistency
    settings: AuditSettings
    data: DataFacts
    recall_at_k: Mapping[int, float]
    map_at_r: float | None
    intervals: Mapping[str, tuple[float, float]]
    noise: SamplingNoise | None = None
    error_bars: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def opis(self) -> float:
        """Operating-point inconsistency score, in [0, 1/4]; 0 where all classes behave alike at every threshold."""
        return self.consistency.opis

    @property
    def eps_opis(self) -> float:
        """The same for the worst classes alone, in [0, 1]."""
        return self.consistency.eps_opis

    @cached_property
    def debiased(self) -> DebiasedOpis | None:
        """What `opis_debiased` is made of; None with a reference set."""
        if self.noise is None:
            return None
        return debiased_opis(self.counts, self.consistency, self.noise, beta=self.settings.beta)

    @property
    def opis_debiased(self) -> float | None:
        """OPIS less what the few samples of the classes add to it: compare data sets with other class sizes by it.

        0 on average where all classes behave alike, so that it may fall below 0. Classes of fewer than 4 samples are
        left out. None with a reference set, or below 2 such classes.
        """
        return None if self.debiased is None else self.debiased.value

    @property
    def threshold_range(self) -> tuple[float, float]:
        """The calibration range: the thresholds of the higher and of the lower FAR in ``settings.far``."""
        return self.consistency.range

    @property
    def threshold(self) -> float:
        """The strict end of the calibration range: lowest threshold with a pooled FAR of at most ``min(far)``."""
        return self.consistency.range[1]

    @cached_property
    def curve(self) -> Curve:
        """Pooled FAR and FRR at every threshold of the grid."""
        return error_curve(self.counts)

    @cached_property
    def _equal_error(self) -> tuple[float, float]:
        return equal_error_rate(self.counts)

    @property
    def eer(self) -> float:
        """Equal error rate of all pairs."""
        return self._equal_error[0]

    @property
    def eer_threshold(self) -> float:
        """The threshold at which FAR and FRR differ least."""
        return self._equal_error[1]

    @cached_property
    def tar_at_far(self) -> dict[float, float | None]:
        """TAR at FAR 1e-1 … 1e-6; None where fewer than 30 false accepts would decide."""
        return tar_at_far(self.counts)

    def far_at(self, threshold: float) -> float:
        """Share of all negative pairs with score ≥ threshold; exact at counted thresholds.

        A threshold between two grid thresholds (5e-5 apart in cosine) is moved up to the next one. For one value
        exactly as given, audit with ``thresholds=[value]``.
        """
        return rates_at(self.counts, threshold)[0]

    def frr_at(self, threshold: float) -> float:
        """Share of all positive pairs with score < threshold; thresholds as in `far_at`."""
        return rates_at(self.counts, threshold)[1]

    def threshold_at_far(self, far: float) -> Admissible:
        """The lowest counted threshold whose realised FAR is at most ``far``, with the rates it realises.

        Raises:
            UnreachableTargetError: ``far`` is outside [0, 1].
        """
        return threshold_at_far(self.counts, far)

    @cached_property
    def _by_class(self) -> pd.DataFrame:
        return self.by_class_at(self.threshold)

    @property
    def by_class(self) -> pd.DataFrame:
        """One row a class: n, pairs, utility, opis (its share), far and frr at `threshold`, own_threshold."""
        return self._by_class.copy()

    def by_class_at(self, threshold: float) -> pd.DataFrame:
        """The same at another counted threshold.

        Raises:
            InputError: the classes were not counted there; the message says where they were.
        """
        return class_table(self.counts, self.consistency, threshold)

    @property
    def by_group(self) -> pd.DataFrame:
        """One row a group: n, positives, negatives, far, far_within, frr at `threshold`; empty without groups."""
        import pandas as pd

        return pd.DataFrame() if self.counts.groups is None else group_table(self.counts, self.threshold)

    def worst_classes(self, n: int = 10) -> pd.DataFrame:
        """The n defined classes with the lowest mean utility over the calibration range, worst first."""
        return self._by_class.dropna(subset=["utility"]).sort_values("utility", kind="stable").head(n)

    @property
    def headline(self) -> str:
        """What the audit means, in one sentence."""
        said = headline(self._by_class, self.threshold, self.far_at(self.threshold))
        if self.counts.sampling is None:
            return said
        return f"Estimated from {self.counts.sampling.pairs:,} of all pairs: {said[0].lower()}{said[1:]}"

    @property
    def is_estimate(self) -> bool:
        """Whether only a random sample of the pairs was counted."""
        return self.counts.sampling is not None

    @property
    def plot(self) -> AuditPlots:
        """Figures ``utility``, ``rates``, ``classes``, ``scores`` and ``det``; each takes ``ax=``, returns the axes."""
        return AuditPlots(self)

    def summary(self) -> dict[str, Any]:
        """Everything but the tables of all classes, as a dict that JSON can hold; NaN is None."""
        far, frr = rates_at(self.counts, self.threshold)
        return {
            "headline": self.headline,
            "data": {
                **asdict(self.data),
                "positives": self.counts.n_positives,
                "negatives": self.counts.n_negatives,
            },
            "settings": {**asdict(self.settings), "far": list(self.settings.far)},
            "measured": {
                "how": how_measured(self.counts, self.settings.precision),
                "estimate": self.is_estimate,
                "arithmetic": self.counts.arithmetic,
                "pairs": None if self.counts.sampling is None else self.counts.sampling.pairs,
                "seed": None if self.counts.sampling is None else self.counts.sampling.seed,
            },
            "error_bars": {name: list(bar) for name, bar in self.error_bars.items()},
            "opis": self.opis,
            "eps_opis": self.eps_opis,
            "opis_debiased": self.opis_debiased,
            "threshold_range": list(self.threshold_range),
            "threshold": self.threshold,
            "far": far,
            "frr": frr,
            "eer": self.eer,
            "eer_threshold": self.eer_threshold,
            "recall_at_k": {str(k): None if value != value else value for k, value in self.recall_at_k.items()},
            "map_at_r": self.map_at_r,
            "tar_at_far": {f"{far:g}": tar for far, tar in self.tar_at_far.items()},
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            **finer_measures(self),
            "worst_classes": records(self.worst_classes()),
            "groups": records(self.by_group),
        }

    def save(self, path: str | Path) -> None:
        """Write the audit to a file, whole or not at all; `load` gives an equal one.

        Raises:
            InputError: the folder cannot be written to, or a label is of a type that a file cannot hold.
        """
        from evenmatch.auditing._store import save

        save(self, Path(path))

    def confusable(self, embeddings: EmbeddingSet, n: int = 20) -> pd.DataFrame:
        """The pairs of classes that ``threshold`` confuses most, each named once (see `nearest_classes`).

        Args:
            embeddings: what was audited; one set, without a gallery.
            n: rows at most.

        Raises:
            InputError: these are other embeddings, or the audit is one of queries and a gallery.
        """
        from evenmatch.auditing._nearest import confusable

        return confusable(self, embeddings, n)

    def to_html(
        self,
        path: str | Path,
        images: str | Path | None = None,
        *,
        embeddings: EmbeddingSet | None = None,
        ref: EmbeddingSet | None = None,
    ) -> None:
        """Write a report to open in a browser: one file that needs no network, with a threshold to move.

        Args:
            path: of the HTML file.
            images: a folder that the sample ids are paths under; the worst pairs of the worst classes are then shown
                as thumbnails, which costs one more search over those classes.
            embeddings: what was audited: names the classes that are taken for each other (within one set of at most
                20,000 classes), and is needed for ``images``.
            ref: the gallery, where there was one.

        Raises:
            InputError: the folder cannot be written to; the embeddings are others; or ``images`` is given without
                embeddings, without ids, or without any image.
        """
        from evenmatch.auditing._html import write_audit

        write_audit(self, Path(path), None if images is None else Path(images), embeddings, ref)

    @staticmethod
    def load(path: str | Path) -> Audit:
        """Read a saved audit.

        Raises:
            ArtefactError: the file is not an audit, is damaged, or is of a schema version that this version of
                evenmatch does not know.
        """
        from evenmatch.auditing._store import load

        return load(Path(path))

    def __repr__(self) -> str:
        return (
            f"Audit({'estimate, ' if self.is_estimate else ''}{self.data.name or 'embeddings'}: n={self.data.n}, "
            f"classes={self.data.n_classes}, "
            f"OPIS={self.opis:.3g}, ε-OPIS={self.eps_opis:.3g}, threshold={self.threshold:.6f})"
        )

    def _repr_html_(self) -> str:
        return audit_card(self.summary())
