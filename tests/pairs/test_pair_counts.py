"""PairCounts as an object: merging, thresholds and rates, and the check that nothing was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contract import WITHIN, Case, assert_same, clusters

from evenmatch.errors import EvenmatchError, InputError
from evenmatch.pairs import GroupCounts, PairCounts, ScoreGrid


def part_of(counts: PairCounts, seed: int) -> PairCounts:
    """Counts with the same samples and thresholds, and other numbers."""
    rng = np.random.default_rng(seed)

    def draw(array: np.ndarray) -> np.ndarray:
        if array.dtype == np.int64:
            return rng.integers(0, 2**40, array.shape)
        return rng.normal(size=array.shape).astype(array.dtype)

    names = (
        "positives", "negatives", "positives_accepted", "negatives_accepted", "pooled_positives", "pooled_negatives",
        "best_positive", "best_negative",
    )  # fmt: skip
    groups = None
    if counts.groups is not None:
        cells = ("positives", "negatives", "positives_accepted", "negatives_accepted")
        groups = replace(counts.groups, **{name: draw(getattr(counts.groups, name)) for name in cells})
    return replace(counts, **{name: draw(getattr(counts, name)) for name in names}, groups=groups)


@pytest.fixture(params=["groups", "uneven classes"])
def parts(request) -> list[PairCounts]:
    counts = WITHIN[request.param].count()
    return [part_of(counts, seed) for seed in range(3)]


def few(negatives: list[int], positives: list[int] | None = None) -> PairCounts:
    """Counts of two classes on a grid of as many bins as there are numbers."""
    size = len(negatives)
    grid = ScoreGrid("cosine", 0.0, 0.25, size)
    neg, pos = np.array(negatives), np.array(positives or [0] * size)
    nothing = np.zeros((2, 0), np.int64)
    return PairCounts(
        grid, np.array(["a", "b"]), np.empty(0), np.array([pos.sum(), 0]), np.full(2, neg.sum()), nothing, nothing,
        pos, neg, np.zeros(2, np.float32), np.zeros(2, np.float32), np.arange(2),
    )  # fmt: skip


def test_merging_adds_every_count_and_keeps_the_better_score(parts):
    a, b, _ = parts
    merged = a + b
    for name in ("positives", "negatives", "positives_accepted", "negatives_accepted", "pooled_positives"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(a, name) + getattr(b, name))
    np.testing.assert_array_equal(merged.pooled_negatives, a.pooled_negatives + b.pooled_negatives)
    np.testing.assert_array_equal(merged.best_positive, np.maximum(a.best_positive, b.best_positive))
    np.testing.assert_array_equal(merged.best_negative, np.maximum(a.best_negative, b.best_negative))
    assert merged.n_negatives == a.n_negatives + b.n_negatives
    if merged.groups is not None:
        np.testing.assert_array_equal(merged.groups.positives, a.groups.positives + b.groups.positives)
        np.testing.assert_array_equal(
            merged.groups.negatives_accepted, a.groups.negatives_accepted + b.groups.negatives_accepted
        )


def test_the_order_of_merging_does_not_matter(parts):
    a, b, c = parts
    expected = (a + b) + c
    for other in (a + (b + c), (c + a) + b, b + c + a):
        assert_same(other, expected)


def test_merging_leaves_its_parts_as_they_were(parts):
    a, b, _ = parts
    before = a.positives.copy(), a.pooled_negatives.copy(), a.n_positives
    _ = a + b
    np.testing.assert_array_equal(a.positives, before[0])
    np.testing.assert_array_equal(a.pooled_negatives, before[1])
    assert a.n_positives == before[2]


@pytest.mark.parametrize(
    "change",
    [
        {"grid": ScoreGrid.euclidean(3.0)},
        {"thresholds": np.array([0.1])},
        {"classes": np.arange(100, 123)},
        {"codes": np.zeros(230, np.int64)},
        {"groups": GroupCounts(*(np.zeros(0, np.int64),) * 6, directed=False)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_counts_of_other_samples_classes_grids_or_thresholds_do_not_merge(change):
    counts = WITHIN["uneven classes"].count()
    with pytest.raises(InputError, match="differ in samples, classes, grid or thresholds"):
        counts + replace(counts, **change)


def test_counts_of_other_groups_do_not_merge():
    counts = WITHIN["groups"].count()
    other = replace(counts, groups=replace(counts.groups, names=counts.groups.names[::-1]))
    with pytest.raises(InputError, match="different groups"):
        counts + other


def test_accepted_counts_are_those_at_or_above_each_threshold():
    counts = few([4, 3, 2, 1], [1, 0, 0, 5])
    assert counts.accepted_negatives.tolist() == [10, 6, 3, 1, 0]
    assert counts.accepted_positives.tolist() == [6, 5, 5, 5, 0]


@pytest.mark.parametrize(
    ("far", "index"), [(1.0, 0), (0.99, 1), (0.6, 1), (0.59, 2), (0.3, 2), (0.1, 3), (0.0999, 4), (1e-9, 4)]
)
def test_the_admissible_threshold_is_the_lowest_that_keeps_the_far(far, index):
    # realised FAR at the five thresholds: 1, 0.6, 0.3, 0.1, 0
    assert few([4, 3, 2, 1]).index_at_far(far) == index


@pytest.mark.parametrize("n", [3, 7, 10, 49, 1000, 3_000_017, 10**12 + 39])
def test_a_far_of_exactly_so_many_pairs_is_admissible_however_division_rounds(n):
    for accepted in {1, 2, n // 3, n // 2, n - 1}:
        counts = few([n - accepted, accepted])
        assert counts.index_at_far(accepted / n) == 1
        assert counts.index_at_far(np.nextafter(accepted / n, 0)) == 2


def test_a_counted_threshold_is_found_and_another_is_refused():
    counts = WITHIN["uneven classes"].count(thresholds=(0.123456,))
    assert counts.thresholds[counts.column(0.123456)] == 0.123456
    for column in (0, counts.thresholds.size // 2, counts.thresholds.size - 1):
        assert counts.column(counts.thresholds[column]) == column
    with pytest.raises(InputError, match=r"not counted at threshold 0\.9.*pass thresholds=\[0\.9\]"):
        counts.column(0.9)
    with pytest.raises(InputError, match="not counted at threshold inf"):
        counts.column(float("inf"))
    with pytest.raises(InputError, match="not counted at threshold nan"):
        counts.column(float("nan"))


@pytest.mark.parametrize(
    "name", ["pooled_positives", "pooled_negatives", "positives", "negatives", "negatives_accepted"]
)
def test_a_count_that_was_lost_is_noticed(name):
    case = Case(*clusters(50, 5))
    counts = case.count()
    counts.require_conserved(case.n_pairs)
    array = getattr(counts, name).copy()
    array.flat[np.argmax(array)] -= 1
    with pytest.raises(EvenmatchError, match="internal error"):
        replace(counts, **{name: array}).require_conserved(case.n_pairs)
    with pytest.raises(EvenmatchError, match="internal error"):
        counts.require_conserved(case.n_pairs + 1)


def test_group_sizes_and_direction_are_kept():
    groups = WITHIN["groups"].count().groups
    assert dict(zip(groups.names.tolist(), groups.sizes.tolist(), strict=True)) == {
        "east": 50,
        "north": 50,
        "south": 50,
    }
    assert not groups.directed
