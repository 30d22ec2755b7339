"""Columns that a file format cannot hold natively, as JSON text that keeps each value's type."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

__all__ = ["from_json", "to_json"]


def to_json(column: NDArray[Any], what: str) -> str:
    """Return a column of str, int, float and bool, in any mixture and size, as one line of ASCII.

    Raises `InputError` naming the first row whose value JSON does not hold.
    """
    entries = column.tolist()
    for row, entry in enumerate(entries):
        if not isinstance(entry, str | int | float) or isinstance(entry, np.generic):
            raise InputError(
                f"row {row} of {what} is a {type(entry).__name__}, which this file format cannot store; "
                "convert it to str or int first"
            )
    return json.dumps(entries)


def from_json(text: str, what: str) -> list[Any]:
    """Return the values that `to_json` wrote. Raises `InputError` if the text is not a JSON list."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{what} is not valid JSON ({error}); write it as a JSON list with one value per row"
        ) from error
    if not isinstance(entries, list):
        raise InputError(f"{what} is a JSON {type(entries).__name__}; write it as a JSON list with one value per row")
    return entries
