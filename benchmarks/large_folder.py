"""Memory of a folder of shards that is larger than it: loading, fingerprint, gathers in class order, and an estimate.

The folder has one shard of random vectors under many names (hard links), so that it takes a twentieth of its size on
the disk; each has labels of its own. Memory is anonymous resident memory (RssAnon) of a fresh process beyond its
imports: pages of mapped files are the system's to drop.

    python benchmarks/large_folder.py                      20 GB of D = 512, with an audit in sample mode
    python benchmarks/large_folder.py --gigabytes 2        less
    python benchmarks/large_folder.py --no-audit           loading and gathers alone
    python benchmarks/large_folder.py --json FILE          also write the figures

It exits with 1 if the peak is above --limit gigabytes (2).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from memory import in_fresh_process, peak_memory
from output import show, write
from timing import seconds

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs._problem import Problem

Result = TypeVar("Result")
SHARD_BYTES = 10**9


def make(folder: Path, gigabytes: float, dim: int, n_classes: int) -> int:
    """Write the shards; returns the number of rows."""
    rng = np.random.default_rng(0)
    rows = int(min(SHARD_BYTES, gigabytes * 1e9)) // (4 * dim)
    shards = max(1, round(gigabytes * 1e9 / (rows * 4 * dim)))
    first = folder / "img_emb_0.npy"
    # through a file, since a map of this size would count as its own memory where files are memory
    with first.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
        )  # fmt: skip
        for at in range(0, rows, 65536):
            file.write(rng.standard_normal((min(65536, rows - at), dim), dtype=np.float32).data)
    for i in range(shards):
        if i:
            (folder / f"img_emb_{i}.npy").hardlink_to(first)
        np.save(folder / f"labels_{i}.npy", rng.integers(0, n_classes, rows))
    return rows * shards


def gathers(data: EmbeddingSet, folder: Path, rows: int) -> dict[str, float]:
    """Rows a second of a block in class order, read as they lie on the disk, and of rows that follow each other."""
    side = Problem.build(data).rows
    speeds = {}
    for name, work in (
        ("in class order", lambda: side.block(0, rows)),
        ("in file order", lambda: side.take(np.arange(rows))),
    ):
        for path in folder.glob("img_emb_*.npy"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        speeds[f"rows a second {name}"] = round(rows / seconds(work))
    return speeds


def measure(folder: Path, pairs: float, audit: bool) -> dict[str, float]:
    """What a fresh process sees that loads and audits the folder."""
    small = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    em.audit(small, np.arange(400) % 20)  # libraries and compiled code are not the folder's memory
    results: dict[str, float] = {}
    with peak_memory("RssAnon") as peak:

        def step(name: str, work: Callable[[], Result]) -> Result:
            started = time.perf_counter()
            value = work()
            results[f"{name}, seconds"] = round(time.perf_counter() - started, 2)
            results[f"{name}, peak MB so far"] = round(peak() / 1e6)
            print(f"{name}: {results[f'{name}, seconds']} s, peak {peak() / 1e6:.0f} MB", flush=True)
            return value

        data = step("load", lambda: em.load(folder))
        step("fingerprint", lambda: data.fingerprint)
        block = min(2**28 // (4 * data.dim), data.n)
        results |= step("gather", lambda: gathers(data, folder, block))
        if audit:
            results["opis"] = step("audit", lambda: em.audit(data, engine="sample", pairs=pairs)).opis
        results["peak MB"] = round(peak() / 1e6)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=50_000)
    parser.add_argument("--pairs", type=float, default=1e9)
    parser.add_argument("--no-audit", action="store_true")
    parser.add_argument("--limit", type=float, default=2.0, help="gigabytes of memory")
    parser.add_argument("--folder", type=Path, help="where to make the shards; by default a temporary folder")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = make(Path(folder), arguments.gigabytes, arguments.dim, arguments.classes)
        print(f"{rows:,} rows of {arguments.dim} values, {rows * arguments.dim * 4 / 1e9:.3g} GB")
        found = in_fresh_process(measure, Path(folder), arguments.pairs, not arguments.no_audit)
    results = {"rows": rows, "dim": arguments.dim, "classes": arguments.classes, **found}
    for name, value in results.items():
        show(name, value)
    write(results, arguments.json)
    if results["peak MB"] > 1000 * arguments.limit:
        sys.exit(f"the peak of {results['peak MB']} MB is above {arguments.limit:g} GB")


if __name__ == "__main__":
    main()
