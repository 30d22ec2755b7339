"""Matrices over many files: they index as one array would, and open no more files than they may."""

from __future__ import annotations

import gc
import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from evenmatch.embeddings import EmbeddingSet, _shards, _spool
from evenmatch.embeddings._shards import Shard, ShardedVectors
from evenmatch.embeddings._spool import spool
from evenmatch.errors import InputError


def shard(path: Path) -> Shard:
    found = Shard.of(np.load(path, mmap_mode="r"))
    assert found is not None
    return found


@pytest.fixture
def both(tmp_path) -> tuple[ShardedVectors, np.ndarray]:
    whole = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
    edges = [0, 5, 6, 16, 23]
    for i in range(4):
        part = whole[edges[i] : edges[i + 1]]
        np.save(tmp_path / f"{i}.npy", np.asfortranarray(part) if i == 2 else part)
    return ShardedVectors([shard(tmp_path / f"{i}.npy") for i in range(4)]), whole


KEYS = [
    slice(None), slice(3, 9), slice(5, 6), slice(9, 3), slice(-4, None), slice(None, None, 3), slice(20, 2, -2),
    slice(99),
    np.array([22, 0, 0, 5, 6, 15, 16]), np.array([-1, -23, 3]), np.array([], np.int64), np.arange(23) % 3 == 0,
    np.array([4], np.uint8), np.array([4, 22], np.uint64), 7, -1, np.int64(5),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_index_gives_what_one_array_gives(both, key):
    vectors, whole = both
    np.testing.assert_array_equal(vectors[key], whole[key])
    assert vectors[key].dtype == whole.dtype


def test_selections_are_lazy_and_compose(both):
    vectors, whole = both
    outer, inner = np.array([7, 2, 22, 5, -1]), slice(1, 4)
    chosen = vectors.select(outer).select(inner)
    np.testing.assert_array_equal(np.asarray(chosen), whole[outer][inner])
    np.testing.assert_array_equal(chosen[np.array([2, 0])], whole[outer][inner][[2, 0]])
    np.testing.assert_array_equal(chosen[1:], whole[outer][inner][1:])
    assert (chosen.shape, len(chosen), chosen.dtype) == ((3, 3), 3, np.float32)


@pytest.mark.parametrize(
    "key", [np.zeros((2, 2), int), np.array([0.5]), np.array([23]), np.array([-24]), np.ones(4, bool)]
)
def test_an_index_that_makes_no_sense_is_refused(both, key):
    with pytest.raises(IndexError):
        both[0][key]


def test_it_travels_as_names_of_files(tmp_path):
    values = np.zeros((5000, 8), np.float32)
    np.save(tmp_path / "x.npy", values)
    vectors = ShardedVectors([shard(tmp_path / "x.npy")])
    sent = pickle.dumps(vectors.select(slice(10, 20)))
    assert len(sent) < 2000
    np.testing.assert_array_equal(np.asarray(pickle.loads(sent)), values[10:20])


def test_a_file_that_changed_or_went_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2), np.float32))
    sent = pickle.dumps(ShardedVectors([shard(tmp_path / "x.npy")]))
    np.save(tmp_path / "x.npy", np.zeros((6, 2), np.float32))
    with pytest.raises(InputError, match=r"x\.npy has changed since it was loaded"):
        pickle.loads(sent)[:]
    (tmp_path / "x.npy").unlink()
    with pytest.raises(InputError, match=r"x\.npy cannot be read here"):
        pickle.loads(sent)[:]


def test_a_part_of_a_map_is_not_taken_for_the_whole(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2), np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert Shard.of(mapped) is not None
    assert Shard.of(mapped[1:]) is None


def test_a_map_that_may_have_been_edited_is_not_taken_for_its_file(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2), np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    mapped += 1
    assert Shard.of(mapped) is None


def test_few_files_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(_shards, "_OPEN_MAPS", 5)
    for i in range(40):
        np.save(tmp_path / f"{i:02}.npy", np.full((2, 2), i, np.float32))
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    vectors = ShardedVectors([shard(path) for path in sorted(tmp_path.iterdir())])
    assert vectors[np.arange(80)][:, 0].tolist() == [i // 2 for i in range(80)]
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 6


def test_a_subset_of_a_set_of_shards_reads_nothing(both):
    vectors, whole = both
    data = EmbeddingSet.from_arrays(vectors, np.arange(23) % 4)
    part = data.subset(np.arange(23) % 2 == 1)
    assert isinstance(part.vectors, ShardedVectors)
    assert part.fingerprint == EmbeddingSet.from_arrays(whole[1::2], (np.arange(23) % 4)[1::2]).fingerprint


def test_a_spool_goes_with_its_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(_spool.tempfile, "tempdir", str(tmp_path))
    blocks = [np.full((2, 3), i, np.float16) for i in range(3)]
    vectors = spool(blocks, (6, 3), np.dtype(np.float16), "the test")
    part = vectors.select(slice(2, 4))
    assert len(list(tmp_path.iterdir())) == 1
    del vectors
    gc.collect()
    assert part[:].tolist() == [[1, 1, 1]] * 2
    del part
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_spool_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(_spool.tempfile, "tempdir", str(tmp_path))

    def blocks():
        yield np.zeros((2, 3))
        raise InputError("row 2 is bad")

    with pytest.raises(InputError, match="row 2"):
        spool(blocks(), (4, 3), np.dtype(float), "the test")
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(_spool.tempfile, "tempdir", str(tmp_path))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(_spool.shutil, "disk_usage", lambda folder: usage(1_000))
    with pytest.raises(InputError, match=r"the test needs 4.8e-06 GB .* has 1e-06 GB left; set TMPDIR"):
        spool([np.zeros((2, 300))], (2, 300), np.dtype(float), "the test")
    assert not list(tmp_path.iterdir())
