"""The report of one audit as an HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from evenmatch.measures import Consistency, Curve, own_thresholds, touching_pairs
from evenmatch.pairs import GroupCounts, PairCounts
from evenmatch.report._pack import Pack
from evenmatch.report._page import assemble, fact_rows
from evenmatch.report._text import audit_rows, data_line, number, rate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit_page", "columns_of", "det_points"]

_TABLE_CELLS = 2**21
_FEWEST_COLUMNS = 128
_MOST_CURVES = 300
_MATRIX_GROUPS = 40
_DET_POINTS = 500
_LONGEST_NAME = 48
_FEWEST_CLASSES = 10  # of class_intervals
_SCRIPTS = ("core.js", "charts.js", "classes.js", "details.js", "audit.js")


def audit_page(
    summary: dict[str, Any],
    counts: PairCounts,
    result: Consistency,
    curve: Curve,
    gallery: dict[str, Any] | None = None,
    confusable: pd.DataFrame | None = None,
) -> bytes:
    """The report: what was measured, and a threshold to move.

    Args:
        summary: of the audit; every number on top is shown as on the terminal.
        counts: the counts.
        result: what `consistency` made of them.
        curve: pooled FAR and FRR over the grid.
        gallery: the worst pairs of some classes as images (see `gallery_of`), or None.
        confusable: ``class``, ``nearest``, ``far`` and ``overlap`` of the classes that are taken for each other most
            easily (see `nearest_classes`), or None.

    Returns:
        A self-contained HTML file in UTF-8.
    """
    pack = Pack()
    columns = columns_of(counts, result)
    _add_classes(pack, counts, result, columns)
    pack.counts("pooledPositives", counts.pooled_positives)
    pack.counts("pooledNegatives", counts.pooled_negatives)
    data = {
        "kind": "audit",
        "summary": summary,
        "names": [str(label) for label in counts.classes.tolist()],
        "grid": {"low": counts.grid.low, "step": counts.grid.step, "size": counts.grid.size},
        "positives": counts.n_positives,
        "negatives": counts.n_negatives,
        "drawn": _drawn(result),
        "det": det_points(curve),
        "groups": None if counts.groups is None else _add_groups(pack, counts.groups, columns),
        "gallery": gallery,
    }
    title = f"{summary['data']['name'] or 'embeddings'}: one threshold for every class?"
    fill = {
        "headline": escape(summary["headline"]),
        "measured": escape(data_line(summary)),
        "tiles": _tiles(summary),
        "facts": fact_rows(audit_rows(summary)),
        "confidence": f"{100 * summary['settings']['confidence']:g}%",
        "groups_hidden": "hidden" if counts.groups is None else "",
        "gallery_hidden": "hidden" if gallery is None else "",
        "confusable_hidden": "hidden" if confusable is None else "",
        "confusable": "" if confusable is None else _pairs_of_classes(confusable),
        "threshold": f"{summary['threshold']:.6g}",
    }
    return assemble("audit.html", _SCRIPTS, title=title, fill=fill, data=data, pack=pack)


def _pairs_of_classes(table: pd.DataFrame) -> str:
    def named(label: Any) -> str:
        text = str(label)
        return f"<bdi>{escape(text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + '…')}</bdi>"

    rows = zip(table["class"], table["nearest"], table["far"], table["overlap"], strict=True)
    return "".join(
        f'<tr><td>{named(label)}</td><td>{named(other)}</td><td class="num">{rate(far)}</td>'
        f'<td class="num">{rate(None if overlap != overlap else overlap)}</td></tr>'
        for label, other, far, overlap in rows
    )


def columns_of(counts: PairCounts, result: Consistency) -> np.ndarray:
    """Which class thresholds go into the page: all of them, or evenly spread ones where there are many classes.

    The ends of the calibration range and thresholds of the user's own between those of the grid always stay.
    """
    size = counts.thresholds.size
    most = max(_FEWEST_COLUMNS, _TABLE_CELLS // max(counts.classes.size, 1))
    if size <= most:
        return np.arange(size)
    spread = np.searchsorted(counts.thresholds, np.linspace(counts.thresholds[0], counts.thresholds[-1], most))
    off_grid = np.array([abs(counts.grid.threshold(_above(counts, t)) - t) > 1e-6 * counts.grid.step
                         for t in counts.thresholds.tolist()])  # fmt: skip
    ends = [counts.column(end) for end in result.range]
    return np.unique(np.concatenate([np.clip(spread, 0, size - 1), np.flatnonzero(off_grid), ends]))


def _above(counts: PairCounts, threshold: float) -> int:
    return counts.grid.index_at_or_above(threshold)


def det_points(curve: Curve) -> dict[str, Any]:
    """A DET curve of at most 500 points on normal-deviate axes, and the ticks for both axes."""
    inside = np.flatnonzero((curve.far > 0) & (curve.far < 1) & (curve.frr > 0) & (curve.frr < 1))
    # even steps along the curve, not along the threshold: most thresholds lie where nothing happens
    x, y = ndtri(curve.far[inside]), ndtri(curve.frr[inside])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))]) if inside.size else np.empty(0)
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _DET_POINTS))) if inside.size else []
    ticks = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95]
    at = inside[kept] if len(kept) else inside
    return {
        "x": ndtri(curve.far[at]).round(5).tolist(),
        "y": ndtri(curve.frr[at]).round(5).tolist(),
        "far": curve.far[at].tolist(),
        "frr": curve.frr[at].tolist(),
        "threshold": curve.thresholds[at].tolist(),
        "ticks": {"at": ndtri(ticks).tolist(), "text": [f"{100 * tick:g}" for tick in ticks]},
    }


def _add_classes(pack: Pack, counts: PairCounts, result: Consistency, columns: np.ndarray) -> None:
    pack.floats("thresholds", counts.thresholds[columns])
    pack.counts("n", np.bincount(counts.codes, minlength=counts.classes.size))
    pack.counts("positives", counts.positives)
    pack.counts("negatives", counts.negatives)
    pack.falling("positivesAccepted", counts.positives_accepted[:, columns])
    pack.falling("negativesAccepted", counts.negatives_accepted[:, columns])
    pack.floats("utility", result.class_utility)
    pack.floats("opis", result.class_opis)
    own = np.full(counts.classes.size, np.nan)
    own[result.defined] = own_thresholds(result).thresholds
    pack.floats("ownThreshold", own)
    pack.floats("meanThresholds", result.thresholds)
    pack.floats("meanUtility", result.mean_curve)


def _drawn(result: Consistency) -> list[int]:
    """Classes whose utility curve is drawn: evenly spread by mean utility, from the worst to the best."""
    order = result.defined[np.argsort(result.class_utility[result.defined], kind="stable")]
    return order[np.unique(np.linspace(0, order.size - 1, min(order.size, _MOST_CURVES)).astype(int))].tolist()


def _add_groups(pack: Pack, groups: GroupCounts, columns: np.ndarray) -> dict[str, Any]:
    """Pairs that touch each group, pairs within it, and the matrix of the largest groups."""
    accepted = groups.negatives_accepted[:, :, columns]
    pack.counts("groupSizes", groups.sizes)
    pack.counts("groupPositives", touching_pairs(groups, groups.positives))
    pack.counts("groupNegatives", touching_pairs(groups, groups.negatives))
    pack.counts("groupWithin", np.diagonal(groups.negatives))
    pack.falling("groupPositivesAccepted", touching_pairs(groups, groups.positives_accepted[:, :, columns]))
    pack.falling("groupNegativesAccepted", touching_pairs(groups, accepted))
    pack.falling("groupWithinAccepted", np.einsum("iit->it", accepted))
    shown = np.sort(np.argsort(-groups.sizes, kind="stable")[:_MATRIX_GROUPS])
    cells = np.ix_(shown, shown)
    pack.counts("matrixNegatives", groups.negatives[cells])
    pack.falling("matrixAccepted", accepted[cells].reshape(shown.size**2, -1))
    return {
        "names": [str(name) for name in groups.names.tolist()],
        "shown": shown.tolist(),
        "directed": groups.directed,
    }


def _tiles(summary: dict[str, Any]) -> str:
    """The four numbers that people ask for first, with their intervals."""
    intervals = summary["intervals"]
    estimate = " (estimate)" if summary["measured"]["estimate"] else ""
    k, recall = next(iter(summary["recall_at_k"].items()))
    alike = "0 = one threshold serves all classes alike"
    if summary["opis_debiased"] is not None:
        without, ends = number(summary["opis_debiased"]), intervals.get("opis_debiased")
        without += "" if ends is None else f" ({_interval(ends, number)})"
        alike += f"; debiased, to compare data sets with other class sizes: {without}"
    tiles = [
        (f"OPIS{estimate}", number(summary["opis"]), "opis", number, alike),
        (f"ε-OPIS{estimate}", number(summary["eps_opis"]), "eps_opis", number,
         f"the same for the worst {100 * summary['settings']['eps']:g}% of the classes"),
        (f"recall@{k}", rate(recall), f"recall_at_{k}", rate, "the right class is among the nearest"),
        ("EER", rate(summary["eer"]), "eer", rate, f"at threshold {summary['eer_threshold']:.6f}"),
    ]  # fmt: skip
    return "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong>'
        f'<span class="interval">{_interval_or_reason(summary, key, show)}</span>'
        f'<span class="note">{escape(note)}</span></dd></div>'
        for name, value, key, show, note in tiles
    )


def _interval_or_reason(summary: dict[str, Any], key: str, show: Any) -> str:
    if key in summary["intervals"]:
        return _interval(summary["intervals"][key], show)
    if key.startswith("recall_at_") and key != "recall_at_1":
        return "no interval: only recall@1 has one"
    if key == "recall_at_1" and summary["measured"]["estimate"]:
        return "not estimated"
    if summary["data"]["n_classes"] < _FEWEST_CLASSES:
        return f"no interval: fewer than {_FEWEST_CLASSES} classes"
    return "no interval: the classes were not counted there"


def _interval(interval: list[float], show: Any) -> str:
    return f"{show(interval[0])} to {show(interval[1])}"
