"""The reference against arithmetic by hand, and its numpy against its plain loops."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

import reference as ref

# Five points on the unit circle, two classes of two and one of one.
POINTS = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-0.28, 0.96], [-1.0, 0.0]])
LABELS = ["a", "a", "b", "b", "c"]
# Products by hand, for instance a1·b2 = -0.28 and a2·b2 = -0.28·0.8 + 0.96·0.6 = -0.224 + 0.576 = 0.352:
#         a1     a2     b1     b2     c1
# a1       1    0.8    0.6  -0.28     -1
# a2             1    0.96   0.352   -0.8
# b1                    1    0.6     -0.6
# b2                          1       0.28
# positive pairs: a 0.8; b 0.6                        (2 of 10)
# negative pairs: 0.96 0.6 0.352 0.28 -0.28 -0.6 -0.8 -1   (8 of 10)
#   of a: 0.96 0.6 0.352 -0.28 -0.8 -1    of b: 0.96 0.6 0.352 0.28 -0.28 -0.6    of c: 0.28 -0.6 -0.8 -1
THRESHOLDS = [0.2, 0.5, 0.7]


@pytest.fixture
def hand() -> np.ndarray:
    return np.round(ref.scores(POINTS), 9)  # 0.6 and 0.6 tie exactly, as on paper


def random_case(seed: int, n: int = 14, m: int | None = None, ties: bool = False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = None if m is None else rng.normal(size=(m, 3))
    S = ref.scores(x, y)
    if ties:
        S = np.round(S, 1)
    names = ["u", "v", 3, ("w", 1), "only here"]
    labels = [names[i] for i in rng.integers(0, 4, n)]
    ref_labels = None if m is None else [names[i] for i in rng.integers(1, 5, m)]
    return S, labels, ref_labels


CASES = [(seed, m, ties) for seed in range(3) for m in (None, 9) for ties in (False, True)]
cases = pytest.mark.parametrize(("seed", "m", "ties"), CASES)


def test_scores_of_five_points_by_hand(hand):
    expected = [
        [1, 0.8, 0.6, -0.28, -1],
        [0.8, 1, 0.96, 0.352, -0.8],
        [0.6, 0.96, 1, 0.6, -0.6],
        [-0.28, 0.352, 0.6, 1, 0.28],
        [-1, -0.8, -0.6, 0.28, 1],
    ]
    np.testing.assert_allclose(hand, expected, atol=1e-9)


def test_euclidean_scores_by_hand():
    # 3-4-5 triangle
    S = ref.scores(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 0.0]]), metric="euclidean")
    np.testing.assert_array_equal(S, [[-3.0], [-4.0]])


def test_class_counts_of_five_points_by_hand(hand):
    counts = ref.class_counts(hand, LABELS, THRESHOLDS)
    assert counts.classes == ["a", "b", "c"]
    assert counts.positives.tolist() == [1, 1, 0]
    assert counts.negatives.tolist() == [6, 6, 4]  # n_i · (5 - n_i)
    assert counts.positives_accepted.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert counts.negatives_accepted.tolist() == [[3, 2, 1], [4, 2, 1], [1, 0, 0]]
    assert counts.defined.tolist() == [True, True, False]
    assert np.isnan(counts.frr[2]).all()


def test_a_score_equal_to_the_threshold_is_accepted(hand):
    counts = ref.class_counts(hand, LABELS, [0.6, np.nextafter(0.6, 1)])
    assert counts.positives_accepted[1].tolist() == [1, 0]
    assert counts.negatives_accepted[1].tolist() == [2, 1]


def test_pooled_counts_of_five_points_by_hand(hand):
    counts = ref.pooled_counts(hand, LABELS, THRESHOLDS)
    assert (counts.positives, counts.negatives) == (2, 8)
    assert counts.negatives_accepted.tolist() == [4, 2, 1]
    assert counts.far.tolist() == [4 / 8, 2 / 8, 1 / 8]
    assert counts.frr.tolist() == [0, 0, 1 / 2]


def test_utility_and_opis_of_five_points_by_hand(hand):
    counts = ref.class_counts(hand, LABELS, THRESHOLDS)
    U = ref.utilities(counts)
    # t = 0.2: TAR 1 and 1; TNR 3/6 and 2/6; U = 2·(1/2)/(3/2) = 2/3 and 2·(1/3)/(4/3) = 1/2; Ū = 7/12
    # t = 0.5: TAR 1 and 1; TNR 4/6 and 4/6; U = 2·(2/3)/(5/3) = 4/5 both;                   Ū = 4/5
    # t = 0.7: TAR 1 and 0; TNR 5/6 and 5/6; U = 2·(5/6)/(11/6) = 10/11 and 0;               Ū = 5/11
    np.testing.assert_allclose(U[:2], [[2 / 3, 4 / 5, 10 / 11], [1 / 2, 4 / 5, 0]], rtol=1e-12)
    assert np.isnan(U[2]).all()
    np.testing.assert_allclose(ref.mean_utility(U), [7 / 12, 4 / 5, 5 / 11], rtol=1e-12)
    # squared distance of either class: 1/144, 0, 25/121; the integral over 0.3 and 0.2, divided by 0.5
    expected = (0.3 * (1 / 144) / 2 + 0.2 * (25 / 121) / 2) / 0.5
    np.testing.assert_allclose(ref.opis(U, THRESHOLDS), expected, rtol=1e-12)
    np.testing.assert_allclose(ref.opis_by_class(U, THRESHOLDS)[:2], expected, rtol=1e-12)
    # ⌈0.1·2⌉ = 1 class, b, whose squared distance is that above; of all classes the distance is 0
    assert ref.worst_classes(U, THRESHOLDS) == [1]
    np.testing.assert_allclose(ref.eps_opis(U, THRESHOLDS), expected, rtol=1e-12)
    assert ref.eps_opis(U, THRESHOLDS, eps=1.0) == 0


def test_beta_weighs_the_true_accept_rate(hand):
    # β = 2, TNR 1/2, TAR 1: 5·(1/2)/(4·(1/2) + 1) = 5/6
    assert ref.utility(0.5, 1.0, beta=2.0) == pytest.approx(5 / 6)
    assert ref.utility(0.0, 0.0) == 0


def test_the_number_of_worst_classes_is_exact_where_floats_are_not():
    U = np.ones((50, 2))
    assert len(ref.worst_classes(U, [0.0, 1.0], eps=0.14)) == 7  # 0.14·50 is 7.000000000000001 in floats
    assert len(ref.worst_classes(U, [0.0, 1.0], eps=0.15)) == 8


def test_admissible_threshold_of_five_points_by_hand(hand):
    _, negative = ref.pair_scores(hand, LABELS)
    grid = [0.2, 0.5, 0.7, 0.9, 0.97]  # FAR 4/8, 2/8, 1/8, 1/8, 0
    for far, threshold in [(0.6, 0.2), (0.25, 0.5), (0.125, 0.7), (0.1249, 0.97), (1e-6, 0.97)]:
        assert ref.admissible_threshold(negative, far, grid) == threshold
    assert ref.admissible_threshold(negative, 0.1, grid[:-1]) == math.inf
    assert ref.calibration_range(negative, grid, far=(0.125, 0.25)) == (0.5, 0.7)


def test_rates_over_the_grid_by_hand(hand):
    positive, negative = ref.pair_scores(hand, LABELS)
    grid = [0.2, 0.5, 0.7, 0.9]
    far, tar = ref.roc(positive, negative, grid)
    assert far.tolist() == [4 / 8, 2 / 8, 1 / 8, 1 / 8]
    assert tar.tolist() == [1, 1, 1 / 2, 0]
    assert ref.det(positive, negative, grid)[1].tolist() == [0, 0, 1 / 2, 1]
    # |FAR - FRR| = 4/8, 2/8, 3/8, 7/8: least at 0.5, where the mean is (2/8 + 0)/2
    assert ref.equal_error_rate(positive, negative, grid) == 1 / 8
    assert ref.tar_at_far(positive, negative, 0.125, grid) == 1 / 2


def test_best_scores_of_five_points_by_hand(hand):
    best_positive, best_negative = ref.best_scores(hand, LABELS)
    assert best_positive.tolist() == [0.8, 0.8, 0.6, 0.6, -math.inf]
    assert best_negative.tolist() == [0.6, 0.96, 0.96, 0.352, 0.28]


def test_retrieval_of_five_points_by_hand(hand):
    # negatives at or above the best positive: a1 0; a2 1 (0.96); b1 2 (0.96, and 0.6 ties); b2 0; c1 has no positive
    assert [ref.recall_at_k(hand, LABELS, k) for k in (1, 2, 3)] == [2 / 4, 3 / 4, 4 / 4]
    assert ref.map_at_r(hand, LABELS) == 2 / 4  # R = 1 everywhere: the precision at the first rank


def test_map_at_r_by_hand():
    # a query of class x against x 0.9, y 0.8, x 0.7, x 0.7, y 0.7: R = 3; ranked x, y, and then the y that ties
    S = np.array([[0.9, 0.8, 0.7, 0.7, 0.7]])
    assert ref.map_at_r(S, ["x"], ["x", "y", "x", "x", "y"]) == pytest.approx((1 / 1) / 3)
    # without the tie: x, y, x: (1/1 + 2/3)/3
    assert ref.map_at_r(S[:, :4], ["x"], ["x", "y", "x", "x"]) == pytest.approx((1 + 2 / 3) / 3)


def test_group_counts_of_five_points_by_hand(hand):
    counts = ref.group_counts(hand, LABELS, ["g", "h", "g", "h", "g"], [0.5])
    # g = a1 b1 c1: pairs 0.6 -1 -0.6, none positive; h = a2 b2: 0.352
    # across: a1a2 0.8+  a1b2 -0.28  b1a2 0.96  b1b2 0.6+  c1a2 -0.8  c1b2 0.28
    assert counts.names == ["g", "h"]
    assert counts.positives.tolist() == [[0, 2], [2, 0]]
    assert counts.negatives.tolist() == [[3, 4], [4, 1]]
    assert counts.positives_accepted[..., 0].tolist() == [[0, 2], [2, 0]]
    assert counts.negatives_accepted[..., 0].tolist() == [[1, 1], [1, 0]]


def test_query_and_reference_counts_by_hand(hand):
    # queries a1 a2 against references b1 b2 c1 and one more a at a2's place: positives 0.8 and 1
    S = hand[:2][:, [2, 3, 4, 1]]
    counts = ref.class_counts(S, ["a", "a"], [0.5], ["b", "b", "c", "a"])
    assert counts.classes == ["a", "b", "c"]
    assert counts.positives.tolist() == [2, 0, 0]
    assert counts.negatives.tolist() == [6, 4, 2]
    assert counts.positives_accepted[:, 0].tolist() == [2, 0, 0]
    assert counts.negatives_accepted[:, 0].tolist() == [2, 2, 0]  # 0.6 and 0.96
    assert counts.defined.tolist() == [True, False, False]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_agree_with_plain_loops(metric):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    np.testing.assert_allclose(ref.scores(x, metric=metric), ref.scores_by_loops(x, metric=metric), atol=1e-14)
    np.testing.assert_allclose(ref.scores(x, y, metric), ref.scores_by_loops(x, y, metric), atol=1e-14)


@cases
def test_counts_agree_with_plain_loops(seed, m, ties):
    S, labels, ref_labels = random_case(seed, m=m, ties=ties)
    thresholds = np.round(np.linspace(-1, 1, 11), 1)
    fast = ref.class_counts(S, labels, thresholds, ref_labels)
    slow = ref.class_counts_by_loops(S, labels, thresholds, ref_labels)
    assert fast.classes == slow.classes
    for name in ("positives", "negatives", "positives_accepted", "negatives_accepted"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name), err_msg=name)
    pooled, pooled_slow = (
        f(S, labels, thresholds, ref_labels) for f in (ref.pooled_counts, ref.pooled_counts_by_loops)
    )
    assert (pooled.positives, pooled.negatives) == (pooled_slow.positives, pooled_slow.negatives)
    np.testing.assert_array_equal(pooled.positives_accepted, pooled_slow.positives_accepted)
    np.testing.assert_array_equal(pooled.negatives_accepted, pooled_slow.negatives_accepted)
    assert pooled.positives + pooled.negatives == (14 * 13 // 2 if m is None else 14 * m)
    assert fast.negatives.sum() == 2 * pooled.negatives


@cases
def test_group_counts_agree_with_plain_loops(seed, m, ties):
    S, labels, ref_labels = random_case(seed, m=m, ties=ties)
    rng = np.random.default_rng(seed)
    groups = rng.choice(["north", "south", "east"], len(labels))
    ref_groups = None if m is None else rng.choice(["south", "west"], m)
    thresholds = [-0.5, 0.0, 0.4]
    fast = ref.group_counts(S, labels, groups, thresholds, ref_labels, ref_groups)
    slow = ref.group_counts_by_loops(S, labels, groups, thresholds, ref_labels, ref_groups)
    assert fast.names == slow.names
    for name in ("positives", "negatives", "positives_accepted", "negatives_accepted"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name), err_msg=name)


@cases
def test_measures_agree_with_plain_loops(seed, m, ties):
    S, labels, ref_labels = random_case(seed, m=m, ties=ties)
    _, negative = ref.pair_scores(S, labels, ref_labels)
    grid = np.linspace(-1, 1, 41)
    for far in (0.5, 0.1, 0.01):
        assert ref.admissible_threshold(negative, far, grid) == ref.admissible_threshold_by_loops(negative, far, grid)
    thresholds = np.linspace(-0.2, 0.6, 9)
    U = ref.utilities(ref.class_counts(S, labels, thresholds, ref_labels))
    assert ref.opis(U, thresholds) == pytest.approx(ref.opis_by_loops(U, thresholds), rel=1e-12)
    for k in (1, 2, 5):
        assert ref.recall_at_k(S, labels, k, ref_labels) == ref.recall_at_k_by_loops(S, labels, k, ref_labels)
    assert ref.map_at_r(S, labels, ref_labels) == pytest.approx(ref.map_at_r_by_loops(S, labels, ref_labels), rel=1e-12)


def test_the_reference_is_bearable_for_many_rows():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 60, 1000)
    S = ref.scores(rng.normal(size=(60, 16))[codes] + rng.normal(size=(1000, 16)))
    started = time.perf_counter()
    result = ref.consistency(S, codes, np.arange(-1, 1, 5e-5))
    assert 0 < result.opis < 1
    assert result.threshold_range[0] < result.threshold_range[1]
    assert 0 < ref.map_at_r(S, codes) <= ref.recall_at_k(S, codes, 10) <= 1
    assert time.perf_counter() - started < 30
