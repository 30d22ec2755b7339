"""One threshold for all data sets (the OneFace protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.auditing._audit import Audit
from evenmatch.auditing._precision import refuse_estimate
from evenmatch.auditing._records import records
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import InsufficientCountsError, class_rates_at, rates_at, threshold_at_far
from evenmatch.pairs import PairCounts, count_pairs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AcrossAudit", "audit_across"]

UNION = "union"


@dataclass(frozen=True, eq=False)
class AcrossAudit:
    """What one threshold does to several data sets.

    Attributes:
        threshold: the one for all.
        target: the FAR that it keeps on what it was fixed on.
        fixed_on: the name of that data set, or ``"union"``.
        metric: of the scores.
        table: one row a data set: ``n``, ``classes``, ``far`` and ``tar`` at the one threshold with
            ``far_low … tar_high`` as intervals over classes; ``own_threshold``, ``own_far`` and ``own_tar``, what the
            set's own best threshold for the same FAR gives; ``tar_lost``, own_tar - tar. NaN where only rejecting
            every pair of the set keeps the FAR.
    """

    threshold: float
    target: float
    fixed_on: str
    metric: str
    table: pd.DataFrame

    @property
    def spread(self) -> dict[str, float]:
        """Highest less lowest FAR, TAR and own threshold among the data sets that have one."""
        columns = {"far": "far", "tar": "tar", "threshold": "own_threshold"}
        return {name: _spread(self.table[column].to_numpy(dtype=float)) for name, column in columns.items()}

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold; NaN is None."""
        return {
            "threshold": self.threshold,
            "target": self.target,
            "fixed_on": self.fixed_on,
            "metric": self.metric,
            "spread": {name: None if value != value else value for name, value in self.spread.items()},
            "sets": records(self.table),
        }


def audit_across(
    sets: Mapping[str, EmbeddingSet | Audit],
    *,
    far: float = 1e-3,
    on: str = UNION,
    metric: str = "cosine",
    confidence: float = 0.95,
    threads: int | None = None,
) -> AcrossAudit:
    """Fix one threshold, then look at what it does to each data set: one threshold for all.

    A threshold tuned on every test set by itself hides that one model needs different ones. In the protocol of Liu,
    Yu, Qin, Wu, Liang, Zhao and Li (*OneFace: One Threshold for All*, ECCV 2022) it is fixed once. Pairs are those
    within each set; the union is that of these pairs, so that sets weigh by their pairs and no label is compared across
    sets.

    Args:
        sets: at least two, by name; embeddings or audits.
        far: the false accept rate that the threshold keeps, in [0, 1].
        on: ``"union"``, or the name of the set on which the threshold is fixed.
        metric: ``"cosine"`` or ``"euclidean"``; audits must have it. The union needs ``"cosine"``, whose grid of
            thresholds is the same for all data.
        confidence: of the intervals.
        threads: CPU threads.

    Raises:
        UnreachableTargetError: only rejecting every pair keeps the rate.
        InputError: fewer than two sets, an unknown name, or a set that cannot be counted.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> def made(spread):
        ...     x = rng.normal(size=(40, 16))[np.arange(240) // 6] + spread * rng.normal(size=(240, 16))
        ...     return EmbeddingSet.from_arrays(x, np.arange(240) // 6)
        >>> across = audit_across({"clean": made(0.5), "noisy": made(1.2)}, far=1e-2)
        >>> bool(across.table.tar["clean"] > across.table.tar["noisy"])
        True
    """
    if not 0 <= far <= 1:
        raise UnreachableTargetError(f"a false accept rate of {far:g} cannot be reached; give a rate between 0 and 1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")
    if len(sets) < 2:
        raise InputError(f"sets has {len(sets)} entries; give at least two data sets by name")
    if on != UNION and on not in sets:
        raise InputError(f"on is {on!r}; give {UNION!r} or one of {', '.join(map(repr, sets))}")
    if UNION in sets:
        raise InputError(f"a data set is called {UNION!r}, which stands for all of them; call it something else")
    if on == UNION and metric != "cosine":
        raise InputError(f"the union needs one grid of thresholds, which {metric} has not; fix it on=… one of the sets")
    counts = {name: _counted(name, data, metric, far, threads) for name, data in sets.items()}
    threshold = _threshold(list(counts.values()) if on == UNION else [counts[on]], far)
    rows = {}
    for name, data in sets.items():
        here, own = counts[name], threshold_at_far(counts[name], far)
        if metric != "cosine" and isinstance(data, EmbeddingSet):  # its grid has not this threshold
            here = count_pairs(data, metric=metric, far=(), thresholds=[threshold], threads=threads)
        try:
            rates = class_rates_at(here, threshold)
        except InsufficientCountsError as error:
            if isinstance(data, Audit):
                raise InputError(f"{name}: {error}") from error
            here = count_pairs(data, metric=metric, far=(), thresholds=[threshold], threads=threads)
            rates = class_rates_at(here, threshold)
        realised, rejected = rates_at(here, threshold)
        reached = np.isfinite(own.threshold)
        own_threshold, own_far, own_tar = (own.threshold, own.far, 1 - own.frr) if reached else (np.nan, np.nan, np.nan)
        (far_low, far_high), (frr_low, frr_high) = (rate.interval(confidence) for rate in rates)
        rows[name] = {
            "n": here.codes.size, "classes": here.classes.size, "far": realised, "far_low": far_low,
            "far_high": far_high, "tar": 1 - rejected, "tar_low": 1 - frr_high, "tar_high": 1 - frr_low,
            "own_threshold": own_threshold, "own_far": own_far, "own_tar": own_tar,
            "tar_lost": own_tar - (1 - rejected),
        }  # fmt: skip
    import pandas as pd

    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "set"
    return AcrossAudit(threshold, far, on, metric, table)


def _spread(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.ptp(known)) if known.size else float("nan")


def _counted(name: str, data: EmbeddingSet | Audit, metric: str, far: float, threads: int | None) -> PairCounts:
    if isinstance(data, Audit):
        if data.settings.metric != metric:
            raise InputError(f"{name} was audited with {data.settings.metric} scores, not {metric}; audit it again")
        refuse_estimate(data.counts, f"one threshold for several data sets ({name})")
        return data.counts
    try:
        return count_pairs(data, metric=metric, far=(far,) if 0 < far < 1 else (), threads=threads)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _threshold(counts: list[PairCounts], far: float) -> float:
    """Lowest threshold whose FAR over the negative pairs of all sets is at most the target."""
    accepted = np.sum([each.accepted_negatives for each in counts], axis=0)
    negatives = sum(each.n_negatives for each in counts)
    index = int(np.argmax(accepted / negatives <= far))  # +inf accepts none, so there is one
    if index == counts[0].grid.size:
        raise UnreachableTargetError(
            f"only rejecting every pair gives FAR ≤ {far:g}: {accepted[-2] / negatives:.3%} of the negative pairs have "
            "the highest possible score; look for copies of one item under different labels"
        )
    return float(counts[0].grid.threshold(index))
