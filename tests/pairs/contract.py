"""What every engine promises, as one suite; ``test_engines.py`` runs it for each name in ``evenmatch.pairs.ENGINES``.

An engine computes scores in its own precision. Its ``Tolerance`` says how far a score may lie from the float64 truth;
counts must then lie between those of the truth at a threshold that much higher and that much lower. Where no true score
is that close to the threshold the two are equal, and so must the count be. On lattices (unit vectors whose products
are exact in any precision) every count must be exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import PairCounts, count_pairs


@dataclass(frozen=True)
class Tolerance:
    """How far an engine's score may lie from the truth, in steps of the grid (5e-5 in cosine)."""

    cosine: float
    euclidean: float

    def of(self, counts: PairCounts) -> float:
        """The tolerance in the unit of the score."""
        return getattr(self, counts.grid.metric) * counts.grid.step


FLOAT32 = Tolerance(cosine=0.02, euclidean=0.05)  # 1e-6 in cosine
TOLERANCES: dict[str, Tolerance] = {}  # engines that compute in another precision than float32


def tolerance_of(engine: str) -> Tolerance:
    return TOLERANCES.get(engine, FLOAT32)


@dataclass(frozen=True)
class Case:
    """Embeddings with labels and perhaps groups, of queries and perhaps references."""

    x: np.ndarray
    labels: Any
    groups: Any = None
    ref: np.ndarray | None = None
    ref_labels: Any = None
    ref_groups: Any = None

    @property
    def sets(self) -> tuple[EmbeddingSet, EmbeddingSet | None]:
        queries = EmbeddingSet.from_arrays(self.x, self.labels, groups=self.groups)
        if self.ref is None:
            return queries, None
        return queries, EmbeddingSet.from_arrays(self.ref, self.ref_labels, groups=self.ref_groups)

    @property
    def n_pairs(self) -> int:
        return len(self.x) * (len(self.x) - 1) // 2 if self.ref is None else len(self.x) * len(self.ref)

    def count(self, **options: Any) -> PairCounts:
        return count_pairs(*self.sets, **options)


def clusters(n: int, k: int, dim: int = 16, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """``n`` samples around ``k`` centres, each class at least once, in no order."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.concatenate([np.arange(k), rng.integers(0, k, n - k)]))
    widths = rng.uniform(0.3, 1.7, k) * spread
    x = rng.normal(size=(k, dim))[codes] + widths[codes, None] * rng.normal(size=(n, dim))
    return x.astype(np.float32), codes


def lattice(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Rows of ±1. With ``dim`` 4, 16 or 64 the norm is a power of two, so every cosine is exact in any precision."""
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), size=(n, dim))


def mirrored(rows: np.ndarray) -> np.ndarray:
    """The rows and their opposites: their mean is 0, so that Euclidean scores of a lattice are exact as well."""
    return np.concatenate([rows, -rows])


def assert_true(
    counts: PairCounts, case: Case, tolerance: float, scores: np.ndarray | None = None, exact_share: float = 0.9
) -> None:
    """Hold counts against the float64 reference, all of them.

    exact_share: of the class counts, how many at least must have no score within the tolerance of the threshold, lest
        the test hold nothing.
    """
    S = reference.scores(case.x, case.ref, counts.grid.metric) if scores is None else scores
    names = counts.classes.tolist()
    assert sorted(map(repr, names)) == sorted(map(repr, reference.classes_of(case.labels, case.ref_labels)))
    assert [names[code] for code in counts.codes] == reference.as_list(case.labels)

    low, high = (
        reference.class_counts(S, case.labels, counts.thresholds + sign * tolerance, case.ref_labels, names)
        for sign in (1, -1)
    )
    np.testing.assert_array_equal(counts.positives, low.positives)
    np.testing.assert_array_equal(counts.negatives, low.negatives)
    exact = cells = 0
    for name in ("positives_accepted", "negatives_accepted"):
        _assert_between(getattr(counts, name), getattr(low, name), getattr(high, name), name)
        exact += np.count_nonzero(getattr(low, name) == getattr(high, name))
        cells += getattr(low, name).size
    assert exact >= exact_share * cells

    low, high = (
        reference.pooled_counts(S, case.labels, counts.grid.thresholds + sign * tolerance, case.ref_labels)
        for sign in (1, -1)
    )
    assert (counts.n_positives, counts.n_negatives) == (low.positives, low.negatives)
    # the first and the last bin also take what rounding has put outside the range
    inner = slice(1, counts.grid.size)
    for sign in ("positives", "negatives"):
        ours = getattr(counts, f"accepted_{sign}")
        assert (ours[0], ours[-1]) == (getattr(low, sign), 0)
        _assert_between(
            ours[inner], getattr(low, f"{sign}_accepted")[1:], getattr(high, f"{sign}_accepted")[1:], f"pooled {sign}"
        )

    for ours, theirs in zip(
        (counts.best_positive, counts.best_negative),
        reference.best_scores(S, case.labels, case.ref_labels),
        strict=True,
    ):
        np.testing.assert_array_equal(np.isneginf(ours), np.isneginf(theirs))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)

    assert (counts.groups is None) == (case.groups is None)
    if counts.groups is not None:
        low, high = (
            reference.group_counts(
                S, case.labels, case.groups, counts.thresholds + sign * tolerance, case.ref_labels, case.ref_groups,
                counts.groups.names.tolist(),
            )
            for sign in (1, -1)
        )  # fmt: skip
        np.testing.assert_array_equal(counts.groups.positives, low.positives)
        np.testing.assert_array_equal(counts.groups.negatives, low.negatives)
        for name in ("positives_accepted", "negatives_accepted"):
            _assert_between(getattr(counts.groups, name), getattr(low, name), getattr(high, name), f"group {name}")
    assert_conserved(counts, case.n_pairs)


def _assert_between(ours: np.ndarray, low: np.ndarray, high: np.ndarray, what: str) -> None:
    wrong = (ours < low) | (ours > high)
    assert not wrong.any(), (
        f"{what}: {np.count_nonzero(wrong)} of {wrong.size} differ, first at {np.argwhere(wrong)[0]}: "
        f"{ours[wrong][0]} counted, {low[wrong][0]} to {high[wrong][0]} true"
    )


def assert_conserved(counts: PairCounts, n_pairs: int) -> None:
    """No pair is lost or counted twice, in any of the views of the same pairs."""
    assert counts.n_positives + counts.n_negatives == n_pairs
    assert counts.positives.sum() == counts.n_positives
    assert counts.negatives.sum() == 2 * counts.n_negatives
    for column, threshold in enumerate(counts.thresholds):
        bin_ = counts.grid.index_at_or_above(threshold)
        if bin_ < counts.grid.size and np.isclose(counts.grid.threshold(bin_), threshold, rtol=0, atol=1e-12):
            assert counts.positives_accepted[:, column].sum() == counts.accepted_positives[bin_]
            assert counts.negatives_accepted[:, column].sum() == 2 * counts.accepted_negatives[bin_]
    for name in ("positives", "negatives"):
        table = getattr(counts, f"{name}_accepted")
        assert table.dtype == np.int64
        assert (np.diff(table, axis=1) <= 0).all()
        assert (table >= 0).all()
        assert (table <= getattr(counts, name)[:, None]).all()


def assert_same(a: PairCounts, b: PairCounts, best: bool = True) -> None:
    """Equal in every number (the samples in the same order)."""
    assert a.grid == b.grid
    for name in (
        "classes", "thresholds", "positives", "negatives", "positives_accepted", "negatives_accepted",
        "pooled_positives", "pooled_negatives", "codes",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    if best:
        np.testing.assert_array_equal(a.best_positive, b.best_positive)
        np.testing.assert_array_equal(a.best_negative, b.best_negative)
    assert (a.groups is None) == (b.groups is None)
    if a.groups is not None and b.groups is not None:
        for name in ("names", "positives", "negatives", "positives_accepted", "negatives_accepted"):
            np.testing.assert_array_equal(getattr(a.groups, name), getattr(b.groups, name), err_msg=f"group {name}")


def _one_large_class() -> Case:
    x, _ = clusters(300, 5, seed=3)
    return Case(x, np.concatenate([np.zeros(200, np.int64), np.arange(1, 101)]))


def _singletons() -> Case:
    x, codes = clusters(160, 20, seed=4)
    labels = codes.copy()
    labels[:40] = 1000 + np.arange(40)  # classes of one, which are nobody's positives and everybody's negatives
    return Case(x, labels)


def _duplicates() -> Case:
    x, codes = clusters(60, 12, seed=5)
    return Case(np.concatenate([x, x, x]), np.concatenate([codes, codes, codes[::-1]]))


def _far_from_the_origin() -> Case:
    x, codes = clusters(120, 10, seed=6)
    return Case(x + np.float32(20), codes)


WITHIN: dict[str, Case] = {
    "uneven classes": Case(*clusters(230, 23)),
    "two classes": Case(*clusters(120, 2, seed=1)),
    "two samples a class": Case(clusters(200, 100, seed=2)[0], np.arange(200) % 100),
    "classes of one": _singletons(),
    "one class of many": _one_large_class(),
    "three samples": Case(np.array([[1, 0.2], [0.9, -0.4], [0.1, 1]], np.float32), ["a", "b", "a"]),
    "one dimension": Case(np.linspace(-1.1, 1.3, 50, dtype=np.float32)[:, None], np.arange(50) % 7),
    "duplicates": _duplicates(),
    "far from the origin": _far_from_the_origin(),
    "string labels": Case(clusters(90, 9)[0], [f"class {i % 9}" + "x" * (i % 9) for i in range(90)]),
    "mixed labels": Case(clusters(90, 5)[0], [(1, "1", ("t", 1), 2.5, 2**70)[i % 5] for i in range(90)]),
    "many wide rows": Case(*clusters(1500, 40, dim=33, seed=7)),
    "groups": Case(*clusters(150, 12, seed=8), groups=np.array(["north", "south", "east"])[np.arange(150) % 3]),
    "groups of one class each": Case(*(c := clusters(100, 10, seed=9)), groups=[f"g{code}" for code in c[1]]),
}


def _across(seed: int, labels: Any, ref_labels: Any, **more: Any) -> Case:
    x, _ = clusters(len(labels) + len(ref_labels), 12, seed=seed)
    return Case(x[: len(labels)], labels, ref=x[len(labels) :], ref_labels=ref_labels, **more)


ACROSS: dict[str, Case] = {
    "same classes": _across(10, np.arange(80) % 8, np.arange(120) % 8),
    "classes on one side only": _across(11, np.arange(90) % 9, 4 + np.arange(70) % 10),
    "one query": _across(12, [3], np.arange(60) % 6),
    "one reference": _across(13, np.arange(60) % 6, [3]),
    "one class of queries": _across(14, [3] * 30, np.arange(60) % 6),
    "string labels of other widths": _across(
        15, [f"c{i % 7}" for i in range(50)], [f"c{i % 7}" if i % 3 else "a longer name" for i in range(80)]
    ),
    "mixed labels": _across(
        16, [(1, "1", "x")[i % 3] for i in range(40)], [("x", 1, ("y", 2))[i % 3] for i in range(50)]
    ),
    "groups": _across(
        17,
        np.arange(80) % 8,
        np.arange(100) % 10,
        groups=[("day", "night", "dusk")[i % 3] for i in range(80)],
        ref_groups=[("night", "dawn")[i % 2] for i in range(100)],
    ),
}


class EngineContract:
    """Subclass it with an ``engine`` fixture that gives the engine's name."""

    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    @pytest.mark.parametrize("name", WITHIN)
    def test_counts_within_one_set_are_true(self, engine, name, metric):
        case = WITHIN[name]
        counts = case.count(metric=metric, engine=engine)
        # where all cosines are ±1 or all points are far away, many scores lie near one threshold
        assert_true(counts, case, tolerance_of(engine).of(counts), exact_share=0.5)

    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    @pytest.mark.parametrize("name", ACROSS)
    def test_counts_across_two_sets_are_true(self, engine, name, metric):
        case = ACROSS[name]
        counts = case.count(metric=metric, engine=engine)
        tolerance = tolerance_of(engine).of(counts)
        assert_true(counts, case, tolerance, exact_share=0.5)
        S = reference.scores(case.x, case.ref, metric)
        truth = reference.best_scores(S.T, case.ref_labels, case.labels)
        np.testing.assert_allclose(counts.reference_best, truth, rtol=0, atol=tolerance)

    @pytest.mark.parametrize("dim", [4, 16, 64])
    def test_heavy_ties_are_counted_exactly(self, engine, dim):
        case = Case(lattice(140, dim), np.arange(140) % 11, groups=np.arange(140) % 4)
        counts = case.count(engine=engine)
        assert_true(counts, case, 1e-9, exact_share=1)
        assert np.count_nonzero(counts.pooled_negatives) <= dim + 1

    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_constant_scores_leave_only_infinity_admissible(self, engine, metric):
        case = Case(np.full((40, 16), 0.25, np.float32), np.arange(40) % 4)
        counts = case.count(metric=metric, engine=engine, thresholds=(0.0,))
        assert counts.index_at_far(0.01) == counts.grid.size
        assert counts.accepted_negatives[-2] == counts.n_negatives
        assert_conserved(counts, case.n_pairs)
        assert counts.negatives_accepted[:, counts.column(0.0)].tolist() == counts.negatives.tolist()

    def test_opposite_vectors_stand_in_the_lowest_and_the_highest_bin(self, engine):
        x = np.random.default_rng(0).normal(size=(1, 7)) * np.array([1, 1, -1, -1])[:, None]
        counts = Case(x.astype(np.float32), ["a", "b", "a", "b"]).count(engine=engine)
        assert counts.pooled_negatives[[0, -1]].tolist() == [2, 2]
        assert counts.pooled_positives[[0, -1]].tolist() == [2, 0]

    def test_a_score_equal_to_a_threshold_is_accepted(self, engine):
        case = Case(lattice(100, 16), np.arange(100) % 5)
        S = reference.scores(case.x)
        for threshold in (0.5, np.nextafter(0.5, 1), np.nextafter(0.5, 0), 0.0, -0.25):
            counts = case.count(engine=engine, thresholds=(threshold,))
            truth = reference.class_counts(S, case.labels, [threshold], classes=counts.classes.tolist())
            column = counts.column(threshold)
            np.testing.assert_array_equal(counts.negatives_accepted[:, column], truth.negatives_accepted[:, 0])
            np.testing.assert_array_equal(counts.positives_accepted[:, column], truth.positives_accepted[:, 0])

    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    @pytest.mark.parametrize("across", [False, True])
    def test_further_thresholds_on_and_off_the_grid_are_counted(self, engine, metric, across):
        case = ACROSS["groups"] if across else WITHIN["groups"]
        grid = case.count(metric=metric, engine=engine).grid
        on = grid.thresholds[[0, 1, 20_000, 31_234, grid.size - 1]]
        off = grid.low + np.array([0.3, 9_000.25, 20_000.5, 35_000.9, grid.size - 0.1]) * grid.step
        counts = case.count(metric=metric, engine=engine, thresholds=(*off, *on))
        for threshold in (*on, *off):
            assert counts.thresholds[counts.column(threshold)] == pytest.approx(threshold, abs=1e-6 * grid.step)
        assert (np.diff(counts.thresholds) > 0).all()
        assert_true(counts, case, tolerance_of(engine).of(counts))

    def test_only_further_thresholds_are_counted_where_no_far_is_asked_for(self, engine):
        case = WITHIN["uneven classes"]
        counts = case.count(engine=engine, far=(), thresholds=(0.4, 0.1))
        assert counts.thresholds.tolist() == [0.1, 0.4]
        assert_true(counts, case, tolerance_of(engine).of(counts))

    def test_no_threshold_at_all_still_counts_all_pairs(self, engine):
        case = WITHIN["uneven classes"]
        counts = case.count(engine=engine, far=())
        assert counts.thresholds.size == 0
        assert counts.positives_accepted.shape == (23, 0)
        assert_conserved(counts, case.n_pairs)

    @pytest.mark.parametrize("far", [(1e-2, 1e-1), (1e-3,), (0.2, 1e-4, 0.03), (0.9, 0.99)])
    @pytest.mark.parametrize("name", ["uneven classes", "two samples a class", "many wide rows"])
    def test_classes_are_counted_at_the_admissible_threshold_of_every_far(self, engine, name, far):
        case = WITHIN[name]
        counts = case.count(engine=engine, far=far)
        tolerance = tolerance_of(engine).of(counts)
        _, negative = reference.pair_scores(reference.scores(case.x), case.labels)
        for rate in far:
            threshold = float(counts.grid.threshold(counts.index_at_far(rate)))
            truth = reference.admissible_threshold(negative, rate, counts.grid.thresholds)
            assert threshold == pytest.approx(truth, abs=counts.grid.step * 1.01)
            column = counts.column(threshold)
            assert counts.negatives_accepted[:, column].sum() <= rate * 2 * counts.n_negatives
            assert (negative >= threshold + tolerance).mean() <= rate
            assert (negative >= threshold - counts.grid.step - tolerance).mean() > rate

    @pytest.mark.parametrize("far", [(1e-2, 1e-1), (1e-4, 0.3)])
    def test_the_range_between_two_fars_is_counted_at_128_thresholds_or_more(self, engine, far):
        counts = WITHIN["uneven classes"].count(engine=engine, far=far)
        high, low = (counts.column(counts.grid.threshold(counts.index_at_far(rate))) for rate in far)
        gaps = np.diff(counts.thresholds[low : high + 1])
        assert gaps.size >= 127
        assert gaps.max() <= 1.1 * (counts.thresholds[high] - counts.thresholds[low]) / 127

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_the_same_values_in_another_float_give_the_same_counts(self, engine, metric, dtype):
        x, codes = clusters(200, 20, seed=20)
        x = x.astype(np.float16)  # values that all three types hold
        case = Case(x.astype(dtype), codes)
        counts = case.count(metric=metric, engine=engine)
        assert_true(counts, case, tolerance_of(engine).of(counts))
        if dtype == np.float16:
            assert_same(counts, Case(x.astype(np.float32), codes).count(metric=metric, engine=engine))

    @pytest.mark.parametrize(
        ("dtype", "scale"), [("f4", 1e-30), ("f4", 1e30), ("f8", 1e-150), ("f8", 1e150), ("f2", 1e3)]
    )
    def test_the_length_of_vectors_does_not_matter_to_cosine(self, engine, dtype, scale):
        x, codes = clusters(100, 10, seed=21)
        lengths = np.random.default_rng(0).uniform(1, 7, 100)[:, None] * scale
        case = Case((x.astype(np.float64) * lengths).astype(dtype), codes)
        # squares of 1e150 would leave float64 in the reference
        scores = reference.scores(case.x.astype(np.float64) / scale)
        counts = case.count(engine=engine)
        assert_true(counts, case, tolerance_of(engine).of(counts), scores)

    def test_distances_between_float64_values_far_from_the_origin_keep_their_digits(self, engine):
        x, codes = clusters(100, 10, seed=24)
        case = Case(x.astype(np.float64) + 1e6, codes)
        counts = case.count(metric="euclidean", engine=engine)
        assert_true(counts, case, tolerance_of(engine).of(counts))

    def test_zero_vectors_are_points_like_others_under_euclidean(self, engine):
        x, codes = clusters(80, 8, seed=22)
        x[[0, 40]] = 0
        case = Case(x, codes)
        counts = case.count(metric="euclidean", engine=engine)
        assert_true(counts, case, tolerance_of(engine).of(counts))

    def test_a_memory_map_gives_the_same_counts(self, engine, tmp_path):
        x, codes = clusters(300, 20, seed=23)
        np.save(tmp_path / "x.npy", x)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        assert_same(Case(mapped, codes).count(engine=engine), Case(x, codes).count(engine=engine))

    def test_the_number_of_threads_does_not_matter(self, engine):
        case = WITHIN["many wide rows"]
        one = case.count(engine=engine, threads=1)
        assert_same(one, case.count(engine=engine, threads=3))

    def test_progress_rises_from_0_to_1(self, engine):
        seen: list[float] = []
        WITHIN["uneven classes"].count(engine=engine, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[0] >= 0
        assert seen[-1] == 1.0
