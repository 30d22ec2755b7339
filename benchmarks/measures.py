"""What the measures beside OPIS add to an audit, as a share of its time, taken in turn in one process.

python benchmarks/measures.py        about two minutes on two cores
"""

from __future__ import annotations

import statistics

from problem import make
from timing import Work, in_turn, ratios

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import debiased_opis, noise_thresholds, own_thresholds, rate_gaps, sampling_noise
from evenmatch.pairs import sample_scatter

SIZES = [(20_000, 512, 1_000), (20_000, 128, 1_000), (20_000, 512, 20), (5_000, 128, 250)]
RUNS = 5


def main() -> None:
    """Print a line for each size."""
    print("samples  dims  classes   audit  debiased OPIS  gaps, own thresholds   nearest classes (on demand)")
    for n, dim, k in SIZES:
        data = EmbeddingSet.from_arrays(*make(n, dim, k))
        audit = em.audit(data)
        counts, result = audit.counts, audit.consistency

        def debiased(data=data, counts=counts, result=result) -> object:
            scatter = sample_scatter(data, noise_thresholds(counts, result))
            return debiased_opis(counts, result, sampling_noise(counts, scatter)).interval(0.95)

        works: dict[str, Work] = {
            "audit": lambda data=data: em.audit(data),
            "debiased": debiased,
            "gaps": lambda c=counts, r=result, t=audit.threshold: (rate_gaps(c, t), own_thresholds(r)),
            "nearest": lambda data=data, t=audit.threshold: em.nearest_classes(data, threshold=t),
        }
        times = in_turn(works, RUNS)
        shares = {name: statistics.median(ratios(times, name, "audit")) for name in works}
        print(
            f"{n:7,} {dim:5} {k:8,} {statistics.median(times['audit']):6.2f}s {shares['debiased']:13.1%} "
            f"{shares['gaps']:21.1%} {shares['nearest']:29.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
