"""Plain and debiased OPIS against the truth, where that is known: classes with orthogonal means.

60 classes in 64 dimensions, sample = mean + width · normal noise. The widths of a population are all alike, even
(uniform), or skewed (a sixth of the classes is much wider); in two more, which the estimator had not seen while it was
made, half of the classes are wide (halves) or the widths are log-normal. The true OPIS of the 60 classes drawn follows
from P(score ≥ t) for every pair of widths, from 400,000 independent pairs each; it involves no audit.

A trial draws widths and samples, counts all pairs, and takes OPIS, debiased OPIS and its 95% interval as an audit does.
"Coverage" is the share of trials whose interval holds the mean true OPIS of 60 such classes.

    python studies/debiased/simulated.py        320 trials a row, about 8 minutes on one core
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
from datetime import date
from pathlib import Path

import numpy as np
from scipy.interpolate import make_interp_spline

import evenmatch
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import consistency, debiased_opis, noise_thresholds, sampling_noise
from evenmatch.pairs import count_pairs, sample_scatter

HERE = Path(__file__).parent
CLASSES, DIM = 60, 64
SIZES = {"5": (5,), "10": (10,), "20": (20,), "50": (50,), "4 to 20": tuple(range(4, 21))}
POPULATIONS = ("alike", "even", "skewed", "halves", "log-normal")
KNOTS = np.linspace(0.12, 0.30, 13)
GRID = np.linspace(-0.8, 1.0, 1801)

NOTE = """\
The mean of the debiased OPIS is 0 where classes are alike, for any mixture of class sizes. Where they differ, terms to
the fourth order in the deviations of the rates are corrected. The intervals leave out one class at a time, and are
corrected for the skewness and the heavy tails of the classes' shares, which few samples and far classes bring."""


def widths(rng: np.random.Generator, population: str) -> np.ndarray:
    """Noise of each class, ``(CLASSES,)``."""
    if population == "alike":
        return np.full(CLASSES, 0.2)
    if population == "even":
        return rng.uniform(0.14, 0.26, CLASSES)
    if population == "skewed":
        return np.where(rng.random(CLASSES) < 1 / 6, 0.28, 0.19)
    if population == "halves":
        return np.where(rng.random(CLASSES) < 1 / 2, 0.25, 0.16)
    return np.clip(0.2 * np.exp(rng.normal(0, 0.2, CLASSES)), KNOTS[0], KNOTS[-1])


def draw(rng: np.random.Generator, sizes: np.ndarray, noise: np.ndarray) -> EmbeddingSet:
    """Embeddings of all classes."""
    labels = np.repeat(np.arange(CLASSES), sizes)
    x = np.eye(CLASSES, DIM)[labels] + noise[labels, None] * rng.normal(size=(labels.size, DIM))
    return EmbeddingSet.from_arrays(x.astype(np.float32), labels)


class Truth:
    """P(score ≥ t) of positive pairs by width, and of negative pairs by both widths, on the knots."""

    def __init__(self, rng: np.random.Generator, pairs: int = 400_000) -> None:
        g, h = ({"along": [], "across": [], "square": []} for _ in range(2))
        products = []
        for _ in range(pairs // 20_000):
            left, right = rng.normal(size=(2, 20_000, DIM))
            for part, values in ((g, left), (h, right)):
                part["along"].append(values[:, 0])
                part["across"].append(values[:, 1])
                part["square"].append((values * values).sum(axis=1))
            products.append((left * right).sum(axis=1))
        g, h = ({name: np.concatenate(parts) for name, parts in part.items()} for part in (g, h))
        product = np.concatenate(products)

        def length(width: float, part: dict[str, np.ndarray], axis: str) -> np.ndarray:
            return np.sqrt(1 + 2 * width * part[axis] + width**2 * part["square"])

        self.positive = np.empty((KNOTS.size, GRID.size))
        self.negative = np.empty((KNOTS.size, KNOTS.size, GRID.size))
        for i, a in enumerate(KNOTS):
            same = 1 + a * (g["along"] + h["along"]) + a * a * product
            self.positive[i] = _tail(same / (length(a, g, "along") * length(a, h, "along")))
            for j, b in enumerate(KNOTS[: i + 1]):
                other = b * h["along"] + a * g["across"] + a * b * product
                tail = _tail(other / (length(a, g, "along") * length(b, h, "across")))
                self.negative[i, j] = self.negative[j, i] = tail
        self.spline = make_interp_spline(KNOTS, np.eye(KNOTS.size), k=3)

    def opis(self, noise: np.ndarray, sizes: np.ndarray) -> float:
        """OPIS of these classes, had each infinitely many samples in the proportions given."""
        basis = self.spline(noise)
        tar = basis @ self.positive
        between = np.einsum("ik,klt,jl->ijt", basis, self.negative, basis, optimize=True)
        shares = sizes * (1 - np.eye(sizes.size))
        far = np.einsum("ij,ijt->it", shares, between) / shares.sum(axis=1, keepdims=True)
        pairs = sizes * (sizes.sum() - sizes)
        pooled = pairs @ far / pairs.sum()
        low, high = np.interp([-0.1, -0.01], -pooled, GRID)
        steps = np.linspace(low, high, 129)
        tar, tnr = (np.stack([np.interp(steps, GRID, row) for row in rows]) for rows in (tar, 1 - far))
        utility = 2 * tar * tnr / (tar + tnr)
        return float(np.trapezoid(utility.var(axis=0), steps) / (high - low))


def _tail(scores: np.ndarray) -> np.ndarray:
    return 1 - np.searchsorted(np.sort(scores), GRID) / scores.size


def trial(data: EmbeddingSet) -> dict[str, float]:
    """What an audit says."""
    counts = count_pairs(data, threads=1)
    result = consistency(counts)
    noise = sampling_noise(counts, sample_scatter(data, noise_thresholds(counts, result), threads=1))
    found = debiased_opis(counts, result, noise)
    interval = found.interval(0.95) or (0.0, 0.0)
    return {"opis": result.opis, "debiased": found.value or 0.0, "low": interval[0], "high": interval[1]}


def main() -> None:
    """Run the trials and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=320)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    truth = Truth(np.random.default_rng(1))
    lines, raw = [], []
    for population in POPULATIONS:
        for name, choices in SIZES.items():
            rows = []
            for number in range(options.trials):
                rng = np.random.default_rng([POPULATIONS.index(population), list(SIZES).index(name), number])
                noise, sizes = widths(rng, population), np.resize(choices, CLASSES)
                row = {"true": truth.opis(noise, sizes), **trial(draw(rng, sizes, noise))}
                rows.append(row)
                known = {key: f"{value:.6g}" for key, value in row.items()}
                raw.append({"population": population, "samples": name, "trial": number, **known})
            column = {key: np.array([row[key] for row in rows]) for key in rows[0]}
            mean = column["true"].mean()
            error = (column["debiased"] - column["true"]).std(ddof=1) / options.trials**0.5
            held = np.mean((column["low"] <= mean) & (mean <= column["high"]))
            recovered = "–" if mean < 1e-6 else f"{column['debiased'].mean() / mean:.1%} ± {error / mean:.1%}"
            lines.append([
                population, name, f"{1e3 * mean:.2f}", f"{1e3 * column['opis'].mean():.2f}",
                f"{1e3 * column['debiased'].mean():+.3f} ± {1e3 * error:.3f}", recovered,
                f"{held:.1%} ± {(held * (1 - held) / options.trials) ** 0.5:.1%}",
            ])  # fmt: skip
            print(lines[-1], flush=True)
    heads = ["population", "samples a class", "true", "plain", "debiased", "of the true", "coverage"]
    with (options.out / "simulated.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(raw[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(raw)
    table = "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines])
    text = (
        f"# Simulated classes: plain and debiased OPIS\n\n{options.trials} trials a row; evenmatch "
        f"{evenmatch.__version__}, numpy {np.__version__}, {os.cpu_count()} cores {platform.machine()}, no GPU, "
        f"{date.today().isoformat()}.\n\nOPIS in thousandths, means over trials ± one standard error; intervals are "
        f"nominally 95%. The populations are described in `simulated.py`.\n\n{table}\n\n{NOTE}\n"
    )
    (options.out / "simulated.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
