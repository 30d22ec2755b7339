"""One run of the study: a network trained on one task with one loss, and what an audit says of it."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from tasks import STUDY, Task
from torch import Tensor, nn

import evenmatch as em
from evenmatch.losses import AdaptiveTCMLoss, TCMLoss, WithTCM, build
from evenmatch.training import BalancedBatches


class AllPairs(TCMLoss):
    """TCM without its choice of pairs: every pair is pulled, near or far. For the ablation alone."""

    def forward(self, embeddings: Tensor, labels: Tensor, *_: Any, **__: Any) -> Tensor:
        unit = nn.functional.normalize(embeddings)
        scores = unit @ unit.T
        same = labels[:, None] == labels[None, :]
        pair = torch.ones_like(same).triu(1)
        positive, negative = scores[same & pair], scores[~same & pair]
        loss = self.weight_pos * (self.margin_pos - positive).mean()
        return loss + self.weight_neg * (negative - self.margin_neg).mean()


def make_loss(base: str, n_classes: int, dim: int, tcm: dict[str, Any] | None, pairs: str = "hard") -> WithTCM:
    """The base loss, with TCM of the given margins and weights or without."""
    options = {"num_classes": n_classes, "embedding_size": dim} if base in STUDY["proxies"] else {}
    settings = dict(tcm or {"weight": 0.0})
    weight = settings.pop("weight")
    if settings.pop("kind", "fixed") == "adaptive":
        return WithTCM(build(base, **options), AdaptiveTCMLoss(**settings), weight)
    kind = TCMLoss if pairs == "hard" else AllPairs
    return WithTCM(build(base, **options), kind(**settings, check_margins=False), weight)


def fit(
    task: Task,
    rows: np.ndarray,
    seed: int,
    base: str,
    tcm: dict[str, Any] | None,
    *,
    batch: int | None = None,
    dim: int | None = None,
    steps: int | None = None,
    pairs: str = "hard",
) -> tuple[nn.Module, dict[str, float]]:
    """Train, and return the network with the shares of pairs that TCM worked on at the end.

    Args:
        task: where the samples come from.
        rows: those to train on.
        seed: of weights, batches and distortions; both arms of a comparison get the same.
        base: name of the base loss.
        tcm: margins and weights, or None for the base loss alone.
        batch: samples a step, instead of those of study.yaml.
        dim: values per embedding, likewise.
        steps: how many, likewise.
        pairs: "hard" (TCM), or "all" of them (ablation).
    """
    batch, dim = batch or STUDY["batch"]["size"], dim or STUDY["network"]["dim"]
    steps = steps or STUDY["steps"][task.name]
    codes = np.unique(task.labels[rows], return_inverse=True)[1]
    torch.manual_seed(seed)
    network = task.network(dim)
    loss = make_loss(base, int(codes.max()) + 1, dim, tcm, pairs)
    rate, warmup = STUDY["learning_rate"][task.name], STUDY["warmup"]
    proxies = STUDY["proxies"].get(base, {"factor": 1.0, "learning_rate": rate})
    stepper = torch.optim.AdamW(
        [
            {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": STUDY["weight_decay"]},
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            {"params": list(loss.parameters()), "weight_decay": 0.0, "lr": proxies["learning_rate"]},
        ],
        lr=rate * proxies["factor"],
    )

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))

    schedule = torch.optim.lr_scheduler.LambdaLR(stepper, factor)
    per_class = STUDY["batch"]["per_class"]
    for plan in BalancedBatches(codes, batch, per_class, steps=steps, seed=seed):
        value = loss(network(task.inputs(rows[plan.rows], plan.seeds)), torch.from_numpy(codes[plan.rows]))
        stepper.zero_grad()
        value.backward()
        stepper.step()
        schedule.step()
    last = loss.tcm.last
    shares = {"share_pos": math.nan, "share_neg": math.nan}
    if last is not None:
        shares = {"share_pos": float(last.share_pos), "share_neg": float(last.share_neg)}
    return network.eval(), shares


def embed(task: Task, network: nn.Module, rows: np.ndarray) -> np.ndarray:
    """Embeddings of some rows, undistorted."""
    with torch.inference_mode():
        parts = [network(task.inputs(rows[at : at + 512])).numpy() for at in range(0, len(rows), 512)]
    return np.concatenate(parts)


def judge(task: Task, network: nn.Module, rows: np.ndarray) -> tuple[dict[str, float], em.Audit]:
    """What an audit of some rows says, as the columns of the table."""
    audit = em.audit(embed(task, network, rows), task.labels[rows], threads=1)
    table = audit.by_class.dropna(subset=["utility"])
    spread = {name: np.quantile(table[name], [0.05, 0.95]) for name in ("far", "frr")}
    return {
        "recall_at_1": audit.recall_at_k[1],
        "opis": audit.opis,
        "opis_debiased": audit.opis_debiased,
        "eps_opis": audit.eps_opis,
        "far_spread": float(spread["far"][1] - spread["far"][0]),
        "frr_spread": float(spread["frr"][1] - spread["frr"][0]),
        "frr": audit.frr_at(audit.threshold),
        "utility": float(table["utility"].mean()),
        "threshold_low": audit.threshold_range[0],
        "threshold_high": audit.threshold_range[1],
    }, audit


def once(task: Task, train: np.ndarray, judged: np.ndarray, seed: int, base: str, tcm: dict[str, Any] | None,
         **changes: Any) -> tuple[dict[str, float], em.Audit]:  # fmt: skip
    """Train and judge, with the processor seconds that the training took."""
    started = time.process_time()
    network, shares = fit(task, train, seed, base, tcm, **changes)
    seconds = time.process_time() - started
    figures, audit = judge(task, network, judged)
    return {**figures, **shares, "seconds": seconds}, audit
