"""What each process of the distributed test runs; importable, because a spawned process imports it anew."""

from __future__ import annotations

from datetime import timedelta

import torch
import torch.distributed as dist
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.miners import MultiSimilarityMiner
from torch.nn.parallel import DistributedDataParallel

from evenmatch.losses import AdaptiveTCMLoss, TCMLoss, UnifiedThresholdLoss, WithTCM, build, gather

SPLITS = ((12, 12), (9, 15))  # rows of each process
STEPS = 5
LIMIT = timedelta(seconds=60)  # a process that fails must not leave the other one waiting


def losses():
    """The losses that are trained, by name."""
    return {
        "contrastive": lambda: WithTCM(build("contrastive"), gather=True),
        "chunked": lambda: WithTCM(build("contrastive"), TCMLoss(chunk_size=5), gather=True),
        "proxies": lambda: WithTCM(build("proxy_anchor", num_classes=6, embedding_size=4), gather=True),
        "memory": lambda: WithTCM(CrossBatchMemory(build("contrastive"), 4, 40), gather=True),
        "miner": lambda: WithTCM(build("triplet"), miner=MultiSimilarityMiner(), gather=True),
        "smooth_ap": lambda: WithTCM(build("smooth_ap"), gather=True),
        "adaptive": lambda: WithTCM(build("smooth_ap"), AdaptiveTCMLoss(decay=0.5, warmup=2), gather=True),
        "adaptive by group": lambda: WithTCM(
            build("contrastive"), AdaptiveTCMLoss(n_groups=2, decay=0.5, warmup=2), gather=True
        ),
        "unified threshold": lambda: WithTCM(build("smooth_ap"), UnifiedThresholdLoss(), gather=True),
    }


def train(name: str, rows: slice, distributed: bool) -> list[torch.Tensor]:
    """Parameters, and the histograms of adaptive margins, after five steps of SGD on the given rows of each batch."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4)).double()
    loss = losses()[name]().double()
    parameters = [*model.parameters(), *loss.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.3)
    network = DistributedDataParallel(model) if distributed else model
    labels = torch.arange(24) % 6
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(24, 8, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        loss(network(inputs[rows]), labels[rows], groups=labels[rows] % 2).backward()
        optimizer.step()
    kept = []
    if isinstance(loss.tcm, AdaptiveTCMLoss):  # every process adds up what all saw, so as many times as there are
        kept = [loss.tcm.histograms / loss.tcm.histograms.sum(), loss.tcm.batches, *loss.tcm.margins()]
    return [parameter.detach() for parameter in parameters] + kept


def run(rank: int, init_file: str, out: str) -> None:
    """Train with every loss and every split, check `gather` itself, and leave the parameters in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{init_file}", rank=rank, world_size=2, timeout=LIMIT)
    try:
        results = {}
        for first, second in SPLITS:
            rows = slice(0, first) if rank == 0 else slice(first, first + second)
            for name in losses():
                results[f"{name} {first}+{second}"] = train(name, rows, distributed=True)

        # Without gather each process sees its own pairs; what it keeps are those of all.
        loss = AdaptiveTCMLoss(warmup=0)
        loss(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0 + rank]]), torch.tensor([0, 0, 1 - rank]))
        results["histograms"] = [loss.histograms]

        # Each process weighs the joined rows differently: the gradient must be the sum over processes.
        own = torch.full((rank + 2, 3), float(rank), requires_grad=True)
        joined, ids = gather(own, torch.arange(rank + 2) + 2**40 + 10 * rank)
        (joined * torch.arange(15.0).reshape(5, 3) * (rank + 1)).sum().backward()
        results["joined"] = [joined.detach(), ids, own.grad]
        torch.save(results, f"{out}.{rank}")
    finally:
        dist.destroy_process_group()
