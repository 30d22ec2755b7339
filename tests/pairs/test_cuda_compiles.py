"""The kernel compiles for an H200, which need not be there: the interpreter sees neither its PTX nor its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", reason="engine 'cuda' needs evenmatch[gpu]")


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, triton.__version__.split(".")[:2])) < (3, 3), reason="Triton 3.2 compiles ahead of time otherwise"
)
def test_the_kernel_compiles_and_fits_an_h200(tmp_path):
    # 227 KiB for one program, half of that where two share a multiprocessor
    limits = {"fast": 113 * 1024, "exact": 227 * 1024, "groups": 113 * 1024, "plain": 227 * 1024, "masks": 227 * 1024}
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = Path(__file__).with_name("gpu_compile_child.py")
    done = subprocess.run(
        [sys.executable, str(child)],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, kernel in json.loads(done.stdout).items():
        direct = name in ("fast", "exact", "groups")
        assert kernel["shared"] <= limits[name], name
        assert kernel["products"] > 0
        # one window a program, and one addition to it for each of a thread's 64 scores
        assert (kernel["windows"], kernel["shared_adds"]) == ((1, 64) if direct else (0, 0)), name
