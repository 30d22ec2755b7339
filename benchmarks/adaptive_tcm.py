"""What margins that follow the data cost beside fixed ones: a forward and a backward pass, taken in turn.

    python benchmarks/adaptive_tcm.py [--quick]

Every time is the median over repeats in one process; the ratio is that of the times taken in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics

import torch
from tcm import batch
from timing import Times, in_turn, ratios

from evenmatch.losses import AdaptiveTCMLoss, TCMLoss

GROUPS = 5


def measure(n: int, d: int) -> Times:
    """Seconds of a forward and a backward pass of each loss."""
    rows, labels = batch(n, d)
    groups = labels % GROUPS
    fixed, adaptive, by_group = TCMLoss(), AdaptiveTCMLoss(), AdaptiveTCMLoss(n_groups=GROUPS)
    works = {
        "fixed": lambda: fixed(rows, labels).backward(),
        "adaptive": lambda: adaptive(rows, labels).backward(),
        "by group": lambda: by_group(rows, labels, groups=groups).backward(),
    }
    return in_turn(works, 11 if n <= 1024 else 5)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and fewer repeats")
    quick = parser.parse_args().quick
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; ms, ratio to TCMLoss")
    print(f"{'batch × width':>14} {'TCMLoss':>9} {'adaptive':>16} {'by group':>16}")
    for n, d in ((160, 64), (512, 128)) if quick else ((160, 64), (512, 128), (1024, 512), (4096, 512)):
        times = measure(n, d)
        took = {name: 1e3 * statistics.median(found) for name, found in times.items()}
        cells = (
            f"{took[name]:9.2f} {statistics.median(ratios(times, name, 'fixed')):5.2f}×"
            for name in ("adaptive", "by group")
        )
        print(f"{n:>8} × {d:<3} {took['fixed']:9.2f} " + " ".join(cells))


if __name__ == "__main__":
    main()
