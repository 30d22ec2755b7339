"""What TCM costs: against pytorch-metric-learning's, in tiles, and within a ResNet-50 step.

    python benchmarks/tcm.py [--quick] [--parts peer large tiles training] [--json FILE] [--resnet-size 128]

Time is the median over repeats in one process. Extra memory is the rise of the resident set's high-water mark
(VmHWM, reset through /proc/self/clear_refs) over the resident set just before a forward and backward pass, in a fresh
process for each measurement, after a tiny warm-up pass that loads the libraries. Linux only.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from memory import in_fresh_process, status_bytes
from output import facts, show, write
from timing import median_seconds, seconds
from torch import Tensor

from evenmatch.losses import TCMLoss

PEER_NEEDS_GB = 19.0  # pytorch-metric-learning at 1,024 × 512 took 17 GB


def batch(n: int, d: int, per_class: int = 4) -> tuple[Tensor, Tensor]:
    """Rows of n / per_class classes whose similarities straddle both margins."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) // per_class
    centres = torch.randn(int(labels[-1]) + 1, d, generator=generator)
    rows = 1 + centres[labels] + 0.45 * torch.randn(n, d, generator=generator)
    return rows.requires_grad_(), labels


def loss_called(name: str, chunk_size: int | None = None) -> torch.nn.Module:
    """Ours, or pytorch-metric-learning's."""
    if name == "ours":
        return TCMLoss(chunk_size=chunk_size)
    from pytorch_metric_learning.losses import ThresholdConsistentMarginLoss

    return ThresholdConsistentMarginLoss()


def extra_bytes(name: str, n: int, d: int, chunk_size: int | None) -> int:
    """Rise of the resident set in one forward and backward pass; run in a process of its own."""
    loss = loss_called(name, chunk_size)
    warm, warm_labels = batch(16, d)
    loss(warm, warm_labels).backward()
    rows, labels = batch(n, d)
    before = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    loss(rows, labels).backward()
    return status_bytes("VmHWM") - before


def extra_gb(name: str, n: int, d: int, chunk_size: int | None = None) -> float:
    """`extra_bytes` of a fresh process, in GB."""
    return in_fresh_process(extra_bytes, name, n, d, chunk_size) / 1e9


def available_gb() -> float:
    """Memory that can be taken without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1e6
    return 0.0


def forward_backward(loss: torch.nn.Module, n: int, d: int) -> Callable[[], None]:
    """A step of the loss alone."""
    rows, labels = batch(n, d)

    def step() -> None:
        rows.grad = None
        loss(rows, labels).backward()

    return step


def against_peer(quick: bool) -> dict[str, float]:
    """Time and memory at B = 1,024, D = 512 (256, 128 when quick)."""
    n, d = (256, 128) if quick else (1024, 512)
    result = {"n": n, "d": d, "ours_s": median_seconds(forward_backward(loss_called("ours"), n, d), 21)}
    result["ours_gb"] = extra_gb("ours", n, d)
    if not quick and available_gb() < PEER_NEEDS_GB:
        print(f"pytorch-metric-learning left out: {available_gb():.1f} GB available, it needs {PEER_NEEDS_GB} GB")
        return result
    result["peer_s"] = median_seconds(forward_backward(loss_called("peer"), n, d), 3)
    result["peer_gb"] = extra_gb("peer", n, d)
    result["times_faster"] = result["peer_s"] / result["ours_s"]
    result["times_less_memory"] = result["peer_gb"] / result["ours_gb"]
    return result


def large_batch(quick: bool) -> dict[str, float]:
    """B = 4,096: memory of the default and of the whole matrix at once, and how far apart their gradients are."""
    n, d = (1024, 128) if quick else (4096, 512)
    gradients = []
    result: dict[str, float] = {"n": n, "d": d}
    for key, chunk_size in (("default", None), ("whole", n), ("chunks_of_1000", 1000)):
        rows, labels = batch(n, d)
        loss = TCMLoss(chunk_size=chunk_size)
        loss(rows, labels).backward()
        gradients.append(rows.grad)
        result[f"{key}_s"] = median_seconds(forward_backward(loss, n, d), 5)
        result[f"{key}_gb"] = extra_gb("ours", n, d, chunk_size)
    result["gradient_gap"] = max(float((g - gradients[1]).norm() / gradients[1].norm()) for g in gradients)
    return result


def tiles(quick: bool) -> dict[str, float]:
    """B = 32,768, D = 256 in tiles of 1,024."""
    n, d = (4096, 64) if quick else (32768, 256)
    step = forward_backward(TCMLoss(chunk_size=1024), n, d)
    return {
        "n": n,
        "d": d,
        "s": seconds(step),
        "gb": extra_gb("ours", n, d, 1024),
        "matrix_alone_gb": n * n * 4 / 1e9,
    }


def in_training(quick: bool, size: int) -> dict[str, float]:
    """Share of a ResNet-50 training step at batch 128 that TCM takes."""
    import torchvision

    from evenmatch.losses import WithTCM, build

    n, size = (16, 64) if quick else (128, size)
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None)
    model.fc = torch.nn.Linear(2048, 512)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    images, labels = torch.randn(n, 3, size, size), torch.arange(n) // 4
    base = build("multi_similarity")
    regularised = WithTCM(base)

    def step(loss: torch.nn.Module) -> None:
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    repeats = 1 if quick else 3
    result = {"n": n, "image_size": size, "step_s": median_seconds(lambda: step(base), repeats)}
    result["step_with_tcm_s"] = median_seconds(lambda: step(regularised), repeats)
    # The difference of two long steps is mostly noise; the loss by itself is what is added, and can be timed well.
    result["tcm_s"] = median_seconds(forward_backward(TCMLoss(), n, 512), 51)
    result["overhead"] = result["tcm_s"] / result["step_s"]
    return result


def show_peer(options: argparse.Namespace) -> dict[str, float]:
    """Measure against the peer and print."""
    peer = against_peer(options.quick)
    print(f"B={peer['n']:,} D={peer['d']}: ours {peer['ours_s'] * 1e3:.1f} ms, +{peer['ours_gb'] * 1e3:.0f} MB")
    if "peer_s" in peer:
        print(
            f"  pytorch-metric-learning {peer['peer_s'] * 1e3:.0f} ms, +{peer['peer_gb'] * 1e3:.0f} MB: "
            f"{peer['times_faster']:.0f}× faster, 1/{peer['times_less_memory']:.0f} of the memory"
        )
    return peer


def show_large(options: argparse.Namespace) -> dict[str, float]:
    """Measure a large batch and print."""
    large = large_batch(options.quick)
    print(f"B={large['n']:,} D={large['d']}:")
    for key in ("default", "whole", "chunks_of_1000"):
        print(f"  {key.replace('_', ' ')}: {large[key + '_s'] * 1e3:.0f} ms, +{large[key + '_gb'] * 1e3:.0f} MB")
    print(f"  gradients differ by {large['gradient_gap']:.1e} (relative norm)")
    return large


def show_tiles(options: argparse.Namespace) -> dict[str, float]:
    """Measure a batch whose matrix is not held and print."""
    tiled = tiles(options.quick)
    print(
        f"B={tiled['n']:,} D={tiled['d']} in tiles: {tiled['s']:.1f} s, +{tiled['gb']:.2f} GB "
        f"(the matrix alone: {tiled['matrix_alone_gb']:.2f} GB)"
    )
    return tiled


def show_training(options: argparse.Namespace) -> dict[str, float]:
    """Measure a training step and print."""
    training = in_training(options.quick, options.resnet_size)
    print(
        f"ResNet-50, batch {training['n']}, {training['image_size']} px: a step takes {training['step_s']:.2f} s, "
        f"with TCM {training['step_with_tcm_s']:.2f} s; TCM by itself {training['tcm_s'] * 1e3:.2f} ms = "
        f"{training['overhead']:.3%} of a step (smaller images make the step shorter and this share larger)"
    )
    return training


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "peer": show_peer,
    "large": show_large,
    "tiles": show_tiles,
    "training": show_training,
}


def main() -> None:
    """Run the parts, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--resnet-size", type=int, default=128, help="side of the images; the papers use 224")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        **facts(), "torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()[0],
    }  # fmt: skip
    for name, value in figures.items():
        show(name, value)
    for part in options.parts:
        figures[part] = PARTS[part](options)
    write(figures, options.json)


if __name__ == "__main__":
    main()
