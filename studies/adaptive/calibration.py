"""What calibration adds to each arm, without and with a shift of the domain; after run.py and intents.py.

    python studies/adaptive/calibration.py --scratch /tmp/adaptive      a few minutes on one core

The unseen classes of the training domains are halved ten times for each run. `em.calibrate` chooses a threshold for a
FAR of 1% on one half; it is judged on the other half (no shift) and on the domains that were never trained on. Beside
it stands the threshold that the training classes themselves would suggest at that FAR. Rows go to calibration.csv;
those of runs whose embeddings are not in the scratch folder stay as they are.
"""

from __future__ import annotations

import argparse
import csv
from itertools import product
from pathlib import Path

import numpy as np
from run import HERE, STUDY

import evenmatch as em
from evenmatch.embeddings import atomic_path

ARMS = ("base", "fixed", "adaptive", "groups", "adaptive_positive", "groups_positive", "unified")
BASES = ("smooth_ap", "supcon")
HALVINGS = 10
TARGET = 1e-2
COLUMNS = ("data", "seed", "base", "arm", "halving", "part", "threshold_from", "threshold", "far", "frr")


def judged(path: Path, seed: int) -> list[dict[str, object]]:
    """Rows of one run."""
    with np.load(path, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files}
    vectors = {part: kept[f"{part}_vectors"].astype(np.float32) for part in ("same", "other")}
    labels = kept["same_labels"]
    shifted = em.audit(vectors["other"], kept["other_labels"])
    classes = np.unique(labels)
    rng = np.random.default_rng([seed, 11])
    rows = []
    for halving in range(HALVINGS):
        fit = np.isin(labels, rng.permutation(classes)[: len(classes) // 2])
        point = em.calibrate(vectors["same"][fit], labels[fit], far=TARGET)
        unshifted = em.audit(vectors["same"][~fit], labels[~fit])
        for part, audit in (("same", unshifted), ("other", shifted)):
            for source, threshold in (
                ("training", float(kept["training_threshold"])),
                ("calibrated", point.threshold),
            ):
                far, frr = audit.far_at(threshold), audit.frr_at(threshold)
                rows.append(
                    {"halving": halving, "part": part, "threshold_from": source, "threshold": f"{threshold:.6f}",
                     "far": f"{far:.6g}", "frr": f"{frr:.6g}"}
                )  # fmt: skip
    return rows


def main() -> None:
    """Judge the runs that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="folder with the embeddings of run.py")
    parser.add_argument("--out", type=Path, default=HERE / "calibration.csv")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    if arguments.out.exists():
        with arguments.out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    for data, seed, base, arm in product((*STUDY["data"], "clinc150"), STUDY["seeds"], BASES, ARMS):
        path = arguments.scratch / f"{data}-{seed}-{base}-{arm}.npz"
        if path.exists():
            key = {"data": data, "seed": str(seed), "base": base, "arm": arm}
            rows = [row for row in rows if any(row[name] != value for name, value in key.items())]
            rows += [{**key, **row} for row in judged(path, seed)]
            print(data, seed, base, arm, flush=True)
    with atomic_path(arguments.out) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
