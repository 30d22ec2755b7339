"""The report of a comparison as an HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from evenmatch.measures import Consistency, Curve, rates_at, threshold_at_far
from evenmatch.pairs import PairCounts
from evenmatch.report._audit_page import det_points
from evenmatch.report._card import comparison_table
from evenmatch.report._pack import Pack
from evenmatch.report._page import assemble
from evenmatch.report._text import number, rate

__all__ = ["ComparedModel", "compare_page", "comparison_headline"]

_STOPS_A_DECADE = 12
_FEWEST_ERRORS = 30
_SCRIPTS = ("core.js", "charts.js", "classes.js", "compare.js")


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """What the page needs of each model."""

    counts: PairCounts
    result: Consistency
    curve: Curve


def comparison_headline(summary: dict[str, Any]) -> str:
    """What the other models do to consistency and accuracy, a sentence each."""
    base = summary["models"][summary["baseline"]]
    sentences = []
    for name, differences in summary["differences"].items():
        model, change = summary["models"][name], differences["opis"]
        interval = change["interval"]
        verb = "lowers" if change["difference"] < 0 else "raises"
        if interval is not None and interval[0] <= 0 <= interval[1]:
            verb = "does not clearly change"
        sentences.append(
            f"{name} {verb} OPIS ({number(base['opis'])} → {number(model['opis'])}); recall@1 is "
            f"{rate(model['recall_at_1'])} against {rate(base['recall_at_1'])} of {summary['baseline']}."
        )
    return " ".join(sentences)


def compare_page(summary: dict[str, Any], models: Mapping[str, ComparedModel]) -> bytes:
    """The page: quantities side by side, accuracy against consistency, classes that got better and worse.

    One slider moves all models: to a false accept rate of all pairs, since the same threshold means nothing across
    models. Each model then takes its own lowest threshold that keeps this rate.

    Args:
        summary: of the comparison.
        models: the same models, in the same order.

    Returns:
        A self-contained HTML file in UTF-8.
    """
    pack = Pack()
    every = list(models.values())
    labels = _common(every)
    targets = _targets(every, summary["far"])
    described = []
    for k, (name, model) in enumerate(models.items()):
        stops, columns = _stops(model.counts, targets)
        rows = _rows(model.counts, labels)
        pack.floats(f"{k}.utility", model.result.class_utility[rows])
        pack.counts(f"{k}.positives", model.counts.positives[rows])
        pack.counts(f"{k}.negatives", model.counts.negatives[rows])
        pack.counts(f"{k}.n", np.bincount(model.counts.codes, minlength=model.counts.classes.size)[rows])
        pack.falling(f"{k}.positivesAccepted", model.counts.positives_accepted[np.ix_(rows, columns)])
        pack.falling(f"{k}.negativesAccepted", model.counts.negatives_accepted[np.ix_(rows, columns)])
        described.append({"name": name, "stops": stops, "det": det_points(model.curve)})
    data = {
        "kind": "comparison",
        "summary": summary,
        "names": [str(label) for label in labels],
        "targets": targets,
        "start": targets.index(min(summary["far"])),
        "models": described,
    }
    fill = {
        "headline": escape(summary["headline"]),
        "table": comparison_table(summary).replace(' style="text-align:left"', ""),
        "confidence": f"{100 * summary['confidence']:g}%",
        "different_hidden": "hidden" if summary["same_test_set"] else "",
    }
    title = "Which model fits one threshold? " + ", ".join(summary["models"])
    return assemble("compare.html", _SCRIPTS, title=title, fill=fill, data=data, pack=pack)


def _common(models: list[ComparedModel]) -> list[Any]:
    """The classes that all models have, in the order of the first."""
    shared = set.intersection(*(set(model.counts.classes.tolist()) for model in models))
    return [label for label in models[0].counts.classes.tolist() if label in shared]


def _rows(counts: PairCounts, labels: list[Any]) -> np.ndarray:
    index = {label: row for row, label in enumerate(counts.classes.tolist())}
    return np.array([index[label] for label in labels], dtype=int)


def _targets(models: list[ComparedModel], ends: list[float]) -> list[float]:
    """False accept rates to stop at, loosest first: as low as the pairs of all models can speak of."""
    lowest = max(_FEWEST_ERRORS / model.counts.n_negatives for model in models)
    last = max(math.ceil(math.log10(lowest) * _STOPS_A_DECADE), -6 * _STOPS_A_DECADE)
    even = [float(f"{10 ** (step / _STOPS_A_DECADE):.2g}") for step in range(-3, min(last, -4) - 1, -1)]
    return sorted({*even, *ends}, reverse=True)


def _stops(counts: PairCounts, targets: list[float]) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Where a model stops for each target, and the class thresholds among these.

    Between the loosest and the strictest class threshold the stop is the lowest one of them that keeps the target, so
    that all numbers belong to one threshold; elsewhere it is that of the grid, and no class was counted there.
    """
    slack = 1e-6 * counts.grid.step
    stops: list[dict[str, Any]] = []
    columns: list[int] = []
    for target in targets:
        threshold, place = threshold_at_far(counts, target).threshold, -1
        if counts.thresholds[0] - slack <= threshold <= counts.thresholds[-1] + slack:
            column = int(np.searchsorted(counts.thresholds, threshold - slack))
            threshold = float(counts.thresholds[column])
            if not columns or columns[-1] != column:
                columns.append(column)
            place = len(columns) - 1
        realised = rates_at(counts, threshold)
        shown = threshold if math.isfinite(threshold) else None
        stops.append({"threshold": shown, "far": realised[0], "frr": realised[1], "column": place})
    return stops, np.array(columns, dtype=int)
