"""The kernel of the CUDA engine: multiply a tile, count it in registers, and never write a score.

Triton reads ``TRITON_INTERPRET`` when it is imported; import this module only where the engine runs.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

from evenmatch.pairs._cuda._ptx import close_window, count_classes, count_groups, count_pooled, open_window, slots_of

__all__ = ["INTERPRETED", "count_tiles"]

# adding 1.5·2²³ rounds a float32 below 2²² to a whole number, which then stands in the low bits
_ROUND = tl.constexpr(12582912.0)
_ROUND_BITS = tl.constexpr(0x4B400000)
_MAGNITUDE = tl.constexpr(0x7FFFFFFF)


@triton.jit
def _product(left, right, left_part, right_part, row, col, PARTS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr,
             BN: tl.constexpr, BK: tl.constexpr):  # fmt: skip
    """Products of rows and columns, ``(BM, BN)`` float32, of vectors in one part or in three (see `split`)."""
    k = tl.arange(0, BK)
    a = left + row[:, None].to(tl.int64) * DIM + k[None, :]
    b = right + col[None, :].to(tl.int64) * DIM + k[:, None]
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for _ in range(0, DIM, BK):
        if PARTS == 1:
            total = tl.dot(tl.load(a), tl.load(b), total)
        else:
            a1, a2, a3 = tl.load(a), tl.load(a + left_part), tl.load(a + 2 * left_part)
            b1, b2, b3 = tl.load(b), tl.load(b + right_part), tl.load(b + 2 * right_part)
            # small terms first; a sum of its own for each BK, since tensor cores truncate what they add
            part = tl.dot(a1, b3)
            part = tl.dot(a3, b1, part)
            part = tl.dot(a2, b2, part)
            part = tl.dot(a1, b2, part)
            part = tl.dot(a2, b1, part)
            part = tl.dot(a1, b1, part)
            total += part
        a += BK
        b += BK
    return total


@triton.jit
def _distances(products, left, right, left_part, right_part, row, col, row_squares, col_squares, valid,
               PARTS: tl.constexpr, DIM: tl.constexpr):  # fmt: skip
    """Scores -‖x - y‖ from products.

    ‖x‖² + ‖y‖² - 2x·y cancels where x ≈ y; a tile that holds such a pair is computed again from the differences.
    """
    total = tl.load(row_squares + row)[:, None] + tl.load(col_squares + col)[None, :]
    squared = total - 2.0 * products
    close = (squared < 0.01 * total) & valid
    if tl.max(tl.max(close.to(tl.int32), 1), 0) > 0:  # pyright: ignore[reportOperatorIssue]
        a = left + row.to(tl.int64) * DIM
        b = right + col.to(tl.int64) * DIM
        direct = tl.zeros_like(squared)
        for d in range(0, DIM):
            x, y = tl.load(a + d).to(tl.float32), tl.load(b + d).to(tl.float32)
            if PARTS == 3:
                # from the smallest part, so that the float32 value is restored exactly
                x += tl.load(a + left_part + d).to(tl.float32) + tl.load(a + 2 * left_part + d).to(tl.float32)
                y += tl.load(b + right_part + d).to(tl.float32) + tl.load(b + 2 * right_part + d).to(tl.float32)
            difference = x[:, None] - y[None, :]
            direct += difference * difference
        squared = tl.where(close, direct, squared)
    return -tl.sqrt(tl.maximum(squared, 0.0))


@triton.jit
def _reordered(bits):
    """Bits of float32 as int32 of the same order, and back."""
    return bits ^ ((bits >> 31) & _MAGNITUDE)


@triton.jit
def _raise(best, value, mask):
    """Raise stored scores; as integers in the order of the scores, so that the maximum is exact and atomic."""
    tl.atomic_max(best, _reordered(value.to(tl.int32, bitcast=True)), mask=mask, sem="relaxed")


@triton.jit
def _stored(best, mask):
    """Stored scores; a stale one read here is never too high."""
    return _reordered(tl.load(best, mask=mask, other=0)).to(tl.float32, bitcast=True)


@triton.jit
def _best(scores, best, row, col, row_in, col_in):
    """Raise the best scores of the rows and of the columns of a tile.

    A record is rare once many scores were seen, and to look for one is cheaper than to reduce the tile.
    """
    limit = tl.minimum(_stored(best + row, row_in)[:, None], _stored(best + col, col_in)[None, :])
    if tl.max(tl.max((scores > limit).to(tl.int32), 1), 0) > 0:  # pyright: ignore[reportOperatorIssue]
        _raise(best + row, tl.max(scores, 1), row_in)
        _raise(best + col, tl.max(scores, 0), col_in)


@triton.jit
def _bins(scores, scale, zero_bin, size):
    """Bins of the grid, counted from the bin of score 0, where float32 is finest."""
    bins = (scores * scale + _ROUND).to(tl.int32, bitcast=True) - _ROUND_BITS + zero_bin
    return tl.minimum(tl.maximum(bins, 0), size - 1)


@triton.jit
def _count(scores, same, valid, row_codes, col_codes, row_groups, col_groups, n_groups, pooled, table, group_table,
           group_cells, cells, width, rungs, splits, first, scale, zero_bin, size, GROUPS: tl.constexpr,
           SPLITS: tl.constexpr, PURE: tl.constexpr):  # fmt: skip
    """Count a tile. Every table has two halves, first that of the negative pairs and then that of the positive ones."""
    bins = (scores * scale + _ROUND).to(tl.int32, bitcast=True) - _ROUND_BITS + zero_bin
    bins = tl.minimum(tl.maximum(bins, 0), size - 1)
    # Triton moves values between threads before it counts them; let these be bins, not 64-bit addresses
    bins = bins.to(tl.int64)
    if PURE:
        tl.atomic_add(pooled + bins, 1, sem="relaxed")
    else:
        tl.atomic_add(pooled + (bins + tl.where(same, size, 0)), 1, mask=valid, sem="relaxed")
        bins = tl.where(valid, bins, -1)
    slot = tl.load(rungs + (bins - first), mask=bins >= first, other=-1)
    if SPLITS:
        inside = scores >= tl.load(splits + (bins - first), mask=bins >= first, other=float("inf"))
        slot += inside.to(tl.int32)
    of_row = table + row_codes[:, None].to(tl.int64) * width
    of_col = table + col_codes[None, :].to(tl.int64) * width
    if PURE:
        tl.atomic_add(of_row + slot, 1, mask=slot >= 0, sem="relaxed")
        tl.atomic_add(of_col + slot, 1, mask=slot >= 0, sem="relaxed")
    else:
        tl.atomic_add(of_row + (slot + tl.where(same, cells, 0).to(tl.int64)), 1, mask=slot >= 0, sem="relaxed")
        tl.atomic_add(of_col + slot, 1, mask=(slot >= 0) & (same == 0), sem="relaxed")
    if GROUPS:
        cell = (row_groups[:, None].to(tl.int64) * n_groups + col_groups[None, :]) * width + slot
        if not PURE:
            cell += tl.where(same, group_cells, 0)
        tl.atomic_add(group_table + cell, 1, mask=slot >= 0, sem="relaxed")


@triton.jit
def count_tiles(left, right, left_part, right_part, row_codes, col_codes, row_groups, col_groups, row_squares,
                col_squares, row0, col0, n_rows, n_cols, spans, n_tiles, pooled, copies, table, cells, width,
                group_table, group_copies, group_cells, n_groups, best, n_best, best_cols, rungs, splits, first, scale,
                zero_bin, size, window_start, HALF: tl.constexpr, EUCLIDEAN: tl.constexpr, GROUPS: tl.constexpr,
                SPLITS: tl.constexpr, PARTS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr,
                BN: tl.constexpr, BK: tl.constexpr, SPAN: tl.constexpr, PURE: tl.constexpr,
                DIRECT: tl.constexpr):  # fmt: skip
    """Count the tiles of ``spans``; each program takes every ``num_programs``-th one.

    ``spans`` holds the first row and column of squares of ``SPAN × SPAN`` tiles, ``(n, 2)`` int32, within a block of
    rows that begins at sample ``row0`` and one of columns that begins at ``col0``. With ``HALF`` only pairs with
    column > row are counted. Samples are sorted by class, so in nearly every tile all pairs are negative and none is
    beyond an edge: these are counted with ``PURE``, which needs no masks, and the others in a second launch.
    ``DIRECT`` counts them as `_ptx` does; thresholds within bins and int64 tables it cannot.
    """
    # Triton takes a size below 2³¹ for int32, and twice that wraps
    left_part, right_part = left_part.to(tl.int64), right_part.to(tl.int64)
    pooled += (tl.program_id(0) % copies).to(tl.int64) * (2 * size)
    group_table += (tl.program_id(0) % group_copies).to(tl.int64) * (2 * group_cells)
    window = window_start
    if DIRECT:
        window = open_window()
    tile = tl.program_id(0)
    while tile < n_tiles:
        span = tile // (SPAN * SPAN)
        within = tile - span * SPAN * SPAN
        r0 = tl.load(spans + 2 * span) + within // SPAN * BM
        c0 = tl.load(spans + 2 * span + 1) + within % SPAN * BN
        wanted = (r0 < n_rows) & (c0 < n_cols)
        if HALF:
            wanted = wanted & (col0 + c0 + BN - 1 > row0 + r0)
        if wanted:
            # a padded sample's code is that of the last one
            low_row, high_row = tl.load(row_codes + r0), tl.load(row_codes + r0 + BM - 1)
            low_col, high_col = tl.load(col_codes + c0), tl.load(col_codes + c0 + BN - 1)
            pure = (high_row < low_col) | (high_col < low_row)
            pure = pure & (r0 + BM <= n_rows) & (c0 + BN <= n_cols)
            wanted = pure == PURE
        if wanted:
            row, col = r0 + tl.arange(0, BM), c0 + tl.arange(0, BN)
            codes_row, codes_col = tl.load(row_codes + row), tl.load(col_codes + col)
            groups_row, groups_col = codes_row, codes_col
            if GROUPS:
                groups_row, groups_col = tl.load(row_groups + row), tl.load(col_groups + col)
            row_in, col_in = row < n_rows, col < n_cols
            valid = row_in[:, None] & col_in[None, :]
            if HALF:
                valid = valid & ((col0 + col)[None, :] > (row0 + row)[:, None])
            same = codes_row[:, None] == codes_col[None, :]
            scores = _product(left, right, left_part, right_part, row, col, PARTS, DIM, BM, BN, BK)
            if EUCLIDEAN:
                scores = _distances(scores, left, right, left_part, right_part, row, col, row_squares,
                                    col_squares, valid, PARTS, DIM)  # fmt: skip
            if PURE:
                _best(scores, best, row0 + row, best_cols + col0 + col, row_in, col_in)
            else:
                negative = tl.where(valid & (same == 0), scores, float("-inf"))
                positive = tl.where(valid & same, scores, float("-inf"))
                _best(negative, best, row0 + row, best_cols + col0 + col, row_in, col_in)
                _best(positive, best + n_best, row0 + row, best_cols + col0 + col, row_in, col_in)
            if DIRECT:
                bins = _bins(scores, scale, zero_bin, size)
                count_pooled(bins, window, window_start, pooled)
                slots = slots_of(bins, first, rungs)
                count_classes(slots, (codes_row * width)[:, None], (codes_col * width)[None, :], table)
                if GROUPS:
                    offset = (groups_row[:, None] * n_groups + groups_col[None, :]) * width
                    count_groups(slots, offset, group_table)
            else:
                _count(scores, same, valid, codes_row, codes_col, groups_row, groups_col, n_groups, pooled, table,
                       group_table, group_cells, cells, width, rungs, splits, first, scale, zero_bin, size, GROUPS,
                       SPLITS, PURE)  # fmt: skip
        tile += tl.num_programs(0)
    if DIRECT:
        close_window(window, window_start, pooled)


INTERPRETED = isinstance(count_tiles, InterpretedFunction)
