"""Counting in the GPU's own instructions, where Triton has none for it.

Triton's atomic addition moves every address to another thread first, branches around every masked lane, and cannot
address shared memory. Short pieces of PTX do what is wanted: a window of the pooled histogram in the shared
memory of each program, so that most pairs need no trip to the L2 cache; the lookup of a class slot; and the
increments of class and group tables. They work on whole tiles without masks; `_triton.py` has the same in plain Triton
for all others, for the interpreter, and for a GPU on which these are found to give other counts.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

__all__ = ["WINDOW", "close_window", "count_classes", "count_groups", "count_pooled", "open_window", "slots_of"]

# the bins in shared memory: 48 KiB, the most that a program may have beside what Triton itself asks for; a multiple
# of 1 KiB, on which the tiles of the tensor cores must be aligned
WINDOW: Any = tl.constexpr(12288)
_STEP: Any = tl.constexpr(4096)

_OPEN: Any = tl.constexpr(".shared .align 1024 .b8 evenmatch_window[49152];\nmov.u32 $0, evenmatch_window;")
_CLEAR: Any = tl.constexpr("st.shared.u32 [$1], 0;\nmov.u32 $0, 0;")
_READ: Any = tl.constexpr("ld.shared.u32 $0, [$1];")
# the last cell of the window takes what lies outside, which is counted in the L2 cache instead
_POOLED: Any = tl.constexpr(
    """{
    .reg .pred in; .reg .u32 at; .reg .u64 to;
    sub.u32 at, $1, $3;
    setp.lt.u32 in, at, 12287;
    min.u32 at, at, 12287;
    mad.lo.u32 at, at, 4, $2;
    red.shared.add.u32 [at], 1;
    @in bra done;
    mad.wide.u32 to, $1, 8, $4;
    red.relaxed.gpu.global.add.u64 [to], 1;
    done:
    mov.u32 $0, 0;
    }"""
)
_SLOT: Any = tl.constexpr(
    """{
    .reg .pred kept; .reg .u64 from;
    setp.ge.s32 kept, $1, $2;
    mad.wide.u32 from, $1, 4, $3;
    mov.u32 $0, -1;
    @kept ld.global.nc.u32 $0, [from];
    }"""
)
_CLASSES: Any = tl.constexpr(
    """{
    .reg .pred kept; .reg .u32 at; .reg .u64 to;
    setp.ge.s32 kept, $1, 0;
    @!kept bra done;
    add.u32 at, $1, $2;
    mad.wide.u32 to, at, 4, $4;
    red.relaxed.gpu.global.add.u32 [to], 1;
    add.u32 at, $1, $3;
    mad.wide.u32 to, at, 4, $4;
    red.relaxed.gpu.global.add.u32 [to], 1;
    done:
    mov.u32 $0, 0;
    }"""
)

_GROUPS: Any = tl.constexpr(
    """{
    .reg .pred kept; .reg .u32 at; .reg .u64 to;
    setp.ge.s32 kept, $1, 0;
    @!kept bra done;
    add.u32 at, $1, $2;
    mad.wide.u32 to, at, 8, $3;
    red.relaxed.gpu.global.add.u64 [to], 1;
    done:
    mov.u32 $0, 0;
    }"""
)


@triton.jit
def open_window():
    """The address of a window in shared memory, whose cells are 0; to be called once in a kernel."""
    window = tl.inline_asm_elementwise(_OPEN, "=r,r", [tl.program_id(0)], dtype=tl.int32, is_pure=False, pack=1)
    for at in range(0, WINDOW, _STEP):
        cells = window + 4 * (at + tl.arange(0, _STEP))
        tl.inline_asm_elementwise(_CLEAR, "=r,r", [cells], dtype=tl.int32, is_pure=False, pack=1)
    tl.debug_barrier()
    return window


@triton.jit
def close_window(window, start, pooled):
    """Add the window to the pooled histogram, whose bins from ``start`` on it stands for."""
    tl.debug_barrier()
    for at in range(0, WINDOW, _STEP):
        cell = at + tl.arange(0, _STEP)
        counted = tl.inline_asm_elementwise(_READ, "=r,r", [window + 4 * cell], dtype=tl.int32, is_pure=False, pack=1)
        counted = counted.to(tl.int64)
        tl.atomic_add(pooled + start + cell, counted, mask=(counted > 0) & (cell < WINDOW - 1), sem="relaxed")


@triton.jit
def count_pooled(bins, window, start, pooled):
    """Count every pair in the window or, outside it, in the pooled histogram (int64)."""
    tl.inline_asm_elementwise(
        _POOLED, "=r,r,r,r,l", [bins, window, start, pooled.to(tl.int64)], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def slots_of(bins, first, rungs):
    """The slots of the class tables that bins belong to; -1 below the first threshold."""
    return tl.inline_asm_elementwise(
        _SLOT, "=r,r,r,l", [bins, first, rungs.to(tl.int64) - 4 * first], dtype=tl.int32, is_pure=True, pack=1
    )


@triton.jit
def count_classes(slots, of_row, of_col, table):
    """Count slots that are not -1 in the class table (int32), at the rows' and at the columns' offsets."""
    tl.inline_asm_elementwise(
        _CLASSES, "=r,r,r,r,l", [slots, of_row, of_col, table.to(tl.int64)], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def count_groups(slots, offset, table):
    """Count slots that are not -1 in the group table (int64), at the offsets of pairs of groups."""
    tl.inline_asm_elementwise(
        _GROUPS, "=r,r,r,l", [slots, offset, table.to(tl.int64)], dtype=tl.int32, is_pure=False, pack=1
    )
