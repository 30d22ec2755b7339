"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evenmatch.errors import InputError

__all__ = ["atomic_path", "require_writable"]

_VOLUME_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENAMETOOLONG)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving, what was written there becomes `path` in one step.

    path: the file to write. Its folder must exist; a file that is already there is replaced. Links are followed. Into
        a character device or a pipe (`/dev/null`, `/dev/stdout` of a terminal) the whole content is copied on leaving.

    The temporary name ends in the same suffix, so writers that look at it do the right thing. If the body raises
    anything, Ctrl-C included, the temporary file is removed and a former `path` is left as it was. Raises `InputError`
    if the folder is missing or not writable, if `path` is a folder, a disk, a socket or a link to an open file, or if
    the volume is full.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "result.json") as tmp:
        ...     _ = tmp.write_text("{}")
        >>> [file.name for file in folder.iterdir()]
        ['result.json']
    """
    require_writable(path)
    stream = _is_stream(path)
    target = Path(path) if stream else _behind_links(path)
    # A short name of our own: the target's may already be as long as the file system allows.
    folder = Path(tempfile.gettempdir()) if stream else target.parent
    temporary = folder / f".tmp-{secrets.token_hex(8)}{Path(path).suffix}"
    try:
        yield temporary
        if stream:
            with temporary.open("rb") as whole, target.open("wb") as sink:
                shutil.copyfileobj(whole, sink)
            temporary.unlink()
        else:
            _flush(temporary)
            temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in _VOLUME_ERRORS:
            raise InputError(
                f"{target} could not be written ({error.strerror}); choose another folder or make room"
            ) from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def require_writable(path: str | os.PathLike[str], suffixes: Sequence[str] = ()) -> None:
    """Raise `InputError` unless a file of one of these suffixes (any, if none) could be written: ask before the work.

    Examples:
        >>> require_writable("figure.doc", (".png", ".pdf"))
        Traceback (most recent call last):
        evenmatch.errors.InputError: figure.doc has no suffix that can be written; use one of .png, .pdf
    """
    if suffixes and Path(path).suffix.lower() not in suffixes:
        raise InputError(f"{path} has no suffix that can be written; use one of {', '.join(suffixes)}")
    try:
        _require_place(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another path") from error


def _require_place(path: str | os.PathLike[str]) -> None:
    target = _behind_links(path)
    folder = target.parent
    if target.is_dir():
        raise InputError(f"{path} is a folder; pass the name of a file in it")
    if _is_stream(path):
        if not os.access(path, os.W_OK):
            raise InputError(f"{path} is not writable; choose another path")
        return
    if _is_open(path):
        raise InputError(f"{path} leads to {target}, which is open already; name that file itself, or another")
    if not folder.exists():
        raise InputError(f"{path} cannot be written: the folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: {folder} is not a folder; choose another path")
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path} is neither a file nor a stream; pass the name of a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: the folder {folder} is not writable; choose another folder")


def _behind_links(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)


def _is_open(path: str | os.PathLike[str]) -> bool:
    """Whether links lead through the open files of a process, as those of /dev/stdout do."""
    step = Path(path).absolute()
    for _ in range(40):  # as many as a system follows
        if not step.is_symlink():
            break
        folder = Path(os.path.realpath(step.parent))
        if folder.name == "fd" and folder.is_relative_to("/proc"):
            return True
        step = folder / step.readlink()
    return False


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether there is a character device or a pipe: to be written into, never to be replaced by a file."""
    return Path(path).is_char_device() or Path(path).is_fifo()


def _flush(temporary: Path) -> None:
    """Bring the bytes to the disk before the name: after a power cut the renamed file must not be empty."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
