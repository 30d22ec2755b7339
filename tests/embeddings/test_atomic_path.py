"""Files appear whole or not at all."""

import errno
import os
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from evenmatch.embeddings import atomic_path, require_writable
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


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path):
    (tmp_path / "releases").mkdir()
    link, release = tmp_path / "point.json", tmp_path / "releases" / "v3.json"
    link.symlink_to("releases/v3.json")
    for text in ("first", "second"):
        with atomic_path(link) as tmp:
            assert tmp.parent == release.parent
            tmp.write_text(text)
        assert link.is_symlink()
        assert release.read_text() == text
    assert names(release.parent) == ["v3.json"]
    link.unlink()
    link.symlink_to("elsewhere/v3.json")
    with pytest.raises(InputError, match=r"the folder .*elsewhere does not exist"):
        require_writable(link)


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_into_not_replaced(tmp_path, linked):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    path = pipe
    if linked:
        path = tmp_path / "link.csv"
        path.symlink_to(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        with atomic_path(path) as tmp:
            assert tmp.suffix == ".csv"
            tmp.write_text("a,b\n")
            assert not read.done()
        assert read.result(10) == "a,b\n"
    assert pipe.is_fifo()
    assert path.is_symlink() == linked
    assert not tmp.exists()


def test_a_failure_sends_nothing_into_a_pipe_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "pipe", KeyboardInterrupt)
    assert names(tmp_path) == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("door")
        with pytest.raises(InputError, match="door is neither a file nor a stream; pass the name of a file"):
            require_writable("door")


def test_an_open_file_is_not_replaced(tmp_path):
    """What /dev/stdout is when it is redirected: other output goes there, too."""
    log = tmp_path / "log.txt"
    with log.open("w") as file:
        file.write("before")
        file.flush()
        for path in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            with pytest.raises(InputError, match="which is open already; name that file itself"):
                require_writable(path)
            with pytest.raises(InputError, match="open already"), atomic_path(path) as temporary:
                temporary.write_text("after")
    assert log.read_text() == "before"


def test_what_the_system_refuses_is_said_as_input(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written .* choose another path"):
        require_writable(tmp_path / ("x" * 300))
