"""The CPU engines against the matrix product alone, and against flat search and a per-class loop, in one process.

    python benchmarks/scale.py               N = 20,000 and 60,000, several minutes on two cores
    python benchmarks/scale.py --quick       N = 6,000
    python benchmarks/scale.py --json FILE

Each engine is held against the product of half the matrix in its own precision: float32 by the BLAS that numpy uses,
bfloat16 by the kernel of precision "fast" without the counting. Works are timed in turn, and each figure is the median
of the ratios of runs that followed each other. An estimate has no product of its own: its column is its time against
the exact pass, with the error that it leaves in OPIS. The engines of a GPU and of a cluster are measured by
`scale_gpu.py` and `dask_overhead.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from audit import torch_histc
from output import main
from problem import make, product
from timing import in_turn, ratio, seconds

from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import consistency
from evenmatch.pairs import CpuEngine, SampleEngine, available_cores, count_pairs
from evenmatch.pairs._bfloat16 import Bfloat16Block, has_bfloat16
from evenmatch.pairs._problem import Problem

QUICK = [(6000, 512, 300)]
SIZES = [(20_000, 512, 1000), (20_000, 128, 1000), (60_000, 128, 3000)]


def bfloat16_product(data: EmbeddingSet) -> None:
    """The bfloat16 product of half the matrix on all cores, in the tiles of the engine, kept nowhere."""
    problem = Problem.build(data)
    block = Bfloat16Block(problem, range(data.n), cols=True)
    block.prepare_columns()
    tiles = iter([(r, c) for r in range(0, data.n, 256) for c in range(r // 1024 * 1024, data.n, 1024)])
    lock = threading.Lock()

    def work() -> None:
        buffer = np.empty(256 * 1024, np.float32)
        while True:
            with lock:
                tile = next(tiles, None)
            if tile is None:
                return
            rows, cols = min(256, data.n - tile[0]), min(1024, data.n - tile[1])
            block.multiply(tile[0], block, tile[1], buffer[: rows * cols].reshape(rows, cols))

    with ThreadPoolExecutor(available_cores()) as pool:
        for job in [pool.submit(work) for _ in range(available_cores())]:
            job.result()


def faiss_search(vectors: np.ndarray) -> float | None:
    """Seconds of an exact flat search for the one nearest neighbour of every row; None without faiss.

    It multiplies the whole matrix where a pass multiplies half of it.
    """
    try:
        import faiss
    except ImportError:
        return None
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    return seconds(lambda: index.search(unit, 2))


def measure(n: int, dim: int, n_classes: int, runs: int) -> dict[str, object]:
    vectors, labels = make(n, dim, n_classes)
    data = EmbeddingSet.from_arrays(vectors, labels)
    n_pairs = n * (n - 1) // 2
    sample = SampleEngine(pairs=max(n_pairs // 20, 2_000_000))
    works = {
        "product": lambda: product(vectors),
        "exact": lambda: count_pairs(data),
        "sample": lambda: count_pairs(data, engine=sample),
    }
    if has_bfloat16():
        works["bfloat16 product"] = lambda: bfloat16_product(data)
        works["fast"] = lambda: count_pairs(data, engine=CpuEngine(precision="fast"))
    times = in_turn(works, runs)
    rows: dict[str, object] = {"exact / float32 product": ratio(times, "exact")}
    opis = consistency(count_pairs(data)).opis
    if has_bfloat16():
        rows["fast / float32 product"] = ratio(times, "fast")
        rows["fast / bfloat16 product"] = ratio(times, "fast", floor="bfloat16 product")
        rows["fast, OPIS off by (relative)"] = abs(consistency(count_pairs(data, precision="fast")).opis / opis - 1)
    counts = count_pairs(data, engine=sample)
    rows["sample / exact"] = ratio(times, "sample", floor="exact")
    if counts.sampling is not None and (found := consistency(counts)).sampling_error is not None:
        rows["sample, share of pairs"] = counts.sampling.pairs / n_pairs
        rows["sample, standard error of OPIS (relative)"] = found.sampling_error.standard_errors["opis"] / opis
    for name, peer in (
        ("faiss flat search / exact", faiss_search(vectors)),
        ("per-class torch.histc / exact", torch_histc(vectors, labels, n_classes)),
    ):
        alone = seconds(lambda: count_pairs(data))
        rows[name] = "not installed" if peer is None else {"ratio": round(peer / alone, 2), "seconds": round(peer, 2)}
    return rows


def rows(quick: bool, runs: int) -> Iterator[tuple[str, object]]:
    yield "bfloat16 instructions", has_bfloat16()
    for n, dim, n_classes in (
        [(6000, 512, 300)] if quick else [(20_000, 512, 1000), (20_000, 128, 1000), (60_000, 128, 3000)]
    ):
        for name, figures in measure(n, dim, n_classes, runs).items():
            yield f"{name}, n={n} d={dim} K={n_classes}", figures


if __name__ == "__main__":
    main(__doc__, rows)
