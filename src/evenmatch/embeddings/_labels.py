"""Labels, groups and ids as they arrive, turned into 1-d arrays without passing through float."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

__all__ = ["as_column"]

_WIDEST_TEXT = 256  # a fixed-width array pads every row to the longest label; beyond this, objects are smaller


def as_column(values: Any, what: str, rows: int) -> NDArray[Any]:
    """Return labels, groups or ids as a read-only `(n,)` array in their native dtype.

    values: sequence, array, tensor, pandas Series or Categorical of hashable scalars.
    what: "labels", "groups" or "ids", for messages.
    rows: the number of entries that there must be.

    Text becomes a numpy str array, Python ints become int64 (uint64, or objects, beyond its range), and values of
    mixed types stay the objects they are. Raises `InputError` for a wrong length or rank, an unhashable or a missing
    entry.
    """
    array = _to_array(values, what)
    if array.ndim != 1:
        raise InputError(f"{what} has shape {array.shape}; pass one value per sample, shape ({rows},)")
    if len(array) != rows:
        raise InputError(
            f"{what} has {len(array)} entries but embeddings has {rows} rows; pass exactly one entry per row"
        )
    array = _narrow(array, what) if array.dtype == object else _checked_native(array, what)
    array = array.view()
    array.flags.writeable = False  # a set is frozen: the codes were counted from these values
    return array


def _to_array(values: Any, what: str) -> NDArray[Any]:
    """Return an array in which nothing has been coerced: objects wherever numpy would have to guess."""
    if isinstance(values, str | bytes | Mapping | Set):
        raise InputError(f"{what} is a {type(values).__name__}; pass a sequence with one entry per sample")
    if isinstance(values, np.ma.MaskedArray):
        _refuse_missing(np.ma.getmaskarray(values), what)
        values = values.data
    if isinstance(values, np.ndarray):
        array = np.asarray(values)
    elif callable(getattr(values, "detach", None)):
        array = values.detach().cpu().numpy()
    elif _is_pandas(values):
        array = _from_pandas(values, what)
    elif isinstance(values, list | tuple) or not hasattr(values, "__array__"):
        array = _from_iterable(values, what)
    else:
        array = np.asarray(values)
    if array.dtype.kind == "T":  # numpy's variable-width strings
        array = array.astype(object)
    return array


def _is_pandas(values: Any) -> bool:
    pandas = sys.modules.get("pandas")  # if it was never imported, nothing can be of its types
    return pandas is not None and isinstance(
        values, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray
    )


def _from_pandas(values: Any, what: str) -> NDArray[Any]:
    # The gaps come first: filling them is what turns a pandas column of ints into floats.
    _refuse_missing(np.asarray(values.isna(), dtype=bool), what)
    if isinstance(values.dtype, np.dtype):
        return values.to_numpy()
    return np.asarray(values, dtype=object)


def _from_iterable(values: Any, what: str) -> NDArray[Any]:
    if not isinstance(values, Iterable):
        raise InputError(f"{what} is a {type(values).__name__}; pass a sequence with one entry per sample")
    entries = [_unwrapped(value) for value in values]
    return _objects(entries)


def _objects(entries: list[Any]) -> NDArray[Any]:
    array = np.empty(len(entries), dtype=object)
    for row, entry in enumerate(entries):  # one by one: an assignment of the whole list would unpack tuples
        array[row] = entry
    return array


def _unwrapped(value: Any) -> Any:
    """Return the scalar inside a 0-d array or tensor; their hash, if any, is their identity."""
    if isinstance(value, str | int | float | np.generic) or getattr(value, "ndim", None) != 0:
        return value
    return value[()] if isinstance(value, np.ndarray) else value.item()


def _checked_native(array: NDArray[Any], what: str) -> NDArray[Any]:
    kind = array.dtype.kind
    if kind == "V":
        raise InputError(f"{what} has dtype {array.dtype}; pass one scalar per sample, not a record")
    if kind in "fc":
        _refuse_missing(np.isnan(array), what)
    if kind in "mM":
        _refuse_missing(np.isnat(array), what)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _narrow(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Give objects of one type their native dtype, if every value survives it; leave the rest alone."""
    entries = array.tolist()
    types = set(map(type, entries))
    if not types <= {str, int, bool}:
        for row, entry in enumerate(entries):
            _check_entry(entry, row, what)
    if types and types <= {str, np.str_}:
        return _narrow_text(array, np.str_, "\0")
    if types and types <= {bytes, np.bytes_}:
        return _narrow_text(array, np.bytes_, b"\0")
    if types and all(issubclass(kind, int | np.integer) and kind is not bool for kind in types):
        return _narrow_integers([int(entry) for entry in entries])
    if types == {bool} or types == {np.bool_}:
        return array.astype(bool)
    if types == {float}:
        return array.astype(np.float64)
    dtypes = {entry.dtype for entry in entries if isinstance(entry, np.generic)}
    if len(dtypes) == 1 and all(isinstance(entry, np.generic) for entry in entries):
        return np.array(entries, dtype=dtypes.pop())
    return _objects([_plain(entry) for entry in entries])


def _plain(entry: Any) -> Any:
    """Return the Python value of a numpy scalar; in a mixture, both spellings are the same label."""
    return entry.item() if isinstance(entry, np.bool_ | np.integer | np.floating | np.str_ | np.bytes_) else entry


def _check_entry(entry: Any, row: int, what: str) -> None:
    try:
        hash(entry)
    except TypeError as error:
        raise InputError(
            f"row {row} of {what} is a {type(entry).__name__}, which is not hashable; use a scalar such as str or int"
        ) from error
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        _refuse_row(row, what)
    if isinstance(entry, np.datetime64 | np.timedelta64):
        if np.isnat(entry):
            _refuse_row(row, what)
    elif isinstance(entry, float | complex | np.inexact) and entry != entry:
        _refuse_row(row, what)


def _narrow_text(array: NDArray[Any], dtype: type, nul: Any) -> NDArray[Any]:
    entries = array.tolist()
    # numpy's fixed-width text drops trailing NULs, which would merge two labels.
    if max(map(len, entries)) > _WIDEST_TEXT or any(entry.endswith(nul) for entry in entries):
        return _objects([_plain(entry) for entry in entries])
    return array.astype(dtype)


def _narrow_integers(entries: list[int]) -> NDArray[Any]:
    low, high = min(entries), max(entries)
    if low >= -(2**63) and high < 2**63:
        return np.array(entries, dtype=np.int64)
    if low >= 0 and high < 2**64:
        return np.array(entries, dtype=np.uint64)
    return _objects(entries)


def _refuse_missing(missing: NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(missing)
    if rows.size:
        _refuse_row(int(rows[0]), what, len(rows))


def _refuse_row(row: int, what: str, count: int = 1) -> None:
    others = "" if count == 1 else f" ({count} such rows in all)"
    raise InputError(f"row {row} of {what} is missing{others}; drop the row or give it a value")
