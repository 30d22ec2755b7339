"""Compiles the kernel for GPUs that need not be there, and prints what came out; run without TRITON_INTERPRET."""

from __future__ import annotations

import json
import re
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from evenmatch.pairs._cuda._triton import count_tiles

POINTERS = {
    "left": "bf16", "right": "bf16", "row_codes": "i32", "col_codes": "i32", "row_groups": "i32", "col_groups": "i32",
    "row_squares": "fp32", "col_squares": "fp32", "spans": "i32", "pooled": "i64", "table": "i32",
    "group_table": "i64", "best": "i32", "rungs": "i32", "splits": "fp32",
}  # fmt: skip
WIDE = {"left_part", "right_part", "cells"}


def built(capability: int, warps: int, stages: int, registers: int | None, **constants: Any) -> dict[str, Any]:
    """One variant: its shared memory in bytes, and what instructions it has."""
    signature = {
        name: "constexpr" if name in constants
        else f"*{POINTERS[name]}" if name in POINTERS
        else "i64" if name in WIDE
        else "fp32" if name == "scale"
        else "i32"
        for name in count_tiles.arg_names
    }  # fmt: skip
    options = {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}
    if registers:
        options["maxnreg"] = registers
    source = ASTSource(count_tiles, signature, constants)
    kernel = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    ptx = kernel.asm["ptx"]
    return {
        "shared": kernel.metadata.shared + sum(int(n) for n in re.findall(r"evenmatch_window\[(\d+)\];", ptx)),
        "windows": len(re.findall(r"\.shared .*evenmatch_window", ptx)),
        "shared_adds": ptx.count("red.shared.add.u32"),
        "products": len(re.findall(r"wgmma\.mma_async|mma\.sync", ptx)),
    }


if __name__ == "__main__":
    common = {
        "HALF": True,
        "EUCLIDEAN": False,
        "GROUPS": False,
        "SPLITS": False,
        "BM": 128,
        "BN": 128,
        "SPAN": 16,
        "DIM": 512,
    }
    fast = {**common, "PARTS": 1, "BK": 64}
    exact = {**common, "PARTS": 3, "BK": 32}
    print(
        json.dumps(
            {
                "fast": built(90, 8, 2, 128, PURE=True, DIRECT=True, **fast),
                "exact": built(90, 8, 3, None, PURE=True, DIRECT=True, **exact),
                "groups": built(90, 8, 2, 128, PURE=True, DIRECT=True, **fast | {"GROUPS": True, "EUCLIDEAN": True}),
                "plain": built(90, 8, 2, 128, PURE=True, DIRECT=False, **fast),
                "masks": built(90, 8, 2, None, PURE=False, DIRECT=False, **fast),
            }
        )
    )
