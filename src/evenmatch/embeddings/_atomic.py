"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evenmatch.errors import InputError

__all__ = ["atomic_path", "require_writable"]

_VOLUME_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENAMETOOLONG)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving, what was written there becomes `path` in one step.

    path: the file to write. Its folder must exist; a file that is already there is replaced.

    The temporary name ends in the same suffix, so writers that look at it do the right thing. If the body raises
    anything, Ctrl-C included, the temporary file is removed and a former `path` is left as it was. Raises `InputError`
    if the folder is missing or not writable, if `path` is a folder, or if the volume is full.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "result.json") as tmp:
        ...     _ = tmp.write_text("{}")
        >>> [file.name for file in folder.iterdir()]
        ['result.json']
    """
    target = Path(path)
    require_writable(target)
    # A short name of our own: the target's may already be as long as the file system allows.
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}{target.suffix}"
    try:
        yield temporary
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
    target = Path(path)
    if suffixes and target.suffix.lower() not in suffixes:
        raise InputError(f"{target} has no suffix that can be written; use one of {', '.join(suffixes)}")
    folder = target.parent
    if not folder.exists():
        raise InputError(f"{target} cannot be written: the folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise InputError(f"{target} cannot be written: {folder} is not a folder; choose another path")
    if target.is_dir():
        raise InputError(f"{target} is a folder; pass the name of a file in it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{target} cannot be written: the folder {folder} is not writable; choose another folder")


def _flush(temporary: Path) -> None:
    """Bring the bytes to the disk before the name: after a power cut the renamed file must not be empty."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
