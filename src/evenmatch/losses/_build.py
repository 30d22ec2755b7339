"""Base losses by name."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass, field
from typing import Any

import torch

from evenmatch.errors import InputError, MissingExtraError
from evenmatch.losses._recall_at_k import RecallAtKLoss
from evenmatch.losses._smooth_ap import SmoothAPLoss
from evenmatch.losses._unified_threshold import UnifiedThresholdLoss

__all__ = ["available", "build"]


@dataclass(frozen=True)
class _Recipe:
    """A class of pytorch-metric-learning and the arguments that suit unit vectors."""

    name: str
    defaults: dict[str, Any] = field(default_factory=dict)
    cosine: bool = False  # replace the default distance by cosine similarity
    proxies: bool = False  # learns one or more vectors a class


# Where the library's default distance is the Euclidean one between unit vectors, a monotone function of the cosine, it
# stays, since its margins are tuned for it; contrastive and triplet are stated in cosine, as in the TCM paper.
RECIPES: dict[str, _Recipe] = {
    "angular": _Recipe("AngularLoss"),
    "arcface": _Recipe("ArcFaceLoss", proxies=True),
    "circle": _Recipe("CircleLoss"),
    "contrastive": _Recipe("ContrastiveLoss", {"pos_margin": 1.0, "neg_margin": 0.5}, cosine=True),
    "cosface": _Recipe("CosFaceLoss", proxies=True),
    "fast_ap": _Recipe("FastAPLoss"),
    "generalized_lifted_structure": _Recipe("GeneralizedLiftedStructureLoss"),
    "lifted_structure": _Recipe("LiftedStructureLoss"),
    "margin": _Recipe("MarginLoss"),
    "multi_similarity": _Recipe("MultiSimilarityLoss"),
    # Scale 9 is the temperature 1/9 of ProxyNCA++ (Teh et al., ECCV 2020): between unit vectors scale 1 barely moves.
    "nca": _Recipe("NCALoss", {"softmax_scale": 9.0}),
    "normalized_softmax": _Recipe("NormalizedSoftmaxLoss", proxies=True),
    "ntxent": _Recipe("NTXentLoss"),
    "proxy_anchor": _Recipe("ProxyAnchorLoss", proxies=True),
    "proxy_nca": _Recipe("ProxyNCALoss", {"softmax_scale": 9.0}, proxies=True),
    "soft_triple": _Recipe("SoftTripleLoss", proxies=True),
    "subcenter_arcface": _Recipe("SubCenterArcFaceLoss", proxies=True),
    "supcon": _Recipe("SupConLoss"),
    "triplet": _Recipe("TripletMarginLoss", {"margin": 0.1}, cosine=True),
    "tuplet_margin": _Recipe("TupletMarginLoss"),
}

_OURS = {"recall_at_k": RecallAtKLoss, "smooth_ap": SmoothAPLoss, "unified_threshold": UnifiedThresholdLoss}


def available() -> tuple[str, ...]:
    """Names that `build` knows.

    Examples:
        >>> from evenmatch.losses import available
        >>> "recall_at_k" in available()
        True
    """
    return tuple(sorted([*RECIPES, *_OURS]))


def build(name: str, **kwargs: Any) -> torch.nn.Module:
    """A base loss by name, with defaults that suit embeddings compared by cosine similarity.

    All come from pytorch-metric-learning except "recall_at_k", which is RecallAtKLoss, "unified_threshold", which is
    UnifiedThresholdLoss, and "smooth_ap", which is SmoothAPLoss: the library's own is wrong unless a batch has as many
    classes as samples of each.

    Args:
        name: one of `available()`.
        kwargs: arguments of the loss, in place of the defaults. The losses with proxies (arcface, cosface,
            normalized_softmax, proxy_anchor, proxy_nca, soft_triple, subcenter_arcface) require num_classes and
            embedding_size, and take labels in 0 … num_classes − 1.

    Returns:
        A module called with (embeddings, labels).

    Raises:
        InputError: an unknown name, or arguments that the loss does not take.
        MissingExtraError: pytorch-metric-learning is not installed.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import build
        >>> loss = build("contrastive", neg_margin=0.4)
        >>> round(float(loss(torch.eye(2), torch.tensor([0, 0]))), 3)
        1.0
    """
    if name in _OURS:
        return _construct(_OURS[name], name, kwargs)
    if name not in RECIPES:
        near = difflib.get_close_matches(str(name).lower().replace("-", "_"), available(), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(available())}"
        raise InputError(f"no base loss is called {name!r}; {hint}")
    recipe = RECIPES[name]
    missing = [key for key in ("num_classes", "embedding_size") if recipe.proxies and key not in kwargs]
    if missing:
        raise InputError(
            f"{name} learns a vector for each class and needs {' and '.join(missing)}; "
            f"e.g. build({name!r}, num_classes=100, embedding_size=512)"
        )
    try:
        library = importlib.import_module("pytorch_metric_learning.losses")
        distances = importlib.import_module("pytorch_metric_learning.distances")
    except ImportError as error:
        raise MissingExtraError("pytorch-metric-learning", "train", f"the base loss {name!r}") from error
    distance = {"distance": distances.CosineSimilarity()} if recipe.cosine else {}
    return _construct(getattr(library, recipe.name), name, {**recipe.defaults, **distance, **kwargs})


def _construct(kind: Any, name: str, kwargs: dict[str, Any]) -> torch.nn.Module:
    try:
        return kind(**kwargs)
    except TypeError as error:
        raise InputError(f"the base loss {name!r} does not take these arguments: {error}") from error
