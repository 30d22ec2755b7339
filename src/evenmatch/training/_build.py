"""From a configuration to the objects of a run."""

from __future__ import annotations

from typing import Any

import torch

from evenmatch.errors import InputError
from evenmatch.losses import AdaptiveTCMLoss, TCMLoss, UnifiedThresholdLoss, WithTCM, build
from evenmatch.training._config import ImageConfig, LossConfig, TCMConfig, TrainConfig
from evenmatch.training._learner import MetricLearner
from evenmatch.training._network import EmbeddingNet, build_network

__all__ = ["build_from_config", "build_learner", "build_loss", "build_regularizer", "resolved"]

_PROXY_LOSSES = (
    "arcface",
    "cosface",
    "normalized_softmax",
    "proxy_anchor",
    "proxy_nca",
    "soft_triple",
    "subcenter_arcface",
)


def resolved(config: TrainConfig) -> TrainConfig:
    """The configuration with the values that depend on others filled in: mean and std of the images."""
    mean, std = _normalisation(config)
    image = config.image.model_copy(update={"mean": config.image.mean or mean, "std": config.image.std or std})
    return config.model_copy(update={"image": ImageConfig.model_validate(image.model_dump())})


def build_from_config(config: TrainConfig, *, pretrained: bool | None = None) -> EmbeddingNet:
    """The network of a run; `pretrained` in place of what the configuration says."""
    model = config.model
    return build_network(
        model.backbone,
        channels=config.image.channels,
        pretrained=model.pretrained if pretrained is None else pretrained,
        pooling=model.pooling,
        dim=model.dim,
        layer_norm=model.layer_norm,
        freeze_bn=model.freeze_bn,
        size=config.image.size,
        **model.options,
    )


def build_loss(loss: LossConfig, tcm: TCMConfig, n_classes: int, dim: int, *, n_groups: int | None = None) -> WithTCM:
    """Base loss and TCM, over the batches of all processes.

    Raises:
        InputError: an unknown loss, arguments that it does not take, or a memory around a loss that has none.
    """
    options: dict[str, Any] = dict(loss.options)
    if loss.name in _PROXY_LOSSES:
        options = {"num_classes": n_classes, "embedding_size": dim, **options}
    base = build(loss.name, **options)
    if loss.memory:
        from pytorch_metric_learning.losses import CrossBatchMemory

        if type(base).__name__ not in CrossBatchMemory.supported_losses():
            raise InputError(f"loss.memory does not suit {loss.name!r}; use a pair loss, such as contrastive, or 0")
        base = CrossBatchMemory(base, dim, memory_size=loss.memory)
    return WithTCM(base, build_regularizer(tcm, n_groups), tcm.weight, gather=True)


def build_regularizer(tcm: TCMConfig, n_groups: int | None) -> TCMLoss | AdaptiveTCMLoss | UnifiedThresholdLoss:
    """What joins the base loss.

    Raises:
        InputError: it works by group and the training images have no groups.
    """
    if tcm.kind == "fixed":
        weight_neg = 1.0 if tcm.weight_neg is None else tcm.weight_neg
        return TCMLoss(tcm.margin_pos, tcm.margin_neg, tcm.weight_pos, weight_neg)
    if tcm.kind == "unified_threshold":
        return UnifiedThresholdLoss(tcm.scale, threshold=tcm.threshold)
    if tcm.by_group and n_groups is None:
        raise InputError("tcm.by_group is set and the training images have no groups; set tcm.by_group=false")
    return AdaptiveTCMLoss(
        tcm.quantile_pos,
        tcm.far,
        tcm.weight_pos,
        tcm.weight_neg,
        n_groups=n_groups if tcm.by_group else None,
        decay=tcm.decay,
        warmup=tcm.warmup,
    )


def build_learner(
    config: TrainConfig, n_classes: int, *, n_groups: int | None = None, pretrained: bool | None = None
) -> MetricLearner:
    """The Lightning module of a run, its weights drawn from the run's seed."""
    if 0 < config.loss.memory < config.batch.size:
        raise InputError(f"loss.memory {config.loss.memory} is smaller than batch.size {config.batch.size}; enlarge it")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build_from_config(config, pretrained=pretrained)
        loss = build_loss(config.loss, config.tcm, n_classes, network.dim, n_groups=n_groups)
    return MetricLearner(network, loss, config.optimizer, config.schedule, config.seed)


def _normalisation(config: TrainConfig) -> tuple[list[float], list[float]]:
    if config.model.backbone != "conv4" and config.image.channels == 3:
        import timm

        published = timm.get_pretrained_cfg(config.model.backbone) if timm.is_model(config.model.backbone) else None
        if published is not None:
            return list(published.mean), list(published.std)
    return [0.5], [0.5]
