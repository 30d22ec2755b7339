"""Static figures for papers and notebooks, in matplotlib; each draws on the axes it is given and returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from evenmatch.measures import Consistency, Curve, pareto_front
from evenmatch.measures import utility as utility_of
from evenmatch.pairs import PairCounts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["class_rates", "classes", "det", "pareto", "scores", "utility"]

# Okabe-Ito: told apart with any colour vision
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_MOST_CURVES = 400
_SCORE_BINS = 160
_DET_TOP = 0.6  # beyond this a threshold is of no use to anyone


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.2, 3.6), layout="constrained")[1]


def _plain(label: object) -> str:
    """A class label as matplotlib text: no mathtext, no endless names."""
    text = str(label).replace("$", r"\$")
    return text if len(text) <= 40 else text[:39] + "…"


def utility(counts: PairCounts, result: Consistency, beta: float, ax: Axes | None = None) -> Axes:
    """Utility of each class over the threshold at every counted threshold, the calibration range shaded.

    Of more than 400 classes, evenly spread ones (by mean utility) are drawn, always with the worst.
    """
    from matplotlib.collections import LineCollection

    axes = _axes(ax)
    order = result.defined[np.argsort(result.class_utility[result.defined], kind="stable")]
    drawn = order[np.unique(np.linspace(0, order.size - 1, min(order.size, _MOST_CURVES)).astype(int))]
    tar = counts.positives_accepted[drawn] / counts.positives[drawn, None]
    tnr = 1 - counts.negatives_accepted[drawn] / counts.negatives[drawn, None]
    curves = utility_of(tar, tnr, beta)
    lines = [np.column_stack([counts.thresholds, curve]) for curve in curves]
    axes.axvspan(*result.range, color=_ORANGE, alpha=0.15, lw=0, label="calibration range")
    axes.add_collection(
        LineCollection(lines, colors=_GREY, linewidths=0.6, alpha=max(0.15, min(1.0, 30 / len(lines)))), autolim=True
    )
    axes.plot(result.thresholds, result.mean_curve, color=_BLUE, lw=2, label="mean of classes")
    axes.plot(
        counts.thresholds, curves[0], color=_RED, lw=1.2, ls="--", label=f"worst: {_plain(counts.classes[order[0]])}"
    )
    axes.set_xlim(counts.thresholds[0], counts.thresholds[-1])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("threshold (score)")
    axes.set_ylabel("utility of the class")
    axes.legend(loc="lower left", fontsize=8, framealpha=0.9)
    return axes


def class_rates(by_class: pd.DataFrame, threshold: float, far: float, frr: float, ax: Axes | None = None) -> Axes:
    """FAR against FRR of every class at one threshold; the pooled rates as lines, the worst FAR named."""
    axes = _axes(ax)
    rates = 100 * by_class[["far", "frr"]].to_numpy(dtype=float)
    defined = np.flatnonzero(np.isfinite(rates).all(axis=1))
    x, y = rates[defined].T
    axes.scatter(x, y, s=10, color=_BLUE, alpha=0.6, lw=0, label="one class")
    axes.axvline(100 * far, color=_ORANGE, lw=1.2, label=f"all pairs: FAR {far:.2%}")
    axes.axhline(100 * frr, color=_GREEN, lw=1.2, ls="--", label=f"all pairs: FRR {frr:.2%}")
    if x.size:
        worst = int(np.argmax(x))
        name = _plain(by_class.index.tolist()[defined[worst]])
        at = (x[worst], y[worst])
        axes.annotate(name, at, xytext=(-5, 4), textcoords="offset points", fontsize=8, ha="right")
    axes.set_xlabel(f"false accepts of the class at {threshold:.4f} (%)")
    axes.set_ylabel("false rejects of the class (%)")
    axes.margins(0.06)
    axes.legend(loc="upper right", fontsize=8, framealpha=0.9)
    return axes


def det(curve: Curve, eer: float, ax: Axes | None = None) -> Axes:
    """Detection error trade-off: FRR against FAR on normal-deviate axes (Martin et al., Eurospeech 1997)."""
    axes = _axes(ax)
    kept = (curve.far > 0) & (curve.far < _DET_TOP) & (curve.frr > 0) & (curve.frr < _DET_TOP)
    x, y = ndtri(curve.far[kept]), ndtri(curve.frr[kept])
    axes.plot(x, y, color=_BLUE, lw=1.8, label="all pairs")
    if 0 < eer < 1:
        at = ndtri(eer)
        axes.plot([at], [at], "o", color=_RED, ms=5, label=f"EER {eer:.2%}")
    ticks = np.array([1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6])
    for axis, values in ((axes.xaxis, x), (axes.yaxis, y)):
        low, high = (values.min(), values.max()) if values.size else (-3.0, 3.0)
        shown = ticks[(ndtri(ticks) >= low - 0.2) & (ndtri(ticks) <= high + 0.2)]
        axis.set_ticks(ndtri(shown), labels=[f"{100 * tick:g}" for tick in shown])
    axes.tick_params(axis="x", labelrotation=45)
    axes.grid(alpha=0.3)
    axes.set_xlabel("false accept rate (%)")
    axes.set_ylabel("false reject rate (%)")
    axes.legend(loc="upper right", fontsize=8)
    return axes


def scores(counts: PairCounts, between: tuple[float, float], threshold: float, ax: Axes | None = None) -> Axes:
    """Histograms of the scores of all pairs, each kind adding up to 100%."""
    axes = _axes(ax)
    occupied = np.flatnonzero(counts.pooled_positives + counts.pooled_negatives)
    first, last = int(occupied[0]), int(occupied[-1])
    wide = max(1, -(-(last + 1 - first) // _SCORE_BINS))
    starts = np.arange(first, last + 1, wide)
    edges = counts.grid.low + np.append(starts, starts[-1] + wide) * counts.grid.step
    axes.axvspan(*between, color=_ORANGE, alpha=0.15, lw=0, label="calibration range")
    for kind, histogram, total, colour, style in (
        ("impostor", counts.pooled_negatives, counts.n_negatives, _RED, ":"),
        ("genuine", counts.pooled_positives, counts.n_positives, _BLUE, "-"),
    ):
        share = 100 * np.add.reduceat(histogram[: last + 1], starts) / total
        axes.stairs(share, edges, color=colour, ls=style, lw=1.5, label=kind)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.15)
    axes.axvline(threshold, color="black", lw=1, ls="--", label=f"threshold {threshold:.4f}")
    axes.set_xlabel("score (similarity)")
    axes.set_ylabel(f"pairs (% per {wide * counts.grid.step:.2g} of score)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", fontsize=8, framealpha=0.9)
    return axes


def classes(by_class: pd.DataFrame, threshold: float, far: float, frr: float, ax: Axes | None = None) -> Axes:
    """FAR and FRR of every class in ascending order; flat lines on the rates of all pairs would be perfect."""
    axes = _axes(ax)
    for name, pooled, colour, style in (("far", far, _RED, "-"), ("frr", frr, _BLUE, "--")):
        rates = np.sort(100 * by_class[name].dropna().to_numpy(dtype=float))
        share = 100 * (np.arange(rates.size) + 0.5) / max(rates.size, 1)
        kind = "accept" if name == "far" else "reject"
        axes.plot(share, rates, color=colour, lw=1.8, ls=style, label=f"false {kind} rate of a class")
        axes.axhline(100 * pooled, color=colour, lw=0.9, ls=":", label=f"of all pairs: {pooled:.2%}")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("classes, lowest rate first (%)")
    axes.set_ylabel(f"rate at threshold {threshold:.4f} (%)")
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9)
    return axes


def pareto(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy against consistency: recall@1 and OPIS of each model with intervals, the Pareto front drawn.

    Args:
        table: indexed by model: ``recall_at_1``, ``opis``, and ``…_low`` and ``…_high`` of both where known.
        ax: axes to draw on.
    """
    axes = _axes(ax)
    x, y = 100 * table["recall_at_1"].to_numpy(dtype=float), table["opis"].to_numpy(dtype=float)
    front = pareto_front(x, y)
    order = np.flatnonzero(front)[np.argsort(x[front], kind="stable")]
    axes.step(x[order], y[order], where="pre", color=_GREEN, lw=1.2, label="Pareto front", zorder=1)
    axes.errorbar(
        x, y, xerr=_reach(table, "recall_at_1", 100), yerr=_reach(table, "opis", 1), fmt="none",
        ecolor=_GREY, elinewidth=1, capsize=2, zorder=2,
    )  # fmt: skip
    axes.scatter(x[front], y[front], s=36, color=_GREEN, zorder=3, label="not beaten in both")
    if not front.all():
        axes.scatter(x[~front], y[~front], s=36, color=_RED, marker="s", zorder=3, label="beaten in both")
    for name, across, up in zip(table.index.tolist(), x, y, strict=True):
        axes.annotate(_plain(name), (across, up), xytext=(6, 5), textcoords="offset points", fontsize=8)
    axes.margins(0.12)
    axes.set_xlabel("recall@1 (%), more is better")
    axes.set_ylabel("OPIS, less is better")
    axes.legend(loc="best", fontsize=8, framealpha=0.9)
    return axes


def _reach(table: pd.DataFrame, name: str, scale: float) -> np.ndarray | None:
    """How far the interval reaches below and above each value, ``(2, m)``; None without intervals."""
    if f"{name}_low" not in table:
        return None
    value, low, high = (scale * table[each].to_numpy(dtype=float) for each in (name, f"{name}_low", f"{name}_high"))
    return np.nan_to_num(np.maximum([value - low, high - value], 0))
