"""How well ``em.plan`` predicts the time of an audit: predicted over actual, for several sizes.

    python benchmarks/plan.py             N = 10,000, 30,000 and 60,000 at D = 128, and 20,000 at D = 512
    python benchmarks/plan.py --quick     the two smallest
    python benchmarks/plan.py --json FILE

The plan comes first and the audits after it, so that a change of the machine's speed in between counts against it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from datetime import date
from pathlib import Path

from audit import make, seconds

import evenmatch as em

SIZES = [(10_000, 128, 500), (20_000, 512, 1000), (30_000, 128, 1500), (60_000, 128, 3000)]


def measure(n: int, dim: int, n_classes: int, runs: int) -> dict[str, float | str]:
    vectors, labels = make(n, dim, n_classes)
    em.audit(*make(2000, dim, 50))  # compiled code is loaded before, as the plan says
    plans = [em.plan(vectors, labels) for _ in range(runs)]
    found: dict[str, float | str] = {"probe seconds": statistics.median(each.probe_seconds for each in plans)}
    for precision in ("exact", "fast"):
        predicted = statistics.median(each.cost("cpu", precision).seconds for each in plans)
        actual = statistics.median(
            seconds(lambda precision=precision: em.audit(vectors, labels, precision=precision)) for _ in range(runs)
        )
        found[f"{precision} predicted"], found[f"{precision} actual"] = predicted, actual
        found[f"{precision} predicted / actual"] = predicted / actual
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": date.today().isoformat(),
    }
    for n, dim, n_classes in SIZES[: 2 if arguments.quick else None]:
        name = f"n={n} d={dim} K={n_classes}"
        results[name] = measure(n, dim, n_classes, arguments.runs)
        print(f"{name}: {results[name]}", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
