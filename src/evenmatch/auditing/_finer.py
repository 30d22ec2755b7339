"""The measures beside OPIS as a dict that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evenmatch.measures import Differential, RateGaps, group_differentials, own_thresholds, rate_gaps

if TYPE_CHECKING:
    from evenmatch.auditing._audit import Audit

__all__ = ["finer_measures"]


def finer_measures(audit: Audit) -> dict[str, Any]:
    """Gaps between classes, the classes' own thresholds and differences between groups, at the audit's threshold."""
    names = audit.counts.classes.tolist()
    gaps = dict(zip(("far", "frr"), rate_gaps(audit.counts, audit.threshold), strict=True))
    own = own_thresholds(audit.consistency)
    return {
        "gaps": {name: _gaps(found, names) for name, found in gaps.items()},
        "own_thresholds": {
            "deviation": own.deviation,
            "quantile_gap": own.quantile_gap,
            "at_edge": own.at_edge,
            "utility_lost": own.utility_lost,
            "common": own.common,
        },
        "differentials": _differentials(audit),
    }


def _gaps(found: RateGaps, names: list[Any]) -> dict[str, Any]:
    return {**asdict(found), "gap": found.gap, "worst_class": _label(names[found.worst_class])}


def _differentials(audit: Audit) -> dict[str, Any] | None:
    groups = audit.counts.groups
    if groups is None:
        return None
    names = groups.names.tolist()
    found = group_differentials(audit.counts, audit.threshold)
    rates = {"far": found.far, "far_within": found.far_within, "frr": found.frr}
    return {
        **{name: None if rate is None else _differential(rate, names) for name, rate in rates.items()},
        "fairness_discrepancy_rate": found.fairness_discrepancy_rate(),
        "garbe": found.garbe(),
    }


def _differential(found: Differential, names: list[Any]) -> dict[str, Any]:
    return {
        **asdict(found),
        "difference": found.difference,
        "highest_group": _label(names[found.highest_group]),
        "lowest_group": _label(names[found.lowest_group]),
    }


def _label(name: Any) -> str | int | bool:
    return name if isinstance(name, str | int | bool) else str(name)
