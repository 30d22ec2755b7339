"""Where pulling positive pairs alone ruins a model: strong weights and base losses that do not hold against it.

    python studies/adaptive/limits.py --scratch /tmp/adaptive      ten runs of about ten seconds on one core

On Omniglot, trained on three of the five training alphabets and judged on the other two, as was done to fix the
recipe of study.yaml before any test alphabet was looked at; two seeds that the study does not use. Writes limits.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from run import HERE, STUDY, Domain, embed, judge, train

from evenmatch.embeddings import atomic_path

TRAIN, VALIDATION = ["Japanese_(katakana)", "Korean", "Latin"], ["Balinese", "Greek"]
SEEDS = (100, 101)
PULL = {"kind": "adaptive", "weight_neg": 0}
BALANCED = {"kind": "adaptive"}
CASES = {
    ("smooth_ap", "base"): {"weight": 0},
    ("smooth_ap", "positive alone, weight 4"): {**PULL, "weight": 4},
    ("multi_similarity", "base"): {"weight": 0},
    ("multi_similarity", "positive alone, weight 1"): PULL,
    ("multi_similarity", "balanced, weight 1"): BALANCED,
}
SHOWN = ("opis", "recall_at_1", "tar_at_far_1e-2", "utility", "threshold_low", "threshold_high")


def main() -> None:
    """Train and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for unpacked images")
    parser.add_argument("--out", type=Path, default=HERE / "limits.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    STUDY["data"]["omniglot"] = {"train": TRAIN, "test": VALIDATION}
    domain = Domain("omniglot", arguments.scratch)
    known = np.isin(domain.groups, TRAIN)
    rows = []
    for (base, arm), settings in CASES.items():
        for seed in SEEDS:
            network, _ = train(domain, np.flatnonzero(known), seed, {"name": base}, settings)
            unseen = np.flatnonzero(~known)
            found = judge(embed(domain, network, unseen), domain.labels[unseen], domain.groups[unseen])
            rows.append({"base": base, "arm": arm, "seed": seed, **{name: f"{found[name]:.6g}" for name in SHOWN}})
            print(*rows[-1].values(), flush=True)
    with atomic_path(arguments.out) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
