"""Folders of shards: the same data as in one file, and one line for whatever is wrong with a shard."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet, _spool, load_unlabeled
from evenmatch.embeddings._shards import ShardedVectors
from evenmatch.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
CODES = np.arange(60) % 7
NAMES = np.array([f"class {code}" for code in CODES])
EDGES = [0, 3, 3, 20, 21, 30, 31, 32, 33, 40, 45, 46, 60]  # twelve shards, one of them empty


def parts(values):
    return [values[a:b] for a, b in itertools.pairwise(EDGES)]


def write_shards(folder: Path, prefix: str = "img_emb_") -> Path:
    folder.mkdir(exist_ok=True)
    for i, part in enumerate(parts(X)):
        np.save(folder / f"{prefix}{i}.npy", part)
    return folder


def write_tables(folder: Path, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    for i, (part, labels) in enumerate(zip(parts(X), parts(NAMES), strict=True)):
        lists = pa.array(part.tolist(), type=changes.get(f"type_{i}", pa.list_(pa.float32())))
        columns = {"embedding": lists, "label": labels.tolist(), "group": [name[-1] for name in labels.tolist()]}
        pq.write_table(pa.table(columns), folder / f"part-{i}.snappy.parquet", row_group_size=2)
    (folder / "_SUCCESS").touch()
    return folder


def same(data: EmbeddingSet, labels=NAMES) -> bool:
    assert isinstance(data.vectors, ShardedVectors)
    np.testing.assert_array_equal(np.asarray(data.vectors), X)
    return data.fingerprint == EmbeddingSet.from_arrays(X, labels).fingerprint


def test_one_label_file_serves_all_shards(tmp_path):
    folder = write_shards(tmp_path / "faces")
    (folder / "labels.csv").write_text("label,group\n" + "".join(f"{name},g{name[-1]}\n" for name in NAMES))
    (folder / "README.md").write_text("not data")
    data = em.load(folder)
    assert same(data)
    assert data.name == "faces"
    assert data.groups is not None
    assert data.groups[8] == "g1"


def test_a_folder_needs_no_labels_where_none_are_asked_for(tmp_path):
    data = load_unlabeled(write_shards(tmp_path / "new.faces"))
    assert same(data, np.arange(60))
    assert data.name == "new.faces"


@pytest.mark.parametrize("named", ["labels_{}", "metadata_{:04}", "img_emb_{}"])
@pytest.mark.parametrize("suffix", [".csv", ".txt", ".parquet", ".npy"])
def test_each_shard_has_a_label_file_of_its_name_or_number(tmp_path, named, suffix):
    if suffix == ".npy" and named.startswith("img"):
        pytest.skip("that is the shard itself")
    folder = write_shards(tmp_path)
    for i, part in enumerate(parts(NAMES)):
        path = folder / (named.format(i) + suffix)
        if suffix == ".parquet":
            pq.write_table(pa.table({"image_path": part.tolist(), "label": part.tolist()}), path)
        elif suffix == ".npy":
            np.save(path, part)
        else:
            path.write_text("".join(f"{line}\n" for line in [*(["label"] if suffix == ".csv" else []), *part]))
    assert same(em.load(folder))


def test_labels_may_lie_in_another_file_or_folder(tmp_path):
    folder, labels = write_shards(tmp_path / "img_emb"), tmp_path / "metadata"
    labels.mkdir()
    for i, part in enumerate(parts(CODES)):
        if len(part):
            pq.write_table(pa.table({"label": part.astype("i4" if i % 2 else "i8")}), labels / f"metadata_{i}.parquet")
    assert same(em.load(folder, labels=labels), CODES)
    np.save(tmp_path / "codes.npy", CODES)
    assert same(em.load(folder, labels=tmp_path / "codes.npy"), CODES)
    assert same(em.load(folder, labels=NAMES.tolist()))


def test_labels_that_look_like_numbers_in_some_shards_only_stay_text(tmp_path):
    texts = ["7" if i < 20 else ("7", "007", "x")[i % 3] for i in range(60)]
    folder = write_shards(tmp_path, "")
    for i, part in enumerate(parts(texts)):
        (folder / f"labels_{i}.txt").write_text("".join(f"{line}\n" for line in part))
    assert same(em.load(folder), np.array(texts))


def test_a_folder_of_tables_is_one_table(tmp_path):
    data = em.load(write_tables(tmp_path / "t"))
    assert same(data)
    assert data.groups is not None
    assert data.groups.tolist() == [str(code) for code in CODES]


def test_the_temporary_file_of_tables_goes_with_the_set(tmp_path, monkeypatch):
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(_spool.tempfile, "tempdir", str(place))
    data = em.load(write_tables(tmp_path / "t"))
    assert [path.stat().st_size for path in place.iterdir()] == [X.nbytes]
    del data
    gc.collect()
    assert not list(place.iterdir())


def test_a_table_that_writes_evenmatch_can_be_a_shard(tmp_path):
    for i, name in enumerate(("a", "b")):
        half = slice(30 * i, 30 * i + 30)
        em.save(tmp_path / f"{name}.parquet", EmbeddingSet.from_arrays(X[half], NAMES[half], ids=np.arange(60)[half]))
    data = em.load(tmp_path)
    assert same(data)
    assert data.ids is not None
    assert data.ids.tolist() == list(range(60))


def test_an_audit_of_a_folder_is_that_of_one_file(tmp_path):
    folder = write_shards(tmp_path)
    np.save(folder / "labels.npy", CODES)
    one, other = em.audit(em.load(folder), far=(0.1, 0.3), k=(1, 3)), em.audit(X, CODES, far=(0.1, 0.3), k=(1, 3))
    assert one.opis == other.opis
    assert one.summary()["data"]["fingerprint"] == other.summary()["data"]["fingerprint"]
    assert one.recall_at_k == other.recall_at_k
    point = em.calibrate(em.load(folder), far=0.1)
    assert point.threshold == em.calibrate(X, CODES, far=0.1).threshold
    data = em.load(folder)
    ours, theirs = point.decide(data.vectors[:3], data.vectors), point.decide(X[:3], X)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def truncate(folder):
    path = folder / "img_emb_5.npy"
    path.write_bytes(path.read_bytes()[:-3])
    return r"img_emb_5\.npy cannot be read as a \.npy array"


def wider(folder):
    np.save(folder / "img_emb_6.npy", np.zeros((1, 5), np.float32))
    return r"img_emb_6\.npy has 5 columns but .*img_emb_0\.npy has 4"


def double(folder):
    np.save(folder / "img_emb_7.npy", np.zeros((1, 4)))
    return r"img_emb_7\.npy is float64 but .*img_emb_0\.npy is float32"


def foreign(folder):
    np.save(folder / "img_emb_7.npy", np.zeros((1, 4), ">f4"))
    return r"img_emb_7\.npy is >f4; convert it"


def flat(folder):
    np.save(folder / "img_emb_9.npy", np.zeros(4, np.float32))
    return r"img_emb_9\.npy has shape \(4,\); a shard is a matrix"


def pickled(folder):
    np.save(folder / "img_emb_9.npy", np.array([[{}]], dtype=object))
    return r"img_emb_9\.npy"


def no_array(folder):
    (folder / "img_emb_9.npy").write_bytes(b"hello")
    return r"img_emb_9\.npy is not a \.npy array"


def no_labels(folder):
    (folder / "labels_8.txt").unlink()
    return r"img_emb_8\.npy has no labels: .* nor labels_8\.npy for this one"


def few_labels(folder):
    (folder / "labels_8.txt").write_text("x\n")
    return r"labels_8\.txt has 1 labels but img_emb_8\.npy has 7 rows"


def two_label_files(folder):
    (folder / "metadata_8.txt").write_text("x\n" * 7)
    return r"img_emb_8\.npy has labels in both labels_8\.txt and metadata_8\.txt"


def two_whole_label_files(folder):
    for name in ("labels.txt", "metadata.txt"):
        (folder / name).write_text("x\n" * 60)
    return r"has labels in both labels\.txt and metadata\.txt"


def whole_too_short(folder):
    (folder / "labels.txt").write_text("x\n" * 59)
    return r"labels\.txt has 59 labels but the shards in .* have 60 rows"


def not_a_number(folder):
    np.save(folder / "img_emb_3.npy", np.full((1, 4), np.nan, np.float32))
    return "row 20 of embeddings has a NaN"


@pytest.mark.parametrize(
    "harm",
    [truncate, wider, double, foreign, flat, pickled, no_array, no_labels, few_labels, two_label_files,
     two_whole_label_files, whole_too_short, not_a_number],
    ids=lambda harm: harm.__name__,
)  # fmt: skip
def test_what_is_wrong_with_a_shard_is_one_line_that_names_it(tmp_path, harm):
    folder = write_shards(tmp_path)
    for i, part in enumerate(parts(NAMES)):
        (folder / f"labels_{i}.txt").write_text("".join(f"{line}\n" for line in part))
    message = harm(folder)
    with pytest.raises(InputError, match=message) as caught:
        em.load(folder)
    assert "\n" not in str(caught.value)


def table_of_doubles(folder):
    write_tables(folder, type_3=pa.list_(pa.float64()))
    return r"part-3\.snappy\.parquet is float64 but .*part-0\.snappy\.parquet is float32"


def table_without_labels(folder):
    pq.write_table(pa.table({"embedding": [[1.0]]}), folder / "part-99.parquet")
    return r"part-99\.parquet has no column 'label'"


def table_truncated(folder):
    path = folder / "part-4.snappy.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    return r"part-4\.snappy\.parquet cannot be read as a \.parquet table"


def some_without_groups(folder):
    pq.write_table(pa.table({"embedding": pa.array([[1.0] * 4], pa.list_(pa.float32())), "label": ["x"]}),
                   folder / "part-99.parquet")  # fmt: skip
    return r"part-0\.snappy\.parquet has groups but .*part-99\.parquet has none"


@pytest.mark.parametrize(
    "harm",
    [table_of_doubles, table_without_labels, table_truncated, some_without_groups],
    ids=lambda harm: harm.__name__,
)
def test_what_is_wrong_with_a_table_is_one_line_that_names_it(tmp_path, harm):
    write_tables(tmp_path)
    message = harm(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        em.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_tables_of_different_width_are_refused(tmp_path):
    for i in range(2):
        em.save(tmp_path / f"{i}.parquet", EmbeddingSet.from_arrays(np.ones((3, 4 + i), np.float32), ["a", "b", "b"]))
    with pytest.raises(InputError, match=r"1\.parquet has 5 values a row but .*0\.parquet has 4"):
        em.load(tmp_path)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder without shards of embeddings"):
        em.load(tmp_path)
    np.save(tmp_path / "0.npy", np.empty((0, 4), np.float32))
    with pytest.raises(InputError, match="have no rows"):
        em.load(tmp_path)


MEASURE = """
import re, sys, threading, time
import numpy as np
import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import count_pairs

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

count_pairs(EmbeddingSet.from_arrays(np.random.default_rng(0).normal(size=(300, 8)), np.arange(300) % 9))
before = peak = anonymous()
running = True
def watch():
    global peak
    while running:
        peak = max(peak, anonymous())
        time.sleep(0.005)
thread = threading.Thread(target=watch)
thread.start()
data = em.load(sys.argv[1])
data.fingerprint
references = em.load(sys.argv[2])
from evenmatch.pairs._cpu import count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
problem = Problem.build(references, data)
counts = count_cpu(problem, Ladder.build(problem.grid, np.arange(20000, 40000, 200)), block_bytes=16 << 20)
running = False
thread.join()
print(data.n, counts.n_positives + counts.n_negatives, peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_that_of_blocks_not_of_files(tmp_path):
    """600 MB of vectors against a few queries, in blocks of 16 MB a side."""
    folder, few = tmp_path / "many", tmp_path / "few"
    folder.mkdir()
    few.mkdir()
    rng = np.random.default_rng(0)
    block = rng.standard_normal((10_000, 512), dtype=np.float32)
    np.save(folder / "0.npy", block)
    for i in range(1, 30):
        (folder / f"{i}.npy").hardlink_to(folder / "0.npy")
    np.save(folder / "labels.npy", np.arange(300_000) % 1000)
    np.save(few / "0.npy", block[:64])
    np.save(few / "labels.npy", np.arange(64))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(few)], capture_output=True, text=True, check=True, timeout=300
    )
    n, pairs, peak = done.stdout.split()
    assert (int(n), int(pairs)) == (300_000, 64 * 300_000)
    # two blocks of 16 MB, 60 bytes a row (18 MB), and tables and buffers of a few MB
    assert float(peak) < 80


def test_one_label_file_is_not_taken_for_two_shards(tmp_path):
    for kind in ("img", "text"):
        np.save(tmp_path / f"{kind}_emb_0.npy", X)
    np.save(tmp_path / "labels_0.npy", CODES)
    with pytest.raises(InputError, match=r"labels_0.npy fits both img_emb_0.npy and text_emb_0.npy; give the labels"):
        em.load(tmp_path)
