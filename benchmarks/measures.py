"""What the measures beside OPIS add to an audit, as a share of its time, taken in turn in one process.

    python benchmarks/measures.py              a minute on two cores
    python benchmarks/measures.py --quick      small sizes, a few seconds
    python benchmarks/measures.py --json       one JSON object instead of rows; with a FILE, there

Debiased OPIS, gaps and own thresholds are part of every audit; the nearest classes are looked for on demand.
"""

from __future__ import annotations

from collections.abc import Iterator

from output import main
from problem import make
from timing import in_turn, ratio

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import debiased_opis, noise_thresholds, own_thresholds, rate_gaps, sampling_noise
from evenmatch.pairs import sample_scatter

SIZES = [(20_000, 512, 1_000), (20_000, 128, 1_000), (20_000, 512, 20), (5_000, 128, 250)]


def rows(quick: bool, runs: int) -> Iterator[tuple[str, object]]:
    for n, dim, k in [(2_000, 64, 100)] if quick else SIZES:
        data = EmbeddingSet.from_arrays(*make(n, dim, k))
        audit = em.audit(data)
        counts, result = audit.counts, audit.consistency

        def debiased(data=data, counts=counts, result=result) -> object:
            scatter = sample_scatter(data, noise_thresholds(counts, result))
            return debiased_opis(counts, result, sampling_noise(counts, scatter)).interval(0.95)

        times = in_turn(
            {
                "audit": lambda data=data: em.audit(data),
                "debiased OPIS": debiased,
                "gaps and own thresholds": lambda c=counts, r=result, t=audit.threshold: (
                    rate_gaps(c, t),
                    own_thresholds(r),
                ),
                "nearest classes": lambda data=data, t=audit.threshold: em.nearest_classes(data, threshold=t),
            },
            runs,
        )
        for name in list(times)[1:]:
            yield f"{name} / audit, n={n} d={dim} K={k}", ratio(times, name, floor="audit")


if __name__ == "__main__":
    main(__doc__, rows, runs=9)
