"""Pooled FAR, FRR, EER, TAR@FAR and the admissible threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import SAMPLES, Sample, clusters, counts_of

import reference
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import equal_error_rate, error_curve, rates_at, tar_at_far, threshold_at_far
from evenmatch.pairs import ScoreGrid

COARSE = ScoreGrid("cosine", -1.0125, 0.025, 81)
# scores with heavy ties, from a handful of values
tied_scores = st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.1, 0.11, 0.5, 0.99, 1.0]), min_size=1, max_size=60)


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]()


# ---------------------------------------------------------------- against the reference


def test_error_curve_equals_the_reference(sample):
    counts = sample.count()
    curve = error_curve(counts)
    truth = reference.pooled_counts(sample.scores, sample.labels, counts.grid.thresholds, sample.ref_labels)
    assert curve.thresholds[-1] == math.inf
    assert (curve.far[-1], curve.frr[-1], curve.far[0], curve.frr[0]) == (0, 1, 1, 0)
    # a float32 score may cross the one grid threshold that it lies at: a few pairs in a million thresholds
    assert np.mean(curve.far[:-1] != truth.far) < 0.05
    np.testing.assert_allclose(curve.far[:-1], truth.far, atol=5 / truth.negatives)
    np.testing.assert_allclose(curve.frr[:-1], truth.frr, atol=5 / truth.positives)


def test_equal_error_rate_equals_the_reference(sample):
    counts = sample.count()
    positive, negative = reference.pair_scores(sample.scores, sample.labels, sample.ref_labels)
    rate, threshold = equal_error_rate(counts)
    truth = reference.equal_error_rate(positive, negative, counts.grid.thresholds)
    assert rate == pytest.approx(truth, abs=2 / positive.size)
    assert abs(np.mean(negative >= threshold) - np.mean(positive < threshold)) <= 2 / positive.size


def test_tar_at_far_equals_the_reference_where_enough_errors_are_expected(sample):
    counts = sample.count()
    positive, negative = reference.pair_scores(sample.scores, sample.labels, sample.ref_labels)
    found = tar_at_far(counts)
    assert list(found) == [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    for far, tar in found.items():
        if far * negative.size < 30:
            assert tar is None
        else:
            truth = reference.tar_at_far(positive, negative, far, counts.grid.thresholds)
            assert tar == pytest.approx(truth, abs=2 / positive.size)
    assert None in found.values()
    assert found[0.1] is not None


def test_tar_at_far_needs_thirty_expected_errors():
    # 3,000 negatives: 1e-2 expects 30 errors, 0.00999 expects 29.97
    counts = counts_of(np.linspace(0, 1, 50), np.linspace(-1, 0.5, 3000))
    found = tar_at_far(counts, (1e-2, 0.00999))
    assert found[1e-2] is not None
    assert found[0.00999] is None


# ---------------------------------------------------------------- the admissible threshold


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=80) | tied_scores,
    st.floats(0, 1) | st.sampled_from([0.0, 1e-3, 0.1, 1 / 3, 0.3, 0.5, 0.7, 1.0]),
)
def test_realised_far_keeps_the_target_and_one_step_lower_breaks_it(negative, far):
    counts = counts_of([0.5], negative, COARSE)
    point = threshold_at_far(counts, far)
    bins = np.array([COARSE.bin_of(score) for score in negative])
    index = COARSE.index_at_or_above(point.threshold)
    assert point.far == np.count_nonzero(bins >= index) / len(negative)
    assert point.far <= far == point.target
    if index > 0:
        assert np.count_nonzero(bins >= index - 1) / len(negative) > far


@given(st.integers(1, 400), st.integers(0, 400))
def test_a_target_that_is_a_whole_number_of_pairs_is_used_up(n, accepted):
    # accepted/n is the target exactly as a user computes it: that many false accepts are allowed, not one less
    accepted = min(accepted, n)
    scores = np.linspace(-0.99, 0.99, n)
    fine = ScoreGrid("cosine", -1.0005, 0.001, 2001)
    point = threshold_at_far(counts_of([0.0], scores, fine), accepted / n)
    assert round(point.far * n) == accepted


def test_constant_scores_leave_only_everything_or_nothing():
    counts = counts_of([0.3] * 7, [0.3] * 9)
    everything, nothing = threshold_at_far(counts, 1.0), threshold_at_far(counts, 0.5)
    assert (everything.far, everything.frr) == (1.0, 0.0)
    assert everything.threshold <= -1
    assert (nothing.far, nothing.frr) == (0.0, 1.0)
    assert 0.3 < nothing.threshold <= 0.3 + 5e-5


def test_rejecting_everything_is_admissible():
    point = threshold_at_far(counts_of([1.0, 0.0], [1.0, 1.0, -1.0]), 0.5)
    assert (point.threshold, point.far, point.frr) == (math.inf, 0.0, 1.0)


@pytest.mark.parametrize("far", [-1e-9, 1.001, math.nan, math.inf, -math.inf])
def test_a_target_that_is_no_rate_cannot_be_reached(far):
    with pytest.raises(UnreachableTargetError, match="give a rate between 0 and 1"):
        threshold_at_far(counts_of([0.5], [0.1]), far)


def test_five_points_by_hand():
    # positives 0.8 and 0.6; negatives 0.96 0.6 0.352 0.28 -0.28 -0.6 -0.8 -1
    counts = counts_of([0.8, 0.6], [0.96, 0.6, 0.352, 0.28, -0.28, -0.6, -0.8, -1])
    assert rates_at(counts, 0.7) == (1 / 8, 1 / 2)  # 0.96 accepted; 0.6 rejected
    assert rates_at(counts, 0.3) == (3 / 8, 0)
    assert rates_at(counts, -math.inf) == (1, 0)
    assert rates_at(counts, math.inf) == (0, 1)
    quarter = threshold_at_far(counts, 0.25)  # 2 of 8: just above 0.352
    assert 0.352 < quarter.threshold <= 0.352 + 5e-5
    assert (quarter.far, quarter.frr) == (0.25, 0.0)
    eighth = threshold_at_far(counts, 0.2)  # 1 of 8, which costs the positive at 0.6
    assert 0.6 < eighth.threshold <= 0.6 + 5e-5
    assert (eighth.far, eighth.frr) == (0.125, 0.5)
    # from just above 0.352 to 0.6: FAR 2/8, FRR 0, they differ by 0.25; above 0.6: FAR 1/8, FRR 1/2, by 0.375
    rate, threshold = equal_error_rate(counts)
    assert rate == 0.125
    assert 0.352 < threshold <= 0.6


# ---------------------------------------------------------------- rates at a threshold


def test_rates_at_counted_thresholds_are_those_of_the_scores(sample):
    # thresholds away from every score, so that float32 cannot decide otherwise
    S = sample.scores
    positive, negative = reference.pair_scores(S, sample.labels, sample.ref_labels)
    every = np.sort(np.concatenate([positive, negative]))
    middles = (every[1:] + every[:-1]) / 2
    clear = middles[np.diff(every) > 2e-5 * (every[-1] - every[0])]
    wanted = clear[:: max(1, clear.size // 5)]
    counts = sample.count(thresholds=wanted)
    for threshold in wanted:
        far, frr = rates_at(counts, threshold)
        assert far == np.count_nonzero(negative >= threshold) / negative.size
        assert frr == pytest.approx(np.count_nonzero(positive < threshold) / positive.size, abs=1e-15)


def test_class_and_pooled_counts_agree_where_both_exist():
    counts = Sample(*clusters(20, 10)).count()
    for threshold in counts.thresholds[::20]:
        index = counts.grid.index_at_or_above(threshold)
        far, frr = rates_at(counts, threshold)
        assert far == counts.accepted_negatives[index] / counts.n_negatives
        assert frr == 1 - counts.accepted_positives[index] / counts.n_positives


@settings(max_examples=30)
@given(st.floats(-1.2, 1.2))
def test_a_threshold_between_two_of_the_grid_moves_up(threshold):
    counts = counts_of([0.31, 0.9], [0.3, 0.302, -0.5], COARSE)
    index = COARSE.index_at_or_above(threshold)
    assert rates_at(counts, threshold) == rates_at(counts, float(COARSE.threshold(index)))


def test_a_threshold_that_is_nan_is_refused():
    with pytest.raises(InputError, match="threshold is NaN"):
        rates_at(counts_of([0.5], [0.1]), math.nan)
