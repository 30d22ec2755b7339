"""Static figures for papers and notebooks, in matplotlib; each draws on the axes it is given and returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from evenmatch.measures import Consistency, Curve
from evenmatch.measures import utility as utility_of
from evenmatch.pairs import PairCounts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["class_rates", "det", "utility"]

# Okabe-Ito: told apart with any colour vision
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_MOST_CURVES = 400
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
