"""What disturbances do to a shipped threshold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from audited import clusters

import evenmatch as em
from evenmatch.auditing._robustness import _disturbed, _mislabelled
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError

DATA = EmbeddingSet.from_arrays(*clusters(25, 12))


def test_a_row_is_the_audit_of_the_disturbed_data():
    found = em.robustness(DATA, disturbances={"wrong labels": [0.1]}, repeats=1)
    audit = em.audit(DATA)
    assert found.threshold == audit.threshold
    undisturbed, wrong = found.table.to_dict("records")
    assert undisturbed["opis"] == audit.opis
    assert (undisturbed["far"], undisturbed["frr"]) == (audit.far_at(audit.threshold), audit.frr_at(audit.threshold))
    assert undisturbed["opis_debiased"] == audit.opis_debiased
    again = em.audit(_disturbed(DATA, "wrong labels", 0.1, np.random.default_rng([0, 0, 100000, 0])))
    assert wrong["opis"] == again.opis
    assert (wrong["far"], wrong["frr"]) == (again.far_at(found.threshold), again.frr_at(found.threshold))


def test_disturbances_do_what_they_are_called():
    rng = np.random.default_rng(0)
    noisy = _disturbed(DATA, "embedding noise", 0.3, rng)
    length = np.linalg.norm(noisy.vectors - DATA.vectors, axis=1) / np.linalg.norm(DATA.vectors, axis=1)
    np.testing.assert_allclose(length, 0.3, rtol=1e-4)
    wrong = _disturbed(DATA, "wrong labels", 0.2, rng)
    changed = np.mean(wrong.classes[wrong.codes] != DATA.classes[DATA.codes])
    assert 0.15 < changed <= 0.2
    outliers = _disturbed(DATA, "outliers", 0.1, rng)
    moved = (outliers.vectors != DATA.vectors).any(axis=1)
    assert moved.sum() == 30
    np.testing.assert_allclose(
        np.linalg.norm(outliers.vectors, axis=1), np.linalg.norm(DATA.vectors, axis=1), rtol=1e-5
    )
    fewer = _disturbed(DATA, "fewer samples", 0.75, rng)
    assert np.bincount(fewer.codes).tolist() == [3] * 25
    assert np.bincount(_disturbed(DATA, "fewer samples", 0.99, rng).codes).tolist() == [2] * 25


def test_the_table_summary_and_figure():
    seen: list[float] = []
    found = em.robustness(DATA, repeats=2, seed=1, progress=seen.append)
    assert len(found.table) == 13
    assert seen[-1] == 1
    assert seen == sorted(seen)
    again = em.robustness(DATA, repeats=2, seed=1)
    assert again.summary() == found.summary() == json.loads(json.dumps(found.summary(), allow_nan=False))
    by_level = found.table[found.table["disturbance"] == "embedding noise"]
    assert by_level["frr"].is_monotonic_increasing
    assert found.worst["frr"][0] in ("embedding noise", "wrong labels", "outliers")
    ax = found.plot("opis")
    assert len(ax.get_legend().get_texts()) == 4
    import matplotlib.pyplot as plt

    plt.close(ax.figure)
    with pytest.raises(InputError, match="unknown"):
        found.plot("eer")


@pytest.mark.parametrize(
    "arguments",
    [{"disturbances": {"rain": [0.1]}}, {"disturbances": {"outliers": []}}, {"disturbances": {"fewer samples": [1.0]}},
     {"disturbances": {"outliers": [0.0]}}, {"repeats": 0}, {"threshold": np.inf},
     {"threshold": np.nan}, {"seed": -1}, {"far": (0.01, 0.01)}],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(InputError):
        em.robustness(DATA, **arguments)


def test_the_share_of_wrong_labels_is_the_one_asked_for():
    two = EmbeddingSet.from_arrays(np.eye(4)[np.arange(200) % 4], np.arange(200) % 5 == 0)
    wrong = _disturbed(two, "wrong labels", 0.1, np.random.default_rng(0))
    assert np.mean(wrong.labels != two.labels) == 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_threshold_is_the_same_throughout(metric):
    """Between two thresholds of the grid, and below the range of a copy whose longest distance is shorter."""
    for threshold in (0.7812345, 0.1) if metric == "cosine" else (-4.321987, -1e3):
        found = em.robustness(
            DATA, threshold=threshold, disturbances={"fewer samples": [0.5]}, repeats=1, metric=metric
        )
        copy = _disturbed(DATA, "fewer samples", 0.5, np.random.default_rng([0, 0, 500000, 0]))
        x = copy.vectors.astype(float)
        if metric == "cosine":
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            scores = x @ x.T
        else:
            scores = -np.linalg.norm(x[:, None] - x[None], axis=-1)
        upper = np.triu_indices(len(x), 1)
        other = (copy.codes[:, None] != copy.codes[None])[upper]
        far = np.mean(scores[upper][other] >= threshold)
        assert found.table["far"][1] == pytest.approx(far, abs=1e-12)


def test_groups_are_not_looked_at():
    grouped = EmbeddingSet.from_arrays(DATA.vectors, DATA.labels, groups=np.arange(DATA.n))
    found = em.robustness(grouped, disturbances={"outliers": [0.1]}, repeats=1)
    assert found.summary() == em.robustness(DATA, disturbances={"outliers": [0.1]}, repeats=1).summary()
    assert np.isnan(found.table["far_deviation"]).all()


def test_wrong_labels_are_those_of_other_classes_in_proportion():
    codes = np.repeat([0, 1, 2], [60_000, 30_000, 10_000])
    wrong = _mislabelled(codes, np.arange(codes.size), np.random.default_rng(0))
    assert not (wrong == codes).any()
    assert np.mean(wrong[codes == 0] == 1) == pytest.approx(0.75, abs=0.01)
    assert np.mean(wrong[codes == 1] == 0) == pytest.approx(6 / 7, abs=0.01)
    assert np.mean(wrong[codes == 2] == 0) == pytest.approx(2 / 3, abs=0.02)
