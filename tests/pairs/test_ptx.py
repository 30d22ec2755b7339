"""The pieces of PTX do what plain Triton does, thread by thread on a machine made of Python."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("triton", reason="engine 'cuda' needs evenmatch[gpu]")

from ptx_machine import Memory, run

from evenmatch.pairs._cuda import _ptx

WINDOW = _ptx.WINDOW.value
SIZE = 40_001
BASE, SHARED = 0x7F12_3456_7000, 1024  # a pointer wider than 32 bits


def cells(memory: dict[int, int], base: int, itemsize: int, n: int) -> np.ndarray:
    """Memory as an array; nothing may have been touched beside it."""
    found = np.zeros(n, np.int64)
    for address, value in memory.items():
        index, rest = divmod(address - base, itemsize)
        assert rest == 0
        assert 0 <= index < n
        found[index] = value
    return found


@pytest.mark.parametrize("start", [0, 14_000, SIZE - WINDOW, SIZE - 100])
def test_a_pair_is_counted_in_the_window_or_else_in_the_pooled_histogram(start):
    rng = np.random.default_rng(0)
    edges = np.clip(
        [0, start - 1, start, start + WINDOW - 2, start + WINDOW - 1, start + WINDOW, SIZE - 1], 0, SIZE - 1
    )
    bins = np.concatenate([rng.integers(0, SIZE, 2000), edges, edges])
    memory = Memory()
    for bin_ in bins.tolist():
        run(_ptx._POOLED.value, [bin_, SHARED, start, BASE], memory)
    window = cells(memory.shared, SHARED, 4, WINDOW)[:-1]  # `close_window` leaves out the last cell
    pooled = cells(memory.everywhere, BASE, 8, SIZE)
    inside = min(WINDOW - 1, SIZE - start)
    assert window[inside:].sum() == 0
    pooled[start : start + inside] += window[:inside]
    np.testing.assert_array_equal(pooled, np.bincount(bins, minlength=SIZE))
    assert window.sum() > 10


@pytest.mark.parametrize("first", [0, 29_000])
def test_the_slot_is_looked_up_from_the_first_threshold_on(first):
    rungs = np.random.default_rng(0).integers(0, 500, SIZE - first)
    memory = Memory(everywhere={BASE + 4 * i: value for i, value in enumerate(rungs.tolist())})
    for bin_ in [0, first - 1, first, first + 1, 35_000, SIZE - 1]:
        if bin_ < 0:
            continue
        found = run(_ptx._SLOT.value, [bin_, first, BASE - 4 * first], memory)
        assert found == (rungs[bin_ - first] if bin_ >= first else -1)


def test_both_classes_and_the_groups_of_a_kept_pair_are_counted_and_of_others_none():
    rng = np.random.default_rng(0)
    slots = rng.integers(-1, 7, 300)
    rows, cols = 7 * rng.integers(0, 50, (2, 300))
    memory, of_groups = Memory(), Memory()
    for slot, row, col in zip(slots.tolist(), rows.tolist(), cols.tolist(), strict=True):
        run(_ptx._CLASSES.value, [slot % 2**32, row, col, BASE], memory)
        run(_ptx._GROUPS.value, [slot % 2**32, row, BASE], of_groups)
    kept = slots >= 0
    of_rows, of_cols = (np.bincount((each + slots)[kept], minlength=350) for each in (rows, cols))
    np.testing.assert_array_equal(cells(memory.everywhere, BASE, 4, 350), of_rows + of_cols)
    np.testing.assert_array_equal(cells(of_groups.everywhere, BASE, 8, 350), of_rows)
    assert not memory.shared


def test_the_largest_offsets_of_a_table_do_not_wrap():
    memory = Memory()
    run(_ptx._CLASSES.value, [5, 2**31 - 10, 0, BASE], memory)
    assert sorted(memory.everywhere) == [BASE + 4 * 5, BASE + 4 * (2**31 - 5)]


def test_the_window_is_as_large_everywhere_and_keeps_tiles_aligned():
    (declared,) = re.findall(r"evenmatch_window\[(\d+)\]", _ptx._OPEN.value)
    assert int(declared) == 4 * WINDOW
    assert int(declared) % 1024 == 0
    assert re.findall(r"at, (\d+);", _ptx._POOLED.value)[:2] == [str(WINDOW - 1)] * 2
    memory = Memory(shared={16: 3})
    assert run(_ptx._READ.value, [16], memory) == 3
    run(_ptx._CLEAR.value, [16], memory)
    assert memory.shared == {16: 0}
