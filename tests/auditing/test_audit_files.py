"""Audits on disk: the same when they come back, refused when they are not what was written."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from audited import clusters, full_audit

import evenmatch as em
from evenmatch.errors import ArtefactError, InputError

X, CODES = clusters(k=6, each=8)
FAR = (0.05, 0.2)


def small_audit(labels=CODES, **options) -> em.Audit:
    return em.audit(X, labels, far=FAR, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "run.audit"
    full_audit().save(path)
    return path


def read_parts(path: Path) -> tuple[dict, bytes]:
    """Header and tensors of a safetensors file: 8 bytes of length, JSON, data."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_parts(path: Path, header: dict, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.fixture(scope="module")
def unsealed(saved, tmp_path_factory) -> Path:
    """The same file as schema 1 was written: without a checksum."""
    header, data = read_parts(with_meta(saved, tmp_path_factory.mktemp("old") / "run.audit", schema=1))
    del header["__metadata__"]["checksum"]
    return write_parts(tmp_path_factory.mktemp("older") / "run.audit", header, data)


def with_meta(source: Path, target: Path, **changes) -> Path:
    """A copy of a saved audit with some of its description changed."""
    header, data = read_parts(source)
    meta = json.loads(header["__metadata__"]["evenmatch"])
    header["__metadata__"]["evenmatch"] = json.dumps({**meta, **changes})
    return write_parts(target, header, data)


# ---------------------------------------------------------------- round trip


def test_a_loaded_audit_is_the_one_that_was_saved(saved):
    ours, theirs = full_audit(), em.Audit.load(saved)
    assert theirs.summary() == ours.summary()
    assert theirs.settings == ours.settings
    assert theirs.data == ours.data
    assert theirs.intervals == ours.intervals
    assert theirs.by_class.equals(ours.by_class)
    assert theirs.by_group.equals(ours.by_group)
    assert theirs.tar_at_far == ours.tar_at_far
    assert theirs.far_at(0.123) == ours.far_at(0.123)
    for name in (
        "thresholds",
        "positives_accepted",
        "negatives_accepted",
        "pooled_negatives",
        "best_positive",
        "codes",
    ):
        np.testing.assert_array_equal(getattr(theirs.counts, name), getattr(ours.counts, name))
    assert theirs._repr_html_() == ours._repr_html_()


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "euclidean"},
        {"ref": X[::-1].copy(), "ref_labels": CODES[::-1]},
        {"groups": CODES % 2, "ref": X[::-1].copy(), "ref_labels": CODES[::-1], "ref_groups": CODES[::-1] % 2},
        {"thresholds": [0.1234567], "beta": 0.5, "eps": 0.4, "confidence": 0.9},
    ],
)
def test_every_kind_of_audit_comes_back(options, tmp_path):
    audit = small_audit(**options)
    audit.save(tmp_path / "a")
    again = em.Audit.load(tmp_path / "a")
    assert again.summary() == audit.summary()
    assert again.by_group.equals(audit.by_group)
    if "thresholds" in options:
        assert again.by_class_at(0.1234567).equals(audit.by_class_at(0.1234567))


@pytest.mark.parametrize(
    "labels",
    [
        CODES.astype(np.int8),
        CODES.astype(np.uint64) + 2**63,
        CODES % 3 == 0,
        CODES.astype(np.float32) / 3,
        [["", "é ", "Ω", "\x00", "0", "a" * 300][code] for code in CODES],
        [[0, "0", True, 2.5, -3, 2**80][code] for code in CODES],
        [2**70 + int(code) for code in CODES],
        CODES.astype("datetime64[ns]"),
    ],
    ids=["int8", "uint64", "bool", "float32", "text", "mixed", "huge", "datetime64[ns]"],
)
def test_labels_come_back_with_value_and_type(labels, tmp_path):
    audit = small_audit(labels)
    audit.save(tmp_path / "a")
    again = em.Audit.load(tmp_path / "a")
    assert again.counts.classes.dtype == audit.counts.classes.dtype
    assert again.counts.classes.tolist() == audit.counts.classes.tolist()
    assert list(map(type, again.counts.classes.tolist())) == list(map(type, audit.counts.classes.tolist()))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([("a", int(code)) for code in CODES], "tuple"),
        ([b"a%d" % code for code in CODES], "bytes"),
        (CODES.astype("datetime64[D]"), "date"),
        (CODES.astype(np.complex64), "complex"),
    ],
)
def test_labels_that_a_file_cannot_hold_are_refused_and_leave_nothing(labels, said, tmp_path):
    audit = small_audit(labels)
    with pytest.raises(InputError, match=f"is a {said}, which a saved audit cannot hold; use text or whole numbers"):
        audit.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- writing


def test_a_failed_save_leaves_neither_a_part_nor_the_old_file_changed(tmp_path, monkeypatch):
    target = tmp_path / "run.audit"
    target.write_bytes(b"former")

    def fail(path, *_):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("evenmatch.auditing._store.write_tensors", fail)
    with pytest.raises(KeyboardInterrupt):
        small_audit().save(target)
    assert [file.name for file in tmp_path.iterdir()] == ["run.audit"]
    assert target.read_bytes() == b"former"


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    audit = small_audit()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no folder" / "a", tmp_path / "file" / "a", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            audit.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_paths_may_be_text(tmp_path):
    audit = small_audit()
    audit.save(str(tmp_path / "a"))
    assert em.Audit.load(str(tmp_path / "a")).opis == audit.opis


# ---------------------------------------------------------------- reading what was altered


def test_an_audit_of_before_the_checksum_is_read(saved, unsealed):
    assert em.Audit.load(unsealed).summary() == em.Audit.load(saved).summary()


def test_a_changed_byte_in_any_table_is_refused(saved, tmp_path):
    header, data = read_parts(saved)
    tables = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    assert {"positives_accepted", "best_negative", "groups.negatives", "noise.variance"} <= set(tables)
    for name, (start, stop) in tables.items():
        for at in {start, (start + stop) // 2, stop - 1}:
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            with pytest.raises(ArtefactError, match="was altered after it was written"):
                em.Audit.load(write_parts(tmp_path / name, header, changed))


def test_tables_that_trade_names_are_refused(saved, tmp_path):
    header, data = read_parts(saved)
    one, other = "best_positive", "best_negative"
    header[one], header[other] = header[other], header[one]
    with pytest.raises(ArtefactError, match="was altered"):
        em.Audit.load(write_parts(tmp_path / "a", header, data))


@pytest.mark.parametrize(
    "changes",
    [
        {"recall_at_k": [[1, 1.0]]},
        {"map_at_r": 0.99},
        {"intervals": {}},
        {"arithmetic": "bfloat16"},
        {"schema": 1},
        {"checksum": "sha256:0"},
    ],
    ids=str,
)
def test_a_changed_description_is_refused(saved, tmp_path, changes):
    with pytest.raises(ArtefactError, match="was altered"):
        em.Audit.load(with_meta(saved, tmp_path / "a", **changes))


def test_an_audit_without_its_checksum_is_refused(saved, tmp_path):
    header, data = read_parts(saved)
    del header["__metadata__"]["checksum"]
    with pytest.raises(ArtefactError, match="was altered"):
        em.Audit.load(write_parts(tmp_path / "a", header, data))


# ---------------------------------------------------------------- reading what is no audit


def test_an_unknown_schema_is_named(saved, tmp_path):
    path = with_meta(saved, tmp_path / "new", schema=99)
    with pytest.raises(ArtefactError, match="has audit schema 99, this version reads schema 2 and older; read it with"):
        em.Audit.load(path)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 0.5, 0.99])
def test_a_truncated_audit_is_refused(saved, tmp_path, kept):
    raw = saved.read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(raw[: kept if isinstance(kept, int) else int(kept * len(raw))])
    with pytest.raises(ArtefactError, match="cannot be read as an audit"):
        em.Audit.load(path)


@pytest.mark.parametrize("name", ["pooled_negatives", "pooled_positives", "positives", "negatives"])
def test_an_audit_whose_counts_do_not_add_up_is_refused(unsealed, tmp_path, name):
    header, data = read_parts(unsealed)
    start, stop = header[name]["data_offsets"]
    at = start + int(np.flatnonzero(np.frombuffer(data[start:stop], np.uint8))[0])
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(ArtefactError, match=r"damaged: .*counted"):
        em.Audit.load(write_parts(tmp_path / "altered", header, changed))


def test_an_audit_with_a_missing_table_is_refused(unsealed, tmp_path):
    from safetensors.numpy import load_file, save_file

    header, _ = read_parts(unsealed)
    tensors = load_file(unsealed)
    del tensors["codes"]
    save_file(tensors, tmp_path / "part", metadata=header["__metadata__"])
    with pytest.raises(ArtefactError, match="damaged"):
        em.Audit.load(tmp_path / "part")


def test_an_audit_with_tables_of_another_size_is_refused(unsealed, tmp_path):
    classes = {"dtype": "<U1", "values": [["str", "a"]]}
    with pytest.raises(ArtefactError, match="tables do not fit"):
        em.Audit.load(with_meta(unsealed, tmp_path / "other", classes=classes))


@pytest.mark.parametrize(
    "changes",
    [{"settings": {}}, {"settings": []}, {"intervals": []}, {"grid": None}, {"recall_at_k": 3}, {"data": {"n": 1}}],
    ids=str,
)
def test_an_audit_with_a_damaged_description_is_refused(unsealed, tmp_path, changes):
    with pytest.raises(ArtefactError, match="damaged"):
        em.Audit.load(with_meta(unsealed, tmp_path / "odd", **changes))


@pytest.mark.parametrize("text", ["{}", "[1]", "3", "not JSON"])
def test_safetensors_of_another_kind_are_refused(tmp_path, text):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, tmp_path / "model", metadata={"evenmatch": text})
    with pytest.raises(ArtefactError):
        em.Audit.load(tmp_path / "model")


def test_a_model_is_no_audit(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, tmp_path / "model")
    with pytest.raises(ArtefactError, match=r"is not a saved audit; give a file that Audit\.save"):
        em.Audit.load(tmp_path / "model")


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("exploded"), "boom"))


def test_a_pickle_under_the_name_of_an_audit_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.audit").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtefactError):
        em.Audit.load("run.audit")
    assert not Path("exploded").exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist; check the path"):
        em.Audit.load(tmp_path / "none")
    with pytest.raises(InputError):
        em.Audit.load(tmp_path)
