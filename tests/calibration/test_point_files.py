"""Points on disk: the same when they come back, refused in one line when they are not what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calibrated import made

import evenmatch as em
from evenmatch.errors import ArtefactError, InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("point") / "point.json"
    em.calibrate(made(name="faces é"), far=1e-2).save(path)
    return path


def refusal(path: Path, **options) -> str:
    with pytest.raises(ArtefactError) as raised:
        em.OperatingPoint.load(path, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"far": 1e-2},
        {"frr": 0.1, "guarantee": "upper", "n_classes": 500, "probability": "beta"},
        {"beta": 2.0, "probability": "platt", "prior": 0.1},
        {"cost_false_accept": 3, "cost_false_reject": 1, "prior": 0.2, "probability": "temperature"},
        {"far": 1e-2, "metric": "euclidean", "probability": None, "confidence": 0.8},
    ],
)
def test_a_point_comes_back_as_it_was(options, tmp_path):
    point = em.calibrate(made(), **options)
    point.save(tmp_path / "p.json")
    again = em.OperatingPoint.load(str(tmp_path / "p.json"))
    assert again == point
    assert again.summary() == point.summary()
    assert again.far_ci == point.far_ci
    assert again.threshold_probability == point.threshold_probability


@pytest.mark.parametrize("name", ["run [ 3 ]", "a [\n1,\n2 ]", "[1,  2]"])
def test_a_name_with_brackets_comes_back(name, tmp_path):
    point = em.calibrate(made(name=name), far=1e-2)
    point.save(tmp_path / "p.json")
    assert em.OperatingPoint.load(tmp_path / "p.json").data.name == name


def test_people_can_read_it(saved):
    text = saved.read_text("utf-8")
    content = json.loads(text)
    assert "faces é" in text
    assert len(text.splitlines()) < 100
    assert content["objective"]["target"] == 0.01
    assert content["rates"]["far"]["interval"] == list(em.OperatingPoint.load(saved).far_ci)
    assert content["not_for"]


@pytest.mark.parametrize(
    "change",
    [("0.01", "0.02"), ('"threshold": 0.', '"threshold": 0.0'), ('"cosine"', '"euclidean"'), ("mean", "upper")],
)
def test_an_altered_point_is_refused(saved, tmp_path, change):
    text = saved.read_text("utf-8")
    assert change[0] in text
    path = tmp_path / "p.json"
    path.write_text(text.replace(*change, 1), "utf-8")
    assert "was altered after it was written (its checksum does not fit)" in refusal(path)


def test_layout_may_change_but_no_value(saved, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(json.loads(saved.read_text("utf-8"))), "utf-8")
    assert em.OperatingPoint.load(path) == em.OperatingPoint.load(saved)


@pytest.mark.parametrize("kept", [0, 1, 0.3, 0.9, 0.998])
def test_a_truncated_point_is_refused(saved, tmp_path, kept):
    raw = saved.read_bytes()
    path = tmp_path / "p.json"
    path.write_bytes(raw[: kept if isinstance(kept, int) else int(kept * len(raw))])
    assert "cannot be read as an operating point" in refusal(path)


def test_a_newer_schema_is_named(saved, tmp_path):
    content = json.loads(saved.read_text("utf-8"))
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**content, "schema": 7}))
    assert "has operating point schema 7, this version reads schema 2 and older; read it with" in refusal(path)


def test_a_point_for_another_metric_is_refused(saved):
    assert em.OperatingPoint.load(saved, metric="cosine").metric == "cosine"
    assert "was calibrated for cosine scores and cannot be used with euclidean" in refusal(saved, metric="euclidean")


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "{}", '{"kind": "evenmatch.audit"}'])
def test_other_json_is_no_point(tmp_path, text):
    path = tmp_path / "p.json"
    path.write_text(text)
    assert "is no operating point; give a file that" in refusal(path)


@pytest.mark.parametrize("drop", ["rates", "threshold", "data", "objective"])
def test_a_point_whose_checksum_fits_but_whose_content_does_not_is_refused(saved, tmp_path, drop):
    from evenmatch.calibration._store import _checksum

    content = json.loads(saved.read_text("utf-8"))
    for value in (None, "x"):
        broken = {**content, drop: value}
        path = tmp_path / "p.json"
        path.write_text(json.dumps({**broken, "checksum": _checksum(broken)}))
        assert "is damaged" in refusal(path)


def test_a_file_that_is_not_there_or_holds_bytes_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        em.OperatingPoint.load(tmp_path / "none.json")
    path = tmp_path / "p.json"
    path.write_bytes(b"\x80\x04\xff\x00")
    assert "cannot be read" in refusal(path)
    assert "cannot be read" in refusal(tmp_path)
    path.write_text("[" * 100_000)
    assert "cannot be read" in refusal(path)
    path.write_text('{"kind": "evenmatch.operating_point", "schema": 1, "threshold": NaN}')
    assert "holds a number that JSON has not" in refusal(path)
