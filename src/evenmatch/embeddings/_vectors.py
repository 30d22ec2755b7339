"""Embeddings as they arrive, turned into one float matrix that has been looked at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._shards import ShardedVectors
from evenmatch.errors import InputError

__all__ = ["as_vectors", "row_blocks", "row_norms", "to_numpy"]

_BLOCK_VALUES = 1 << 18  # 2 MiB of float64: a block stays in the L2 cache while it is squared
_SMALLEST_TRUSTED_SQUARE = 1e-280  # below it the squares have lost digits to underflow


def to_numpy(values: Any, what: str) -> NDArray[Any]:
    """Return `values` as an array without a copy where possible; tensors are detached and moved to the host.

    Raises `InputError` if `values` cannot be understood as an array.
    """
    try:
        if callable(getattr(values, "detach", None)):
            values = values.detach().cpu()
            if str(values.dtype) == "torch.bfloat16":  # numpy has no bfloat16; float32 holds every one of its values
                values = values.float()
            values = values.numpy()
        if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
            row = int(np.argwhere(np.ma.getmaskarray(values))[0][0])
            raise InputError(f"row {row} of {what} is masked; drop the row or fill it first")
        array = values if isinstance(values, np.memmap) else np.asarray(values)
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} cannot be read as an array ({error}); pass a numpy array of shape (n, d)") from error
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_vectors(embeddings: Any) -> NDArray[Any] | ShardedVectors:
    """Return embeddings as an `(n, d)` array of float16, float32 or float64; maps and shards stay what they are.

    Raises `InputError` for another rank, an empty matrix, and any dtype that is not one of the three.
    """
    array = embeddings if isinstance(embeddings, ShardedVectors) else to_numpy(embeddings, "embeddings")
    if array.dtype == object:
        raise InputError(
            "embeddings is an object array (rows of unequal length or mixed types); "
            "stack them into one floating point matrix of shape (n, d)"
        )
    if array.ndim != 2:
        raise InputError(f"embeddings has shape {array.shape}; pass a matrix of shape (n, d), one row per sample")
    if 0 in array.shape:
        raise InputError(f"embeddings is empty, shape {array.shape}; at least one row and one column are needed")
    if array.dtype.kind != "f":
        raise InputError(
            f"embeddings must be floating point, not {array.dtype}; "
            "convert them on purpose, for instance with .astype('float32')"
        )
    if array.dtype.itemsize > 8:
        raise InputError(f"embeddings are {array.dtype}; convert them to float16, float32 or float64")
    if not array.dtype.isnative:
        if isinstance(array, np.memmap | ShardedVectors):
            raise InputError(
                f"embeddings are memory-mapped with foreign byte order ({array.dtype.str}); "
                f"save them again with .astype('{array.dtype.name}')"
            )
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def row_blocks(vectors: NDArray[Any] | ShardedVectors, rows: int = 1024) -> Iterator[slice]:
    """Yield slices of at most `rows` rows that walk them all, in blocks small enough to copy at any `(n, d)`."""
    n, dim = vectors.shape
    rows = max(1, min(rows, _BLOCK_VALUES // max(1, dim)))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def row_norms(vectors: NDArray[Any] | ShardedVectors) -> NDArray[np.float64]:
    """Return the `(n,)` Euclidean norms in float64, reading `(n, d)` vectors once, block by block.

    Raises `InputError` if a value is NaN or infinite, naming the first such row and how many there are.
    """
    n, dim = vectors.shape
    norms = np.empty(n, dtype=np.float64)
    buffer: NDArray[np.float64] | None = None
    bad: list[int] = []
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for rows in row_blocks(vectors):
            if buffer is None:
                buffer = np.empty((rows.stop, dim), dtype=np.float64)
            block = buffer[: rows.stop - rows.start]
            block[...] = vectors[rows]
            squares = np.einsum("ij,ij->i", block, block)
            norms[rows] = np.sqrt(squares)
            doubtful = np.flatnonzero(~(np.isfinite(squares) & (squares > _SMALLEST_TRUSTED_SQUARE)))
            if doubtful.size:
                norms[rows.start + doubtful] = _scaled_norms(block[doubtful])
                bad.extend((rows.start + doubtful[~np.isfinite(block[doubtful]).all(axis=1)]).tolist())
    if bad:
        others = "" if len(bad) == 1 else f" ({len(bad)} such rows in all)"
        kind = "a NaN" if np.isnan(vectors[bad[0]]).any() else "an infinite value"
        raise InputError(f"row {bad[0]} of embeddings has {kind}{others}; drop or repair it first")
    if not np.isfinite(norms).all():
        row = int(np.argmin(np.isfinite(norms)))
        raise InputError(f"row {row} of embeddings is so large that its norm overflows float64; rescale it first")
    return norms


def _scaled_norms(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return norms whose squares would overflow or underflow float64."""
    scale = np.abs(block).max(axis=1)
    safe = np.where(scale > 0, scale, 1.0)
    scaled = block / safe[:, None]
    return scale * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
