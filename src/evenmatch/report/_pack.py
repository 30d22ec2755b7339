"""Arrays as text inside a page: unsigned integers as base-128 varints, floats as they are, all of it gzipped."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np

__all__ = ["Pack", "gzip_text", "varints"]


def varints(values: np.ndarray) -> bytes:
    """Non-negative integers, seven bits a byte, the lowest first; the top bit says that more follow.

    Examples:
        >>> list(varints(np.array([1, 127, 128, 300])))
        [1, 127, 128, 1, 172, 2]
    """
    rest = np.ascontiguousarray(values, dtype=np.uint64).ravel()
    lengths = np.ones(rest.size, np.int64)
    for bits in range(7, 64, 7):
        lengths += rest >= np.uint64(1 << bits)
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]) if ends.size else 0, np.uint8)
    starts = ends - lengths
    for byte in range(int(lengths.max(initial=0))):
        here = lengths > byte
        more = (lengths[here] > byte + 1).astype(np.uint64) << np.uint64(7)
        out[starts[here] + byte] = (rest[here] & np.uint64(127)) | more
        rest = rest >> np.uint64(7)
    return out.tobytes()


def gzip_text(data: bytes) -> str:
    """Bytes as gzipped base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


class Pack:
    """Named arrays for a page, one after the other."""

    def __init__(self) -> None:
        self._data = bytearray()
        #: name → [kind, offset, bytes, values], for the reader in the page
        self.index: dict[str, list[Any]] = {}

    def floats(self, name: str, values: np.ndarray) -> None:
        """Add float64 numbers."""
        self._add(name, "float", np.ascontiguousarray(values, dtype="<f8").tobytes(), values.size)

    def counts(self, name: str, values: np.ndarray) -> None:
        """Add non-negative integers."""
        self._add(name, "count", varints(values), values.size)

    def falling(self, name: str, table: np.ndarray) -> None:
        """Add a table ``(rows, columns)`` of counts that fall along each row: column after column, as differences."""
        steps = table[:, :-1] - table[:, 1:]
        self._add(name, "falling", varints(np.concatenate([table[:, :1], steps], axis=1).T), table.size)

    def text(self) -> str:
        """Everything added, for the page."""
        return gzip_text(bytes(self._data))

    def _add(self, name: str, kind: str, data: bytes, size: int) -> None:
        self.index[name] = [kind, len(self._data), len(data), int(size)]
        self._data += data
