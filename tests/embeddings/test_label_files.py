"""Labels from files of their own."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenmatch.embeddings import load
from evenmatch.errors import InputError


@pytest.fixture
def embeddings(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.eye(3, dtype=np.float32))
    return path


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


class TestText:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a\nb\na\n", ["a", "b", "a"]),
            ("a\nb\na", ["a", "b", "a"]),
            ("\ufeffa\r\nb\r\na\r\n", ["a", "b", "a"]),
            ("9007199254740993\n-1\n0\n", [9007199254740993, -1, 0]),
            ("007\n7\n8\n", ["007", "7", "8"]),
            ("+7\n7\n8\n", ["+7", "7", "8"]),
            ("1.0\n7\n8\n", ["1.0", "7", "8"]),
            ("NA\nnan\nnull\n", ["NA", "nan", "null"]),
            ("٣\n7\n8\n", ["٣", "7", "8"]),
            ("a\u2028b\na b\nc\x0bd\n", ["a\u2028b", "a b", "c\x0bd"]),
            (f"{2**64 - 1}\n1\n2\n", [2**64 - 1, 1, 2]),
        ],
    )
    def test_lines_stay_text_unless_all_are_canonical_ints(self, tmp_path, embeddings, text, expected):
        samples = load(embeddings, labels=write(tmp_path / "y.txt", text))
        assert samples.labels.tolist() == expected

    def test_an_empty_line_is_named(self, tmp_path, embeddings):
        with pytest.raises(InputError, match=r"row 1 of labels in .*y\.txt is empty"):
            load(embeddings, labels=write(tmp_path / "y.txt", "a\n\nb\n"))

    def test_what_is_not_utf8_is_refused(self, tmp_path, embeddings):
        (tmp_path / "y.txt").write_bytes("é\nb\nc\n".encode("latin-1"))
        with pytest.raises(InputError, match=r"y\.txt cannot be read as a UTF-8 text file"):
            load(embeddings, labels=tmp_path / "y.txt")


class TestCsv:
    @pytest.mark.parametrize("header", ["label", "labels"])
    def test_labels_groups_and_ids_by_header(self, tmp_path, embeddings, header):
        path = write(tmp_path / "y.csv", f'id,{header},split,groups\nr1,"a, b",t,1\nr2,c,t,2\nr3,"a, b",t,1\n')
        samples = load(embeddings, labels=str(path))
        assert samples.labels.tolist() == ["a, b", "c", "a, b"]
        assert samples.groups.tolist() == [1, 2, 1]
        assert samples.ids.tolist() == ["r1", "r2", "r3"]

    @pytest.mark.parametrize("text", ["a\nb\na\n", "label\na\nb\na\n", "labels\na\nb\na\n\n"])
    def test_one_column_needs_no_header(self, tmp_path, embeddings, text):
        assert load(embeddings, labels=write(tmp_path / "y.csv", text)).labels.tolist() == ["a", "b", "a"]

    def test_groups_and_ids_from_files_of_their_own_win(self, tmp_path, embeddings):
        labels = write(tmp_path / "y.csv", "label,group\na,1\nb,2\na,1\n")
        groups = write(tmp_path / "g.csv", "label,group\nq,x\nr,y\ns,x\n")
        ids = write(tmp_path / "i.txt", "p\nq\nr\n")
        samples = load(embeddings, labels=labels, groups=groups, ids=ids)
        assert samples.labels.tolist() == ["a", "b", "a"]
        assert samples.groups.tolist() == ["x", "y", "x"]
        assert samples.ids.tolist() == ["p", "q", "r"]
        assert load(embeddings, labels=labels, groups=np.array([5, 6, 7])).groups.tolist() == [5, 6, 7]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("class,split\na,t\nb,t\nc,t\n", "no column 'label', only class, split"),
            ("label,split\na,t\nb\nc,t\n", "row 2 of .* has 1 cells instead of 2"),
            ("label,split\na,t\n,t\nc,t\n", "row 1 of labels in .* is empty"),
            ("label\na\n\nb\n", "row 2 of .* has 0 cells"),
            ('label,split\n"a,t\nb,t\n', "cannot be read"),
            ("\n\n", "is empty"),
            ("label\na\nb\n", "labels has 2 entries but embeddings has 3 rows"),
        ],
    )
    def test_what_makes_no_column_is_refused(self, tmp_path, embeddings, text, message):
        with pytest.raises(InputError, match=message):
            load(embeddings, labels=write(tmp_path / "y.csv", text))


class TestArrays:
    def test_npy_labels_keep_their_dtype(self, tmp_path, embeddings):
        np.save(tmp_path / "y.npy", np.array([2**53 + 1, 2**53, 1]))
        assert load(embeddings, labels=tmp_path / "y.npy").labels.tolist() == [2**53 + 1, 2**53, 1]

    def test_pickled_labels_are_refused(self, tmp_path, embeddings):
        np.save(tmp_path / "y.npy", np.array(["a", 1, 2], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match=r"y\.npy holds pickled Python objects"):
            load(embeddings, labels=tmp_path / "y.npy")

    def test_parquet_labels_by_name_or_alone(self, tmp_path, embeddings):
        pq.write_table(pa.table({"label": ["a", "b", "a"], "group": [1, 2, 2], "x": [1, 2, 3]}), tmp_path / "y.parquet")
        samples = load(embeddings, labels=tmp_path / "y.parquet")
        assert samples.labels.tolist() == ["a", "b", "a"]
        assert samples.groups.tolist() == [1, 2, 2]
        pq.write_table(pa.table({"whatever": [3, 4, 3]}), tmp_path / "z.parquet")
        assert load(embeddings, labels=tmp_path / "z.parquet").labels.tolist() == [3, 4, 3]
        with pytest.raises(InputError, match="no column 'id', only group, label, x"):
            load(embeddings, labels=[1, 2, 3], ids=tmp_path / "y.parquet")


def test_a_label_file_with_a_missing_row_names_both_files_and_counts(tmp_path, embeddings):
    labels = write(tmp_path / "y.txt", "a\nb\n")
    with pytest.raises(
        InputError, match=r"x\.npy, labels from .*y\.txt: labels has 2 entries but embeddings has 3 rows"
    ):
        load(embeddings, labels=labels)


def test_an_unknown_or_missing_label_file_is_named(tmp_path, embeddings):
    with pytest.raises(InputError, match=r"y\.json .* \.npy, \.txt, \.csv, \.parquet"):
        load(embeddings, labels=write(tmp_path / "y.json", "[]"))
    with pytest.raises(InputError, match=r"z\.csv does not exist"):
        load(embeddings, labels=tmp_path / "z.csv")
    with pytest.raises(InputError, match=r"e\.csv is an empty file"):
        load(embeddings, labels=write(tmp_path / "e.csv", ""))


def test_labels_override_what_the_file_holds(tmp_path):
    np.savez(tmp_path / "x.npz", embeddings=np.eye(3), labels=[0, 1, 1], groups=["g", "h", "g"])
    samples = load(tmp_path / "x.npz", labels=write(tmp_path / "y.txt", "a\nb\nc\n"), name="mine")
    assert samples.labels.tolist() == ["a", "b", "c"]
    assert samples.groups.tolist() == ["g", "h", "g"]
    assert samples.name == "mine"
