"""The guarantee of estimates: unbiased, and intervals that hold the exact value about as often as they say."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import Consistency, consistency
from evenmatch.pairs import SampleEngine, count_pairs
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

RUNS = 200
NAMES = ("opis", "eps_opis", "threshold_low", "threshold_high")


def around_centres(n: int, k: int, dim: int, seed: int) -> EmbeddingSet:
    return EmbeddingSet.from_arrays(*vectors(n, k, dim, seed))


def vectors(n: int, k: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.repeat(np.arange(k), 2), rng.integers(0, k, n - 2 * k)])
    widths = rng.uniform(0.5, 1.4, k)[codes, None]
    return (rng.normal(size=(k, dim))[codes] + widths * rng.normal(size=(n, dim))).astype("f4"), codes


class Simulation(NamedTuple):
    exact: np.ndarray
    values: np.ndarray
    covered: np.ndarray
    uncorrected: np.ndarray


def values_of(result: Consistency) -> list[float]:
    return [result.opis, result.eps_opis, *result.range]


def simulate(data: EmbeddingSet, pairs: int, ref: EmbeddingSet | None = None) -> Simulation:
    exact = np.array(values_of(consistency(count_pairs(data, ref))))
    problem = Problem.build(data, ref)
    # every threshold that an estimate may find, so that one pass will do
    low, high = (problem.grid.index_at_or_above(end) for end in (exact[2] - 0.05, exact[3] + 0.05))
    ladder = Ladder.build(problem.grid, np.arange(low, high))
    values, covered, uncorrected = [], [], []
    for seed in range(RUNS):
        result = consistency(SampleEngine(pairs=pairs, seed=seed, threads=1)(problem, ladder))
        error = result.sampling_error
        assert error is not None
        values.append(values_of(result))
        reach = [error.reach(name, 0.95) for name in NAMES]
        covered.append(np.abs(np.array(values[-1]) - exact) <= reach)
        uncorrected.append(result.opis + error.class_opis.sum())
    return Simulation(exact, np.array(values), np.mean(covered, axis=0), np.array(uncorrected))


@pytest.fixture(scope="module", params=["all samples are anchors", "a few anchors of each class", "a small gallery"])
def simulation(request) -> Simulation:
    if request.param == "a small gallery":
        x, codes = vectors(4200, 60, 8, 3)
        own = np.random.default_rng(0).permutation(codes.size) < 200
        queries, gallery = (EmbeddingSet.from_arrays(x[rows], codes[rows]) for rows in (~own, own))
        return simulate(queries, 400_000, gallery)
    if request.param.startswith("all"):
        return simulate(around_centres(2100, 60, 8, 1), 1_800_000)
    return simulate(around_centres(1500, 90, 8, 2), 150_000)


def test_intervals_hold_the_exact_opis_as_often_as_they_say(simulation):
    held = dict(zip(NAMES, simulation.covered, strict=True))
    assert 0.92 <= held["opis"] <= 0.985, held
    assert 0.92 <= held["eps_opis"] <= 0.99, held
    assert min(held["threshold_low"], held["threshold_high"]) >= 0.92, held


def test_estimates_are_unbiased(simulation):
    error = simulation.values.std(axis=0, ddof=1) / np.sqrt(RUNS)
    off = np.abs(simulation.values.mean(axis=0) - simulation.exact)
    # a ratio and a worst tenth keep a bias that is small against the noise of one estimate
    assert (off <= 3 * error + 0.1 * simulation.values.std(axis=0)).all()


def test_noise_is_taken_off_each_class_share_and_the_shares_sum_to_opis():
    data = around_centres(2500, 250, 16, 2)
    counts = count_pairs(data, engine=SampleEngine(pairs=100_000))
    result = consistency(counts)
    raw = consistency(replace(counts, sampling=None))
    assert result.sampling_error is not None
    assert result.sampling_error.class_opis.sum() > 0
    np.testing.assert_allclose(
        result.class_opis[result.defined], raw.class_opis[raw.defined] - result.sampling_error.class_opis
    )
    assert np.nansum(result.class_opis) == pytest.approx(result.opis)
    assert raw.sampling_error is None


def test_the_correction_adds_little_noise_of_its_own():
    rng = np.random.default_rng(0)
    codes = np.arange(4000) % 100
    x = rng.normal(size=(100, 32))[codes] + rng.normal(size=(4000, 32))
    data = EmbeddingSet.from_arrays(x.astype("f4"), codes)
    errors = [
        consistency(count_pairs(data, engine=SampleEngine(pairs=6_500_000, seed=seed))).sampling_error
        for seed in range(12)
    ]
    added = np.std([each.class_opis.sum() for each in errors if each is not None])
    assert added < 0.15 * np.mean([each.standard_errors["opis"] for each in errors if each is not None])


def test_larger_budgets_give_smaller_errors():
    data = around_centres(2500, 100, 16, 3)
    errors = [
        [
            consistency(count_pairs(data, engine=SampleEngine(pairs=pairs, seed=seed))).sampling_error
            for seed in range(5)
        ]
        for pairs in (60_000, 500_000, 2_000_000)
    ]
    means = [np.mean([each.standard_errors["opis"] for each in row]) for row in errors]
    assert means[0] > 1.3 * means[1] > 1.3 * means[2] > 0


def test_a_higher_confidence_reaches_further():
    error = consistency(
        count_pairs(around_centres(2500, 100, 16, 3), engine=SampleEngine(pairs=200_000))
    ).sampling_error
    assert error is not None
    assert error.reach("opis", 0.99) > error.reach("opis", 0.9) > 0
