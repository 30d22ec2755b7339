"""Tables of scored pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evenmatch.embeddings import load_scores
from evenmatch.errors import InputError

TABLE = pd.DataFrame(
    {
        "a": ["x", "y", "z"],
        "score": [0.5, 1, -0.25],
        "same": [1, 1, 0],
        "fold": [0, 1, 1],
        "class": ["NA", "007", "ü"],
        "groups": ["p", "q", "q"],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_column_is_read_under_its_name(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    TABLE.to_csv(path, index=False) if suffix == ".csv" else TABLE.to_parquet(path)
    found = load_scores(path)
    assert set(found) == {"scores", "same", "folds", "classes", "groups"}
    np.testing.assert_array_equal(found["scores"], TABLE["score"])
    np.testing.assert_array_equal(found["same"], TABLE["same"])
    assert found["classes"].tolist() == ["NA", "007", "ü"]
    assert found["groups"].tolist() == ["p", "q", "q"]


def test_names_that_are_digits_stay_text(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"\xef\xbb\xbfscore,same, class\r\n1,1,007\r\n0.5,0,7\r\n")
    found = load_scores(tmp_path / "pairs.csv")
    assert found["classes"].tolist() == ["007", "7"]
    assert found["scores"].tolist() == [1, 0.5]


def test_true_and_false_are_understood(tmp_path):
    (tmp_path / "pairs.csv").write_text("same,scores\ntrue,1\nFalse,0.5\n")
    assert load_scores(tmp_path / "pairs.csv")["same"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pairs.csv", "0.5,1\n0.4,0\n", "has no column 'score'"),
        ("pairs.csv", "score,label\n0.5,1\n", "has no column 'same', only label, score"),
        ("pairs.csv", "score,same\n0.5,1\n,0\n", "row 1 of column 'score' in .* is empty"),
        ("pairs.csv", "score,same,group\n0.5,1,a\n0.4,0,\n", "row 1 of column 'group' in .* is empty"),
        ("pairs.csv", "score,same\n0.5,1\n0.4\n", "cannot be read as a .csv table"),
        ("pairs.csv", "score,same,score\n0.5,1,0.5\n", "has the columns 'score' and 'score'; keep one"),
        ("pairs.csv", "score,same,fold,folds\n0.5,1,1,1\n", "has the columns 'fold' and 'folds'; keep one"),
        ("pairs.csv", "", "empty file"),
        ("pairs.parquet", "PAR1 and no more", "cannot be read as a .parquet table"),
        ("pairs.txt", "x", "no known suffix"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_scores(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
