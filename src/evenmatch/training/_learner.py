"""The Lightning module."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from typing_extensions import override

from evenmatch.errors import ArtefactError, InputError
from evenmatch.losses import AdaptiveTCMLoss, WithTCM
from evenmatch.training._config import OptimizerConfig, ScheduleConfig
from evenmatch.training._network import EmbeddingNet

__all__ = ["SCHEMA", "MetricLearner", "learning_rate_factor"]

SCHEMA = 1


class MetricLearner(LightningModule):
    """Learns embeddings with a base loss and TCM.

    The batch comes as `RetrievalData` makes it. In a distributed run (torchrun, SLURM or Lightning's own launcher) the
    loss gathers the embeddings of all processes, so that each sees the pairs of the whole batch and the parameters
    become those of one process with the whole batch, as long as batch norms are frozen or synchronised.

    There is no gradient accumulation: pairs do not accumulate, since two half batches lack the pairs between them.
    Where a batch does not fit, use a cross-batch memory (``loss.memory`` of a configuration).

    Logged while training: ``train/loss``, ``train/base`` and ``train/tcm``, and of TCM the share of positive and
    negative pairs that are hard, ``train/hard_pos`` and ``train/hard_neg``; of AdaptiveTCMLoss, too, its margins,
    ``train/margin_pos`` and ``train/margin_neg``.

    Args:
        network: images to unit vectors.
        loss: base loss with TCM, ``WithTCM(…, gather=True)``.
        optimizer: its name and learning rates.
        schedule: warm-up and length.
        seed: with it, torch's generators are seeded anew at each step, from seed, step and process, so that a run that
            was interrupted continues with the noise (dropout, drop path) that it would have had; None leaves them.

    Examples:
        >>> from evenmatch.losses import WithTCM, build
        >>> from evenmatch.training import MetricLearner, build_network
        >>> learner = MetricLearner(build_network("conv4", channels=1), WithTCM(build("smooth_ap"), gather=True))
    """

    def __init__(
        self,
        network: EmbeddingNet,
        loss: WithTCM,
        optimizer: OptimizerConfig | None = None,
        schedule: ScheduleConfig | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if not isinstance(loss, WithTCM):
            raise InputError(f"loss is a {type(loss).__name__}; wrap it as WithTCM(loss, gather=True)")
        self.network = network
        self.loss = loss
        self._optimizer = optimizer or OptimizerConfig()
        self._schedule = schedule or ScheduleConfig()
        self._seed = seed

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Unit vectors `(n, dim)` of images `(n, c, h, w)`."""
        return self.network(images)

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed torch's generators for this step."""
        if self._seed is not None:
            sequence = np.random.SeedSequence([self._seed, self.global_step, self.global_rank])
            torch.manual_seed(int(sequence.generate_state(1, np.uint32)[0]))

    @override
    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch."""
        embeddings = self.network(batch["images"])
        with torch.autocast(embeddings.device.type, enabled=False):  # similarities need more digits than bf16 has
            loss = self.loss(embeddings, batch["labels"], groups=batch.get("groups"))
        parts, tcm = self.loss.last, self.loss.tcm.last
        if parts is not None and tcm is not None:
            logged = {"loss": loss.detach(), "base": parts.base, "tcm": parts.tcm}
            logged |= {"hard_pos": tcm.share_pos, "hard_neg": tcm.share_neg}
            if isinstance(self.loss.tcm, AdaptiveTCMLoss):
                logged |= dict(zip(("margin_pos", "margin_neg"), self.loss.tcm.margins(), strict=True))
            values = {f"train/{name}": value.detach() for name, value in logged.items()}
            self.log_dict(values, batch_size=len(embeddings))
        return loss

    @override
    def validation_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Embeddings of a batch with its labels, rows and roles; for `AuditCallback`."""
        return self._embedded(batch)

    @override
    def test_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """The same for the test images."""
        return self._embedded(batch)

    @override
    def predict_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """The same for any images."""
        return self._embedded(batch)

    def _embedded(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        rest = {name: value for name, value in batch.items() if name != "images"}
        return {"embeddings": self.network(batch["images"]).float(), **rest}

    @override
    def configure_optimizers(self) -> Any:
        """The optimizer with its parameter groups and a learning rate that changes at each step."""
        settings = self._optimizer
        groups = _groups(self.network, self.loss, settings)
        if settings.name == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
        else:
            optimizer = torch.optim.AdamW(groups, lr=settings.lr)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(self._schedule))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Mark the file with the schema version."""
        checkpoint["evenmatch"] = {"kind": "evenmatch.checkpoint", "schema": SCHEMA}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a file of another schema."""
        found = checkpoint.get("evenmatch", {}).get("schema")
        if found != SCHEMA:
            raise ArtefactError(f"the checkpoint has schema {found!r}, this version reads schema {SCHEMA}; train again")


def learning_rate_factor(schedule: ScheduleConfig) -> Callable[[int], float]:
    """Share of the learning rate at a step: a linear rise, then a half cosine to 0 (or a plateau)."""

    def factor(step: int) -> float:
        if step < schedule.warmup:
            return (step + 1) / (schedule.warmup + 1)
        if not schedule.cosine:
            return 1.0
        done = (step - schedule.warmup) / max(schedule.steps - schedule.warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor


def _groups(network: EmbeddingNet, loss: nn.Module, settings: OptimizerConfig) -> list[dict[str, Any]]:
    head_lr = settings.lr if settings.head_lr is None else settings.head_lr
    proxy_lr = settings.lr if settings.proxy_lr is None else settings.proxy_lr
    head = [*network.pooling.parameters(), *network.head.parameters()]
    groups = []
    for name, parameters, rate in (
        ("backbone", list(network.backbone.parameters()), settings.lr),
        ("head", head, head_lr),
    ):
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        groups.append({"name": name, "params": matrices, "lr": rate, "weight_decay": settings.weight_decay})
        groups.append({"name": f"{name} vectors", "params": vectors, "lr": rate, "weight_decay": 0.0})
    groups.append({"name": "proxies", "params": list(loss.parameters()), "lr": proxy_lr, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]
