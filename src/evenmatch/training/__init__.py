"""Models fitted and judged: networks, the Lightning module and data module, audits while training, runs, the demo.

Everything but the demo's description needs the `train` extra; names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from evenmatch.errors import MissingExtraError

if TYPE_CHECKING:
    from evenmatch.training._audit_callback import AuditCallback
    from evenmatch.training._config import TrainConfig
    from evenmatch.training._config_file import dump_config, load_config, parse_config
    from evenmatch.training._conv4 import Conv4
    from evenmatch.training._data import RetrievalData
    from evenmatch.training._demo import DemoResult, run_demo
    from evenmatch.training._demo_pca import PCADemo, run_pca_demo
    from evenmatch.training._embed import audit_embeddings, embed_images, embed_with_run, load_network
    from evenmatch.training._learner import MetricLearner
    from evenmatch.training._network import EmbeddingNet, build_network
    from evenmatch.training._opis_metric import OPIS
    from evenmatch.training._pooling import GeM
    from evenmatch.training._run import RunResult, resume, train
    from evenmatch.training._sampler import BalancedBatches

__all__ = [
    "OPIS",
    "AuditCallback",
    "BalancedBatches",
    "Conv4",
    "DemoResult",
    "EmbeddingNet",
    "GeM",
    "MetricLearner",
    "PCADemo",
    "RetrievalData",
    "RunResult",
    "TrainConfig",
    "audit_embeddings",
    "build_network",
    "dump_config",
    "embed_images",
    "embed_with_run",
    "load_config",
    "load_network",
    "parse_config",
    "resume",
    "run_demo",
    "run_pca_demo",
    "train",
]

_HOME = {
    "OPIS": "_opis_metric",
    "AuditCallback": "_audit_callback",
    "BalancedBatches": "_sampler",
    "Conv4": "_conv4",
    "DemoResult": "_demo",
    "EmbeddingNet": "_network",
    "GeM": "_pooling",
    "MetricLearner": "_learner",
    "PCADemo": "_demo_pca",
    "RetrievalData": "_data",
    "RunResult": "_run",
    "TrainConfig": "_config",
    "audit_embeddings": "_embed",
    "build_network": "_network",
    "dump_config": "_config_file",
    "embed_images": "_embed",
    "embed_with_run": "_embed",
    "load_config": "_config_file",
    "load_network": "_embed",
    "parse_config": "_config_file",
    "resume": "_run",
    "run_demo": "_demo",
    "run_pca_demo": "_demo_pca",
    "train": "_run",
}
_TORCH_FREE = ("_config", "_config_file", "_demo_pca")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evenmatch.training' has no attribute {name!r}")
    module = _HOME[name]
    if module not in _TORCH_FREE:
        _require_extra()
    return getattr(importlib.import_module(f"evenmatch.training.{module}"), name)


def __dir__() -> list[str]:
    return __all__


def _require_extra() -> None:
    for package, title in (
        ("torch", "torch"),
        ("torchvision", "torchvision"),
        ("lightning", "lightning"),
        ("pytorch_metric_learning", "pytorch-metric-learning"),
    ):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError(title, "train", "training") from error
