"""Files appear whole or not at all."""

import errno
import os

import pytest

from evenmatch.embeddings import atomic_path
from evenmatch.errors import InputError


def write_half(target, error):
    with atomic_path(target) as tmp:
        tmp.write_text("half")
        raise error


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "a.json"
    with atomic_path(str(target)) as tmp:
        assert tmp.parent == tmp_path
        assert tmp.suffix == ".json"
        tmp.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(error):
        write_half(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match=r"a\.json could not be written \(No space left"):
        write_half(tmp_path / "a.json", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=r"the folder .*nowhere does not exist"),
        atomic_path(tmp_path / "nowhere" / "a"),
    ):
        pass


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(InputError, match="is a folder"), atomic_path(tmp_path):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"), atomic_path(tmp_path / "file" / "a"):
        pass


def test_a_folder_that_is_not_writable_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, whom no mode stops
    with pytest.raises(InputError, match="is not writable"), atomic_path(tmp_path / "a"):
        pass


def test_the_longest_file_name_can_be_written(tmp_path):
    target = tmp_path / ("n" * 250 + ".json")
    with atomic_path(target) as tmp:
        tmp.write_text("x")
    assert target.read_text() == "x"
