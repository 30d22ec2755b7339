"""EmbeddingSet: what it accepts, what it refuses and how it says so."""

import datetime
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError


def vectors(n, dim=3, dtype="float32"):
    return np.random.default_rng(n).standard_normal((n, dim)).astype(dtype)


def labelled(labels):
    return EmbeddingSet.from_arrays(vectors(len(labels)), labels)


class FakeTensor:
    """The part of a tensor that is used, so that no framework is needed."""

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.dtype = array, dtype

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return FakeTensor(self.array.astype(np.float32))

    def numpy(self):
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


scalars = st.one_of(
    st.integers(-(2**70), 2**70), st.text(max_size=6), st.booleans(), st.floats(allow_nan=False), st.binary(max_size=4)
)


class TestVectors:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_float_arrays_are_kept_without_a_copy(self, dtype):
        array = vectors(5, dtype=dtype)
        samples = EmbeddingSet.from_arrays(array, range(5))
        assert samples.vectors is array
        assert (samples.n, samples.dim) == (5, 3)

    def test_a_memory_map_stays_one_and_is_never_copied_whole(self, tmp_path):
        np.save(tmp_path / "x.npy", vectors(40_000, 64))
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        labels = np.arange(40_000)
        tracemalloc.start()
        samples = EmbeddingSet.from_arrays(mapped, labels)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert isinstance(samples.vectors, np.memmap)
        assert np.shares_memory(samples.vectors, mapped)
        assert isinstance(samples.subset(slice(10, 20)).vectors, np.memmap)
        assert peak < mapped.nbytes / 2

    def test_tensors_are_detached_and_bfloat16_becomes_float32(self):
        array = vectors(4)
        assert np.array_equal(EmbeddingSet.from_arrays(FakeTensor(array), range(4)).vectors, array)
        half = EmbeddingSet.from_arrays(FakeTensor(array, "torch.bfloat16"), range(4))
        assert half.vectors.dtype == np.float32

    def test_lists_and_data_frames_are_understood(self):
        assert EmbeddingSet.from_arrays([[1.0, 2.0], [3.0, 4.0]], [0, 1]).vectors.dtype == np.float64
        assert EmbeddingSet.from_arrays(pd.DataFrame(vectors(3)), [0, 1, 1]).dim == 3

    def test_foreign_byte_order_is_converted_in_memory_and_refused_in_a_map(self, tmp_path):
        foreign = vectors(4).astype(">f4")
        assert EmbeddingSet.from_arrays(foreign, range(4)).vectors.dtype.isnative
        np.save(tmp_path / "x.npy", foreign)
        with pytest.raises(InputError, match="byte order"):
            EmbeddingSet.from_arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), range(4))

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.ones(4), r"shape \(4,\).*\(n, d\)"),
            (np.ones((2, 2, 2)), "shape"),
            (np.ones((0, 4)), "empty"),
            (np.ones((4, 0)), "empty"),
            (np.ones((4, 2), dtype=int), "must be floating point, not int64"),
            (np.ones((4, 2), dtype=bool), "must be floating point"),
            (np.ones((4, 2), dtype=complex), "must be floating point"),
            (np.array([["a"], ["b"]]), "must be floating point"),
            (np.array([[1.0, None]] * 4, dtype=object), "object array"),
            ([[1.0, 2.0], [3.0]], "cannot be read as an array"),
            (np.ma.masked_invalid([[1.0, 2.0], [np.nan, 1.0]]), "row 1 of embeddings is masked"),
        ],
    )
    def test_what_is_no_float_matrix_is_refused(self, bad, message):
        with pytest.raises(InputError, match=message):
            EmbeddingSet.from_arrays(bad, range(4))

    @pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no wider float here")
    def test_wider_floats_are_refused(self):
        with pytest.raises(InputError, match="float16, float32 or float64"):
            EmbeddingSet.from_arrays(np.ones((2, 2), dtype=np.longdouble), range(2))

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_the_first_bad_row_is_named_with_their_number(self, dtype):
        array = vectors(3000, dtype=dtype)
        array[1034, 2] = np.nan
        array[2500, 0] = np.inf
        with pytest.raises(InputError, match=r"row 1034 of embeddings has a NaN \(2 such rows in all\)"):
            EmbeddingSet.from_arrays(array, range(3000))
        array[1034] = 1
        with pytest.raises(InputError, match="row 2500 of embeddings has an infinite value;"):
            EmbeddingSet.from_arrays(array, range(3000))


class TestNorms:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_norms_are_euclidean_in_float64(self, dtype):
        array = vectors(2500, 17, dtype)
        expected = np.linalg.norm(array.astype(np.float64), axis=1)
        np.testing.assert_allclose(EmbeddingSet.from_arrays(array, range(2500)).norms, expected, rtol=1e-14)

    def test_norms_survive_overflow_and_underflow_of_their_squares(self):
        array = np.array([[3e200, 4e200], [3e-200, 4e-200], [3.0, 4.0], [0.0, 0.0]])
        np.testing.assert_allclose(
            EmbeddingSet.from_arrays(array, range(4)).norms, [5e200, 5e-200, 5.0, 0.0], rtol=1e-14
        )

    def test_a_norm_beyond_float64_is_refused(self):
        with pytest.raises(InputError, match="row 1 of embeddings is so large"):
            EmbeddingSet.from_arrays(np.array([[1.0, 1.0], [1.7e308, 1.7e308]]), range(2))

    def test_validation_of_a_large_set_is_fast(self):
        array = vectors(20_000, 512)
        labels = np.arange(20_000)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            EmbeddingSet.from_arrays(array, labels)
            times.append(time.perf_counter() - start)
        assert min(times) < 0.15  # 10 ms on an idle machine

    def test_zero_rows_pass_until_a_metric_minds_them(self):
        array = vectors(5)
        array[[2, 4]] = 0
        samples = EmbeddingSet.from_arrays(array, range(5))
        with pytest.raises(InputError, match=r"row 2 of embeddings is a zero vector \(2 such rows in all\)"):
            samples.require_nonzero()
        samples.subset([0, 1, 3]).require_nonzero()


class TestLabels:
    @given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
    def test_python_ints_survive_exactly(self, labels):
        samples = labelled(labels)
        assert samples.labels.dtype == np.int64
        assert samples.labels.tolist() == labels
        assert samples.classes.tolist() == sorted(set(labels))

    @given(st.lists(st.text(max_size=8), min_size=1, max_size=30))
    def test_text_survives_exactly(self, labels):
        samples = labelled(labels)
        assert samples.labels.tolist() == labels
        assert samples.classes.tolist() == sorted(set(labels))

    @given(st.lists(scalars, min_size=1, max_size=30), st.randoms())
    def test_mixed_labels_keep_their_types_and_their_class_order(self, labels, random):
        samples = labelled(labels)
        assert samples.labels.tolist() == labels
        assert [type(a) for a in samples.labels.tolist()] == [type(b) for b in labels]
        assert [samples.classes.tolist()[code] for code in samples.codes] == labels
        assert len(samples.classes) == len(set(labels))
        shuffled = random.sample(labels, len(labels))
        assert list(map(repr, labelled(shuffled).classes.tolist())) == list(map(repr, samples.classes.tolist()))

    @pytest.mark.parametrize(
        ("labels", "dtype"),
        [
            (np.array([2**53, 2**53 + 1, 2**53]), np.int64),
            (np.array([2**64 - 1, 2**64 - 2, 0], dtype=np.uint64), np.uint64),
            ([2**64 - 1, 2**64 - 2, 0], np.uint64),
            ([2**80, 2**80 + 1, -1], object),
            ([1, "1", 2], object),
            ([(1, 2), (1, 3), (1, 2)], object),
            (["a", "b", "a"], np.dtype("<U1")),
            (["a", "a\0", "b"], object),
            (["a" * 300, "b", "a"], object),
            ([b"a", b"b", b"a"], np.dtype("S1")),
            ([True, False, True], bool),
            ([np.int64(3), 4, np.int8(3)], np.int64),
            ([np.float32(0.5), np.float32(1), np.float32(0.5)], np.float32),
            ([0.5, 1.5, 0.5], np.float64),
            ([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], object),
            (np.array(["2020-01-02", "2020-01-01", "2020-01-02"], dtype="datetime64[D]"), "datetime64[D]"),
            (np.array(["a", "b", "a"], dtype=object), np.dtype("<U1")),
            (np.array([5, 6, 5], dtype=">i4"), np.int32),
            (pd.Series(["x", "y", "x"], index=[7, 8, 9]), np.dtype("<U1")),
            (pd.Series([2**53 + 1, 2**53, 5], dtype="Int64"), np.int64),
            (pd.Series(["x", "y", "x"], dtype="string"), np.dtype("<U1")),
            (pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"]), np.dtype("<U1")),
            (pd.Index([3, 1, 3]), np.int64),
            (FakeTensor(np.array([2**53 + 1, 2**53, 4])), np.int64),
            ([np.array(4), np.array(5), np.array(4)], np.int64),
            ((label for label in "xyx"), np.dtype("<U1")),
        ],
    )
    def test_labels_keep_their_dtype(self, labels, dtype):
        samples = EmbeddingSet.from_arrays(vectors(3), labels)
        assert samples.labels.dtype == dtype
        assert [samples.classes[code] for code in samples.codes] == list(samples.labels)
        assert samples.codes.dtype == np.int64

    @pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 1")
    def test_variable_width_numpy_text_is_understood(self):
        labels = np.array(["a", "bcd", "a"], dtype=np.dtypes.StringDType())
        assert EmbeddingSet.from_arrays(vectors(3), labels).classes.tolist() == ["a", "bcd"]

    def test_equal_labels_of_several_types_are_one_class_with_one_spelling(self):
        assert [repr(label) for label in labelled([1, 1.0, "1"]).classes] == ["1.0", "'1'"]
        assert [repr(label) for label in labelled(["1", 1.0, 1]).classes] == ["1.0", "'1'"]

    def test_numpy_scalars_in_a_mixture_are_the_python_values(self):
        assert labelled([np.int64(1), "a", np.str_("a"), 1]).classes.tolist() == [1, "a"]

    @given(st.permutations([frozenset("ab"), frozenset("a"), frozenset("b"), frozenset()]))
    def test_partially_ordered_labels_have_one_order(self, labels):
        samples = labelled(labels)
        assert [samples.classes[code] for code in samples.codes] == labels
        assert samples.classes.tolist() == sorted(labels, key=repr)

    @pytest.mark.parametrize(
        "missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "s"), complex("nan")]
    )
    def test_a_missing_label_is_named(self, missing):
        with pytest.raises(InputError, match="row 2 of labels is missing"):
            labelled(["a", "b", missing])

    @pytest.mark.parametrize(
        "labels",
        [
            np.array([1.0, 2.0, np.nan]),
            np.array(["2020", "2021", "NaT"], dtype="datetime64[Y]"),
            np.ma.masked_equal([1, 2, 3], 3),
            pd.Series([1, 2, None]),
            pd.Series([1, 2, None], dtype="Int64"),
            pd.Series(["a", "b", None], dtype="string"),
            pd.Categorical(["a", "b", None]),
            pd.Series(pd.to_datetime(["2020", "2021", None])),
        ],
    )
    def test_a_missing_label_in_an_array_is_named(self, labels):
        with pytest.raises(InputError, match="row 2 of labels is missing"):
            EmbeddingSet.from_arrays(vectors(3), labels)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([1, 2], "labels has 2 entries but embeddings has 3 rows"),
            ([[1], [2], [3]], "row 0 of labels is a list, which is not hashable"),
            (["a", {}, "b"], "row 1 of labels is a dict"),
            (np.ones((3, 1), dtype=int), r"labels has shape \(3, 1\)"),
            (np.array(3), r"labels has shape \(\)"),
            ("abc", "labels is a str"),
            ({"a", "b", "c"}, "labels is a set"),
            ({0: "a", 1: "b", 2: "c"}, "labels is a dict"),
            (7, "labels is a int"),
            (None, "labels is a NoneType"),
            (np.zeros(3, dtype=[("a", int)]), "not a record"),
            ([], "labels has 0 entries"),
        ],
    )
    def test_what_is_no_column_of_labels_is_refused(self, labels, message):
        with pytest.raises(InputError, match=message):
            EmbeddingSet.from_arrays(vectors(3), labels)

    def test_groups_and_ids_are_held_to_the_same(self):
        with pytest.raises(InputError, match="groups has 1 entries"):
            EmbeddingSet.from_arrays(vectors(2), [0, 1], groups=["a"])
        with pytest.raises(InputError, match="row 1 of ids is missing"):
            EmbeddingSet.from_arrays(vectors(2), [0, 1], ids=["a", None])
        with pytest.raises(InputError, match="row 2 repeats the id 'a' of row 0"):
            EmbeddingSet.from_arrays(vectors(3), [0, 1, 1], ids=["a", "b", "a"])

    def test_groups_have_names_and_codes(self):
        samples = EmbeddingSet.from_arrays(vectors(3), [0, 1, 1], groups=["z", "y", "z"])
        assert samples.group_names.tolist() == ["y", "z"]
        assert samples.group_codes.tolist() == [1, 0, 1]
        assert labelled([0, 1]).group_codes is None


class TestFrozen:
    def test_what_was_counted_cannot_be_changed(self):
        labels = np.array([1, 0, 1])
        samples = EmbeddingSet.from_arrays(vectors(3), labels, groups=["a", "b", "a"], ids=[1, 2, 3])
        for array in (samples.labels, samples.codes, samples.classes, samples.norms, samples.groups, samples.ids):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[1]
        assert labels.flags.writeable
        with pytest.raises(AttributeError):
            samples.name = "other"

    def test_repr_is_short(self):
        assert len(repr(labelled(list(range(1000))))) < 120


class TestSubset:
    @pytest.mark.parametrize(
        "rows", [[4, 1, 3], np.array([4, 1, 3], dtype=np.uint8), [-1, 1, 3], [False, True, False, True, True]]
    )
    def test_subset_equals_a_set_made_of_those_rows(self, rows):
        array, labels = vectors(5), np.array(["d", "b", "c", "b", "a"])
        groups, ids = np.array([1, 2, 3, 4, 5]), np.array(list("vwxyz"))
        part = EmbeddingSet.from_arrays(array, labels, groups=groups, ids=ids, name="all").subset(rows)
        expected = EmbeddingSet.from_arrays(array[rows], labels[rows], groups=groups[rows], ids=ids[rows])
        for field in ("vectors", "labels", "groups", "ids", "classes", "codes", "group_names", "group_codes", "norms"):
            assert np.array_equal(getattr(part, field), getattr(expected, field)), field
        assert part.fingerprint == expected.fingerprint
        assert part.name == "all"

    def test_a_subset_can_be_renamed(self):
        assert labelled([1, 2]).subset([0], name="first").name == "first"

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "empty"),
            ([False] * 3, "empty"),
            (slice(3, None), "empty"),
            ([True, False], "mask has 2 entries but the set has 3 rows"),
            ([0, 3], "row 3 of a set with 3 rows"),
            ([-4], "row -4"),
            ([0.5], "float64"),
            ([[0]], "1-d"),
        ],
    )
    def test_rows_that_are_not_there_are_refused(self, rows, message):
        with pytest.raises(InputError, match=message):
            labelled([1, 2, 3]).subset(rows)

    def test_a_row_with_an_id_cannot_be_taken_twice(self):
        with pytest.raises(InputError, match="unique"):
            EmbeddingSet.from_arrays(vectors(2), [0, 1], ids=[5, 6]).subset([0, 0])


class TestFingerprint:
    def test_it_changes_with_vectors_labels_dtype_and_shape(self):
        array = vectors(4)
        other = array.copy()
        other[3, 2] += 1
        prints = [
            EmbeddingSet.from_arrays(x, y).fingerprint
            for x, y in [
                (array, [0, 1, 0, 1]),
                (other, [0, 1, 0, 1]),
                (array, [0, 1, 1, 1]),
                (array, [0, 2, 0, 2]),
                (array, ["0", "1", "0", "1"]),
                (array.astype("float64"), [0, 1, 0, 1]),
                (array.reshape(6, 2), [0, 1, 0, 1, 0, 1]),
                (array[::-1], [0, 1, 0, 1]),
            ]
        ]
        assert len(set(prints)) == len(prints)

    def test_it_is_the_same_for_the_same_data_however_laid_out(self):
        array = vectors(2000, 8)
        labels = np.arange(2000) % 7
        expected = EmbeddingSet.from_arrays(array, labels).fingerprint
        assert len(expected) == 64
        assert EmbeddingSet.from_arrays(np.asfortranarray(array), labels.astype(np.uint8)).fingerprint == expected
        assert EmbeddingSet.from_arrays(array, labels.tolist(), name="x", ids=range(2000)).fingerprint == expected


class TestRequirePairs:
    def test_two_classes_and_a_pair_suffice(self):
        labelled([0, 0, 1]).require_pairs()
        labelled([0, 1]).require_pairs(labelled([0]))

    @pytest.mark.parametrize(
        ("labels", "ref", "message"),
        [
            (["a", "a", "a"], None, "all 3 samples have the label 'a'.*no negative pair"),
            (["a", "b", "c"], None, "no positive pair"),
            (["a", "b"], ["c", "d"], "share no label"),
            (["1", "2"], [1, 2], "'1' against 1"),
            (["a", "a"], ["a"], "no negative pair"),
        ],
    )
    def test_what_has_no_pairs_is_refused(self, labels, ref, message):
        with pytest.raises(InputError, match=message):
            labelled(labels).require_pairs(None if ref is None else labelled(ref))

    def test_shared_ids_across_two_sets_are_refused(self):
        query = EmbeddingSet.from_arrays(vectors(3), [0, 1, 1], ids=["p", "q", "r"])
        gallery = EmbeddingSet.from_arrays(vectors(3), [0, 1, 1], ids=["r", "q", "s"])
        with pytest.raises(InputError, match="share 2 ids, the first is 'q'"):
            query.require_pairs(gallery)
        query.require_pairs(EmbeddingSet.from_arrays(vectors(2), [0, 1], ids=["s", "t"]))
        query.require_pairs(labelled([0, 1]))

    def test_sets_of_different_dimension_are_refused(self):
        with pytest.raises(InputError, match="3 columns and ref has 4"):
            labelled([0, 1]).require_pairs(EmbeddingSet.from_arrays(vectors(2, 4), [0, 1]))
