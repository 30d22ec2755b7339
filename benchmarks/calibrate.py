"""What a calibration costs beside the audit of the same data, and from an audit that is already there.

Every ratio is the median over runs taken in turn in one process.

    python benchmarks/calibrate.py             about two minutes on two cores
    python benchmarks/calibrate.py --quick     small sizes, a few seconds
    python benchmarks/calibrate.py --json      one JSON object instead of rows; with a FILE, there
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from output import main
from problem import make
from timing import in_turn, ratio

import evenmatch as em
from evenmatch.embeddings import EmbeddingSet


def rows(quick: bool, runs: int) -> Iterator[tuple[str, object]]:
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
            yield f"{name} / audit, n={n} d={dim} K={n_classes}", ratio(times, name, floor="audit")


if __name__ == "__main__":
    main(__doc__, rows)
