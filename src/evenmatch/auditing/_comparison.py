"""Comparison: audits of several models on one test set, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.auditing._audit import Audit
from evenmatch.auditing._precision import refuse_estimate
from evenmatch.errors import InputError
from evenmatch.measures import paired_intervals, pareto_front, recall_at_1
from evenmatch.report import comparison_card, comparison_headline

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Difference", "compare"]

_QUANTITIES = ("opis", "eps_opis", "opis_debiased", "recall_at_1", "eer", "threshold", "far", "frr")


@dataclass(frozen=True)
class Difference:
    """What a model has more than the first one.

    Attributes:
        value: model minus first model.
        interval: what other classes of the same kind would give, resampled together for both; None where the test
            sets differ or the quantity has no interval.
    """

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Audits of two or more models; made by `compare`.

    Attributes:
        audits: model name → its audit; the first is the one that the others are compared with.
        same_test_set: whether all were audited on the same classes with the same number of samples.
        differences: for every other model, quantity → its difference from the first.
    """

    audits: Mapping[str, Audit]
    same_test_set: bool
    differences: Mapping[str, Mapping[str, Difference]]

    @property
    def baseline(self) -> str:
        """Name of the first model."""
        return next(iter(self.audits))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a model: the quantities, their intervals as ``…_low`` and ``…_high``, and ``pareto``.

        ``far`` and ``frr`` are those at the model's own ``threshold``, the strict end of its calibration range.
        ``pareto`` says that no other model has both a higher recall@1 and a lower OPIS.
        """
        import pandas as pd

        rows = {}
        for name, audit in self.audits.items():
            row: dict[str, float | None] = {}
            for key, value in _quantities(audit).items():
                row[key] = value
                if key in audit.intervals:
                    row[f"{key}_low"], row[f"{key}_high"] = audit.intervals[key]
            rows[name] = row
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
        table["pareto"] = pareto_front(table["recall_at_1"].to_numpy(), table["opis"].to_numpy())
        return table

    @cached_property
    def by_class(self) -> pd.DataFrame:
        """One row a class, columns (model, quantity): utility, opis, and far and frr at the model's own threshold."""
        import pandas as pd

        columns = ["utility", "opis", "far", "frr"]
        return pd.concat({name: audit.by_class[columns] for name, audit in self.audits.items()}, axis=1)

    @cached_property
    def headline(self) -> str:
        """What the comparison means, in one sentence a model."""
        return comparison_headline(self._values())

    def summary(self) -> dict[str, Any]:
        """Everything but the tables of classes, as a dict that JSON can hold."""
        return {**self._values(), "headline": self.headline}

    def _values(self) -> dict[str, Any]:
        pareto = self.table["pareto"].tolist()
        models = {
            name: {
                **_quantities(audit),
                "intervals": {key: list(audit.intervals[key]) for key in _QUANTITIES if key in audit.intervals},
                "pareto": on_front,
                "data": audit.summary()["data"],
            }
            for (name, audit), on_front in zip(self.audits.items(), pareto, strict=True)
        }
        differences = {
            name: {
                key: {"difference": each.value, "interval": None if each.interval is None else list(each.interval)}
                for key, each in quantities.items()
            }
            for name, quantities in self.differences.items()
        }
        settings = self.audits[self.baseline].settings
        return {
            "baseline": self.baseline,
            "same_test_set": self.same_test_set,
            "confidence": settings.confidence,
            "far": list(settings.far),
            "models": models,
            "differences": differences,
        }

    def to_html(self, path: str | Path) -> None:
        """Write a page to open in a browser: one file that needs no network, with one false accept rate to move.

        Raises:
            InputError: the folder cannot be written to.
        """
        from evenmatch.auditing._html import write_comparison

        write_comparison(self, Path(path))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: OPIS={audit.opis:.3g}" for name, audit in self.audits.items())
        return f"Comparison({shown})"

    def _repr_html_(self) -> str:
        return comparison_card(self.summary())


def compare(audits: Mapping[str, Audit], *, allow_different: bool = False) -> Comparison:
    """Put audits of several models on one test set side by side.

    Differences are those from the first model. Their intervals draw the same classes for both models in every
    resample, because a class that is hard for one model is likely hard for the other, too.

    Args:
        audits: model name → audit, two or more.
        allow_different: compare even if the test sets differ; the differences then have no intervals.

    Returns:
        The comparison.

    Raises:
        InputError: fewer than two audits; audits of different test sets (other classes, or other numbers of samples
            in them); an estimate from a sample of pairs; or audits with different settings, whose
            numbers do not mean the same.

    Examples:
        >>> import evenmatch as em
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(30), 10)
        >>> centres, noise = rng.normal(size=(30, 16)), rng.normal(size=(300, 16))
        >>> models = {"noisy": centres[labels] + noise, "clean": centres[labels] + 0.5 * noise}
        >>> result = compare({name: em.audit(x, labels) for name, x in models.items()})
        >>> result.differences["clean"]["recall_at_1"].value > 0
        True
    """
    if len(audits) < 2:
        raise InputError(f"{len(audits)} audit is given; a comparison needs two or more, as {{'base': a, 'tcm': b}}")
    named = {str(name): audit for name, audit in audits.items()}
    (first, base), *others = named.items()
    same = True
    for name, audit in named.items():
        refuse_estimate(audit.counts, f"a comparison with {name!r}")
    for name, audit in others:
        _require_same_settings(first, base, name, audit)
        difference = _different_test_set(base, audit)
        if difference and not allow_different:
            raise InputError(
                f"{name!r} was audited on another test set than {first!r}: {difference}; audit both on the same "
                "samples, or compare them all the same with allow_different=True (--allow-different)"
            )
        same = same and not difference
    differences = {name: _differences(base, audit, same) for name, audit in others}
    return Comparison(named, same, differences)


def _quantities(audit: Audit) -> dict[str, float | None]:
    values = {
        "opis": audit.opis,
        "eps_opis": audit.eps_opis,
        "opis_debiased": audit.opis_debiased,
        "recall_at_1": recall_at_1(audit.counts),
        "eer": audit.eer,
        "threshold": audit.threshold,
        "far": audit.far_at(audit.threshold),
        "frr": audit.frr_at(audit.threshold),
    }
    return {key: values[key] for key in _QUANTITIES}


def _differences(base: Audit, other: Audit, paired: bool) -> dict[str, Difference]:
    intervals: dict[str, tuple[float, float]] = {}
    if paired:
        intervals = paired_intervals(
            (base.counts, base.consistency, base.threshold),
            (other.counts, other.consistency, other.threshold),
            eps=base.settings.eps,
            confidence=base.settings.confidence,
        )
        if base.debiased is not None and other.debiased is not None:
            interval = other.debiased.interval(base.settings.confidence, less=base.debiased)
            intervals |= {} if interval is None else {"opis_debiased": interval}
    before, after = _quantities(base), _quantities(other)
    return {
        key: Difference(new - old, intervals.get(key))
        for key in _QUANTITIES
        if (old := before[key]) is not None and (new := after[key]) is not None
    }


def _require_same_settings(first: str, base: Audit, name: str, audit: Audit) -> None:
    for setting in ("far", "beta", "eps", "confidence"):
        ours, theirs = getattr(base.settings, setting), getattr(audit.settings, setting)
        if (sorted(ours) != sorted(theirs)) if setting == "far" else (ours != theirs):
            raise InputError(
                f"{first!r} was audited with {setting}={ours} and {name!r} with {setting}={theirs}; "
                "their numbers do not mean the same: audit both with one setting"
            )


def _different_test_set(base: Audit, other: Audit) -> str:
    """How two test sets differ, in a few words; empty if nothing tells them apart, whatever the order of samples."""
    for what, ours, theirs in (
        ("samples", base.data.n, other.data.n),
        ("references", base.data.n_references or 0, other.data.n_references or 0),
        ("classes", base.data.n_classes, other.data.n_classes),
    ):
        if ours != theirs:
            return f"{theirs:,} against {ours:,} {what}"
    ours, theirs = ([(type(label), label) for label in each.counts.classes.tolist()] for each in (base, other))
    for (_, label), mine, its in zip(ours, ours, theirs, strict=True):
        if mine != its:
            return f"class {label!r} is not in both"
    for what, count in (
        ("samples", lambda each: np.bincount(each.counts.codes, minlength=each.counts.classes.size)),
        ("genuine pairs", lambda each: each.counts.positives),
        ("impostor pairs", lambda each: each.counts.negatives),
    ):
        differs = np.flatnonzero(count(base) != count(other))
        if differs.size:
            label, at = base.counts.classes.tolist()[differs[0]], differs[0]
            return f"class {label!r} has {count(other)[at]:,} {what} against {count(base)[at]:,}"
    return ""
