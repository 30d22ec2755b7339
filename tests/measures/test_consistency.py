"""OPIS, ε-OPIS and utility: against the float64 reference, against arithmetic by hand, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SAMPLES, Sample, clusters

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.measures import consistency, utility
from evenmatch.pairs import count_pairs

rates = st.floats(0, 1)


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]()


# ---------------------------------------------------------------- utility


def test_utility_by_hand():
    # β = 1: 2·0.5·1/(0.5 + 1) = 2/3;  β = 2: (1 + 4)·0.5·1/(4·0.5 + 1) = 2.5/3
    assert utility(np.array(1.0), np.array(0.5)) == pytest.approx(2 / 3)
    assert utility(np.array(1.0), np.array(0.5), beta=2.0) == pytest.approx(2.5 / 3)
    # β weighs TAR: with TNR = 1 and TAR = 0.5, 5·0.5/(4 + 0.5) = 2.5/4.5
    assert utility(np.array(0.5), np.array(1.0), beta=2.0) == pytest.approx(2.5 / 4.5)


def test_utility_is_zero_where_nothing_is_right():
    np.testing.assert_array_equal(utility(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])), [0, 0, 0])


@given(rates, rates, st.floats(0.01, 100))
def test_utility_lies_between_the_two_rates(tar, tnr, beta):
    value = float(utility(np.array(tar), np.array(tnr), beta))
    assert min(tar, tnr) - 1e-9 <= value <= max(tar, tnr) + 1e-9
    assert value == pytest.approx(reference.utility(tnr, tar, beta), rel=1e-9, abs=1e-300)


# ---------------------------------------------------------------- against the reference


@pytest.mark.parametrize("options", [{}, {"far": (1e-3, 0.2), "beta": 2.0, "eps": 0.25}])
def test_consistency_equals_the_reference_at_its_own_thresholds(sample, options):
    counts = sample.count(far=options.get("far", (1e-2, 1e-1)))
    result = consistency(counts, **options)
    first = counts.column(result.range[0])
    inside = slice(first, first + result.thresholds.size)
    np.testing.assert_array_equal(counts.thresholds[inside], result.thresholds)
    own = reference.ClassCounts(
        counts.classes.tolist(),
        counts.positives,
        counts.negatives,
        counts.positives_accepted[:, inside],
        counts.negatives_accepted[:, inside],
    )
    U = reference.utilities(own, options.get("beta", 1.0))
    eps = options.get("eps", 0.1)
    assert result.opis == pytest.approx(reference.opis(U, result.thresholds), rel=1e-9)
    assert result.eps_opis == pytest.approx(reference.eps_opis(U, result.thresholds, eps), rel=1e-9)
    np.testing.assert_allclose(result.curves, U[own.defined], rtol=1e-12)
    np.testing.assert_allclose(result.mean_curve, reference.mean_utility(U), rtol=1e-9)
    means = [reference.range_mean(row, result.thresholds) for row in U]
    np.testing.assert_allclose(result.class_utility, means, rtol=1e-9)
    shares = reference.opis_by_class(U, result.thresholds) / own.defined.sum()
    np.testing.assert_allclose(result.class_opis, shares, rtol=1e-9, atol=1e-15)
    assert set(result.worst) == set(reference.worst_classes(U, result.thresholds, eps))
    assert result.worst.size == math.ceil(round(eps * own.defined.sum(), 9))


def test_opis_range_and_thresholds_equal_those_of_the_scores(sample):
    counts = sample.count()
    result = consistency(counts)
    truth = reference.consistency(sample.scores, sample.labels, counts.grid.thresholds, sample.ref_labels, points=1000)
    assert result.range == pytest.approx(truth.threshold_range, abs=2 * counts.grid.step)
    assert result.opis == pytest.approx(truth.opis, rel=1e-3)
    assert result.eps_opis == pytest.approx(truth.eps_opis, rel=1e-3)
    assert result.thresholds.size >= min(100, round((result.range[1] - result.range[0]) / counts.grid.step))
    assert (np.diff(result.thresholds) > 0).all()
    assert result.weights.sum() == pytest.approx(1)


def test_range_ends_are_the_admissible_thresholds(sample):
    counts = sample.count()
    result = consistency(counts)
    negatives = counts.n_negatives
    for threshold, far in zip(result.range, (1e-1, 1e-2), strict=True):
        index = counts.grid.index_at_or_above(threshold)
        assert counts.accepted_negatives[index] / negatives <= far < counts.accepted_negatives[index - 1] / negatives


def test_shares_of_opis_sum_to_opis(sample):
    result = consistency(sample.count())
    assert np.nansum(result.class_opis) == pytest.approx(result.opis, rel=1e-12)
    assert 0 < result.opis < 0.25
    assert result.opis < result.eps_opis < 1


def test_undefined_classes_are_nan_and_left_out():
    sample = SAMPLES["singletons"]()
    counts = sample.count()
    result = consistency(counts)
    single = counts.positives == 0
    assert single.sum() == 40
    assert np.isnan(result.class_utility[single]).all()
    assert np.isnan(result.class_opis[single]).all()
    assert np.isfinite(result.class_utility[~single]).all()
    assert not np.isin(result.worst, np.flatnonzero(single)).any()
    assert result.curves.shape[0] == result.defined.size == 20
    np.testing.assert_allclose(result.mean_curve, result.curves.mean(axis=0))


def test_more_classes_than_one_part_of_the_table():
    # 4,096 classes are worked on at a time; 4,200 make two parts
    x, labels = clusters(4200, 2, dim=4, seed=6)
    counts = count_pairs(EmbeddingSet.from_arrays(x, labels))
    result = consistency(counts)
    inside = np.isin(counts.thresholds, result.thresholds)
    tar = counts.positives_accepted[:, inside] / counts.positives[:, None]
    tnr = 1 - counts.negatives_accepted[:, inside] / counts.negatives[:, None]
    U = 2 * tar * tnr / np.where(tar + tnr > 0, tar + tnr, 1)
    widths = np.diff(result.thresholds)
    squares = (U - U.mean(axis=0)) ** 2
    opis = ((squares[:, 1:] + squares[:, :-1]) / 2 @ widths / widths.sum()).mean()
    assert result.opis == pytest.approx(opis, rel=1e-9)


# ---------------------------------------------------------------- by hand

# Five points on the unit circle, a pair of a, a pair of b, one c:
#         a1     a2     b1     b2     c1
# a1       1    0.8    0.6  -0.28     -1
# a2             1    0.96   0.352   -0.8
# b1                    1    0.6     -0.6
# b2                          1       0.28
# positive pairs: a 0.8; b 0.6
# negative pairs, from the top: 0.96 0.6 0.352 0.28 -0.28 -0.6 -0.8 -1
FIVE = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-0.28, 0.96], [-1.0, 0.0]])
FIVE_LABELS = ["a", "a", "b", "b", "c"]


def test_five_points_by_hand():
    # FAR ≤ 0.3 allows 2 of 8: t_lo is just above 0.352. FAR ≤ 0.2 allows 1 of 8: t_hi is just above 0.6.
    # In between the accepted negatives are 0.96 and 0.6, both pairs of an a with a b:
    #   a has the negatives 0.96 0.6 0.352 -0.28 -0.8 -1: TNR = 4/6, and its positive 0.8 is accepted: TAR = 1
    #   b has the negatives 0.96 0.6 0.352 0.28 -0.28 -0.6: TNR = 4/6, and its positive 0.6 is accepted: TAR = 1
    #   so both have U = 2·(2/3)·1/(2/3 + 1) = (4/3)/(5/3) = 0.8 and Ū = 0.8; c has no positive: undefined
    # At the very end, t_hi > 0.6: both lose the negative 0.6, TNR = 5/6; b also loses its positive: TAR = 0
    #   U_a = 2·(5/6)/(5/6 + 1) = (10/6)/(11/6) = 10/11, U_b = 0, Ū = 5/11, (U - Ū)² = (5/11)² for both
    # Trapezoid: only the last interval counts, with half its width h: OPIS = (5/11)²·(h/2)/(t_hi - t_lo)
    counts = count_pairs(EmbeddingSet.from_arrays(FIVE, FIVE_LABELS), far=(0.2, 0.3))
    result = consistency(counts, far=(0.2, 0.3))
    low, high = result.range
    assert 0.352 < low <= 0.352 + 5e-5
    assert 0.6 < high <= 0.6 + 5e-5
    np.testing.assert_allclose(result.curves[:, :-1], 0.8)
    np.testing.assert_allclose(result.curves[:, -1], [10 / 11, 0])
    np.testing.assert_allclose(result.mean_curve[:-1], 0.8)
    assert result.mean_curve[-1] == pytest.approx(5 / 11)
    share = (result.thresholds[-1] - result.thresholds[-2]) / 2 / (high - low)
    assert result.opis == pytest.approx((5 / 11) ** 2 * share)
    # ⌈0.1·2⌉ = 1 worst class, b, whose distance from Ū is also 5/11
    assert counts.classes[result.worst].tolist() == ["b"]
    assert result.eps_opis == pytest.approx((5 / 11) ** 2 * share)
    assert result.class_utility[1] == pytest.approx(0.8 * (1 - share))
    assert np.isnan(result.class_utility[2])


def test_classes_that_mirror_each_other_have_no_inconsistency():
    # class b is class a with its two coordinates swapped: both see the same scores
    angles = np.random.default_rng(9).uniform(-1.5, 0.5, 12)
    a = np.column_stack([np.cos(angles), np.sin(angles)])
    counts = count_pairs(EmbeddingSet.from_arrays(np.concatenate([a, a[:, ::-1]]), ["a"] * 12 + ["b"] * 12))
    result = consistency(counts)
    np.testing.assert_array_equal(result.curves[0], result.curves[1])
    assert result.curves[0].max() > 0
    assert result.opis == pytest.approx(0, abs=1e-25)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"far": (0.1, 0.1)}, "far is"),
        ({"far": (0.0, 0.1)}, "far is"),
        ({"far": (0.1, 1.0)}, "far is"),
        ({"far": (-0.1, 0.1)}, "far is"),
        ({"far": (math.nan, 0.1)}, "far is"),
        ({"far": (0.1, math.nan)}, "far is"),
        ({"far": (0.1,)}, "far is"),
        ({"far": (0.1, 0.2, 0.3)}, "far is"),
        ({"beta": 0.0}, "beta is 0"),
        ({"beta": -1.0}, "beta is -1"),
        ({"beta": math.inf}, "beta is inf"),
        ({"beta": math.nan}, "beta is nan"),
        ({"eps": 0.0}, "eps is 0"),
        ({"eps": 1.01}, "eps is 1.01"),
        ({"eps": math.nan}, "eps is nan"),
    ],
)
def test_arguments_out_of_range_are_refused(options, said):
    counts = Sample(*clusters(5, 4)).count()
    with pytest.raises(InputError, match=said) as caught:
        consistency(counts, **options)
    assert "give" in str(caught.value)


def test_the_order_of_the_two_rates_does_not_matter():
    counts = Sample(*clusters(20, 10)).count()
    assert consistency(counts, far=(1e-1, 1e-2)).opis == consistency(counts, far=(1e-2, 1e-1)).opis


def test_all_classes_as_the_worst_have_no_distance_from_their_mean():
    counts = Sample(*clusters(20, 10)).count()
    result = consistency(counts, eps=1.0)
    assert result.worst.size == 20
    assert result.eps_opis == pytest.approx(0, abs=1e-25)


def test_the_smallest_share_still_takes_one_class():
    counts = Sample(*clusters(20, 10)).count()
    result = consistency(counts, eps=1e-12)
    assert result.worst.size == 1
    assert result.eps_opis == consistency(counts, eps=1 / 20).eps_opis


def test_share_of_classes_is_not_rounded_up_by_floating_point():
    # 0.07·100 is 7.000000000000001 in floating point: 7 classes, not 8
    counts = Sample(*clusters(100, 4)).count()
    assert consistency(counts, eps=0.07).worst.size == 7


def test_empty_range_says_how_many_pairs_there_are():
    # four negative pairs: the FAR can be 0, 1/4, 2/4 …; both 0.01 and 0.1 need 0
    x = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    counts = count_pairs(EmbeddingSet.from_arrays(x, ["a", "a", "b", "b"]))
    with pytest.raises(InputError, match=r"empty: FAR 0\.1 and FAR 0\.01 .* 4 negative pairs; give more samples"):
        consistency(counts)


def test_copies_under_different_labels_are_named_as_the_cause():
    # 8 copies of one point in 4 classes: every pair has the highest score
    x = np.repeat([[1.0, 0.0]], 8, axis=0)
    counts = count_pairs(EmbeddingSet.from_arrays(x, ["a", "a", "b", "b", "c", "c", "d", "d"]))
    with pytest.raises(InputError, match=r"100\.00% of the negative pairs .* copies of one item under different"):
        consistency(counts)


def test_counts_without_the_range_are_refused_with_the_way_out():
    counts = Sample(*clusters(20, 10)).count(far=(), thresholds=[0.5])
    with pytest.raises(InputError, match=r"not counted at threshold .* pass thresholds="):
        consistency(counts)
