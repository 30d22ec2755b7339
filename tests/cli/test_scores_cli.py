"""evenmatch scores, as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import evenmatch as em
from evenmatch.cli import main


@pytest.fixture
def table(tmp_path, monkeypatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    same = np.arange(6000) % 2
    pairs = pd.DataFrame(
        {
            "score": rng.normal(size=same.size) + 3 * same,
            "same": same,
            "fold": np.arange(same.size) // 600,
            "group": np.where(rng.random(same.size) < 0.5, "[red]", "other"),
        }
    )
    pairs.to_csv("pairs.csv", index=False)
    return pairs


def test_json_is_the_summary(table, capsys):
    assert main(["scores", "pairs.csv", "--far", "1e-1,1e-2", "--confidence", "0.9", "--json"]) == 0
    expected = em.audit_scores(
        table["score"], table["same"], folds=table["fold"], groups=table["group"], far=[0.1, 0.01], confidence=0.9
    )
    assert json.loads(capsys.readouterr().out) == expected.summary()


def test_the_table_has_accuracy_rates_and_groups(table, capsys):
    assert main(["scores", "pairs.csv", "--far", "1e-2,1e-3"]) == 0
    said = capsys.readouterr().out
    assert "3,000 genuine, 3,000 impostor" in said
    assert "10 folds" in said
    assert "95% interval that leaves out one fold at a time" in said
    assert "too few impostor pairs for FAR 0.001:" in said
    assert "[red]" in said


def test_without_units_there_is_no_interval(table, capsys):
    table[["score", "same"]].to_parquet("pairs.parquet")
    assert main(["scores", "pairs.parquet"]) == 0
    said = capsys.readouterr().out
    assert "interval" not in said
    assert "accuracy" not in said


def test_limits_decide_the_exit_code(table, capsys):
    found = em.audit_scores(table["score"], table["same"], far=[0.01])
    frr = 1 - found.rates[0].tar
    assert main(["scores", "pairs.csv", "--fail-above", f"eer={found.eer + 1e-6}"]) == 0
    assert main(["scores", "pairs.csv", "--far", "1e-2", "--fail-above", f"frr={frr + 1e-6}"]) == 0
    assert main(["scores", "pairs.csv", "--far", "1e-2", "--fail-above", f"frr={frr - 1e-6}"]) == 1
    assert capsys.readouterr().err.startswith("check failed: frr is ")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("same", 2, "pairs.csv: same has values other than"), ("score", "inf", "pairs.csv: score 7 is not finite")],
)
def test_what_is_wrong_is_said_with_the_file(table, capsys, column, value, said):
    table.astype({column: object}).assign(
        **{column: [value if row == 7 else x for row, x in enumerate(table[column])]}
    ).to_csv("pairs.csv", index=False)
    assert main(["scores", "pairs.csv"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_option_that_is_no_rate_is_not_the_files_fault(table, capsys):
    for options, said in (
        (["--far", "2"], "--far: '2' is no list of rates"),
        (["--confidence", "2"], "--confidence: 2 is"),
    ):
        assert main(["scores", "none.csv", *options]) == 2
        assert said in capsys.readouterr().err


def test_brackets_are_explained_where_only_far_has_one(table, capsys):
    table["score"] += 5 * table["same"]
    table.to_csv("pairs.csv", index=False)
    assert main(["scores", "pairs.csv", "--far", "1e-2"]) == 0
    assert "leaves out one fold at a time" in capsys.readouterr().out
