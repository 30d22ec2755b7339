"""Bad input is refused before any pair is counted, by a message that names the place and the remedy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from contract import Case, clusters

from evenmatch.errors import InputError
from evenmatch.pairs import ENGINES, _run

X, CODES = clusters(60, 6, dim=8)


@pytest.fixture(autouse=True)
def no_pair_is_counted(monkeypatch):
    def count(*args: Any, **options: Any) -> None:
        raise AssertionError("pairs were counted before the input was checked")

    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, lambda **settings: count)
    monkeypatch.setattr(_run, "look", count)


def changed(row: int, value: Any) -> np.ndarray:
    x = X.copy()
    x[row] = value
    return x


BAD_DATA: dict[str, tuple[Case, str]] = {
    "a zero vector": (Case(changed(17, 0), CODES), r"row 17 .*zero vector.*drop it, or use the euclidean metric"),
    "a zero vector among references": (
        Case(X[:20], CODES[:20], ref=changed(7, 0), ref_labels=CODES),
        r"row 7 .*zero vector.*drop it",
    ),
    "dimensions that differ": (Case(X, CODES, ref=X[:, :5], ref_labels=CODES), r"8 .* 5.*one model|8 .* 5.*same model"),
    "one class": (Case(X, ["cat"] * 60), r"'cat'.*no negative pair.*two classes"),
    "one class on both sides": (Case(X, ["cat"] * 60, ref=X, ref_labels=["cat"] * 60), r"'cat'.*no negative pair"),
    "no positive pair": (Case(X, np.arange(60)), r"no positive pair.*two samples"),
    "no label in common": (Case(X, CODES, ref=X, ref_labels=CODES + 100), r"share no label.*no positive pair.*check"),
    "labels of other types": (Case(X, CODES, ref=X, ref_labels=CODES.astype(str)), r"share no label.*types"),
    "a single sample": (Case(X[:1], [1]), r"no negative pair|no positive pair"),
    "more than 256 groups": (
        Case(*clusters(300, 6), groups=np.arange(300) % 257),
        r"257 distinct.*at most 256",
    ),
    "groups of queries only": (
        Case(X, CODES, groups=CODES % 2, ref=X, ref_labels=CODES),
        r"groups are given for one.*both or neither",
    ),
    "groups of references only": (
        Case(X, CODES, ref=X, ref_labels=CODES, ref_groups=CODES % 2),
        r"groups are given for one.*both or neither",
    ),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_without_an_answer_is_refused(name):
    case, message = BAD_DATA[name]
    with pytest.raises(InputError, match=message):
        case.count()


BAD_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown metric": ({"metric": "manhattan"}, r"'manhattan' is unknown; use one of 'cosine', 'euclidean'"),
    "unknown engine": ({"engine": "abacus"}, r"'abacus' is unknown; use one of .*'cpu'"),
    "no thread": ({"threads": 0}, r"threads is 0; give 1 or more"),
    "far of zero": ({"far": (0.0, 0.1)}, r"far holds 0; .*between 0 and 1"),
    "far of one": ({"far": (0.1, 1.0)}, r"far holds 1; .*between 0 and 1"),
    "negative far": ({"far": (-0.01,)}, r"far holds -0\.01"),
    "far in per cent": ({"far": (1, 10)}, r"far holds 1; .*between 0 and 1"),
    "far of NaN": ({"far": (math.nan,)}, r"far holds nan"),
    "threshold above all cosines": ({"thresholds": (0.5, 1.01)}, r"threshold 1\.01 is outside .*cosine"),
    "threshold below all cosines": ({"thresholds": (-1.01,)}, r"threshold -1\.01 is outside"),
    "positive threshold of distances": (
        {"thresholds": (0.5,), "metric": "euclidean"},
        r"threshold 0\.5 is outside .*euclidean",
    ),
    "threshold of NaN": ({"thresholds": (math.nan,)}, r"threshold nan"),
    "infinite threshold": ({"thresholds": (math.inf,)}, r"threshold inf is outside"),
    "two thresholds in one bin": ({"thresholds": (0.30001, 0.300011)}, r"0\.30001 and 0\.300011 are closer than .*one"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_arguments_that_cannot_be_meant_are_refused(name):
    options, message = BAD_ARGUMENTS[name]
    with pytest.raises(InputError, match=message):
        Case(X, CODES).count(**options)
