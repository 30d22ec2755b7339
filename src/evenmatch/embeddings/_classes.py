"""From labels to classes and codes, in an order that does not depend on the order of the samples."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["factorize"]


def factorize(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the `(K,)` distinct labels in sorted order and the `(n,)` int64 index of each label among them.

    Two labels are the same class if they are equal and hash alike, as in a Python dict: `1` and `1.0` in a mixed
    list are one class, `1` and `"1"` are two. Values of types that do not compare are ordered by type name and repr.
    """
    if labels.dtype.kind in "biufcmM":
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, codes.astype(np.int64, copy=False).reshape(-1)
    values: list[Hashable] = labels.tolist()
    seen: dict[Hashable, int] = {}
    first_codes = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)
    names = list(seen) if labels.dtype.kind in "US" else _representatives(values, seen)
    order = _sorted_order(names)
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    classes = np.empty(len(order), dtype=labels.dtype)
    for place, index in enumerate(order):
        classes[place] = names[index]
    return classes, position[first_codes]


def _representatives(values: list[Hashable], seen: dict[Hashable, int]) -> list[Hashable]:
    """Return one spelling per class; of equal values of several types, the same one whatever comes first."""
    names = list(seen)
    if len(set(map(type, values))) == 1:
        return names
    for value in values:
        index = seen[value]
        if type(value) is not type(names[index]) and _spelling(value) < _spelling(names[index]):
            names[index] = value
    return names


def _sorted_order(names: list[Hashable]) -> list[int]:
    types = set(map(type, names))
    comparable = all(issubclass(kind, str) for kind in types) or all(
        issubclass(kind, int | float | np.integer | np.floating) for kind in types
    )
    # frozensets compare, but by inclusion: sorting by it depends on where one starts.
    if comparable or (len(types) == 1 and not issubclass(next(iter(types)), frozenset)):
        try:
            return sorted(range(len(names)), key=names.__getitem__)  # pyright: ignore[reportArgumentType, reportCallIssue]
        except TypeError:
            pass
    return sorted(range(len(names)), key=lambda index: _spelling(names[index]))


def _spelling(value: Hashable) -> tuple[str, str]:
    return type(value).__name__, repr(value)
