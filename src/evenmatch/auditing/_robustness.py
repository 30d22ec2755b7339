"""em.robustness: how far a shipped threshold carries when the data get worse."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.auditing._debias import noise_of
from evenmatch.auditing._progress import progress_bar
from evenmatch.auditing._run import _as_set
from evenmatch.embeddings import EmbeddingSet, atomic_path, require_writable
from evenmatch.errors import InputError
from evenmatch.measures import check_arguments, consistency, debiased_opis, rates_at
from evenmatch.pairs import count_pairs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["DISTURBANCES", "Robustness", "robustness"]

#: what is done to the data, and the levels that are tried
DISTURBANCES: Mapping[str, tuple[float, ...]] = {
    "embedding noise": (0.1, 0.2, 0.4),
    "wrong labels": (0.01, 0.05, 0.1),
    "outliers": (0.01, 0.05, 0.1),
    "fewer samples": (0.25, 0.5, 0.75),
}
_FEWEST_SAMPLES = 2


@dataclass(frozen=True, eq=False)
class Robustness:
    """FAR and FRR at one threshold, and OPIS, on disturbed copies of the data; made by `robustness`.

    Attributes:
        threshold: accept iff score ≥ threshold, the same throughout.
        table: one row a disturbance and level (the first, ``"none"`` at 0, is the data as they are): ``disturbance``,
            ``level``, ``far``, ``frr``, ``opis``, ``opis_debiased`` (NaN where undefined), means over the repeats, and
            ``far_deviation``, ``frr_deviation``, ``opis_deviation``, their standard deviations (NaN of one).
        repeats: how often each was drawn.
    """

    threshold: float
    table: pd.DataFrame
    repeats: int

    @property
    def worst(self) -> dict[str, tuple[str, float]]:
        """For FAR, FRR and OPIS the disturbance and level that raise it most."""
        rows = {name: self.table.loc[self.table[name].idxmax()] for name in ("far", "frr", "opis")}
        return {name: (str(row["disturbance"]), float(row["level"])) for name, row in rows.items()}

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold; NaN is None."""
        rows = [
            {str(name): None if value != value else value for name, value in row.items()}
            for row in self.table.to_dict("records")
        ]
        worst = {name: list(found) for name, found in self.worst.items()}
        return {"threshold": self.threshold, "repeats": self.repeats, "worst": worst, "rows": rows}

    def plot(self, quantity: str = "far", ax: Axes | None = None) -> Axes:
        """Draw ``far``, ``frr``, ``opis`` or ``opis_debiased`` over the level, a line for each disturbance.

        Raises:
            InputError: another quantity.
        """
        if quantity not in ("far", "frr", "opis", "opis_debiased"):
            raise InputError(f"quantity {quantity!r} is unknown; use 'far', 'frr', 'opis' or 'opis_debiased'")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        start = float(self.table[quantity].iloc[0])
        for name, rows in self.table.iloc[1:].groupby("disturbance", sort=False):
            ax.plot([0, *rows["level"]], [start, *rows[quantity]], marker="o", label=str(name))
        ax.axhline(start, color="0.6", linewidth=1)
        ax.set_xlabel("level of the disturbance")
        ax.set_ylabel({"far": "FAR", "frr": "FRR", "opis": "OPIS"}.get(quantity, "debiased OPIS"))
        ax.legend()
        return ax

    def save_figure(self, path: str | Path) -> None:
        """Draw FAR, FRR and OPIS side by side to a ``.png``, ``.pdf`` or ``.svg``, whole or not at all.

        Raises:
            InputError: another suffix, or a folder that cannot be written to.
        """
        require_writable(path, (".png", ".pdf", ".svg"))
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        for quantity, ax in zip(("far", "frr", "opis"), figure.subplots(1, 3), strict=True):
            self.plot(quantity, ax)
            ax.get_legend().remove()
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(DISTURBANCES))
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200)


def robustness(
    embeddings: Any,
    labels: Any = None,
    *,
    threshold: float | None = None,
    disturbances: Mapping[str, Sequence[float]] | None = None,
    repeats: int = 3,
    metric: str = "cosine",
    far: tuple[float, float] = (1e-2, 1e-1),
    seed: int = 0,
    threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> Robustness:
    """Disturb the data and see what the shipped threshold and OPIS do.

    Levels are shares: ``"embedding noise"`` adds Gaussian noise whose length is this share of each vector's;
    ``"wrong labels"`` gives this share of the samples the label of a random sample of another class; ``"outliers"``
    replaces this share by random directions of the same length; ``"fewer samples"`` drops this share of every class
    (two samples always stay), which changes no rate on average but raises OPIS by its sampling noise: see
    ``opis_debiased``. Every row is a full count of all pairs: the cost is that of ``1 + repeats × levels`` audits.

    A bad value: if FAR or FRR leaves its bound at a level that you expect in use, fix the threshold with a margin
    (`calibrate` with ``guarantee="upper"``), or on data with that disturbance.

    Args:
        embeddings: ``(n, d)``, or an `EmbeddingSet` with labels.
        labels: ``(n,)`` hashable scalars.
        threshold: the shipped one, finite; by default the lowest with FAR ≤ min(far) on the data as they are.
        disturbances: name → levels in (0, 1] (below 1 for fewer samples); by default three levels of each of the four.
        repeats: random draws of each, at least 1.
        metric: ``"cosine"`` or ``"euclidean"``.
        far: the false accept rates that bound the calibration range of OPIS, on each disturbed copy.
        seed: of the draws, at least 0.
        threads: CPU threads.
        progress: True for a bar on stderr, or a function of the share done in [0, 1].

    Raises:
        InputError: the data or an argument cannot be used, or a disturbed copy has no calibration range.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> codes = np.repeat(np.arange(30), 8)
        >>> x = rng.normal(size=(30, 16))[codes] + 0.5 * rng.normal(size=(240, 16))
        >>> found = robustness(x, codes, disturbances={"embedding noise": [0.5]}, repeats=1)
        >>> bool(found.table["frr"][1] > found.table["frr"][0])
        True
    """
    wanted = DISTURBANCES if disturbances is None else disturbances
    for name, levels in wanted.items():
        if name not in DISTURBANCES:
            raise InputError(f"disturbance {name!r} is unknown; use {', '.join(map(repr, DISTURBANCES))}")
        if not len(levels) or any(not 0 < x <= 1 or (name == "fewer samples" and x == 1) for x in levels):
            raise InputError(f"{name} has levels {tuple(levels)}; give shares above 0 and at most 1 (all cannot drop)")
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; draw each disturbance at least once")
    if threshold is not None and not math.isfinite(threshold):
        raise InputError(f"threshold is {threshold:g}; give a finite number in the range of the scores")
    if seed < 0:
        raise InputError(f"seed is {seed}; give 0 or more")
    check_arguments(far, 1.0, 0.1)
    data = _as_set(embeddings, labels, None, "embeddings", "labels").without_groups()
    exactly = () if threshold is None else (threshold,)
    if threshold is None:
        found = count_pairs(data, metric=metric, far=far, threads=threads)
        threshold = float(found.grid.threshold(found.index_at_far(min(far))))
        if metric != "cosine":  # whose grid is that of every copy
            exactly = (threshold,)

    def judged(part: EmbeddingSet) -> dict[str, float]:
        counts = count_pairs(part, metric=metric, far=far, thresholds=exactly, threads=threads)
        result = consistency(counts, far=far)
        noise = noise_of(part, counts, result, metric, 1.0, threads)
        debiased = debiased_opis(counts, result, noise).value
        accepted, rejected = rates_at(counts, threshold)
        return {
            "far": accepted,
            "frr": rejected,
            "opis": result.opis,
            "opis_debiased": np.nan if debiased is None else debiased,
        }

    total = 1 + repeats * sum(len(levels) for levels in wanted.values())
    rows = []
    with progress_bar("Disturbing the data", progress) as report:
        rows.append(_row("none", 0.0, [judged(data)]))
        done = 1
        for index, (name, levels) in enumerate(wanted.items()):
            for level in levels:
                values = []
                for repeat in range(repeats):
                    rng = np.random.default_rng([seed, index, round(1e6 * level), repeat])
                    values.append(judged(_disturbed(data, name, float(level), rng)))
                    done += 1
                    if report is not None:
                        report(done / total)
                rows.append(_row(name, float(level), values))
    import pandas as pd

    return Robustness(threshold, pd.DataFrame(rows), repeats)


def _row(name: str, level: float, values: list[dict[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"disturbance": name, "level": level}
    row |= {key: float(np.mean([value[key] for value in values])) for key in values[0]}
    for key in ("far", "frr", "opis"):
        row[f"{key}_deviation"] = statistics.stdev(value[key] for value in values) if len(values) > 1 else np.nan
    return row


def _disturbed(data: EmbeddingSet, name: str, level: float, rng: np.random.Generator) -> EmbeddingSet:
    vectors, codes = np.asarray(data.vectors, dtype=np.float32), data.codes
    if name == "fewer samples":
        return EmbeddingSet.from_arrays(vectors[kept := _kept(codes, level, rng)], data.classes[codes[kept]])
    if name == "embedding noise":
        return EmbeddingSet.from_arrays(vectors + level * _directions(vectors, rng), data.classes[codes])
    chosen = rng.choice(data.n, max(1, round(level * data.n)), replace=False)
    if name == "outliers":
        vectors = vectors.copy()
        vectors[chosen] = _directions(vectors[chosen], rng)
        return EmbeddingSet.from_arrays(vectors, data.classes[codes])
    return EmbeddingSet.from_arrays(vectors, data.classes[_mislabelled(codes, chosen, rng)])


def _mislabelled(codes: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes in which each of the chosen samples has that of a random sample of another class."""
    ordered, sizes = np.sort(codes), np.bincount(codes)
    starts, own = np.cumsum(sizes) - sizes, codes[chosen]
    drawn = rng.integers(0, codes.size - sizes[own])
    wrong = codes.copy()
    wrong[chosen] = ordered[drawn + np.where(drawn >= starts[own], sizes[own], 0)]  # past the class's own samples
    return wrong


def _directions(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random directions, each as long as its vector."""
    drawn = rng.standard_normal(vectors.shape, dtype=np.float32)
    return drawn * (np.linalg.norm(vectors, axis=1) / np.linalg.norm(drawn, axis=1))[:, None]


def _kept(codes: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """All but a share of every class, and two samples of it at least, in their order."""
    order = rng.permutation(codes.size)
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(codes.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    limit = np.maximum(np.round((1 - level) * sizes), np.minimum(sizes, _FEWEST_SAMPLES))
    return np.sort(order[rank < np.repeat(limit, sizes)])
