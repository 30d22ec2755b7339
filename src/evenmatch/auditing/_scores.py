"""em.audit_scores: a fixed list of scored pairs in, ScoreAudit out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evenmatch.errors import InputError
from evenmatch.measures import FoldAccuracy, PairRates, differential, fold_accuracy, pair_rates, rates_by_unit

__all__ = ["ScoreAudit", "audit_scores"]

_FEWEST_ERRORS = 30

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class ScoreAudit:
    """What a fixed list of scored pairs says; made by `audit_scores`.

    Attributes:
        genuine, impostor: pairs of each kind.
        rates: one entry a FAR asked for, with the threshold and the realised rates.
        intervals: for each of them ``(FAR interval, TAR interval)``, each None where no units are given or too few, or
            where no pair of the kind is accepted, or every one: the list does not say what a longer one would show.
        units: what the intervals leave out one at a time: ``"fold"``, ``"class"``, ``"group"`` or None.
        folds: accuracy by fold, or None without folds.
        groups: group → (FAR, FRR) at the first threshold; empty without groups, NaN without such pairs.
        eer: the rate at which FAR and FRR differ least, their mean.
        confidence: of the intervals.
    """

    genuine: int
    impostor: int
    rates: tuple[PairRates, ...]
    intervals: tuple[tuple[Interval | None, Interval | None], ...]
    units: str | None
    folds: FoldAccuracy | None
    groups: dict[Any, tuple[float, float]]
    eer: float
    confidence: float

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold; ``+inf`` and NaN are None."""
        rows = []
        for rate, interval in zip(self.rates, self.intervals, strict=True):
            row: dict[str, Any] = {**asdict(rate), "threshold": _finite(rate.threshold)}
            row["far_interval"], row["tar_interval"] = (None if each is None else list(each) for each in interval)
            row["enough_impostors"] = rate.target * self.impostor >= _FEWEST_ERRORS
            rows.append(row)
        columns = zip(*self.groups.values(), strict=True) if self.groups else ()
        found = [differential(np.array(column)) for column in columns]
        names = [str(name) for name in self.groups]
        return {
            "genuine": self.genuine,
            "impostor": self.impostor,
            "eer": self.eer,
            "tar_at_far": rows,
            "units": self.units,
            "confidence": self.confidence,
            "accuracy": None
            if self.folds is None
            else {
                "mean": self.folds.mean,
                "standard_error": self.folds.standard_error,
                "folds": self.folds.accuracy.tolist(),
                "thresholds": [_finite(value) for value in self.folds.thresholds.tolist()],
            },
            "groups": [
                {"group": str(name), "far": _finite(far), "frr": _finite(frr)}
                for name, (far, frr) in self.groups.items()
            ],
            "differentials": {
                name: None
                if each is None
                else {
                    **asdict(each),
                    "difference": each.difference,
                    "highest_group": names[each.highest_group],
                    "lowest_group": names[each.lowest_group],
                }
                for name, each in zip(("far", "frr"), found, strict=False)
            },
        }


def audit_scores(
    scores: Any,
    same: Any,
    *,
    groups: Any = None,
    classes: Any = None,
    folds: Any = None,
    far: float | Sequence[float] = (1e-2, 1e-3, 1e-4),
    confidence: float = 0.95,
) -> ScoreAudit:
    """Judge a fixed list of scored pairs, as face verification protocols do.

    With ``folds`` the accuracy is that of LFW: on every fold at the threshold that is best on the others, mean ±
    standard error of the folds. TAR@FAR is that of IJB (Maze et al., IARPA Janus Benchmark C, ICB 2018), whose scores
    are of pairs of templates: the threshold of a FAR is the lowest score that keeps it on this list, nothing is
    interpolated, and the realised FAR is reported.

    Pairs that share a subject are not independent. Intervals therefore leave out one fold, else one class, else one
    group at a time (the first of these that is given) and hold as far as pairs of different units are independent;
    without any there is no interval. The threshold stays as chosen. OPIS needs all pairs of a set: see `audit`.

    Args:
        scores: ``(p,)`` finite similarities, larger = more alike.
        same: ``(p,)`` bool or 0/1, whether the pair is genuine.
        groups: ``(p,)`` a label of each pair (domain, demographic).
        classes: ``(p,)`` the subject of each pair; of an impostor pair the one who is claimed.
        folds: ``(p,)`` fold of each pair, two or more.
        far: one or several false accept rates in [0, 1]; groups are judged at the threshold of the first.
        confidence: of the intervals, in (0, 1).

    Raises:
        InputError: lengths differ, a score is not finite, all pairs are of one kind, or a fold leaves none of a kind.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> same = np.arange(2000) % 2 == 0
        >>> found = audit_scores(rng.normal(size=2000) + 3 * same, same, folds=np.arange(2000) // 200, far=[0.01])
        >>> 0.9 < found.folds.mean < 0.97 and found.rates[0].far <= 0.01
        True
    """
    values = _column(scores, "scores", None)
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise InputError(f"scores are of type {values.dtype}; give real numbers")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"score {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite; drop or repair the pair")
    kind = _column(same, "same", values.size)
    if not np.isin(kind, [0, 1]).all():
        raise InputError("same has values other than True, False, 1 and 0; say for each pair whether it is genuine")
    genuine = kind.astype(bool)
    if genuine.all() or not genuine.any():
        raise InputError("all pairs are of one kind; give genuine and impostor pairs")
    targets = np.atleast_1d(np.asarray(far, dtype=np.float64)).tolist()
    if not targets or any(not 0 <= rate <= 1 for rate in targets):
        raise InputError(f"far is {tuple(targets)}; give at least one false accept rate between 0 and 1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")
    given = {"fold": folds, "class": classes, "group": groups}
    codes = {name: _codes(part, f"{name}s", values.size) for name, part in given.items() if part is not None}
    accuracy = None
    if "fold" in codes:
        accuracy = fold_accuracy(values, genuine, _checked_folds(*codes["fold"], genuine))
    rates = tuple(pair_rates(values, genuine, rate) for rate in targets)
    units = next(iter(codes), None)
    intervals = tuple(
        (None, None) if units is None else _intervals(values >= rate.threshold, genuine, codes[units][1], confidence)
        for rate in rates
    )
    by_group: dict[Any, tuple[float, float]] = {}
    if "group" in codes:
        accepted = values >= rates[0].threshold
        for code, name in enumerate(codes["group"][0].tolist()):
            inside = codes["group"][1] == code
            by_group[name] = _share(accepted[inside & ~genuine]), _share(~accepted[inside & genuine])
    return ScoreAudit(
        int(genuine.sum()), int((~genuine).sum()), rates, intervals, units, accuracy, by_group, _eer(values, genuine),
        confidence,
    )  # fmt: skip


def _column(values: Any, name: str, size: int | None) -> np.ndarray:
    column = np.asarray(values)
    if column.ndim != 1 or not column.size:
        raise InputError(f"{name} has shape {column.shape}; give one value for each pair")
    if size is not None and column.size != size:
        raise InputError(f"{name} has {column.size} values for {size} scores; give one for each pair")
    return column


def _codes(values: Any, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Names in order, and the place of each pair's among them."""
    import pandas as pd

    column = _column(values if hasattr(values, "dtype") else np.array(values, dtype=object), name, size)
    if (missing := pd.isna(column)).any():
        raise InputError(f"{name} has no value for pair {missing.argmax()}; drop the pair or give it one")
    codes, names = pd.factorize(column, sort=True)
    return np.asarray(names), codes


def _checked_folds(names: np.ndarray, codes: np.ndarray, genuine: np.ndarray) -> np.ndarray:
    if names.size < 2:
        raise InputError("all pairs are in one fold; the threshold is chosen on the other folds: give two or more")
    for fold, name in enumerate(names.tolist()):
        rest = genuine[codes != fold]
        if rest.all() or not rest.any():
            raise InputError(f"without fold {name} all pairs are of one kind; spread both kinds over the folds")
    return codes


def _intervals(
    accepted: np.ndarray, genuine: np.ndarray, units: np.ndarray, confidence: float
) -> tuple[Interval | None, Interval | None]:
    far = rates_by_unit(accepted[~genuine], units[~genuine], confidence)
    return far, rates_by_unit(accepted[genuine], units[genuine], confidence)


def _eer(scores: np.ndarray, genuine: np.ndarray) -> float:
    candidates = np.append(np.unique(scores), np.inf)
    impostors, positives = np.sort(scores[~genuine]), np.sort(scores[genuine])
    far = 1 - np.searchsorted(impostors, candidates) / impostors.size
    frr = np.searchsorted(positives, candidates) / positives.size
    at = int(np.argmin(np.abs(far - frr)))
    return float((far[at] + frr[at]) / 2)


def _share(part: np.ndarray) -> float:
    return float(part.mean()) if part.size else float("nan")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
