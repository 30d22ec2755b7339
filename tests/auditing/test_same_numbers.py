"""Every number of one audit is the same one in JSON, on the terminal, in HTML, in a notebook, in CSV and in tables."""

from __future__ import annotations

import base64
import csv
import gzip
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from audited import full_audit, with_singletons
from rich.console import Console

import evenmatch as em
from evenmatch.cli import main
from evenmatch.report import print_audit


@pytest.fixture(scope="module")
def audit() -> em.Audit:
    return full_audit()


@pytest.fixture(scope="module")
def views(audit, tmp_path_factory) -> Path:
    """A folder in which the command line has written everything about the same data."""
    folder = tmp_path_factory.mktemp("views")
    x, labels, groups = with_singletons()
    np.savez(folder / "embeddings.npz", embeddings=x, labels=labels, groups=groups)
    return folder


def lines_of(audit: em.Audit) -> list[str]:
    buffer = io.StringIO()
    print_audit(audit.summary(), Console(file=buffer, width=300))
    return buffer.getvalue().splitlines()


def row_of(lines: list[str], name: str) -> str:
    (line,) = [line for line in lines if line.strip().startswith(name)]
    return line.strip()[len(name) :].strip()


def shown_percent(value: float) -> str:
    return f"{100 * value:.2f}%"


def test_json_holds_the_attributes_to_the_last_digit(audit):
    summary = json.loads(json.dumps(audit.summary(), allow_nan=False))
    for name in ("opis", "eps_opis", "threshold", "eer", "eer_threshold", "map_at_r"):
        assert summary[name] == getattr(audit, name)
    assert summary["threshold_range"] == list(audit.threshold_range)
    assert (summary["far"], summary["frr"]) == (audit.far_at(audit.threshold), audit.frr_at(audit.threshold))
    assert summary["recall_at_k"] == {str(k): value for k, value in audit.recall_at_k.items()}
    assert {float(far): tar for far, tar in summary["tar_at_far"].items()} == audit.tar_at_far
    assert summary["intervals"] == {name: list(interval) for name, interval in audit.intervals.items()}
    assert summary["headline"] == audit.headline
    assert summary["data"]["positives"] + summary["data"]["negatives"] == 603 * 602 // 2


def test_json_holds_the_tables_to_the_last_digit(audit):
    summary = audit.summary()
    assert len(summary["worst_classes"]) == 10
    for row in summary["worst_classes"]:
        assert row == {"class": row["class"], **audit.by_class.loc[row["class"]].to_dict()}
    for row in summary["groups"]:
        expected = audit.by_group.loc[row["group"]].to_dict()
        assert row == {
            "group": row["group"],
            **{name: None if value != value else value for name, value in expected.items()},
        }


def test_the_tables_agree_with_each_other(audit):
    table = audit.by_class
    assert table["opis"].sum() == pytest.approx(audit.opis, rel=1e-12)
    assert table["positives"].sum() == audit.summary()["data"]["positives"]
    assert table["negatives"].sum() == 2 * audit.summary()["data"]["negatives"]
    assert np.average(table["far"], weights=table["negatives"]) == pytest.approx(audit.summary()["far"])
    assert table["n"].sum() == audit.by_group["n"].sum() == audit.data.n


def test_the_terminal_shows_the_numbers_of_the_json(audit):
    summary, lines = audit.summary(), lines_of(audit)
    for label, name in (("OPIS", "opis"), ("ε-OPIS", "eps_opis")):
        low, high = summary["intervals"][name]
        assert row_of(lines, f"{label} ") == f"{summary[name]:.4g}  [{low:.4g}, {high:.4g}]"
    for k, value in summary["recall_at_k"].items():
        assert row_of(lines, f"recall@{k} ").startswith(shown_percent(value))
    low, high = summary["intervals"]["recall_at_1"]
    assert row_of(lines, "recall@1 ").endswith(f"[{shown_percent(low)}, {shown_percent(high)}]")
    assert row_of(lines, "MAP@R") == shown_percent(summary["map_at_r"])
    assert row_of(lines, "EER").startswith(f"{shown_percent(summary['eer'])} at ")
    for label, name in (("FAR there", "far"), ("FRR there", "frr")):
        low, high = summary["intervals"][name]
        expected = f"{shown_percent(summary[name])}  [{shown_percent(low)}, {shown_percent(high)}]"
        assert row_of(lines, label) == expected
    (shown,) = re.findall(r"[-\d.]+", row_of(lines, "threshold at FAR ≤ 0.01"))
    assert float(shown) == pytest.approx(summary["threshold"], abs=5e-5)
    for far, tar in summary["tar_at_far"].items():
        expected = "undefined: too few negative pairs" if tar is None else shown_percent(tar)
        assert row_of(lines, f"TAR@FAR {far} ") == expected
    assert summary["headline"] in lines


def test_the_terminals_tables_show_the_numbers_of_the_json(audit):
    summary, text = audit.summary(), "\n".join(lines_of(audit))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    expected = [
        [row["class"], str(row["n"]), *(f"{row[name]:.4g}" for name in ("utility", "opis"))]
        + [shown_percent(row[name]) for name in ("far", "frr")]
        for row in summary["worst_classes"]
    ]
    expected += [
        [row["group"], str(row["n"])]
        + ["–" if row[name] is None else shown_percent(row[name]) for name in ("far", "far_within", "frr")]
        for row in summary["groups"]
    ]
    assert cells == expected


def test_a_notebook_shows_what_the_terminal_shows(audit):
    lines, card = lines_of(audit), audit._repr_html_()
    rows = re.findall(r"<tr><th[^>]*>(.*?)</th><td[^>]*>(.*?)</td></tr>", card)
    assert len(rows) > 10
    for name, value in rows:
        assert row_of(lines, f"{html.unescape(name)} ") == html.unescape(value)
    assert html.escape(audit.headline) in card


def test_the_report_shows_what_the_terminal_shows_and_holds_the_json(audit, tmp_path):
    audit.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    lines = lines_of(audit)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td></tr>', page)
    assert len(rows) > 10
    for name, value in rows:
        assert row_of(lines, f"{html.unescape(name)} ") == html.unescape(value)
    assert html.escape(audit.headline) in page
    tiles = re.findall(r"<dt>(.*?)</dt><dd><strong>(.*?)</strong>", page)
    assert [name for name, _ in tiles] == ["OPIS", "ε-OPIS", "recall@1", "EER"]
    for name, value in tiles:
        assert row_of(lines, f"{name} ").split()[0] == value
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["summary"] == json.loads(json.dumps(audit.summary()))
    packed = gzip.decompress(base64.b64decode(re.search(r'id="arrays">(.*?)</script>', page)[1]))
    for name, expected in (("utility", audit.by_class["utility"]), ("opis", audit.by_class["opis"])):
        _, offset, length, _ = data["arrays"][name]
        np.testing.assert_array_equal(np.frombuffer(packed[offset : offset + length]), expected)


def test_the_command_line_gives_the_numbers_of_the_library(audit, views, capsys):
    arguments = ["audit", str(views / "embeddings.npz"), "--k", "1,5,10", "--map-at-r"]
    extra = ["--json", "--save", str(views / "run.audit"), "--csv", str(views / "by_class.csv")]
    assert main([*arguments, *extra]) == 0
    printed = json.loads(capsys.readouterr().out)
    named = {**audit.summary(), "data": {**audit.summary()["data"], "name": "embeddings"}}
    assert printed == named
    loaded = em.Audit.load(views / "run.audit")
    assert loaded.summary() == named

    with (views / "by_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == audit.by_class.index.tolist()
    for row in rows:
        for name, value in audit.by_class.loc[row["class"]].items():
            assert (float(row[name]) == value) if row[name] else np.isnan(value)


def test_the_command_line_prints_the_same_tables(audit, views, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["audit", str(views / "embeddings.npz"), "--k", "1,5,10", "--map-at-r"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed[1:] == [line.rstrip() for line in lines_of(audit)][1:]
    assert printed[0].startswith("embeddings: 603 × 8, 33 classes (30 with genuine pairs)")
