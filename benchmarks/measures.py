"""What the measures beside OPIS add to an audit, as a share of its time, taken in turn in one process.

python benchmarks/measures.py        about two minutes on two cores
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import debiased_opis, noise_thresholds, own_thresholds, rate_gaps, sampling_noise
from evenmatch.pairs import sample_scatter

SIZES = [(20_000, 512, 1_000), (20_000, 128, 1_000), (20_000, 512, 20), (5_000, 128, 250)]
RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    """Time of one run."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print a line for each size."""
    print("samples  dims  classes   audit  debiased OPIS  gaps, own thresholds   nearest classes (on demand)")
    for n, dim, k in SIZES:
        rng = np.random.default_rng(0)
        labels = rng.permutation(np.arange(n) % k)
        x = (rng.normal(size=(k, dim))[labels] + 1.2 * rng.normal(size=(n, dim))).astype(np.float32)
        data = EmbeddingSet.from_arrays(x, labels)
        audit = em.audit(data)
        counts, result = audit.counts, audit.consistency

        def debiased(data=data, counts=counts, result=result) -> object:
            scatter = sample_scatter(data, noise_thresholds(counts, result))
            return debiased_opis(counts, result, sampling_noise(counts, scatter)).interval(0.95)

        works: dict[str, Callable[[], object]] = {
            "audit": lambda data=data: em.audit(data),
            "debiased": debiased,
            "gaps": lambda c=counts, r=result, t=audit.threshold: (rate_gaps(c, t), own_thresholds(r)),
            "nearest": lambda data=data, t=audit.threshold: em.nearest_classes(data, threshold=t),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for run in range(RUNS + 1):
            for name, work in works.items():
                elapsed = seconds(work)
                if run:
                    times[name].append(elapsed)
        whole = statistics.median(times["audit"])
        ratios = {
            name: statistics.median(a / b for a, b in zip(times[name], times["audit"], strict=True)) for name in works
        }
        print(
            f"{n:7,} {dim:5} {k:8,} {whole:6.2f}s {ratios['debiased']:13.1%} {ratios['gaps']:21.1%} "
            f"{ratios['nearest']:29.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
