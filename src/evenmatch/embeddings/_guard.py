"""One line for every way in which a file can fail to be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenmatch.errors import InputError

__all__ = ["reading", "require_file", "require_magic"]


def require_file(path: Path) -> None:
    """Raise `InputError` unless `path` is a file with something in it."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; pass the name of a file in it")
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file; write it again")
    except (OSError, ValueError) as error:  # an InputError is a ValueError, too
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); check the path and its permissions") from error


def require_magic(path: Path, magic: bytes, kind: str, *, at: int = 0) -> None:
    """Raise `InputError` unless `magic` stands at byte `at` of the file; a pickle is named as such."""
    with reading(path, kind), path.open("rb") as file:
        start = file.read(at + max(len(magic), 2))
    if start[at:].startswith(magic):
        return
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise InputError(
            f"{path} is a Python pickle, which is never loaded because it can run code; save it again as {kind}"
        )
    raise InputError(f"{path} is not {kind}, or it is damaged; check what it is, or save it again")


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a reader raises on a file it cannot read into an `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{path} does not fit in memory, or its header is damaged; "
            "embeddings of any size can be read from .npy by memory map"
        ) from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied; check its permissions") from error
    # numpy, zipfile, zlib, pyarrow and safetensors raise a dozen unrelated types on damaged bytes.
    except Exception as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise InputError(
                f"{path} holds pickled Python objects, which are never loaded because they can run code; "
                "save it again with plain number or text dtypes"
            ) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as {kind} ({reason}); it is truncated, damaged or of another kind: save it again"
        ) from error
