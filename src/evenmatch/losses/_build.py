"""Base losses by name."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from evenmatch.errors import InputError, MissingExtraError
from evenmatch.losses._recall_at_k import RecallAtKLoss

__all__ = ["available", "build"]


@dataclass(frozen=True)
class _Recipe:
    """A class of pytorch-metric-learning and the arguments that suit unit vectors."""

    name: str
    defaults: dict[str, Any] = field(default_factory=dict)
    cosine: bool = False  # replace the default distance by cosine similarity
    proxies: bool = False  # learns one or more vectors a class
    by_class: bool = False  # counts on each class being one block of rows


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
    "smooth_ap": _Recipe("SmoothAPLoss", by_class=True),
    "soft_triple": _Recipe("SoftTripleLoss", proxies=True),
    "subcenter_arcface": _Recipe("SubCenterArcFaceLoss", proxies=True),
    "supcon": _Recipe("SupConLoss"),
    "triplet": _Recipe("TripletMarginLoss", {"margin": 0.1}, cosine=True),
    "tuplet_margin": _Recipe("TupletMarginLoss"),
}


def available() -> tuple[str, ...]:
    """Names that `build` knows.

    Example:
        >>> from evenmatch.losses import available
        >>> "recall_at_k" in available()
        True
    """
    return tuple(sorted([*RECIPES, "recall_at_k"]))


def build(name: str, **kwargs: Any) -> torch.nn.Module:
    """A base loss by name, with defaults that suit embeddings compared by cosine similarity.

    All come from pytorch-metric-learning except "recall_at_k", which is RecallAtKLoss. "smooth_ap" takes the rows in
    any order, where the library's own counts on blocks of one class.

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

    Example:
        >>> import torch
        >>> from evenmatch.losses import build
        >>> loss = build("contrastive", neg_margin=0.4)
        >>> round(float(loss(torch.eye(2), torch.tensor([0, 0]))), 3)
        1.0
    """
    if name == "recall_at_k":
        return _construct(RecallAtKLoss, name, kwargs)
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
    loss = _construct(getattr(library, recipe.name), name, {**recipe.defaults, **distance, **kwargs})
    return _ByClass(loss) if recipe.by_class else loss


def _construct(kind: Any, name: str, kwargs: dict[str, Any]) -> torch.nn.Module:
    try:
        return kind(**kwargs)
    except TypeError as error:
        raise InputError(f"the base loss {name!r} does not take these arguments: {error}") from error


class _ByClass(torch.nn.Module):
    """Hands the rows on in blocks of one class, the classes numbered from 0.

    SmoothAPLoss is silently wrong on rows in another order, such as several processes' batches joined, and allocates
    a counter for every number up to the largest label.
    """

    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        _, numbers, counts = torch.unique(labels, return_inverse=True, return_counts=True)
        if len(counts) and int(counts.min()) != int(counts.max()):
            raise InputError(
                f"a batch holds between {int(counts.min())} and {int(counts.max())} samples of a class; "
                "smooth_ap needs as many of each, e.g. from pytorch-metric-learning's MPerClassSampler"
            )
        order = torch.argsort(numbers, stable=True)
        if indices_tuple is not None:
            place = torch.argsort(order)
            indices_tuple = tuple(place[indices] for indices in indices_tuple)
        return self.loss(embeddings[order], numbers[order], indices_tuple, ref_emb, ref_labels)
