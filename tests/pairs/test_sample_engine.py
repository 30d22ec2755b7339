"""What is the sample engine's own: which pairs it draws, what it says of them, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from contract import ACROSS, WITHIN, Case, assert_same, clusters

import reference
from evenmatch.errors import InputError
from evenmatch.pairs import PairCounts, SampleEngine, Sampling, _sample, _sample_run, count_pairs
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._sample_plan import draw, parse_budget, plan_sample


def skewed(n: int = 1200, k: int = 60, seed: int = 0) -> Case:
    """Classes of very different sizes, from 2 up."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, k + 1)
    codes = np.concatenate([np.repeat(np.arange(k), 2), rng.choice(k, n - 2 * k, p=shares / shares.sum())])
    x = rng.normal(size=(k, 16))[codes] + rng.uniform(0.5, 1.3, k)[codes, None] * rng.normal(size=(n, 16))
    return Case(x.astype("f4"), codes)


def across(n: int = 700, m: int = 900, k: int = 30) -> Case:
    x, codes = clusters(n + m, k, seed=3)
    return Case(x[:n], codes[:n], ref=x[n:], ref_labels=codes[n:])


def sampled(counts: PairCounts) -> Sampling:
    assert counts.sampling is not None
    return counts.sampling


@pytest.mark.parametrize("case", [skewed(), across(), across(5000, 50)], ids=["within", "across", "small gallery"])
@pytest.mark.parametrize("pairs", [30_000, 150_000])
def test_every_class_is_counted_and_scaled_to_its_true_number_of_pairs(case, pairs):
    counts = case.count(engine=SampleEngine(pairs=pairs))
    sampling = sampled(counts)
    exact = case.count()
    for name in ("classes", "codes", "positives", "negatives"):
        np.testing.assert_array_equal(getattr(counts, name), getattr(exact, name))
    assert (sampling.negatives[exact.negatives > 0] > 0).all()
    assert (sampling.positives[exact.positives > 0] > 0).all()
    assert (sampling.positives <= exact.positives).all()
    assert 0.5 * pairs < sampling.pairs <= pairs
    assert sampling.pairs == sampling.positives.sum() + sampling.negatives.sum()
    assert counts.n_positives + counts.n_negatives == case.n_pairs
    counts.require_conserved(case.n_pairs)


def test_positive_pairs_are_all_counted_where_they_are_few():
    case = Case(*clusters(1500, 100))
    exact, counts = case.count(), case.count(engine=SampleEngine(pairs=200_000))
    np.testing.assert_array_equal(counts.pooled_positives, exact.pooled_positives)
    np.testing.assert_array_equal(sampled(counts).positives, exact.positives)
    assert sampled(counts).tar_noise.size == 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("case", "pairs"), [(skewed(), 60_000), (skewed(), 500_000), (across(), 60_000)])
def test_the_mean_of_many_estimates_is_the_exact_count(case, pairs, metric):
    exact = case.count(metric=metric, far=(), thresholds=(0.15, 0.35) if metric == "cosine" else (-7.0, -5.5))
    estimates = [
        case.count(metric=metric, far=(), thresholds=exact.thresholds, engine=SampleEngine(pairs=pairs, seed=seed))
        for seed in range(60)
    ]
    for name in ("positives_accepted", "negatives_accepted"):
        truth = getattr(exact, name).astype(float)
        seen = np.array([getattr(each, name) for each in estimates], dtype=float)
        error = seen.std(axis=0, ddof=1) / np.sqrt(len(seen)) + 0.5 / np.sqrt(len(seen))
        off = (seen.mean(axis=0) - truth) / error
        assert np.abs(off[truth > 20]).max() < 5
        assert abs(off.mean()) < 0.6
    pooled = np.array([each.accepted_negatives[[15_000, 25_000, 30_000]] for each in estimates], dtype=float)
    error = pooled.std(axis=0, ddof=1) / np.sqrt(len(pooled)) + 1
    assert (np.abs(pooled.mean(axis=0) - exact.accepted_negatives[[15_000, 25_000, 30_000]]) < 4.5 * error).all()


@pytest.mark.parametrize("name", ["uneven classes", "many wide rows"])
def test_where_the_budget_covers_all_pairs_the_counts_are_exact(name):
    case = WITHIN[name]
    assert_same(case.count(engine=SampleEngine(pairs=case.n_pairs)), case.count())
    assert case.count(engine=SampleEngine(pairs=case.n_pairs)).sampling is None
    assert case.count(engine=SampleEngine(pairs=case.n_pairs - 1)).sampling is not None


@pytest.mark.parametrize("case", [skewed(), across()], ids=["within", "across"])
def test_a_seed_gives_the_same_counts_however_many_threads(case):
    first, again = (case.count(engine=SampleEngine(pairs=60_000, seed=5, threads=threads)) for threads in (1, 3))
    assert_same(first, again)
    for name in ("replicate_far", "replicate_pooled", "far_noise", "tar_noise", "knot_tar"):
        np.testing.assert_array_equal(getattr(sampled(first), name), getattr(sampled(again), name))
    other = case.count(engine=SampleEngine(pairs=60_000, seed=6))
    assert (other.pooled_negatives != first.pooled_negatives).any()


def test_the_class_thresholds_hold_the_sampled_range():
    counts = skewed().count(engine=SampleEngine(pairs=100_000))
    for rate in (1e-2, 1e-1):
        column = counts.column(float(counts.grid.threshold(counts.index_at_far(rate))))
        # rounded class by class
        assert counts.negatives_accepted[:, column].sum() <= rate * 2 * counts.n_negatives + counts.classes.size
    knots = sampled(counts).knots
    assert knots[0] < counts.thresholds[0]
    assert knots[-1] > counts.thresholds[-1]


def test_replicates_are_parts_of_the_whole():
    counts = Case(*clusters(1500, 100)).count(engine=SampleEngine(pairs=400_000))
    sampling = sampled(counts)
    inside = np.flatnonzero(np.isin(np.round(sampling.knots, 9), np.round(counts.thresholds, 9)))
    assert inside.size > 5
    columns = [counts.column(sampling.knots[at]) for at in inside]
    far = counts.negatives_accepted[:, columns] / counts.negatives[:, None]
    np.testing.assert_allclose(sampling.replicate_far.mean(axis=0)[:, inside], far, atol=2e-3)
    pooled = sampling.replicate_pooled.sum(axis=0)
    np.testing.assert_allclose(pooled / pooled.sum(), counts.pooled_negatives / counts.n_negatives, atol=1e-5)


def test_replicates_hold_the_far_where_a_gallery_has_fewer_samples_than_there_are_replicates():
    case = across(3000, 10, k=5)
    exact = case.count(thresholds=(0.3,))
    counts = case.count(far=(), thresholds=np.linspace(0.2, 0.4, 21), engine=SampleEngine(pairs=20_000))
    knot = np.abs(sampled(counts).knots - 0.3).argmin()
    found = sampled(counts).replicate_far.mean(axis=0)[:, knot]
    column = exact.column(0.3)
    np.testing.assert_allclose(found, exact.negatives_accepted[:, column] / exact.negatives, rtol=0.1, atol=0.02)


@pytest.mark.parametrize("each", [1, 3, 300], ids=["one a class", "three a class", "as many as queries"])
def test_the_noise_of_tar_is_that_of_the_samples_drawn(each):
    x, codes = clusters(1500 + 5 * each, 5, seed=3)
    gallery = np.concatenate([np.flatnonzero(codes == code)[:each] for code in range(5)])
    queries = np.setdiff1d(np.arange(codes.size), gallery)
    case = Case(x[queries], codes[queries], ref=x[gallery], ref_labels=codes[gallery])
    thresholds = np.linspace(0.2, 0.8, 13)
    truth = case.count(thresholds=thresholds)
    tar = truth.positives_accepted[:, [truth.column(t) for t in thresholds]] / truth.positives[:, None]
    claimed, made = [], []
    for seed in range(60):
        counts = case.count(far=(), thresholds=thresholds, engine=SampleEngine(pairs=1300 + 100 * each, seed=seed))
        claimed.append(np.square(sampled(counts).tar_noise).mean())
        made.append(np.square(counts.positives_accepted / counts.positives[:, None] - tar).mean())
    assert 0.5 < np.mean(claimed) / np.mean(made) < 2


def test_groups_and_best_scores_are_left_out():
    case = WITHIN["groups"]
    counts = case.count(engine=SampleEngine(pairs=6_000))
    assert counts.groups is None
    assert np.isneginf(counts.best_positive).all()
    assert np.isneginf(counts.best_negative).all()


def test_estimates_do_not_merge():
    counts = skewed().count(engine=SampleEngine(pairs=60_000))
    with pytest.raises(InputError, match="cannot be merged"):
        _ = counts + counts


def test_anchors_are_random_samples_of_their_class():
    problem = Problem.build(*skewed().sets)
    rng = np.random.default_rng(0)
    drawn = [draw(rng, problem.rows, 3) for _ in range(400)]
    for rows in drawn[:5]:
        sizes = np.bincount(problem.rows.codes[rows], minlength=problem.classes.size)
        np.testing.assert_array_equal(sizes, np.minimum(problem.rows.sizes, 3))
    times = np.bincount(np.concatenate(drawn), minlength=problem.rows.n)
    expected = 400 * np.minimum(3 / problem.rows.sizes, 1)[problem.rows.codes]
    assert (np.abs(times - expected) <= 5 * np.sqrt(expected) + 1e-9).all()


def test_a_plan_spends_the_budget_and_no_more():
    problem = Problem.build(*skewed().sets)
    before = 0
    for pairs in (20_000, 50_000, 200_000, 600_000):
        plan = plan_sample(problem, pairs)
        assert before < plan.pairs <= pairs
        assert plan.anchors >= 2
        before = plan.pairs


def test_a_budget_too_small_for_every_class_is_refused_with_the_number_needed():
    with pytest.raises(InputError, match=r"a budget of 1,000 pairs is too small for 60 classes: at least [\d,]+ are"):
        skewed().count(engine=SampleEngine(pairs=1000))


@pytest.mark.parametrize(
    ("budget", "seconds"), [("30s", 30), ("5m", 300), ("1h", 3600), (2.5, 2.5), ("0.5", 0.5), (" 2 min", 120)]
)
def test_a_time_is_read(budget, seconds):
    assert parse_budget(budget) == seconds


@pytest.mark.parametrize("budget", ["soon", "30 apples", 0, -3, "0s", "", "nan", "inf", "1..2s"])
def test_nonsense_is_no_time(budget):
    with pytest.raises(InputError, match="is no time above 0; write it as '30s'"):
        SampleEngine(budget=budget)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": 0}, "pairs is 0; give a number of pairs above 0"),
        ({"pairs": float("nan")}, "pairs is nan"),
        ({"pairs": 1e6, "budget": 3}, "budget and pairs are both given"),
        ({"precision": "fast"}, "'fast' is not available for estimates"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        SampleEngine(**settings)


def test_a_time_becomes_pairs_by_the_measured_rate(monkeypatch):
    rates = []

    def rate(*_: object) -> float:
        rates.append(1e5)
        return 1e5

    monkeypatch.setattr(_sample, "measure_rate", rate)
    engine = SampleEngine(budget="1s")
    counts = skewed().count(engine=engine)
    assert len(rates) == 1  # a second pass draws the same pairs
    assert 40_000 < sampled(counts).pairs <= 85_000


def test_the_rate_is_measured_on_the_data_at_hand():
    engine = SampleEngine(budget=0.4, threads=1)
    case = Case(*clusters(6000, 50))
    counts = case.count(engine=engine)
    pairs = case.n_pairs if counts.sampling is None else counts.sampling.pairs
    assert pairs > 10_000


def test_only_the_rows_drawn_are_read(tmp_path):
    class Watched(np.ndarray):
        rows: set[int]

        def __getitem__(self, key):
            if isinstance(key, np.ndarray) and key.dtype.kind == "i":
                Watched.rows.update(key.tolist())
            return np.asarray(super().__getitem__(key))

    x, codes = clusters(20_000, 20)
    np.save(tmp_path / "x.npy", x)
    Watched.rows = set()
    queries = Case(np.load(tmp_path / "x.npy", mmap_mode="r"), codes).sets[0]
    object.__setattr__(queries, "vectors", queries.vectors.view(Watched))
    problem = Problem.build(queries)
    from evenmatch.pairs._ladder import Ladder

    SampleEngine(pairs=100_000)(problem, Ladder.build(problem.grid, np.arange(24_000, 30_000, 50)))
    assert 100 < len(Watched.rows) < 10_000


def test_progress_rises_to_1():
    seen: list[float] = []
    skewed().count(engine=SampleEngine(pairs=200_000), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_pair_is_its_score_to_float32():
    """With two classes and all references but a few, the shares are those of the reference counts."""
    case = Case(*clusters(400, 2, dim=8))
    counts = case.count(engine=SampleEngine(pairs=case.n_pairs - 1), far=(), thresholds=(0.2,))
    truth = reference.class_counts(
        reference.scores(case.x), case.labels, counts.thresholds, classes=counts.classes.tolist()
    )
    np.testing.assert_allclose(
        counts.negatives_accepted / counts.negatives[:, None], truth.negatives_accepted / truth.negatives[:, None],
        atol=0.08,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["classes on one side only", "one class of queries"])
def test_across_sets_with_classes_on_one_side(name):
    case = ACROSS[name]
    exact = case.count()
    counts = count_pairs(*case.sets, engine=SampleEngine(pairs=case.n_pairs - 1), far=(), thresholds=(0.2,))
    np.testing.assert_array_equal(counts.negatives, exact.negatives)
    assert (counts.negatives_accepted <= counts.negatives[:, None]).all()


@pytest.mark.parametrize("case", [skewed(), across()], ids=["within", "across"])
def test_classes_with_more_pairs_than_32_bits_hold_are_counted_in_64(monkeypatch, case):
    engine = SampleEngine(pairs=150_000)
    expected = case.count(engine=engine)
    kinds = []
    add = _sample_run.SampleRun.add

    def seen(run, tally):
        kinds.extend(table.dtype for table in (run.table_pos, *run.table_neg, *run.knot_tables, run.knot_positive))
        add(run, tally)

    monkeypatch.setattr(_sample_run.SampleRun, "add", seen)
    monkeypatch.setattr(_sample_run, "_MOST_IN_INT32", 50)
    found = case.count(engine=engine)
    assert set(kinds) == {np.dtype(np.int64)}
    for name in ("positives_accepted", "negatives_accepted", "pooled_positives", "pooled_negatives"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
