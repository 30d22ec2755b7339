"""What the paper's data sets would cost to train, from the time of a step of each shipped configuration.

    python studies/paper_scale/step_time.py                 on the CPU: a few images a step, a few minutes
    python studies/paper_scale/step_time.py --device cuda   whole batches in the configuration's precision

On the device at hand it times forward and backward pass of the network and of the loss with TCM; images are random
numbers, so that reading and cropping them is not in it. Where that device is a CPU, the hours on a GPU are those of
the network's training throughput as timm published it for one NVIDIA RTX 3090 (mixed precision, 224 px; file
results/benchmark-train-amp-nchw-pt112-cu113-rtx3090.csv of huggingface/pytorch-image-models). Eight GPUs are taken to
be eight times as fast, which is a bound: their exchange of gradients and embeddings is not in it. The table goes to
results.md and step_time.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import torch

from evenmatch.embeddings import atomic_path
from evenmatch.training import TrainConfig, load_config
from evenmatch.training._build import build_from_config, build_loss

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
#: images a second, training, one RTX 3090; see above
PUBLISHED = {"resnet50": 826.06, "vit_small_patch16_224": 1052.92}
ORDER = ("inaturalist", "sop", "inshop", "vehicleid", "cars", "cub")
NOT_RUN = "not run: needs the data and a GPU"


def median_seconds(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Median time of some work, after once that does not count."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def network_seconds(config: TrainConfig, images: int, repeats: int, device: torch.device) -> float:
    """Forward and backward pass of a training step, in seconds per image."""
    network = build_from_config(config, pretrained=False).to(device).train()
    pixels = torch.randn(images, config.image.channels, config.image.size, config.image.size, device=device)
    half = device.type == "cuda" and config.trainer.precision.startswith("bf16")

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16) if half else nullcontext():
            embeddings = network(pixels)
        embeddings.float().square().sum().backward()

    return median_seconds(step, repeats, device) / images


def loss_seconds(config: TrainConfig, repeats: int, device: torch.device) -> float:
    """Base loss and TCM at the batch of the configuration, forward and backward, in seconds."""
    assert config.model.dim is not None
    n, per_class = config.batch.size, config.batch.per_class
    labels = torch.arange(n, device=device) // per_class
    rows = torch.randn(n, config.model.dim, device=device, requires_grad=True)
    loss = build_loss(config.loss, config.tcm, n // per_class, config.model.dim).to(device)

    def step() -> None:
        rows.grad = None
        loss(torch.nn.functional.normalize(rows), labels).backward()

    return median_seconds(step, repeats, device)


def measure(
    name: str, backbone: str, images: int, repeats: int, device: torch.device, known: dict[Any, float]
) -> dict[str, Any]:
    """One configuration; ``known`` are networks that were timed before."""
    file = f"{name}_vit.yaml" if backbone.startswith("vit") else f"{name}.yaml"
    config = load_config(CONFIGS / file)
    batch, steps = config.batch.size, config.schedule.steps
    key = (backbone, config.image.size, batch if device.type == "cuda" else images)
    if key not in known:  # one network serves several data sets
        known[key] = network_seconds(config, key[-1], repeats, device)
    per_image = known[key]
    loss = loss_seconds(config, repeats, device)
    here = per_image * batch + loss
    one = here if device.type == "cuda" else batch / PUBLISHED[backbone]
    return {
        "config": f"configs/{file}", "root": config.data.root, "backbone": backbone, "batch": batch, "steps": steps,
        "network_s_per_image": per_image, "loss_s": loss, "step_s": here, "hours_here": here * steps / 3600,
        "hours_one_gpu": one * steps / 3600, "hours_eight_gpus": one * steps / 3600 / 8,
    }  # fmt: skip


def duration(hours: float) -> str:
    """As people say it."""
    if hours < 1:
        return f"{60 * hours:.0f} min" if hours >= 1 / 60 else "< 1 min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def table(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The results as a page of Markdown."""
    source = (
        "measured steps times their number"
        if facts["gpu"]
        else "from timm's published training throughput of one RTX 3090 (826 images a second for ResNet-50, 1,053 for "
        "ViT-S/16), since no GPU was at hand"
    )
    scaled = "" if facts["gpu"] else f", the network's with {facts['images']} images and scaled to the batch"
    lines = [
        f"Times of a step measured on {facts['device']}, torch {facts['torch']}, {facts['date']}, median of "
        f"{facts['repeats']}{scaled}, with `python studies/paper_scale/step_time.py`. Times on one GPU are {source}; "
        "eight GPUs are taken to be eight times as fast, a bound.",
        "",
        "| command | batch × steps | a step here (of that loss and TCM) | all here | one GPU | eight GPUs "
        "| recall@1, OPIS |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = (duration(row[f"hours_{name}"]) for name in ("here", "one_gpu", "eight_gpus"))
        lines.append(
            f"| `evenmatch train {row['config']} --set data.root={row['root']}` | {row['batch']} × {row['steps']:,} | "
            f"{row['step_s']:.0f} s ({row['loss_s']:.3f} s) | {' | '.join(times)} | {NOT_RUN} |"
        )
    lines += [
        "",
        "The same with `--set tcm.weight=0` is the base loss alone. On eight GPUs of one machine: `--set "
        "trainer.devices=8 --set trainer.strategy=ddp`; `batch.size` stays that of all processes together.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every configuration and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=16, help="a step on the CPU; whole batches do not fit there")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    device = torch.device(options.device)
    gpu = device.type == "cuda"
    where = torch.cuda.get_device_name(device) if gpu else f"{os.cpu_count()} cores of {platform.machine()}, float32"
    facts = {"device": where, "gpu": gpu, "torch": torch.__version__, "date": date.today().isoformat(),
             "repeats": options.repeats, "images": options.images}  # fmt: skip
    rows, known = [], {}
    for name in ORDER:
        for backbone in PUBLISHED:
            rows.append(measure(name, backbone, options.images, options.repeats, device, known))
            print(f"{rows[-1]['config']}: a step {rows[-1]['step_s']:.3g} s", flush=True)
    for file, text in (("step_time.json", json.dumps({**facts, "rows": rows}, indent=2) + "\n"),
                       ("results.md", table(rows, facts))):  # fmt: skip
        with atomic_path(options.out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
