"""One matrix over many memory-mapped files: read in pieces, never whole."""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

__all__ = ["Shard", "ShardedVectors"]

_OPEN_MAPS = 128  # each holds a file descriptor, of which a process has about a thousand


@dataclass(frozen=True)
class Shard:
    """Where a matrix lies in a file: enough to map it again, here or on another machine.

    path: the file, absolute.
    offset: byte at which the values begin.
    shape, dtype: of the matrix; `fortran` if its columns lie together instead of its rows.
    size, mtime_ns: of the whole file when it was looked at.
    """

    path: str
    offset: int
    shape: tuple[int, int]
    dtype: str
    fortran: bool
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, mapped: np.memmap) -> Shard | None:
        """Describe a memory map; None if it may differ from its file, is a part of a larger one, or has no name."""
        whole = isinstance(mapped.base, mmap.mmap)
        if not whole or mapped.mode == "c" or mapped.filename is None or mapped.ndim != 2:
            return None
        path = Path(mapped.filename).absolute()
        stat = path.stat()
        fortran = not mapped.flags.c_contiguous
        return cls(
            str(path), mapped.offset, mapped.shape, mapped.dtype.str, fortran, stat.st_size, stat.st_mtime_ns
        )  # fmt: skip

    def open(self) -> np.memmap:
        """Map the file. Raises `InputError` if it is not here, or no longer what it was."""
        try:
            stat = Path(self.path).stat()
            if (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns):
                raise InputError(f"{self.path} has changed since it was loaded; load it again")
            order = "F" if self.fortran else "C"
            return np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape, order)
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be read here ({error.strerror}); every process that counts needs to see it"
            ) from error


class _Maps:
    """The maps of shards, opened when they are looked at; the least used are closed again."""

    def __init__(self, shards: tuple[Shard, ...]) -> None:
        self.shards = shards
        self.starts = np.cumsum([0, *(shard.shape[0] for shard in shards)])
        self._open: OrderedDict[int, np.memmap] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> np.memmap:
        with self._lock:
            mapped = self._open.pop(index, None)
            if mapped is None:
                mapped = self.shards[index].open()
                while len(self._open) >= _OPEN_MAPS:
                    self._open.popitem(last=False)
            self._open[index] = mapped
            return mapped


class ShardedVectors:
    """An `(n, d)` matrix whose rows lie in files, one after the other; indexing it reads those rows and no others.

    shards: at least one; all of one dtype and width.
    rows: `(m,)` the stored row of each row of this matrix; all of them in their order, by default.

    What is indexed comes as an array in memory (a slice within one shard as a view of its map). It travels between
    processes as the names of its files, not as its values.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for i in range(2):
        ...     np.save(folder / f"{i}.npy", np.full((3, 2), i, "float32"))
        >>> maps = [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(2)]
        >>> vectors = ShardedVectors([Shard.of(each) for each in maps])
        >>> vectors.shape, vectors[2:4].tolist(), vectors[np.array([5, 0])].tolist()
        ((6, 2), [[0.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]])
    """

    ndim = 2

    def __init__(self, shards: Sequence[Shard], rows: NDArray[Any] | None = None, *, keep: Any = None) -> None:
        first = shards[0]
        for shard in shards:
            if shard.shape[1] != first.shape[1]:
                raise InputError(
                    f"{shard.path} has {shard.shape[1]} columns but {first.path} has {first.shape[1]}; "
                    "all shards must come from the same model"
                )
            if shard.dtype != first.dtype:
                raise InputError(
                    f"{shard.path} is {np.dtype(shard.dtype)} but {first.path} is {np.dtype(first.dtype)}; "
                    "convert them to one dtype"
                )
        self._maps = _Maps(tuple(shards))
        self._rows = rows
        self._keep = keep  # whatever must live as long as the files
        self.dtype = np.dtype(first.dtype)
        stored = int(self._maps.starts[-1])
        self.shape: tuple[int, int] = (stored if rows is None else len(rows), first.shape[1])

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Where the stored rows lie."""
        return self._maps.shards

    def select(self, index: NDArray[Any] | slice) -> ShardedVectors:
        """Return the matrix of the given rows (a slice, a mask or indices) without reading any of them."""
        rows = _indices(index, self.shape[0])
        new = object.__new__(ShardedVectors)
        new._maps, new._keep, new.dtype = self._maps, self._keep, self.dtype
        new._rows = rows if self._rows is None else self._rows[rows]
        new.shape = (len(rows), self.shape[1])
        return new

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, slice) and self._rows is None and key.step in (None, 1):
            start, stop, _ = key.indices(self.shape[0])
            return self._span(start, max(start, stop))
        if isinstance(key, int | np.integer):
            row = range(self.shape[0])[int(key)]
            return self[np.array([row])][0]
        rows = _indices(key, self.shape[0])
        return self._gather(rows if self._rows is None else self._rows[rows])

    def _span(self, start: int, stop: int) -> NDArray[Any]:
        starts = self._maps.starts
        first, last = np.searchsorted(starts, (start, max(stop - 1, start)), side="right") - 1
        if start == stop:
            return np.empty((0, self.shape[1]), self.dtype)
        parts = [
            np.asarray(self._maps[at][max(start - starts[at], 0) : stop - starts[at]])
            for at in range(first, last + 1)
            if starts[at] < starts[at + 1]
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        values = np.empty((rows.size, self.shape[1]), self.dtype)
        order = np.argsort(rows, kind="stable")  # in the order of the disk
        ascending = rows[order]
        edges = np.searchsorted(ascending, self._maps.starts)
        for at in np.flatnonzero(edges[:-1] < edges[1:]).tolist():
            part = slice(edges[at], edges[at + 1])
            values[order[part]] = self._maps[at][ascending[part] - self._maps.starts[at]]
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("sharded vectors lie in files; they become an array only by being copied")
        values = self[:]
        return values.astype(self.dtype if dtype is None else dtype, copy=copy is True)

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardedVectors, (self.shards, self._rows)


def _indices(key: Any, n: int) -> NDArray[Any]:
    """Rows from 0 that a slice, a mask or indices of n rows stand for."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n))
    rows = np.asarray(key)
    if rows.ndim != 1 or rows.dtype.kind not in "biu" or (rows.dtype == bool and rows.size != n):
        raise IndexError("sharded vectors are indexed by rows alone: a slice, a mask or 1-d indices")
    if rows.dtype == bool:
        return np.flatnonzero(rows)
    if rows.size and not -n <= rows.min() <= rows.max() < n:
        raise IndexError(f"a row is outside the {n} rows of these vectors")
    return np.where(rows < 0, rows + n, rows) if rows.dtype.kind == "i" else rows.astype(np.int64)
