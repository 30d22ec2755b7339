"""Products of vectors rounded to bfloat16, summed in float32, on processors with AVX512-BF16.

Libraries round the product itself to bfloat16 as well, which is 80 steps of the grid of scores near 0.5; hence this
kernel, whose only rounding beyond float32's own is that of the vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import Block, count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["Bfloat16Block", "count_bfloat16", "has_bfloat16", "round_to_bfloat16"]

# 8 x 2 accumulators of 16 floats stay in the 32 registers with what feeds them
_ROWS = 8
_VECTORS = 2
_LANES = 16
_COLS = _VECTORS * _LANES
_ALIGNMENT = 64


@cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in 512-bit vectors (AVX512-BF16)."""
    import platform

    from llvmlite import binding

    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512bf16") and features.get("avx512f"))


def _bits(vectors: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of each float32 value, ties to even, as its 16 bits."""
    bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def round_to_bfloat16(vectors: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of each float32 value, ties to even, in float32 of the same shape.

    Examples:
        >>> round_to_bfloat16(np.array([1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-7], np.float32)).tolist()
        [1.0, 1.0, 1.015625, 1.0078125]
    """
    return (_bits(vectors).astype(np.uint32) << 16).view(np.float32)


def count_bfloat16(
    problem: Problem, ladder: Ladder, *, threads: int | None = None, progress: Callable[[float], None] | None = None
) -> PairCounts:
    """Count every pair by the products of vectors rounded to bfloat16.

    Rounding a vector changes a cosine by about ``2^-9·(2/(3d))^½`` (7e-5 at d = 512); a cosine of two equal vectors may
    come out as 1 ± 2^-8. Memory and the rest are as in ``count_cpu``.
    """
    counts = count_cpu(problem, ladder, threads=threads, progress=progress, block=Bfloat16Block)
    return replace(counts, arithmetic="bfloat16")


def _typed(context: Any, rows: Any, row_stride: Any, panel: Any, depth: Any, out: Any, out_stride: Any) -> Any:  # noqa: ARG001
    """Multiply 8 rows with a panel of 32 columns; all arguments are addresses or counts of 32-bit words."""
    signature = types.void(types.uintp, types.intp, types.uintp, types.intp, types.uintp, types.intp)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        rows, row_stride, panel, depth, out, out_stride = arguments
        word, index = ir.IntType(32), ir.IntType(64)
        floats, words = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(word, _LANES)
        dot = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(floats, [floats, words, words]), "llvm.x86.avx512bf16.dpbf16ps.512"
        )
        rows, panel = (builder.inttoptr(address, word.as_pointer()) for address in (rows, panel))
        out = builder.inttoptr(out, ir.FloatType().as_pointer())
        cells = [(r, v) for r in range(_ROWS) for v in range(_VECTORS)]

        entry = builder.block
        loop, done = builder.append_basic_block("depth"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(index)
        k.add_incoming(index(0), entry)
        sums = {cell: builder.phi(floats) for cell in cells}
        for phi in sums.values():
            phi.add_incoming(ir.Constant(floats, [0.0] * _LANES), entry)
        right = []
        for v in range(_VECTORS):
            place = builder.add(builder.mul(k, index(_COLS)), index(_LANES * v))
            load = builder.load(builder.bitcast(builder.gep(panel, [place]), words.as_pointer()))
            load.align = _ALIGNMENT
            right.append(load)
        undefined = ir.Constant(words, ir.Undefined)
        left = []
        for r in range(_ROWS):
            pair = builder.load(builder.gep(rows, [builder.add(builder.mul(row_stride, index(r)), k)]))
            vector = builder.insert_element(undefined, pair, word(0))
            left.append(builder.shuffle_vector(vector, undefined, ir.Constant(words, [0] * _LANES)))
        new = {(r, v): builder.call(dot, [sums[r, v], left[r], right[v]]) for r, v in cells}
        following = builder.add(k, index(1))
        k.add_incoming(following, loop)
        for cell, phi in sums.items():
            phi.add_incoming(new[cell], loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)

        builder.position_at_end(done)
        for (r, v), total in new.items():
            place = builder.add(builder.mul(out_stride, index(r)), index(_LANES * v))
            store = builder.store(total, builder.bitcast(builder.gep(out, [place]), floats.as_pointer()))
            store.align = 4
        return context.get_dummy_value()

    return signature, generate


_micro_tile: Any = intrinsic(_typed)


@nb.njit(nogil=True, cache=True)
def _multiply(rows, first_row, panels, first_col, scores, edge):
    """Scores of a tile: packed rows from ``first_row`` on against packed columns from ``first_col`` on.

    ``rows`` is ``(n, depth)`` and ``panels`` ``(p, depth, 32)``, both uint32 with two values each; ``edge`` is an
    ``(8, 32)`` buffer for what juts out of the tile.
    """
    n_rows, n_cols = scores.shape
    depth = rows.shape[1]
    for col in range(0, n_cols, _COLS):
        panel = panels[(first_col + col) // _COLS].ctypes.data
        for row in range(0, n_rows, _ROWS):
            left = rows[first_row + row :].ctypes.data
            if row + _ROWS <= n_rows and col + _COLS <= n_cols:
                _micro_tile(left, depth, panel, depth, scores[row:, col:].ctypes.data, n_cols)
            else:
                _micro_tile(left, depth, panel, depth, edge.ctypes.data, _COLS)
                for r in range(min(_ROWS, n_rows - row)):
                    for c in range(min(_COLS, n_cols - col)):
                        scores[row + r, col + c] = edge[r, c]


class Bfloat16Block(Block):
    """Consecutive sorted samples, their vectors rounded to bfloat16; every score is one of the rounded vectors."""

    def __init__(self, problem: Problem, span: range, cols: bool) -> None:
        super().__init__(problem, span, cols)
        bits = _bits(self.vectors)
        if problem.grid.metric == "euclidean":
            self.vectors = (bits.astype(np.uint32) << 16).view(np.float32)
            self._squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        else:
            self.vectors = np.empty((0, self.vectors.shape[1]), np.float32)
        self._n, dim = bits.shape
        padded = np.zeros((-(-self._n // _COLS) * _COLS, dim + dim % 2), np.uint16)
        padded[: self._n, :dim] = bits
        self._rows = padded.view(np.uint32)

    @cached_property
    def _panels(self) -> np.ndarray:
        n, depth = self._rows.shape
        space = np.empty(n * depth * 4 + _ALIGNMENT, np.uint8)
        start = -space.ctypes.data % _ALIGNMENT
        panels = space[start : start + n * depth * 4].view(np.uint32).reshape(n // _COLS, depth, _COLS)
        panels[:] = self._rows.reshape(n // _COLS, _COLS, depth).transpose(0, 2, 1)
        return panels

    def prepare_columns(self) -> None:
        """Pack the columns once, before the threads start."""
        _ = self._panels

    def multiply(self, row: int, col_block: Block, col: int, scores: np.ndarray) -> None:
        if not isinstance(col_block, Bfloat16Block):
            raise TypeError("both sides of a product must be rounded alike")
        first = col - col_block.start
        if first % _COLS:
            raise ValueError(f"tiles of bfloat16 start at multiples of {_COLS} columns")
        edge = np.empty((_ROWS, _COLS), np.float32)
        _multiply(self._rows, row - self.start, col_block._panels, first, scores, edge)
