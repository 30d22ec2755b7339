"""What a local Dask cluster costs beside the plain CPU engine: the same pass, in turn, on the same cores.

The cluster is started once; that is shown but not counted. Its first pass, in which workers compile nothing but load
libraries and compiled code, is not counted either.

    python benchmarks/dask_overhead.py                 N = 60,000, D = 128, K = 3,000, about a minute on two cores
    python benchmarks/dask_overhead.py --n 20000       another size, with 20 samples a class
    python benchmarks/dask_overhead.py --json FILE     also write the figures
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster
from output import facts, show, write
from problem import make
from timing import in_turn, ratio

from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import DaskEngine, PairCounts, count_pairs


def same(one: PairCounts, other: PairCounts) -> bool:
    """Whether all counts and best scores are equal, bit for bit."""
    names = (
        "positives", "negatives", "positives_accepted", "negatives_accepted", "pooled_positives", "pooled_negatives",
        "best_positive", "best_negative",
    )  # fmt: skip
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = EmbeddingSet.from_arrays(*make(arguments.n, arguments.dim, arguments.n // 20))
    cores = arguments.workers * arguments.threads
    started = time.perf_counter()
    with (
        LocalCluster(
            n_workers=arguments.workers,
            threads_per_worker=arguments.threads,
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
        ) as cluster,
        Client(cluster),
    ):
        start = time.perf_counter() - started
        equal = same(count_pairs(data, engine=DaskEngine()), count_pairs(data, threads=cores))
        times = in_turn(
            {
                "cpu": lambda: count_pairs(data, threads=cores),
                "dask": lambda: count_pairs(data, engine=DaskEngine()),
            },
            arguments.runs,
        )
    figures = ratio(times, "dask", floor="cpu")
    results = {
        **facts(),
        "n": arguments.n,
        "dim": arguments.dim,
        "workers": arguments.workers,
        "threads": arguments.threads,
        "counts equal": equal,
        "dask / cpu": figures["ratio"],
        "min": figures["min"],
        "max": figures["max"],
        "cpu seconds": figures["cpu_seconds"],
        "dask seconds": figures["seconds"],
        "starting the cluster, seconds": round(start, 2),
    }
    for name, value in results.items():
        show(name, value)
    write(results, arguments.json)


if __name__ == "__main__":
    main()
