"""What margins that follow the data cost beside fixed ones: a forward and a backward pass, taken in turn.

    python benchmarks/adaptive_tcm.py [--quick]

Every time is the median over repeats in one process; the ratio is that of the times taken in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch
from tcm import batch

from evenmatch.losses import AdaptiveTCMLoss, TCMLoss

GROUPS = 5


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and fewer repeats")
    quick = parser.parse_args().quick
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; ms, ratio to TCMLoss")
    print(f"{'batch × width':>14} {'TCMLoss':>9} {'adaptive':>16} {'by group':>16}")
    for n, d in ((160, 64), (512, 128)) if quick else ((160, 64), (512, 128), (1024, 512), (4096, 512)):
        rows, labels = batch(n, d)
        groups = labels % GROUPS
        losses = {
            "fixed": TCMLoss(),
            "adaptive": AdaptiveTCMLoss(),
            "by group": AdaptiveTCMLoss(n_groups=GROUPS),
        }
        times: dict[str, list[float]] = {name: [] for name in losses}
        for turn in range((11 if n <= 1024 else 5) + 1):
            for name, loss in losses.items():
                given = {"groups": groups} if name == "by group" else {}
                start = time.perf_counter()
                loss(rows, labels, **given).backward()
                if turn:  # the first does not count
                    times[name].append(time.perf_counter() - start)
        took = {name: 1e3 * statistics.median(found) for name, found in times.items()}
        ratio = {
            name: statistics.median(ours / fixed for ours, fixed in zip(found, times["fixed"], strict=True))
            for name, found in times.items()
        }
        cells = (f"{took[name]:9.2f} {ratio[name]:5.2f}×" for name in ("adaptive", "by group"))
        print(f"{n:>8} × {d:<3} {took['fixed']:9.2f} " + " ".join(cells))


if __name__ == "__main__":
    main()
