"""Row selections: masks, indices and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

__all__ = ["as_rows"]


def as_rows(rows: Any, n: int) -> NDArray[Any] | slice:
    """Return a selection of at least one of `n` rows that numpy takes as it is.

    Raises `InputError` for another dtype or rank, a mask of another length, an index out of range, and no rows at all.
    """
    if isinstance(rows, slice):
        if len(range(*rows.indices(n))) == 0:
            raise InputError(f"the subset {rows} of {n} rows is empty; select at least one row")
        return rows
    index = np.asarray(rows)
    if index.ndim != 1:
        raise InputError(f"rows has shape {index.shape}; pass a 1-d mask or 1-d indices")
    if index.size == 0 or (index.dtype == bool and not index.any()):
        raise InputError("the subset is empty; select at least one row")
    if index.dtype == bool:
        if len(index) != n:
            raise InputError(f"the mask has {len(index)} entries but the set has {n} rows; they must agree")
        return index
    if index.dtype.kind not in "iu":
        raise InputError(f"rows has dtype {index.dtype}; pass a boolean mask or integer indices")
    outside = np.flatnonzero((index < -n) | (index >= n))
    if outside.size:
        raise InputError(f"rows asks for row {index[outside[0]]} of a set with {n} rows; use 0 to {n - 1}")
    return index
