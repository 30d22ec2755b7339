"""How close the audit comes to the cost of the matrix product alone, against peers in the same process.

Every time is the median of several runs; each figure that matters is a ratio of two times taken in turn, so that a
machine whose speed drifts does not decide. Peak memory is that of a fresh child process, beyond its input.

    python benchmarks/audit.py            all of it, about 7 minutes on two cores
    python benchmarks/audit.py --quick    small sizes, about a minute
    python benchmarks/audit.py --json     one JSON object instead of a table
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import count_pairs


def processor() -> str:
    """Kind of the processor, with its widest vectors."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    widest = next((name for name in ("avx512f", "avx2") if name in facts.get("flags", "").split()), "")
    return " ".join(filter(None, [platform.machine(), facts.get("model name", ""), widest]))


def make(n: int, dim: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes around their own centres, in random order."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % n_classes)
    centres = rng.standard_normal((n_classes, dim), dtype=np.float32) * np.float32(0.7)
    vectors = rng.standard_normal((n, dim), dtype=np.float32)
    for at in range(0, n, 8192):
        vectors[at : at + 8192] += centres[labels[at : at + 8192]]
    return vectors, labels


def product(vectors: np.ndarray) -> None:
    """The floor: the float32 product of half the matrix, by the BLAS on all cores, kept nowhere."""
    n, rows = len(vectors), 2048
    buffer = np.empty(rows * n, np.float32)
    for at in range(0, n, rows):
        part = vectors[at : at + rows]
        out = buffer[: len(part) * (n - at)].reshape(len(part), n - at)
        np.matmul(part, vectors[at:].T, out=out)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(works: dict[str, Callable[[], object]], runs: int, warm_up: bool = True) -> dict[str, list[float]]:
    """Times of several works, taken in turn, after one warm-up each."""
    for work in works.values() if warm_up else ():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def ratio(times: dict[str, list[float]], name: str, floor: str = "product") -> dict[str, float]:
    """Median and spread of the ratios of runs that followed each other."""
    ratios = [a / b for a, b in zip(times[name], times[floor], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
        "seconds": round(statistics.median(times[name]), 4),
        f"{floor}_seconds": round(statistics.median(times[floor]), 4),
    }


def speed(n: int, dim: int, n_classes: int, runs: int) -> dict[str, dict[str, float]]:
    vectors, labels = make(n, dim, n_classes)
    data = EmbeddingSet.from_arrays(vectors, labels)
    times = in_turn(
        {
            "product": lambda: product(vectors),
            "pass": lambda: count_pairs(data),
            "audit": lambda: em.audit(vectors, labels),
        },
        runs,
    )
    return {name: ratio(times, name) for name in ("pass", "audit")}


def many_classes(n: int, dim: int, few: int, many: int, runs: int) -> dict[str, float]:
    sets = {str(k): EmbeddingSet.from_arrays(*make(n, dim, k)) for k in (few, many)}
    times = in_turn({name: lambda data=data: count_pairs(data) for name, data in sets.items()}, runs)
    return ratio(times, str(many), floor=str(few))


def sklearn_roc(vectors: np.ndarray, labels: np.ndarray, n_classes: int) -> float:
    """Seconds of sklearn's roc_curve for every class, from the times of 20 classes (all classes cost alike)."""
    from sklearn.metrics import roc_curve

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    sample = np.linspace(0, n_classes - 1, 20).astype(int)

    def some() -> None:
        for code in sample:
            own = np.flatnonzero(labels == code)
            scores = unit[own] @ unit.T
            same = np.broadcast_to(labels == code, scores.shape).copy()
            keep = np.ones(scores.shape, bool)
            keep[np.arange(own.size), own] = False
            roc_curve(same[keep], scores[keep], drop_intermediate=False)

    return seconds(some) * n_classes / sample.size


def plain_torch_histc(vectors: np.ndarray, labels: np.ndarray, n_classes: int) -> float | None:
    """Seconds of a per-class torch.histc on 512 bins, as one would write it, with masks; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors))
    classes = torch.from_numpy(labels)

    def every() -> None:
        for code in range(n_classes):
            own = classes == code
            scores = unit[own] @ unit.T
            torch.histc(scores[:, own], 512, -1, 1)
            torch.histc(scores[:, ~own], 512, -1, 1)

    return seconds(every)


def torch_histc(vectors: np.ndarray, labels: np.ndarray, n_classes: int) -> float | None:
    """The same with the samples sorted by class beforehand, so that no scores are copied; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors))
    order = torch.from_numpy(np.argsort(labels, kind="stable"))
    unit, ordered = unit[order], torch.from_numpy(np.sort(labels))
    edges = np.searchsorted(ordered.numpy(), np.arange(n_classes + 1))

    def every() -> None:
        for code in range(n_classes):
            start, stop = int(edges[code]), int(edges[code + 1])
            scores = unit[start:stop] @ unit.T
            torch.histc(scores[:, start:stop], 512, -1, 1)
            torch.histc(scores[:, :start], 512, -1, 1)
            torch.histc(scores[:, stop:], 512, -1, 1)

    return seconds(every)


def peers(n: int, dim: int, n_classes: int, runs: int) -> dict[str, dict[str, float] | None]:
    vectors, labels = make(n, dim, n_classes)
    data = EmbeddingSet.from_arrays(vectors, labels)
    count_pairs(data)
    found: dict[str, dict[str, float] | None] = {}
    for name, peer in (
        ("torch.histc", plain_torch_histc),
        ("torch.histc, sorted by hand", torch_histc),
        ("sklearn.roc_curve", sklearn_roc),
    ):
        theirs, ours = [], []
        for _ in range(runs):
            taken = peer(vectors, labels, n_classes)
            if taken is None:
                break
            theirs.append(taken)
            ours.append(seconds(lambda: count_pairs(data)))
        found[name] = ratio({name: theirs, "pass": ours}, name, floor="pass") if theirs else None
    return found


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read many times a second
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _measure_memory(n: int, dim: int, n_classes: int, runs: int, answer: multiprocessing.Queue) -> None:
    em.audit(*make(2000, dim, 50))  # compiled code and libraries are not the audit's memory
    vectors, labels = make(n, dim, n_classes)
    before = peak = _resident()
    running = True

    def watch() -> None:
        nonlocal peak
        while running:
            peak = max(peak, _resident())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    em.audit(vectors, labels)
    running = False
    watcher.join()
    data = EmbeddingSet.from_arrays(vectors, labels)
    works = {
        "product": lambda: product(vectors),
        "pass": lambda: count_pairs(data),
        "audit": lambda: em.audit(vectors, labels),
    }
    times = in_turn(works, runs, warm_up=False)
    answer.put({"peak_mb": round((peak - before) / 1e6)} | {name: ratio(times, name) for name in ("pass", "audit")})


def memory(n: int, dim: int, n_classes: int, runs: int) -> dict[str, object]:
    """Peak resident memory of an audit beyond its input, in a fresh process, and its time against the product."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    child = context.Process(target=_measure_memory, args=(n, dim, n_classes, runs, answer))
    child.start()
    result = answer.get()
    child.join()
    return result


def growth(sizes: list[int], dim: int, runs: int) -> dict[str, float]:
    """Exponent of the time of a pass in n: by least squares on logarithms, and over the last doubling alone.

    Small sets also pay for the look at a sample, so that the first is below the second.
    """
    times = []
    for n in sizes:
        data = EmbeddingSet.from_arrays(*make(n, dim, n // 20))
        count_pairs(data)
        times.append(statistics.median(seconds(lambda data=data: count_pairs(data)) for _ in range(runs)))
    slope = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    last = np.log(times[-1] / times[-2]) / np.log(sizes[-1] / sizes[-2])
    return {"exponent": round(float(slope), 3), "last_doubling": round(float(last), 3)} | {
        f"n={n}": round(taken, 3) for n, taken in zip(sizes, times, strict=True)
    }


def run(quick: bool, runs: int) -> dict[str, object]:
    n, k = (6000, 300) if quick else (20000, 1000)
    results: dict[str, object] = {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "date": date.today().isoformat(),
        "runs": runs,
    }
    for dim in (512, 128):
        for name, figures in speed(n, dim, k, runs).items():
            results[f"{name} / product, n={n} d={dim} K={k}"] = figures
    results[f"K={n // 2} / K={k}, n={n} d=128"] = many_classes(n, 128, k, n // 2, runs)
    for name, figures in peers(n, 512, k, runs if quick else 3).items():
        results[f"{name} / pass, n={n} d=512 K={k}"] = figures or "not installed"
    if quick:
        results["n=20000 d=128 K=1000, memory"] = memory(20000, 128, 1000, runs)
    else:
        results["n=100000 d=128 K=5000, memory"] = memory(100000, 128, 5000, min(runs, 3))
        results["n=200000 d=128 K=100000, memory"] = memory(200000, 128, 100000, 1)
    results["growth"] = growth([2500, 5000, 10000] if quick else [10000, 20000, 40000, 80000], 128, min(runs, 3))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    results = run(arguments.quick, arguments.runs)
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()
        return
    for name, figures in results.items():
        shown = ", ".join(f"{key} {value}" for key, value in figures.items()) if isinstance(figures, dict) else figures
        print(f"{name}: {shown}")


if __name__ == "__main__":
    main()
