"""How close the audit comes to the cost of the matrix product alone, against peers in the same process.

Every time is the median of several runs; each figure that matters is a ratio of two times taken in turn, so that a
machine whose speed drifts does not decide. Peak memory is that of a fresh child process, beyond its input.

    python benchmarks/audit.py            all of it, about 7 minutes on two cores
    python benchmarks/audit.py --quick    small sizes, about a minute
    python benchmarks/audit.py --json     one JSON object instead of rows; with a FILE, there
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from memory import in_fresh_process, peak_memory
from output import main
from problem import make, product
from timing import in_turn, median_seconds, ratio, seconds

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import count_pairs


def against_product(
    vectors: np.ndarray, labels: np.ndarray, runs: int, *, warm_up: bool = True
) -> dict[str, dict[str, float]]:
    """A pass and an audit, each against the product."""
    data = EmbeddingSet.from_arrays(vectors, labels)
    works = {
        "product": lambda: product(vectors),
        "pass": lambda: count_pairs(data),
        "audit": lambda: em.audit(vectors, labels),
    }
    times = in_turn(works, runs, warm_up=warm_up)
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


def _measure_memory(n: int, dim: int, n_classes: int, runs: int) -> dict[str, object]:
    em.audit(*make(2000, dim, 50))  # compiled code and libraries are not the audit's memory
    vectors, labels = make(n, dim, n_classes)
    with peak_memory("VmRSS") as peak:
        em.audit(vectors, labels)
    return {"peak_mb": round(peak() / 1e6), **against_product(vectors, labels, runs, warm_up=False)}


def memory(n: int, dim: int, n_classes: int, runs: int) -> dict[str, object]:
    """Peak resident memory of an audit beyond its input, in a fresh process, and its time against the product."""
    return in_fresh_process(_measure_memory, n, dim, n_classes, runs)


def growth(sizes: list[int], dim: int, runs: int) -> dict[str, float]:
    """Exponent of the time of a pass in n: by least squares on logarithms, and over the last doubling alone.

    Small sets also pay for the look at a sample, so that the first is below the second.
    """
    times = []
    for n in sizes:
        data = EmbeddingSet.from_arrays(*make(n, dim, n // 20))
        times.append(median_seconds(lambda data=data: count_pairs(data), runs))
    slope = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    last = np.log(times[-1] / times[-2]) / np.log(sizes[-1] / sizes[-2])
    return {"exponent": round(float(slope), 3), "last_doubling": round(float(last), 3)} | {
        f"n={n}": round(taken, 3) for n, taken in zip(sizes, times, strict=True)
    }


def rows(quick: bool, runs: int) -> Iterator[tuple[str, object]]:
    n, k = (6000, 300) if quick else (20000, 1000)
    for dim in (512, 128):
        for name, figures in against_product(*make(n, dim, k), runs).items():
            yield f"{name} / product, n={n} d={dim} K={k}", figures
    yield f"K={n // 2} / K={k}, n={n} d=128", many_classes(n, 128, k, n // 2, runs)
    for name, figures in peers(n, 512, k, runs if quick else 3).items():
        yield f"{name} / pass, n={n} d=512 K={k}", figures or "not installed"
    if quick:
        yield "n=20000 d=128 K=1000, memory", memory(20000, 128, 1000, runs)
    else:
        yield "n=100000 d=128 K=5000, memory", memory(100000, 128, 5000, min(runs, 3))
        yield "n=200000 d=128 K=100000, memory", memory(200000, 128, 100000, 1)
    yield "growth", growth([2500, 5000, 10000] if quick else [10000, 20000, 40000, 80000], 128, min(runs, 3))


if __name__ == "__main__":
    main(__doc__, rows)
