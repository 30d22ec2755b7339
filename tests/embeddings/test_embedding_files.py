"""Reading and writing sets: every format round-trips, every damaged file gets one clear line."""

import json
import pickle
import struct
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from evenmatch.embeddings import EmbeddingSet, load, save
from evenmatch.errors import InputError

FORMATS = [".npz", ".parquet", ".safetensors"]


def vectors(n, dim=3, dtype="float32"):
    return np.random.default_rng(n).standard_normal((n, dim)).astype(dtype)


def assert_same(a, b):
    assert np.array_equal(a.vectors, b.vectors)
    assert a.vectors.dtype == b.vectors.dtype
    assert a.fingerprint == b.fingerprint
    for field in ("labels", "groups", "ids"):
        ours, theirs = getattr(a, field), getattr(b, field)
        assert (ours is None) == (theirs is None), field
        if ours is not None:
            assert list(map(repr, ours.tolist())) == list(map(repr, theirs.tolist())), field


same_folder_is_fine = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", FORMATS)
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_every_dtype_with_groups_and_ids(self, tmp_path, suffix, dtype):
        samples = EmbeddingSet.from_arrays(
            vectors(5, dtype=dtype), ["é", "漢", "é", "", "x y"], groups=[1, 2, 1, 2**62, -(2**63)], ids=list("abcde")
        )
        path = tmp_path / f"faces{suffix}"
        save(path, samples)
        back = load(path)
        assert_same(back, samples)
        assert back.name == "faces"
        assert [file.name for file in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("suffix", FORMATS)
    @same_folder_is_fine
    @given(
        labels=st.one_of(
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9),
            st.lists(st.text(st.characters(), max_size=5), min_size=1, max_size=9),
            st.lists(
                st.one_of(st.integers(), st.text(), st.booleans(), st.floats(allow_nan=False)), min_size=1, max_size=9
            ),
        )
    )
    def test_labels_survive_exactly(self, tmp_path, suffix, labels):
        samples = EmbeddingSet.from_arrays(vectors(len(labels)), labels)
        save(tmp_path / f"x{suffix}", samples)
        assert_same(load(tmp_path / f"x{suffix}"), samples)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_text_that_is_not_unicode_survives(self, tmp_path, suffix):
        samples = EmbeddingSet.from_arrays(vectors(2), ["file\udcff", "b"])
        save(tmp_path / f"x{suffix}", samples)
        assert_same(load(tmp_path / f"x{suffix}"), samples)

    @pytest.mark.parametrize("suffix", [".npz", ".parquet"])
    @pytest.mark.parametrize(
        "labels",
        [
            np.array([b"a", b"b"]),
            np.array([0.5, 1.5], dtype=np.float32),
            np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ms]"),
            np.array([2**64 - 1, 0], dtype=np.uint64),
        ],
    )
    def test_other_native_dtypes(self, tmp_path, suffix, labels):
        samples = EmbeddingSet.from_arrays(vectors(2), labels)
        save(tmp_path / f"x{suffix}", samples)
        assert_same(load(tmp_path / f"x{suffix}"), samples)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_more_rows_than_a_batch_and_memory_in_any_order(self, tmp_path, suffix):
        samples = EmbeddingSet.from_arrays(np.asfortranarray(vectors(20_000, 4)), np.arange(20_000) % 11)
        save(tmp_path / f"x{suffix}", samples)
        assert_same(load(tmp_path / f"x{suffix}"), samples)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_files_are_as_readable_as_any_other(self, tmp_path, suffix):
        save(tmp_path / f"x{suffix}", EmbeddingSet.from_arrays(vectors(2), [0, 1]))
        (tmp_path / "plain").touch()
        assert (tmp_path / f"x{suffix}").stat().st_mode == (tmp_path / "plain").stat().st_mode

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_what_a_format_cannot_store_is_refused_and_leaves_nothing(self, tmp_path, suffix):
        samples = EmbeddingSet.from_arrays(vectors(2), [(1, 2), (3, 4)])
        with pytest.raises(InputError, match="row 0 of labels is a tuple"):
            save(tmp_path / f"x{suffix}", samples)
        assert list(tmp_path.iterdir()) == []

    def test_an_upper_case_suffix_is_the_same_format(self, tmp_path):
        samples = EmbeddingSet.from_arrays(vectors(2), [0, 1])
        save(tmp_path / "X.NPZ", samples)
        assert_same(load(tmp_path / "X.NPZ"), samples)

    def test_safetensors_refuses_bytes_and_dates(self, tmp_path):
        for labels in (np.array([b"a", b"b"]), np.array(["2020", "2021"], dtype="datetime64[Y]")):
            with pytest.raises(InputError, match=r"cannot be stored in \.safetensors"):
                save(tmp_path / "x.safetensors", EmbeddingSet.from_arrays(vectors(2), labels))

    def test_parquet_refuses_dates_it_does_not_know(self, tmp_path):
        samples = EmbeddingSet.from_arrays(vectors(2), np.array(["2020", "2021"], dtype="datetime64[Y]"))
        with pytest.raises(InputError, match=r"cannot be stored in \.parquet"):
            save(tmp_path / "x.parquet", samples)

    @pytest.mark.parametrize("name", ["x.npy", "x.csv", "x"])
    def test_unknown_suffixes_are_not_written(self, tmp_path, name):
        with pytest.raises(InputError, match=r"\.npz, \.parquet, \.safetensors"):
            save(tmp_path / name, EmbeddingSet.from_arrays(vectors(2), [0, 1]))


class TestNpz:
    def test_other_keys_are_ignored_even_if_pickled(self, tmp_path):
        split = np.array([{"a": 1}], dtype=object)
        np.savez(tmp_path / "x.npz", embeddings=vectors(3), labels=[0, 1, 1], split=split)
        assert load(tmp_path / "x.npz").n == 3

    @pytest.mark.parametrize("absent", ["embeddings", "labels"])
    def test_a_missing_key_is_named_with_those_present(self, tmp_path, absent):
        entries = {"embeddings": vectors(2), "labels": [0, 1], "split": [0, 0]}
        del entries[absent]
        np.savez(tmp_path / "x.npz", **entries)
        with pytest.raises(InputError, match=f"x.npz has no key '{absent}', only .*split"):
            load(tmp_path / "x.npz")

    def test_pickled_labels_are_refused_unless_replaced(self, tmp_path):
        np.savez(tmp_path / "x.npz", embeddings=vectors(2), labels=np.array(["a", 1], dtype=object))
        with pytest.raises(InputError, match="never loaded"):
            load(tmp_path / "x.npz")
        assert load(tmp_path / "x.npz", labels=["a", 1]).classes.tolist() == [1, "a"]

    def test_a_flipped_bit_is_noticed(self, tmp_path):
        path = tmp_path / "x.npz"
        np.savez(path, embeddings=vectors(50), labels=np.arange(50))
        data = bytearray(path.read_bytes())
        data[400] ^= 1
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x\.npz cannot be read") as caught:
            load(path)
        assert isinstance(caught.value.__cause__, zipfile.BadZipFile)


class TestNpy:
    def test_it_is_opened_by_memory_map(self, tmp_path):
        np.save(tmp_path / "x.npy", vectors(3, dtype="float16"))
        samples = load(tmp_path / "x.npy", labels=[0, 1, 1])
        assert isinstance(samples.vectors, np.memmap)
        assert samples.vectors.dtype == np.float16

    def test_labels_are_asked_for(self, tmp_path):
        np.save(tmp_path / "x.npy", vectors(3))
        with pytest.raises(InputError, match=r"labels="):
            load(tmp_path / "x.npy")

    def test_an_object_array_is_refused(self, tmp_path):
        np.save(tmp_path / "x.npy", np.array([1, "a"], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match="never loaded"):
            load(tmp_path / "x.npy", labels=[0, 1])

    def test_a_header_that_promises_too_much_is_refused(self, tmp_path):
        np.save(tmp_path / "x.npy", vectors(3))
        path = tmp_path / "x.npy"
        path.write_bytes(path.read_bytes().replace(b"(3, 3), }", b"(9999999999999, 3), }")[: path.stat().st_size])
        with pytest.raises(InputError, match=r"x\.npy"):
            load(path, labels=[0, 1, 1])


class TestParquet:
    @pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), 2)])
    @pytest.mark.parametrize("names", [("embedding", "label"), ("embeddings", "labels")])
    def test_every_kind_of_list_and_either_name(self, tmp_path, kind, names):
        values = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float16)
        column = pa.array([list(row) for row in values], type=kind)
        table = pa.table({names[0]: column, names[1]: ["a", "b", "a"], "group": [1, 2, 2], "ids": [7, 8, 9]})
        pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
        samples = load(tmp_path / "x.parquet")
        assert np.array_equal(samples.vectors, values)
        assert samples.vectors.dtype == np.dtype(kind.value_type.to_pandas_dtype())
        assert samples.labels.tolist() == ["a", "b", "a"]
        assert samples.groups.tolist() == [1, 2, 2]
        assert samples.ids.tolist() == [7, 8, 9]

    def test_a_frame_written_by_pandas_is_read(self, tmp_path):
        frame = pd.DataFrame({"embedding": list(vectors(3)), "label": pd.Categorical(["a", "b", "a"])}, index=[5, 6, 7])
        frame.to_parquet(tmp_path / "x.parquet")
        samples = load(tmp_path / "x.parquet")
        assert np.array_equal(samples.vectors, vectors(3))
        assert samples.labels.tolist() == ["a", "b", "a"]

    @pytest.mark.parametrize(
        ("embedding", "kind", "message"),
        [
            ([[1.0, 2.0], [3.0, 4.0], [5.0]], pa.list_(pa.float32()), "row 2 .* has 1 values but row 0 has 2"),
            ([[1.0, 2.0], None, [5.0, 6.0]], pa.list_(pa.float32()), "row 1 .* is missing"),
            ([[1.0, 2.0], [3.0, None], [5.0, 6.0]], pa.list_(pa.float32()), "row 1 .* has a missing value"),
            ([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int32()), "must be floating point"),
            ([1.0, 2.0, 3.0], pa.float32(), "must be a list of floats"),
            ([[], [], []], pa.list_(pa.float32()), "empty"),
        ],
    )
    def test_lists_that_make_no_matrix_are_refused(self, tmp_path, embedding, kind, message):
        table = pa.table({"embedding": pa.array(embedding, type=kind), "label": ["a", "b", "a"]})
        pq.write_table(table, tmp_path / "x.parquet")
        with pytest.raises(InputError, match=message):
            load(tmp_path / "x.parquet")

    def test_a_ragged_row_in_a_later_batch_is_named(self, tmp_path):
        rows = [[1.0, 2.0]] * 9000 + [[1.0]]
        pq.write_table(pa.table({"embedding": rows, "label": range(9001)}), tmp_path / "x.parquet")
        with pytest.raises(InputError, match="row 9000 "):
            load(tmp_path / "x.parquet")

    def test_a_missing_row_in_a_later_batch_is_named(self, tmp_path):
        rows = [*[[1.0, 2.0]] * 9000, None]
        pq.write_table(pa.table({"embedding": rows, "label": range(9001)}), tmp_path / "x.parquet")
        with pytest.raises(InputError, match=r"row 9000 .* is missing"):
            load(tmp_path / "x.parquet")

    def test_missing_labels_are_named_and_ints_beside_them_are_not_cast(self, tmp_path):
        table = pa.table({"embedding": [[1.0], [2.0]], "label": pa.array([2**53 + 1, None], type=pa.int64())})
        pq.write_table(table, tmp_path / "x.parquet")
        with pytest.raises(InputError, match="row 1 of column 'label'"):
            load(tmp_path / "x.parquet")

    def test_missing_columns_and_no_rows(self, tmp_path):
        pq.write_table(pa.table({"vector": [[1.0]], "label": ["a"]}), tmp_path / "a.parquet")
        with pytest.raises(InputError, match="no column 'embedding', only label, vector"):
            load(tmp_path / "a.parquet")
        pq.write_table(pa.table({"embedding": [[1.0]], "class": ["a"]}), tmp_path / "b.parquet")
        with pytest.raises(InputError, match="no column 'label', only class, embedding"):
            load(tmp_path / "b.parquet")
        assert load(tmp_path / "b.parquet", labels=["a"]).n == 1
        empty = pa.table({"embedding": pa.array([], type=pa.list_(pa.float32())), "label": pa.array([], pa.string())})
        pq.write_table(empty, tmp_path / "c.parquet")
        with pytest.raises(InputError, match="empty"):
            load(tmp_path / "c.parquet")


class TestSafetensors:
    def test_integer_tensors_and_text_in_the_metadata(self, tmp_path):
        tensors = {"embeddings": vectors(3), "groups": np.array([1, 2, 1])}
        save_file(tensors, tmp_path / "x.safetensors", metadata={"labels": '["a", "b", "a"]', "format": "np"})
        samples = load(tmp_path / "x.safetensors")
        assert samples.labels.tolist() == ["a", "b", "a"]
        assert samples.groups.tolist() == [1, 2, 1]

    def test_bfloat16_is_read_as_float32(self, tmp_path):
        values = np.array([[1.0, -2.5], [3.140625, 65536.0]], dtype=np.float32)
        halves = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        header = json.dumps(
            {
                "labels": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
                "embeddings": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [16, 16 + len(halves)]},
            }
        ).encode()
        body = np.array([4, 5], dtype="<i8").tobytes() + halves
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + body)
        samples = load(tmp_path / "x.safetensors")
        assert samples.vectors.dtype == np.float32
        assert np.array_equal(samples.vectors, values)
        assert samples.labels.tolist() == [4, 5]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ("[1, 2", "not valid JSON"),
            ('{"a": 1}', "is a JSON dict"),
            ('["a", "b"]', "2 entries"),
            ("[1, null, 2]", "row 1"),
        ],
    )
    def test_bad_labels_in_the_metadata(self, tmp_path, labels, message):
        save_file({"embeddings": vectors(3)}, tmp_path / "x.safetensors", metadata={"labels": labels})
        with pytest.raises(InputError, match=message):
            load(tmp_path / "x.safetensors")

    def test_missing_tensors_are_named_with_those_present(self, tmp_path):
        save_file({"weights": vectors(3)}, tmp_path / "x.safetensors")
        with pytest.raises(InputError, match="no tensor 'embeddings', only weights"):
            load(tmp_path / "x.safetensors")
        save_file({"embeddings": vectors(3)}, tmp_path / "x.safetensors")
        with pytest.raises(InputError, match="no tensor 'labels'"):
            load(tmp_path / "x.safetensors")


class TestFilesThatCannotBeRead:
    @pytest.mark.parametrize("suffix", [*FORMATS, ".npy"])
    def test_missing_empty_folder_text_and_pickle(self, tmp_path, suffix):
        path = tmp_path / f"x{suffix}"
        with pytest.raises(InputError, match="does not exist"):
            load(path, labels=[0])
        path.touch()
        with pytest.raises(InputError, match="is an empty file"):
            load(path, labels=[0])
        path.write_text("hello, I am text and long enough for every header that there is\n")
        with pytest.raises(InputError, match=f"x{suffix}"):
            load(path, labels=[0])
        path.write_bytes(pickle.dumps({"embeddings": vectors(2)}))
        with pytest.raises(InputError, match="pickle"):
            load(path, labels=[0])
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(InputError, match="is a folder"):
            load(tmp_path / f"folder{suffix}", labels=[0])

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_truncation_anywhere_is_one_clear_line(self, tmp_path, suffix):
        path = tmp_path / f"x{suffix}"
        save(path, EmbeddingSet.from_arrays(vectors(30), [f"class {i % 7}" for i in range(30)]))
        data = path.read_bytes()
        for length in range(1, len(data), max(1, len(data) // 60)):
            path.write_bytes(data[:length])
            with pytest.raises(InputError, match=f"x{suffix}") as caught:
                load(path)
            assert "\n" not in str(caught.value)

    def test_a_truncated_npy_is_refused(self, tmp_path):
        path = tmp_path / "x.npy"
        np.save(path, vectors(30))
        data = path.read_bytes()
        for length in (3, 9, 40, 130, len(data) - 1):
            path.write_bytes(data[:length])
            with pytest.raises(InputError, match=r"x\.npy"):
                load(path, labels=range(30))

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_noise_never_escapes_as_another_exception(self, tmp_path, suffix):
        path = tmp_path / f"x{suffix}"
        save(path, EmbeddingSet.from_arrays(vectors(30), [f"class {i % 7}" for i in range(30)]))
        data = path.read_bytes()
        rng = np.random.default_rng(0)
        for _ in range(150):
            noisy = bytearray(data)
            for position in rng.integers(0, len(data), 4):
                noisy[position] = rng.integers(0, 256)
            path.write_bytes(noisy)
            try:
                load(path)  # a flipped bit in a float may go unnoticed
            except InputError as error:
                assert path.name in str(error)  # noqa: PT017

    def test_a_torch_checkpoint_under_another_name_is_not_unpickled(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps([1]))
        with pytest.raises(InputError, match=r"only archive/data\.pkl"):
            load(tmp_path / "x.npz")

    def test_an_unknown_suffix_lists_the_known_ones(self, tmp_path):
        (tmp_path / "x.pt").write_bytes(b"PK")
        with pytest.raises(InputError, match=r"\.npz, \.npy, \.parquet, \.safetensors"):
            load(tmp_path / "x.pt")

    def test_a_folder_without_suffix_is_named_as_one(self, tmp_path):
        with pytest.raises(InputError, match="is a folder"):
            load(tmp_path)

    def test_what_is_wrong_with_the_data_names_the_file(self, tmp_path):
        bad = vectors(3)
        bad[1] = np.nan
        np.savez(tmp_path / "x.npz", embeddings=bad, labels=[0, 1, 1])
        with pytest.raises(InputError, match=r"x\.npz: row 1 of embeddings has a NaN"):
            load(tmp_path / "x.npz")
