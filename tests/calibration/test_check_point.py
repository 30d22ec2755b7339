"""A shipped point on new data."""

from __future__ import annotations

import numpy as np
import pytest
from calibrated import made

import evenmatch as em
import reference
from evenmatch.errors import ArtefactError, InputError

POINT = em.calibrate(made(), far=1e-2)


def test_the_realised_rates_are_those_of_the_accepted_pairs():
    data = made(seed=3)
    check = POINT.check(data)
    positive, negative = reference.pair_scores(reference.scores(data.vectors), data.labels)
    assert check.far == np.mean(POINT.accepts(negative))
    assert check.frr == pytest.approx(1 - np.mean(POINT.accepts(positive)))
    summary = check.summary()
    assert summary["far_expected"] == list(POINT.far_interval(60))
    assert summary["far_as_expected"] == (summary["far_expected"][0] <= check.far <= summary["far_expected"][1])
    assert summary["groups"] == []


def test_harder_data_are_not_as_expected():
    summary = POINT.check(made(seed=3, spread=1.5)).summary()
    assert not summary["frr_as_expected"]


def test_the_calibration_data_themselves_are_recognised():
    check = POINT.check(made())
    assert check.same_data
    assert (check.far, check.frr) == pytest.approx((POINT.far, POINT.frr))


def test_groups_have_rows():
    data = made(seed=3, groups=np.arange(480) % 2)
    check = POINT.check(data)
    assert check.by_group.index.tolist() == [0, 1]
    assert [row["far"] for row in check.summary()["groups"]] == check.by_group.far.tolist()


def test_a_gallery_may_be_checked():
    data = made(seed=3)
    check = POINT.check(data.subset(slice(0, 200)), data.subset(slice(200, None)))
    assert check.counts.n_positives + check.counts.n_negatives == 200 * 280


def test_another_metric_or_model_is_refused():
    with pytest.raises(ArtefactError, match="calibrated for cosine scores and cannot be used with euclidean"):
        POINT.check(made(), metric="euclidean")
    with pytest.raises(InputError, match="have 8 dimensions and the point was calibrated on 16"):
        POINT.check(made(dim=8))


def test_the_calibration_data_are_recognised_with_their_gallery():
    data = made(seed=3)
    queries, gallery = data.subset(slice(0, 200)), data.subset(slice(200, None))
    point = em.calibrate(queries, ref=gallery, far=1e-2)
    assert point.check(queries, gallery).same_data
    assert not point.check(gallery, queries).same_data
    assert not point.check(queries).same_data


def test_a_euclidean_point_judges_data_that_have_shrunk():
    """No distance among them is as long as the threshold: every pair is accepted."""
    point = em.calibrate(made(), far=1e-2, metric="euclidean")
    small = em.EmbeddingSet.from_arrays(0.01 * made().vectors, made().labels)
    check = point.check(small)
    assert (check.far, check.frr) == (1, 0)
    assert not check.summary()["far_as_expected"]


def test_arrays_have_no_labels():
    with pytest.raises(InputError, match="a ndarray has no labels; pass an EmbeddingSet"):
        POINT.check(made().vectors)
