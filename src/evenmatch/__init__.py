"""evenmatch: one match threshold that holds for every class.

Measure how consistently one threshold serves all classes of an embedding model (OPIS), train against inconsistency
(TCM), calibrate the threshold, ship it and watch it. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenmatch import datasets, errors, losses, plot
    from evenmatch.auditing import (
        Audit,
        Comparison,
        audit,
        audit_across,
        audit_scores,
        calibrate,
        compare,
        drift,
        nearest_classes,
        plan,
        robustness,
        transfer,
    )
    from evenmatch.calibration import OperatingPoint
    from evenmatch.embeddings import EmbeddingSet, load, save

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "Comparison",
    "EmbeddingSet",
    "OperatingPoint",
    "__version__",
    "audit",
    "audit_across",
    "audit_scores",
    "calibrate",
    "compare",
    "datasets",
    "drift",
    "errors",
    "load",
    "losses",
    "nearest_classes",
    "plan",
    "plot",
    "robustness",
    "save",
    "transfer",
]

_HOME = {
    "Audit": "evenmatch.auditing",
    "audit": "evenmatch.auditing",
    "audit_across": "evenmatch.auditing",
    "audit_scores": "evenmatch.auditing",
    "calibrate": "evenmatch.auditing",
    "OperatingPoint": "evenmatch.calibration",
    "Comparison": "evenmatch.auditing",
    "compare": "evenmatch.auditing",
    "drift": "evenmatch.auditing",
    "transfer": "evenmatch.auditing",
    "plan": "evenmatch.auditing",
    "nearest_classes": "evenmatch.auditing",
    "robustness": "evenmatch.auditing",
    "EmbeddingSet": "evenmatch.embeddings",
    "load": "evenmatch.embeddings",
    "save": "evenmatch.embeddings",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"evenmatch.{name}")
    raise AttributeError(f"module 'evenmatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
