"""OPIS without its sampling bias: against plain loops, and by simulation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

import evenmatch as em
import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import consistency, debiased_opis, noise_thresholds, sampling_noise
from evenmatch.measures._debiased import _skewed_interval
from evenmatch.measures._sampling_noise import _powers
from evenmatch.pairs import PairCounts, SampleScatter, count_pairs, sample_scatter


def made(sizes: Any, widths: Any, seed: int, dim: int = 40) -> EmbeddingSet:
    """Classes with orthogonal means, each with noise of its own width."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(seed).normal(size=(labels.size, dim))
    x = np.eye(len(sizes), dim)[labels] + np.broadcast_to(widths, len(sizes))[labels, None] * noise
    return EmbeddingSet.from_arrays(x.astype(np.float32), labels)


def audited(data: EmbeddingSet, beta: float = 1.0):
    counts = count_pairs(data, threads=1)
    result = consistency(counts, beta=beta)
    scatter = sample_scatter(data, noise_thresholds(counts, result), threads=1)
    noise = sampling_noise(counts, scatter, beta=beta)
    return counts, result, scatter, noise, debiased_opis(counts, result, noise, beta=beta)


# ---------------------------------------------------------------- the same in float64, by loops


def by_loops(x: np.ndarray, labels: np.ndarray, counts: PairCounts, scatter: SampleScatter, beta: float) -> dict:
    """The estimate as docs/debiased-opis.md writes it: means over disjoint pairs, and slopes by differences."""
    S, thresholds = reference.scores(x), scatter.thresholds
    names = [name for name in counts.classes.tolist() if (labels == name).sum() >= 4]
    rates = reference.class_counts(S, labels, thresholds, None, counts.classes.tolist())
    at = [counts.classes.tolist().index(name) for name in names]
    tar, tnr = 1 - rates.frr[at], 1 - rates.far[at]
    w = np.diff(thresholds)
    w = (np.append(w, 0) + np.append(0, w)) / 2 / (thresholds[-1] - thresholds[0])

    def utility(a, b):
        return (1 + beta**2) * a * b / (beta**2 * b + a)

    m, v, e = tar.mean(axis=0), tnr.mean(axis=0), 1e-4
    ta, tc = (utility(m + e, v) - utility(m - e, v)) / 2 / e, (utility(m, v + e) - utility(m, v - e)) / 2 / e
    taa = (utility(m + e, v) - 2 * utility(m, v) + utility(m - e, v)) / e**2
    tcc = (utility(m, v + e) - 2 * utility(m, v) + utility(m, v - e)) / e**2
    tac = (utility(m + e, v + e) - utility(m + e, v - e) - utility(m - e, v + e) + utility(m - e, v - e)) / 4 / e**2

    noise = np.zeros((3, *tar.shape))
    one, two, sizes = np.zeros_like(tar), np.zeros_like(tar), []
    for i, name in enumerate(names):
        rows = np.flatnonzero(labels == name)
        sizes.append(rows.size)
        parts = [[b for b in part if labels[b] != name] for part in scatter.reference_rows]
        for t, threshold in enumerate(thresholds):
            hit = {(a, b): float(S[a, b] >= threshold) for a in rows for b in rows if a != b}
            edges = list(itertools.combinations(rows, 2))
            products = [hit[p] * hit[q] for p in edges for q in edges if not set(p) & set(q)]
            wedges = [hit[a, b] * hit[a, c] for a, b, c in itertools.permutations(rows, 3)]
            square = np.mean(products)
            one[i, t], two[i, t] = np.mean(wedges) - square, np.mean([hit[p] for p in edges]) - square
            noise[0, i, t] = np.mean([hit[p] for p in edges]) ** 2 - square
            g, h = ({a: 1 - np.mean(S[a, part] >= threshold) for a in rows} for part in parts)
            noise[2, i, t] = np.cov(list(g.values()), list(h.values()))[0, 1] / rows.size
            both = {a: (g[a] + h[a]) / 2 for a in rows}
            triples = [hit[p] * both[c] for p in edges for c in rows if c not in p]
            noise[1, i, t] = np.mean([hit[p] for p in edges]) * np.mean(list(both.values())) - np.mean(triples)

    K, x_, y_ = len(names), tar - m, tnr - v
    n = np.array(sizes)[:, None]
    pairs = n * (n - 1) / 2

    def variance_of(tar_slope, noise=noise):
        return (tar_slope**2 * noise[0] + 2 * tar_slope * tc * noise[1] + tc**2 * noise[2]) @ w

    spread = ((ta * x_ + tc * y_) ** 2).mean(axis=0) @ w
    signal = spread - (1 - 1 / K) * variance_of(ta).mean()
    share = min(max(signal / spread, 0), 1)
    shared = np.clip(one.mean(axis=0) / two.mean(axis=0), 0, 0.5)
    binomial = (4 * (n - 2) * shared + 2) / (n * (n - 1))
    usual = variance_of(
        ta, np.array([binomial * two.mean(axis=0), *(np.tile(e.mean(axis=0), (K, 1)) for e in noise[1:])])
    )
    trust = min(max(signal, 0) / ((2 * (usual**2).sum()) ** 0.5 / K), 1)
    if share > 0:  # the parabola that fits the classes drawn to their mean
        for t in range(thresholds.size):
            near = share**0.5 * x_[:, t]
            bend, ta[t], _ = np.polyfit(near, utility(m[t] + near, v[t]), 2)
            taa[t] = 2 * bend

    # powers of the true TAR from those of a beta-binomial count, one class and threshold at a time
    powers = np.ones((5, *tar.shape))
    for i in range(K):
        for t in range(thresholds.size):
            rho = 2 * (sizes[i] - 2) * shared[t] / (pairs[i, 0] - 1)
            theta = rho / (1 - rho)
            mixing, seen = np.zeros((5, 5)), np.zeros(5)
            for k in range(5):
                product = np.poly1d([1.0])
                for j in range(k):
                    product = product * np.poly1d([1.0, j * theta]) / (1 + j * theta)
                mixing[k, : k + 1] = product.coeffs[::-1]
                seen[k] = np.prod([(tar[i, t] * pairs[i, 0] - j) / (pairs[i, 0] - j) for j in range(k)])
            powers[:, i, t] = np.linalg.solve(mixing, seen)

    linear = ta * x_ + tc * y_
    form = taa * x_**2 + 2 * tac * x_ * y_ + tcc * y_**2
    toward = ta * noise[0] + tc * noise[1], ta * noise[1] + tc * noise[2]
    bent = taa * noise[0] + 2 * tac * noise[1] + tcc * noise[2]
    pulled = x_ * (taa * toward[0] + tac * toward[1]) + y_ * (tac * toward[0] + tcc * toward[1])
    cumulant = (binomial**2 * (powers[1] - 3 * powers[2] + 2 * powers[3])).mean(axis=0)
    skew = (linear * bent + 2 * pulled).mean(axis=0) - 2 * ta * taa * cumulant
    third = (linear * form).mean(axis=0)
    second = (powers[2] - 2 * m * powers[1] + m**2).mean(axis=0)
    about = (powers[4] - 4 * m * powers[3] + 6 * m**2 * powers[2] - 4 * m**3 * powers[1] + m**4).mean(axis=0)
    fourth = taa**2 / 4 * np.where(second > 0, about - second**2, about)
    seen_fourth = (taa / 2) ** 2 * (x_**2).var(axis=0)

    near = utility(m + share**0.5 * x_, v + share**0.5 * y_).var(axis=0)
    squares = (linear**2).mean(axis=0)
    value = squares @ w - (1 - 1 / K) * variance_of(ta).mean()
    value += (near - share * squares - share**1.5 * third - share**2 * seen_fourth) @ w
    value += trust * ((third - skew + fourth) @ w)
    return {
        "value": value - utility(tar, tnr).var(axis=0) @ w,  # to be added to OPIS of these classes
        "variance": variance_of(ta),
        "reliability": share,
        "trust": trust,
        "names": names,
    }


@pytest.mark.parametrize(
    ("sizes", "widths", "beta"),
    [
        ([4, 5, 6, 7, 8, 6, 2, 1, 3], 0.25, 1.0),
        ([6] * 9, np.linspace(0.15, 0.35, 9), 1.0),
        ([5, 9, 4, 7, 6, 6, 8], np.linspace(0.3, 0.1, 7), 0.5),
    ],
)
def test_it_is_what_the_documentation_says(sizes, widths, beta):
    data = made(sizes, widths, seed=3)
    counts, result, scatter, noise, found = audited(data, beta)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    expected = by_loops(data.vectors.astype(float), labels, counts, scatter, beta)
    classes = counts.classes[found.classes].tolist()
    assert classes == expected["names"]
    np.testing.assert_allclose(noise.variance[found.classes], expected["variance"], rtol=1e-5, atol=1e-9)
    assert noise.reliability == pytest.approx(expected["reliability"], rel=1e-5)
    assert noise.trust == pytest.approx(expected["trust"], rel=1e-5)
    assert np.isnan(np.delete(noise.variance, found.classes)).all()
    curves = result.curves[np.isin(result.defined, found.classes)]
    assert found.value == pytest.approx(curves.var(axis=0) @ result.weights + expected["value"], abs=1e-7)


def test_leaving_out_a_class_is_counting_the_rest():
    _, _, _, _, found = audited(made([6] * 12, np.linspace(0.15, 0.35, 12), seed=0))
    assert found.value == pytest.approx(found._own.mean(), rel=1e-12)
    without = found._own[1:].mean() - found._curves[1:].mean(axis=0) ** 2 @ found._weights
    assert found.left_out[0] == pytest.approx(without, rel=1e-12)
    low, high = found.interval(0.95)
    assert low < found.value < high


@pytest.mark.parametrize("n", [4, 5, 12])
@pytest.mark.parametrize("tar", [0.07, 0.6, 0.95])
def test_powers_of_the_tar_are_unbiased_where_pairs_are_beta_binomial(n, tar):
    pairs, shared = n * (n - 1) // 2, 0.11
    rho = 2 * (n - 2) * shared / (pairs - 1)
    count = stats.betabinom(pairs, tar * (1 - rho) / rho, (1 - tar) * (1 - rho) / rho)
    accepted = np.arange(pairs + 1)
    assert count.var() / pairs**2 == pytest.approx(tar * (1 - tar) * (1 + 2 * (n - 2) * shared) / pairs)
    found = _powers(accepted[:, None] / pairs, np.full((pairs + 1, 1), float(n)), np.array([shared]))
    for k, power in enumerate(found):
        assert count.pmf(accepted) @ power[:, 0] == pytest.approx(tar**k, rel=1e-9)


# ---------------------------------------------------------------- the interval


def test_an_interval_without_skewness_is_students():
    moves = np.concatenate([np.linspace(-1, 1, 40), np.linspace(-1, 1, 41)])
    low, high = _skewed_interval(0.3, moves, 0.9)
    error = moves.std(ddof=1) / 81**0.5
    assert (low + high) / 2 == pytest.approx(0.3)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.95, 80) * error, rel=1e-6)


def test_a_skewed_interval_reaches_further_up_and_flips_with_its_sign():
    moves = np.random.default_rng(0).exponential(size=200)
    moves -= moves.mean()
    low, high = _skewed_interval(1.0, moves, 0.95)
    assert high - 1 > 1.15 * (1 - low)
    assert _skewed_interval(-1.0, -moves, 0.95) == pytest.approx((-high, -low))
    scale, step = moves.std() / 199**0.5, float(stats.skew(moves)) / 200**0.5
    for end, t in ((low, stats.t.ppf(0.975, 199)), (high, -stats.t.ppf(0.975, 199))):
        student = (1.0 - end) / scale
        hall = student + step * student**2 / 3 + step**2 * student**3 / 27 + step / 6
        assert hall == pytest.approx(t, abs=0.25)
        assert abs(hall - t) < abs(student - t)


def test_a_skewed_mean_is_covered_where_students_interval_misses():
    draws = np.random.default_rng(1).lognormal(0, 1, size=(2000, 40))
    means, moves = draws.mean(axis=1), draws - draws.mean(axis=1, keepdims=True)
    ends = np.array([_skewed_interval(m, d, 0.95) for m, d in zip(means, moves, strict=True)])
    truth = float(np.exp(0.5))
    reach = stats.t.ppf(0.975, 39) * draws.std(axis=1, ddof=1) / 40**0.5
    student = np.mean(np.abs(means - truth) <= reach)
    held = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    assert student < 0.91
    assert held > student + 0.02
    assert _skewed_interval(0.2, np.zeros(20), 0.95) == (0.2, 0.2)


# ---------------------------------------------------------------- simulation


def simulated(sizes: Any, widths: Any, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Plain and debiased OPIS of each trial."""
    found = [audited(made(sizes, widths, seed)) for seed in range(trials)]
    return np.array([each[1].opis for each in found]), np.array([each[4].value for each in found])


@pytest.mark.parametrize("sizes", [[5] * 40, [12] * 40, [4, 6, 10, 16] * 10], ids=["5", "12", "4 to 16"])
def test_classes_that_are_alike_give_zero_on_average(sizes):
    plain, debiased = simulated(sizes, 0.22, 60)
    error = debiased.std(ddof=1) / len(debiased) ** 0.5
    assert plain.mean() > 20 * error
    assert abs(debiased.mean()) < 3 * error
    assert error < 0.05 * plain.mean()


@pytest.mark.parametrize("widths", [np.linspace(0.15, 0.27, 40), [0.28] * 7 + [0.19] * 33], ids=["even", "skewed"])
def test_the_spread_of_few_samples_is_that_of_many(widths):
    many, truth = simulated([150] * 40, widths, 2)
    plain, debiased = simulated([8] * 40, widths, 60)
    assert truth.mean() == pytest.approx(many.mean(), rel=0.05)
    assert plain.mean() > 1.3 * truth.mean()
    assert debiased.mean() == pytest.approx(truth.mean(), rel=0.1)


# ---------------------------------------------------------------- in an audit


def test_an_audit_shows_it_and_keeps_it(tmp_path):
    data = made([6] * 30 + [2], 0.25, seed=1)
    audit = em.audit(data)
    assert audit.opis_debiased == audited(data)[4].value
    assert audit.summary()["opis_debiased"] == audit.opis_debiased
    low, high = audit.intervals["opis_debiased"]
    assert low < audit.opis_debiased < high
    audit.save(tmp_path / "run.audit")
    loaded = em.Audit.load(tmp_path / "run.audit")
    assert loaded.opis_debiased == audit.opis_debiased
    assert loaded.summary() == audit.summary()


def test_a_comparison_pairs_the_classes():
    base, other = (em.audit(made([6] * 30, widths, seed=1)) for widths in (np.linspace(0.15, 0.3, 30), 0.2))
    difference = em.compare({"base": base, "other": other}).differences["other"]["opis_debiased"]
    assert difference.value == pytest.approx(other.opis_debiased - base.opis_debiased)
    same = em.compare({"base": base, "other": base}).differences["other"]["opis_debiased"]
    assert same.interval == pytest.approx((0, 0))
    assert difference.interval[0] < difference.value < difference.interval[1]


def test_it_is_undefined_with_a_gallery_and_for_tiny_classes(tmp_path):
    data = made([6] * 30, 0.25, seed=1)
    against = em.audit(data, ref=made([3] * 30, 0.25, seed=2))
    assert against.opis_debiased is None
    assert "opis_debiased" not in against.intervals
    tiny = em.audit(made([3] * 30, 0.25, seed=1))
    assert tiny.opis_debiased is None
    for audit in (against, tiny):
        audit.save(tmp_path / "run.audit")
        assert em.Audit.load(tmp_path / "run.audit").summary() == audit.summary()
    compared = em.compare({"a": tiny, "b": tiny})
    assert "opis_debiased" not in compared.differences["b"]
    assert compared.summary()["models"]["a"]["opis_debiased"] is None
