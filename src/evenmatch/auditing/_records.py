"""Tables as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["records"]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON-safe dicts, a named index among the columns; NaN and ±inf are None, and what JSON lacks is text."""
    rows = table.reset_index() if table.index.name is not None else table
    return [{str(name): _safe(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _safe(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)
