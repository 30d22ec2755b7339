"""The error bars of precision "fast" hold what exact counts give."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evenmatch.embeddings import EmbeddingSet, load
from evenmatch.measures import consistency, rounding_bars, threshold_at_far, threshold_bar
from evenmatch.pairs import PairCounts, count_pairs
from evenmatch.pairs._bfloat16 import has_bfloat16, round_to_bfloat16
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._recount import recount

pytestmark = pytest.mark.skipif(not has_bfloat16(), reason="the processor has no AVX512-BF16")

SEEDS = 40


def around_centres(n: int, k: int, dim: int, seed: int, spread: tuple[float, float] = (0.5, 1.5)) -> EmbeddingSet:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    widths = rng.uniform(*spread, k)[codes, None]
    return EmbeddingSet.from_arrays(
        (rng.normal(size=(k, dim))[codes] + widths * rng.normal(size=(n, dim))).astype("f4"), codes
    )


def recounts(data: EmbeddingSet, fast: PairCounts, metric: str) -> list[PairCounts]:
    """The same counts with recounts from other seeds."""
    problem = Problem.build(data, None, metric)
    bins = np.array([problem.grid.index_at_or_above(t) for t in fast.thresholds])
    ladder = Ladder.build(problem.grid, bins)
    return [replace(fast, recount=recount(problem, ladder, round_to_bfloat16, seed)) for seed in range(SEEDS)]


def shares_held(data: EmbeddingSet, metric: str = "cosine") -> tuple[dict[str, float], float]:
    """How often each bar holds the exact value, and the mean bar of OPIS relative to it."""
    exact, fast = (count_pairs(data, metric=metric, precision=precision) for precision in ("exact", "fast"))
    truth = consistency(exact)
    values = {
        "opis": truth.opis,
        "eps_opis": truth.eps_opis,
        "threshold_low": truth.range[0],
        "threshold_high": truth.range[1],
    }
    held = dict.fromkeys([*values, "threshold at FAR 5%"], 0)
    widths = []
    result = consistency(fast)
    for counts in recounts(data, fast, metric):
        bars = rounding_bars(counts, result)
        for name, value in values.items():
            held[name] += bars[name][0] - 1e-12 <= value <= bars[name][1] + 1e-12
        low, high = threshold_bar(counts, 0.05)
        held["threshold at FAR 5%"] += low - 1e-12 <= threshold_at_far(exact, 0.05).threshold <= high + 1e-12
        widths.append((bars["opis"][1] - bars["opis"][0]) / 2)
    return {name: count / SEEDS for name, count in held.items()}, float(np.mean(widths)) / truth.opis


@pytest.mark.parametrize(
    ("data", "metric"),
    [
        (around_centres(600, 300, 24, 0), "cosine"),
        (around_centres(2000, 40, 64, 1), "cosine"),
        (around_centres(900, 30, 16, 2), "euclidean"),
    ],
    ids=["two samples a class", "uneven classes", "euclidean"],
)
def test_bars_hold_the_exact_values_and_are_narrow(data, metric):
    held, width = shares_held(data, metric)
    assert all(share >= 0.95 for share in held.values()), held
    assert width < 0.01


@pytest.mark.data
@pytest.mark.skipif("EVENMATCH_DATA" not in os.environ, reason="EVENMATCH_DATA is not set")
def test_bars_hold_on_clinc150_and_opis_is_within_a_thousandth():
    file = Path(os.environ["EVENMATCH_DATA"]) / "clinc150_minilm.npz"
    if not file.exists():
        pytest.skip(f"{file.name} is not there")
    data = load(file)
    exact, fast = (consistency(count_pairs(data, precision=precision)) for precision in ("exact", "fast"))
    assert fast.opis == pytest.approx(exact.opis, rel=1e-3)
    held, width = shares_held(data)
    assert all(share >= 0.95 for share in held.values()), held
    assert width < 5e-3


def test_opis_of_glyphs_is_within_a_thousandth():
    from sklearn.decomposition import PCA

    from evenmatch.datasets import glyphs

    train, test = glyphs("train", seed=0), glyphs("test", seed=0)
    pixels = [each.images.reshape(len(each), -1).astype(np.float32) / 255 for each in (train, test)]
    vectors = PCA(64, svd_solver="randomized", random_state=0).fit(pixels[0]).transform(pixels[1])
    data = EmbeddingSet.from_arrays(vectors.astype(np.float32), test.labels)
    exact, counts = consistency(count_pairs(data)), count_pairs(data, precision="fast")
    fast = consistency(counts)
    assert fast.opis != exact.opis
    assert fast.opis == pytest.approx(exact.opis, rel=1e-3)
    low, high = rounding_bars(counts, fast)["opis"]
    assert low <= exact.opis <= high


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_bars_are_finite_and_hold_where_the_far_is_below_what_a_recount_sees(metric):
    data, far = around_centres(3000, 100, 16, 4), (2e-6, 1e-3)
    counts = [count_pairs(data, metric=metric, far=far, precision=precision) for precision in ("exact", "fast")]
    exact, fast = (consistency(each, far=far) for each in counts)
    bars = rounding_bars(counts[1], fast, far=far)
    values = {"opis": exact.opis, "eps_opis": exact.eps_opis, "threshold_high": exact.range[1]}
    for name, value in values.items():
        low, high = bars[name]
        assert low <= value <= high < np.inf
    low, high = bars["threshold_high"]
    largest = 1 if metric == "cosine" else -counts[0].grid.low / 2
    assert high - low <= 2 * (1.01 * 2**-7 * largest + counts[0].grid.step)


def test_exact_counts_have_no_bars():
    counts = count_pairs(around_centres(300, 30, 16, 3))
    assert rounding_bars(counts, consistency(counts)) == {}
    threshold = threshold_at_far(counts, 0.05).threshold
    assert threshold_bar(counts, 0.05) == (threshold, threshold)
