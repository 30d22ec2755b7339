"""Vectors on a device: normalised on the host, split into bfloat16 parts on the device, a chunk at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenmatch.pairs._problem import Side

if TYPE_CHECKING:
    import torch

__all__ = ["Block", "bytes_per_row", "load_block", "split"]

_CHUNK_BYTES = 32 * 2**20


def split(vectors: torch.Tensor, parts: int) -> list[torch.Tensor]:
    """Write float32 numbers as sums of bfloat16 ones, by rounding and rounding the rest again.

    bfloat16 has 8 significant bits and float32 has 24, so three parts hold a float32 exactly (unless its last bits
    lie below 2⁻¹³³), each at most 2⁻⁸ times the one before.

    Args:
        vectors: any shape, float32.
        parts: how many to make; 1 is the rounded number itself.

    Returns:
        The parts, the largest first, bfloat16, each of the shape of ``vectors``.

    Examples:
        >>> import torch
        >>> x = torch.tensor([0.1, -3.14159, 1e-20])
        >>> bool((sum(part.float() for part in split(x, 3)) == x).all())
        True
    """
    import torch

    found = []
    rest = vectors
    for _ in range(parts):
        found.append(rest.to(torch.bfloat16))
        rest = rest - found[-1].to(torch.float32)
    return found


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive sorted samples on a device, padded to whole tiles.

    Attributes:
        start, n: the first sample and how many there are, without padding.
        parts: ``(parts, rows, dim)``, rows and dim padded with zeros; bfloat16, or float32 of the same values where
            the kernel is interpreted.
        codes, groups: class and group of each row, ``(rows,)`` int32; padding repeats the last sample.
        squares: squared length of each row, ``(rows,)`` float32.
    """

    start: int
    n: int
    parts: torch.Tensor
    codes: torch.Tensor
    groups: torch.Tensor
    squares: torch.Tensor


def _padded(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def bytes_per_row(dim: int, parts: int, dim_unit: int, itemsize: int) -> int:
    """Bytes of a sample in a block."""
    return parts * _padded(dim, dim_unit) * itemsize + 12


def load_block(
    side: Side, span: range, devices: list[torch.device], *, parts: int, row_unit: int, dim_unit: int,
    dtype: torch.dtype, pool: ThreadPoolExecutor, threads: int,
) -> list[Block]:  # fmt: skip
    """Put samples ``span`` on every device; the host holds a few chunks of them at a time.

    Args:
        side: the samples.
        span: positions in the order of classes.
        devices: where to.
        parts: bfloat16 parts of a number, 1 or 3.
        row_unit: what rows are padded to a multiple of.
        dim_unit: what dimensions are padded to a multiple of.
        dtype: how parts are stored.
        pool: prepares the chunks.
        threads: how many of its threads may do so at once.

    Returns:
        One block a device.
    """
    import torch

    rows, dim = _padded(len(span), row_unit), _padded(side.source.dim, dim_unit)
    codes = _pad(side.codes[span.start : span.stop], rows)
    groups = _pad(side.groups[span.start : span.stop], rows) if side.groups.size else np.zeros(1, np.int32)
    blocks = [
        Block(
            span.start,
            len(span),
            torch.zeros((parts, rows, dim), dtype=dtype, device=device),
            torch.from_numpy(codes).to(device),
            torch.from_numpy(groups).to(device),
            torch.zeros(rows, dtype=torch.float32, device=device),
        )
        for device in devices
    ]
    for at, chunk in _chunks(side, span, pool, threads):
        for block in blocks:
            values = torch.from_numpy(chunk).to(block.parts.device)
            stored = split(values, parts)
            stop = at + len(chunk)
            for part, own in zip(block.parts, stored, strict=True):
                part[at:stop, : side.source.dim] = own.to(dtype)
            whole = sum((part.to(torch.float64) for part in stored[1:]), stored[0].to(torch.float64))
            block.squares[at:stop] = (whole * whole).sum(dim=1).to(torch.float32)
    return blocks


def _pad(values: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([values, np.full(rows - values.size, values[-1], values.dtype)])


def _chunks(side: Side, span: range, pool: ThreadPoolExecutor, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Position within the span and vectors of each chunk, prepared by ``threads`` ahead of their use."""
    rows = max(_CHUNK_BYTES // (4 * side.source.dim), 1)
    starts = iter(range(span.start, span.stop, rows))
    ahead: deque[tuple[int, Future[np.ndarray]]] = deque()

    def submit() -> None:
        at = next(starts, None)
        if at is not None:
            ahead.append((at - span.start, pool.submit(side.block, at, min(at + rows, span.stop))))

    for _ in range(2 * threads):
        submit()
    while ahead:
        at, job = ahead.popleft()
        chunk = job.result()
        submit()
        yield at, chunk
