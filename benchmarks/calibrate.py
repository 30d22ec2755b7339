"""What a calibration costs beside the audit of the same data, and from an audit that is already there.

Every ratio is the median over runs taken in turn in one process.

    python benchmarks/calibrate.py             about two minutes on two cores
    python benchmarks/calibrate.py --quick     small sizes, a few seconds
    python benchmarks/calibrate.py --json      one JSON object instead of a table
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from audit import in_turn, make, processor, ratio

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet


def run(quick: bool, runs: int) -> dict[str, object]:
    results: dict[str, object] = {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "date": date.today().isoformat(),
        "runs": runs,
    }
    for n, dim, n_classes in [(4000, 64, 200)] if quick else [(20000, 128, 1000), (20000, 512, 1000)]:
        data = EmbeddingSet.from_arrays(*make(n, dim, n_classes))
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "run.audit"
            em.audit(data).save(saved)
            times = in_turn(
                {
                    "audit": lambda data=data: em.audit(data),
                    "calibrate": lambda data=data: em.calibrate(data, far=1e-2),
                    "calibrate upper": lambda data=data: em.calibrate(data, far=1e-2, guarantee="upper"),
                    "from a saved audit": lambda saved=saved: em.calibrate(em.Audit.load(saved), far=1e-2),
                },
                runs,
            )
        for name in list(times)[1:]:
            results[f"{name} / audit, n={n} d={dim} K={n_classes}"] = ratio(times, name, floor="audit")
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
