"""The inner loops, compiled: count a tile of scores into histograms while it is still in the cache."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

__all__ = ["count_tile", "euclidean_tile"]

# Scores are finite here, so comparisons may ignore NaN; sums are not reassociated.
_FAST: Any = {"nnan", "ninf", "nsz", "contract"}


@nb.njit(nogil=True, fastmath=_FAST, cache=True)
def _count_run(row, start, stop, scale, zero_bin, top, bins, kept, histogram, first, ladder, splits, table, base,
               column_base, both, group_table, group_base, group_column, best, best_column):  # fmt: skip
    """Count ``row[start:stop]``; returns the best score of the run, or ``best`` if that is higher.

    Three passes, because each is what the processor does well: a vectorised one turns scores into bins and raises the
    best score of every column; one without branches increments the pooled histogram and packs the few scores that
    reach the class thresholds; and one over those few increments their classes.
    """
    half_step = np.float32(0.5)
    # loops over whole arrays vectorise; loops from start to stop do not, because an index might be negative
    part, part_bins, part_best = row[start:stop], bins[start:stop], best_column[start:stop]
    for j in range(part.size):
        # counted from the bin of score 0, where float32 is finest and most scores lie
        bin_ = np.int32(np.floor(part[j] * scale + half_step) + zero_bin)
        part_bins[j] = np.uint32(min(max(bin_, np.int32(0)), top))
    for j in range(part.size):
        part_best[j] = part[j] if part[j] > part_best[j] else part_best[j]
    n_kept = 0
    for j in range(np.uint64(start), np.uint64(stop)):
        b = bins[j]
        histogram[b] += 1
        kept[n_kept] = j
        n_kept += np.intp(b >= first)
    for q in range(n_kept):
        j = kept[q]
        score = row[j]
        rung = bins[j] - first
        slot = np.uint64(ladder[rung])
        if splits.size:
            slot += np.uint64(score >= splits[rung])
        table[base + slot] += 1
        if both:
            table[column_base[j] + slot] += 1
        if group_table.size:
            group_table[group_base + group_column[j] + slot] += 1
        best = score if score > best else best
    if n_kept == 0:
        for j in range(part.size):
            best = part[j] if part[j] > best else best
    return best


@nb.njit(nogil=True, fastmath=_FAST, cache=True)
def count_tile(scores, row0, col0, half, row_codes, col_starts, col_stops, row_base, col_base, scale, zero_bin, top,
               bins, kept, first, ladder, splits, pooled_pos, pooled_neg, table_pos, table_neg,
               group_pos, group_neg, group_row, group_col, best_pos, best_neg, col_best_pos, col_best_neg):  # fmt: skip
    """Count one tile of scores, rows ``row0 …`` against columns ``col0 …`` of the samples sorted by class.

    ``scores`` is the tile, ``(r, c)`` float32. With ``half`` only pairs with column > row are counted.
    ``col_starts`` and ``col_stops`` say where each class lies among the columns, ``row_base`` and ``col_base`` where
    each sample's class lies in the flat class tables; ``first``, ``ladder`` and ``splits`` are those of `Ladder`.
    """
    n_rows, n_cols = scores.shape
    col_end = col0 + n_cols
    column_base = col_base[col0:col_end]
    group_column = group_col[col0:col_end] if group_neg.size else group_col
    column_pos = col_best_pos[col0:col_end]
    column_neg = col_best_neg[col0:col_end]
    for r in range(n_rows):
        i = row0 + r
        row = scores[r]
        code = row_codes[i]
        base = np.uint64(row_base[i])
        group_base = np.uint64(group_row[i]) if group_neg.size else np.uint64(0)
        same_start = min(max(max(col_starts[code], i + 1 if half else 0), col0), col_end) - col0
        same_stop = max(min(max(col_stops[code], col0), col_end) - col0, same_start)
        other_start = max(same_stop, i + 1 - col0 if half else 0)
        if same_stop > same_start:
            best_pos[i] = _count_run(
                row, same_start, same_stop, scale, zero_bin, top, bins, kept, pooled_pos, first, ladder, splits,
                table_pos, base, column_base, False, group_pos, group_base, group_column, best_pos[i], column_pos,
            )  # fmt: skip
        if not half and same_start > 0:
            best_neg[i] = _count_run(
                row, 0, same_start, scale, zero_bin, top, bins, kept, pooled_neg, first, ladder, splits,
                table_neg, base, column_base, True, group_neg, group_base, group_column, best_neg[i], column_neg,
            )  # fmt: skip
        if n_cols > other_start:
            best_neg[i] = _count_run(
                row, other_start, n_cols, scale, zero_bin, top, bins, kept, pooled_neg, first, ladder, splits,
                table_neg, base, column_base, True, group_neg, group_base, group_column, best_neg[i], column_neg,
            )  # fmt: skip


@nb.njit(nogil=True, cache=True)
def euclidean_tile(scores, rows, cols, row_squares, col_squares):
    """Turn a tile of products into scores -‖x - y‖, in place.

    ‖x‖² + ‖y‖² - 2x·y cancels where x ≈ y; those few are computed again from the difference itself.
    """
    for r in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            total = row_squares[r] + col_squares[c]
            squared = total - np.float32(2) * scores[r, c]
            if squared < np.float32(0.01) * total:
                squared = np.float32(0)
                for d in range(rows.shape[1]):
                    difference = rows[r, d] - cols[c, d]
                    squared += difference * difference
            scores[r, c] = -np.sqrt(squared)
