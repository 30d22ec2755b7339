"""Whatever cannot be audited is refused before the work starts, in one line that names place and remedy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from audited import clusters

import evenmatch as em
from evenmatch.errors import InputError

X, CODES = clusters(k=6, each=8)


def changed(row: int, value: float) -> np.ndarray:
    x = X.copy()
    x[row] = value
    return x


BAD_DATA = {
    "NaN": (lambda: em.audit(changed(17, math.nan), CODES), "row 17 of embeddings has a NaN"),
    "inf": (lambda: em.audit(changed(3, math.inf), CODES), "row 3 of embeddings has an infinite value"),
    "zero vector": (lambda: em.audit(changed(5, 0.0), CODES), "row 5 of embeddings is a zero vector"),
    "length mismatch": (lambda: em.audit(X, CODES[:-1]), "labels has 47 entries but embeddings has 48 rows"),
    "groups of another length": (lambda: em.audit(X, CODES, groups=[1]), "groups has 1 entries"),
    "one class": (lambda: em.audit(X, ["a"] * 48), "no negative pair"),
    "no positive pair": (lambda: em.audit(X, np.arange(48)), "no positive pair"),
    "empty": (lambda: em.audit(np.empty((0, 4), np.float32), []), "empty"),
    "no columns": (lambda: em.audit(np.empty((4, 0), np.float32), [0, 0, 1, 1]), "empty"),
    "1-d": (lambda: em.audit(X[:, 0], CODES), r"shape \(48,\)"),
    "3-d": (lambda: em.audit(X[None], CODES), r"shape \(1, 48, 8\)"),
    "object array": (lambda: em.audit(X.astype(object), CODES), "object array"),
    "ragged": (lambda: em.audit([[1.0, 2.0], [3.0]], [0, 1]), "embeddings"),
    "integers": (lambda: em.audit(X.astype(int), CODES), "floating point"),
    "text": (lambda: em.audit("embeddings.npz", CODES), "embeddings"),
    "missing label": (lambda: em.audit(X, [None, *CODES[1:].tolist()]), "row 0 of labels is missing"),
    "no labels": (lambda: em.audit(X), "labels is missing"),
    "labels twice": (lambda: em.audit(em.EmbeddingSet.from_arrays(X, CODES), CODES), "its own labels"),
    "gallery without labels": (lambda: em.audit(X, CODES, ref=X), "ref_labels is missing"),
    "gallery of another width": (lambda: em.audit(X, CODES, ref=X[:, :3], ref_labels=CODES), "8 columns and ref has 3"),
    "gallery of other classes": (lambda: em.audit(X, CODES, ref=X, ref_labels=CODES + 9), "share no label"),
    "gallery with a NaN": (lambda: em.audit(X, CODES, ref=changed(2, math.nan), ref_labels=CODES), "row 2"),
    "gallery of zeros": (lambda: em.audit(X, CODES, ref=changed(2, 0.0), ref_labels=CODES), "row 2"),
    "gallery without groups": (lambda: em.audit(X, CODES, groups=CODES, ref=X, ref_labels=CODES), "groups are given"),
    "labels of no gallery": (lambda: em.audit(X, CODES, ref_labels=CODES), "ref_labels"),
}

BAD_ARGUMENTS = {
    "metric": ({"metric": "dot"}, "metric 'dot' is unknown; use one of 'cosine', 'euclidean'"),
    "far, both the same": ({"far": (0.1, 0.1)}, "far is"),
    "far, one": ({"far": (0.1,)}, "far is"),
    "far, a number": ({"far": 0.01}, r"far is 0\.01; give two false accept rates"),
    "far, text": ({"far": ("a", "b")}, "give two false accept rates"),
    "far, not a rate": ({"far": (0.1, 1.1)}, "far is"),
    "beta": ({"beta": 0}, "beta is 0"),
    "beta, too large to square": ({"beta": 1e200}, "beta is 1e\\+200"),
    "eps": ({"eps": 1.5}, "eps is 1.5"),
    "k, a number": ({"k": 5}, r"k is 5; give a list of whole numbers of neighbours, as \[1, 5\]"),
    "k, text": ({"k": "15"}, "k is '15'; give a list"),
    "k, none": ({"k": ()}, "k is"),
    "k, zero": ({"k": (0, 1)}, "k is"),
    "k, a fraction": ({"k": (1.5,)}, "k is"),
    "thresholds, a number": ({"thresholds": 0.5}, r"thresholds is 0\.5; give a list of scores"),
    "thresholds, NaN": ({"thresholds": [math.nan]}, "threshold"),
    "thresholds, outside": ({"thresholds": [1.5]}, r"outside the scores' range \[-1"),
    "thresholds, too close": ({"thresholds": [0.500001, 0.500002]}, "closer than the grid's step"),
    "confidence": ({"confidence": 1.0}, "confidence is 1"),
    "confidence, in percent": ({"confidence": 95}, "confidence is 95"),
    "precision": ({"precision": "half"}, "precision 'half'"),
    "device": ({"device": "tpu"}, "device 'tpu'"),
    "engine": ({"engine": "abacus"}, "engine 'abacus' is unknown; use one of 'cpu'"),
    "threads": ({"threads": 0}, "threads is 0; give 1 or more"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_are_refused(name):
    call, said = BAD_DATA[name]
    with pytest.raises(InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(name):
    options, said = BAD_ARGUMENTS[name]
    with pytest.raises(InputError, match=said) as caught:
        em.audit(X, CODES, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_before_any_pair_is_counted(name):
    def progress(share: float) -> None:
        raise AssertionError("work had begun")

    with pytest.raises(InputError):
        em.audit(X, CODES, progress=progress, **BAD_ARGUMENTS[name][0])


def test_zero_vectors_are_fine_under_euclidean():
    assert em.audit(changed(5, 0.0), CODES, metric="euclidean").opis > 0


def test_too_few_pairs_for_the_range_say_what_to_do():
    with pytest.raises(InputError, match=r"calibration range is empty: .* give more samples"):
        em.audit(X[:5], [0, 0, 1, 1, 1])


def test_one_item_under_several_labels_is_named_as_the_cause():
    copies = np.concatenate([X, np.repeat(X[:1], 30, axis=0)])
    labels = [*CODES.tolist(), *range(100, 130)]
    with pytest.raises(InputError, match="copies of one item under different labels"):
        em.audit(copies, labels)


def test_a_view_of_the_data_needs_the_set_that_was_audited(tmp_path):
    data = em.EmbeddingSet.from_arrays(X, CODES)
    audit = em.audit(data, far=(0.05, 0.2))
    said = "is a ndarray; pass the EmbeddingSet that was audited, from em.load or em.EmbeddingSet.from_arrays"
    with pytest.raises(InputError, match=f"embeddings {said}"):
        audit.confusable(X)
    with pytest.raises(InputError, match=f"embeddings {said}"):
        audit.to_html(tmp_path / "a.html", embeddings=X)
    with pytest.raises(InputError, match=f"ref {said}"):
        audit.to_html(tmp_path / "a.html", embeddings=data, ref=X)
