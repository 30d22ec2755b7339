"""Matrices parked on disk for as long as they are needed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._shards import Shard, ShardedVectors
from evenmatch.errors import InputError

__all__ = ["spool"]


def spool(blocks: Iterable[NDArray[np.floating]], shape: tuple[int, int], dtype: np.dtype, what: str) -> ShardedVectors:
    """Write blocks of rows to a temporary file and return the matrix in it; the file goes when the matrix does.

    blocks: arrays of rows that together have the given shape, in `dtype`.
    what: the data, for messages.

    The file lies where Python's `tempfile` puts it: in the folder that TMPDIR names, else usually /tmp. Raises
    `InputError` before anything is written if that folder has no room for it.
    """
    folder = Path(tempfile.gettempdir())
    need, free = shape[0] * shape[1] * dtype.itemsize, shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            f"{what} needs {need / 1e9:.3g} GB of temporary disk, but {folder} has {free / 1e9:.3g} GB left; "
            "set TMPDIR to a folder with room"
        )
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it outlives this call
        prefix="evenmatch-", suffix=".bin", dir=folder, delete=False
    )
    path = Path(file.name)
    holder = _Holder()
    weakref.finalize(holder, path.unlink, missing_ok=True)
    try:
        with file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=dtype).data)
    except OSError as error:
        raise InputError(
            f"{what} could not be written to {folder} ({error.strerror}); set TMPDIR to a folder with room"
        ) from error
    stat = path.stat()
    shard = Shard(str(path.absolute()), 0, shape, dtype.str, False, stat.st_size, stat.st_mtime_ns)
    return ShardedVectors([shard], keep=holder)


class _Holder:
    """Whose end is the file's end."""
