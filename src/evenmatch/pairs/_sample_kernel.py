"""The inner loops of estimates: anchors of a few classes against random references, and positive pairs with weights."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["count_positive", "count_sampled"]


@nb.njit(nogil=True, cache=True)
def _bin(score, scale, zero_bin, top):
    place = np.int32(np.floor(score * scale + np.float32(0.5)) + zero_bin)
    return min(max(place, np.int32(0)), np.int32(top))


@nb.njit(nogil=True, cache=True)
def count_sampled(scores, row_codes, col_codes, row_weights, row_parts, scale, zero_bin, first, rungs, splits,
                  first_knot, knot_rungs, bins, kept, pooled, table, knot_table, part_tables):  # fmt: skip
    """Count the negative pairs of a tile for the classes of its rows alone.

    ``pooled`` has a last cell for the positive pairs, which are passed over; ``table`` is ``(K, width)``,
    ``knot_table`` that of the tile's replicate, ``(K, T + 1)``,
    and ``part_tables`` those of the parts of the anchors, ``(p, K, T + 1)``, or empty.
    """
    top = pooled.size - 2
    lowest = min(first, first_knot)
    for r in range(scores.shape[0]):
        row, code, weight = scores[r], row_codes[r], row_weights[r]
        for j in range(row.size):
            place = np.int32(np.floor(row[j] * scale + np.float32(0.5)) + zero_bin)
            place = min(max(place, np.int32(0)), np.int32(top))
            bins[j] = np.int32(top + 1) if col_codes[j] == code else place
        n_kept = 0
        for j in range(row.size):
            b = bins[j]
            pooled[b] += weight
            kept[n_kept] = j
            n_kept += np.intp((b >= lowest) & (b <= top))
        own, knots = table[code], knot_table[code]
        with_parts = part_tables.shape[0] > 0
        of_part = part_tables[row_parts[r], code] if with_parts else knots
        for q in range(n_kept):
            j = kept[q]
            b = bins[j]
            if b >= first:
                slot = rungs[b - first]
                if splits.size:
                    slot += row[j] >= splits[b - first]
                own[slot] += 1
            if b >= first_knot:
                knot = knot_rungs[b - first_knot]
                knots[knot] += 1
                if with_parts:
                    of_part[knot] += 1


@nb.njit(nogil=True, cache=True)
def count_positive(scores, row_codes, col_codes, triangle, weights, row_half, col_half, scale, zero_bin, first, rungs,
                   splits, first_knot, knot_rungs, pooled, table, knot_table, half_table):  # fmt: skip
    """Count the positive pairs of a tile; ``half_table`` is ``(2, K, T + 1)``, for pairs within either half.

    A sample with half -1 is in both halves, as far as the other one is in either.
    """
    top = pooled.size - 1
    for r in range(scores.shape[0]):
        code = row_codes[r]
        for c in range(r + 1 if triangle else 0, scores.shape[1]):
            if col_codes[c] != code:
                continue
            place = _bin(scores[r, c], scale, zero_bin, top)
            pooled[place] += weights[r]
            slot = 0
            if place >= first:
                slot = rungs[place - first]
                if splits.size:
                    slot += scores[r, c] >= splits[place - first]
            table[code, slot] += 1
            knot = knot_rungs[place - first_knot] if place >= first_knot else 0
            knot_table[code, knot] += 1
            if half_table.shape[1] and (row_half[r] == col_half[c] or min(row_half[r], col_half[c]) < 0):
                half_table[max(row_half[r], col_half[c], 0), code, knot] += 1
