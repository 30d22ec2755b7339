"""How well ``em.plan`` predicts the time of an audit: predicted over actual, for several sizes.

    python benchmarks/plan.py             N = 10,000, 30,000 and 60,000 at D = 128, and 20,000 at D = 512
    python benchmarks/plan.py --quick     the two smallest
    python benchmarks/plan.py --json FILE

The plan comes first and the audits after it, so that a change of the machine's speed in between counts against it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from output import main
from problem import make
from timing import median_seconds

import evenmatch as em

SIZES = [(10_000, 128, 500), (20_000, 512, 1000), (30_000, 128, 1500), (60_000, 128, 3000)]


def measure(n: int, dim: int, n_classes: int, runs: int) -> dict[str, float]:
    vectors, labels = make(n, dim, n_classes)
    em.audit(*make(2000, dim, 50))  # compiled code is loaded before, as the plan says
    plans = [em.plan(vectors, labels) for _ in range(runs)]
    found = {"probe seconds": statistics.median(each.probe_seconds for each in plans)}
    for precision in ("exact", "fast"):
        predicted = statistics.median(each.cost("cpu", precision).seconds for each in plans)
        actual = median_seconds(
            lambda precision=precision: em.audit(vectors, labels, precision=precision), runs, warm_up=False
        )
        found[f"{precision} predicted"], found[f"{precision} actual"] = predicted, actual
        found[f"{precision} predicted / actual"] = predicted / actual
    return {name: round(value, 3) for name, value in found.items()}


def rows(quick: bool, runs: int) -> Iterator[tuple[str, object]]:
    for n, dim, n_classes in SIZES[: 2 if quick else None]:
        yield f"n={n} d={dim} K={n_classes}", measure(n, dim, n_classes, runs)


if __name__ == "__main__":
    main(__doc__, rows, runs=3)
