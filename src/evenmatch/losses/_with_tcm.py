"""A base loss regularised by TCM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._adaptive_tcm import AdaptiveTCMLoss
from evenmatch.losses._checks import check_finite
from evenmatch.losses._gather import gather as gather_rows
from evenmatch.losses._tcm import TCMLoss
from evenmatch.losses._unified_threshold import UnifiedThresholdLoss

__all__ = ["WithTCM", "WithTCMStats"]


class WithTCMStats(NamedTuple):
    """The two parts of the last loss, detached; the total is base + weight · tcm."""

    base: Tensor
    tcm: Tensor


class WithTCM(torch.nn.Module):
    """L = L_base + weight · L_TCM, for any base loss (the regularised objective of arXiv 2307.04047).

    The base loss may be any loss of pytorch-metric-learning, its CrossBatchMemory around one, or any callable
    (embeddings, labels) -> scalar. Parameters of the base loss, such as proxies, are parameters of this module, so hand
    `loss.parameters()` to an optimizer.

    With a CrossBatchMemory as the base loss, TCM sees the pairs that the base loss sees: each sample of the batch with
    each entry of the memory except its own copy there. Write WithTCM(CrossBatchMemory(...)); the memory accepts none
    but pytorch-metric-learning's own losses inside.

    In a distributed run gather=True joins the batches of all processes first, and each process computes the loss of
    the whole batch; see `gather` for the scale of the gradients, which suits DistributedDataParallel as it is. A
    memory then holds the same rows everywhere.

    Args:
        base_loss: the loss to regularise.
        tcm: the regulariser: a TCMLoss, an AdaptiveTCMLoss, or a UnifiedThresholdLoss in their place; None is
            TCMLoss().
        weight: weight ≥ 0 of the TCM term; the paper uses 1.
        miner: a pytorch-metric-learning miner, called on each batch; its tuple goes to the base loss. TCM has its own
            notion of a hard pair and ignores it.
        gather: join the batches of all processes before computing anything.

    Attributes:
        last: WithTCMStats of the last forward pass, for logging; None before the first.

    Raises:
        InputError: an argument of the wrong kind, or a negative weight.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import WithTCM, build
        >>> loss = WithTCM(build("proxy_anchor", num_classes=2, embedding_size=4), weight=1.0)
        >>> optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)  # the proxies
        >>> embeddings = torch.randn(6, 4, requires_grad=True)
        >>> loss(embeddings, torch.tensor([0, 0, 0, 1, 1, 1])).backward()
        >>> loss.last.tcm.shape
        torch.Size([])
    """

    def __init__(
        self,
        base_loss: Callable[..., Tensor],
        tcm: TCMLoss | AdaptiveTCMLoss | UnifiedThresholdLoss | None = None,
        weight: float = 1.0,
        *,
        miner: Callable[..., Any] | None = None,
        gather: bool = False,
    ) -> None:
        super().__init__()
        if not callable(base_loss):
            raise InputError(f"base_loss is {base_loss!r}; pass a loss, e.g. evenmatch.losses.build('contrastive')")
        if tcm is not None and not isinstance(tcm, TCMLoss | AdaptiveTCMLoss | UnifiedThresholdLoss):
            raise InputError(
                f"tcm is a {type(tcm).__name__}; pass a TCMLoss, an AdaptiveTCMLoss or a UnifiedThresholdLoss, or "
                "nothing for the paper's margins"
            )
        self.base_loss = base_loss
        self.tcm: TCMLoss | AdaptiveTCMLoss | UnifiedThresholdLoss = TCMLoss() if tcm is None else tcm
        self.weight = check_finite(weight, "weight", minimum=0)
        self.miner = miner
        self.gather = gather
        self.last: WithTCMStats | None = None
        self._has_memory = _is_memory(base_loss)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        groups: Tensor | None = None,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
    ) -> Tensor:
        """Regularised loss of a batch; the arguments in the order that pytorch-metric-learning has.

        Args:
            embeddings: floating-point (n, d).
            labels: integer (n,).
            indices_tuple: triplets or pairs for the base loss, as a pytorch-metric-learning miner returns them.
            ref_emb: (m, d) for both terms; a base loss that takes no reference raises.
            ref_labels: integer (m,), required with ref_emb.
            groups: integer (n,), the group (domain) of each row, for an AdaptiveTCMLoss with n_groups; else ignored.
            ids: integer (n,), for the TCM term: rows with equal ids are one sample and make no pair.
            ref_ids: integer (m,), required with ref_emb when ids are given.

        Returns:
            A scalar.

        Raises:
            InputError: arguments that do not fit together, or a base loss that does not return a scalar.
        """
        if indices_tuple is not None and (self.gather or self.miner is not None):
            raise InputError(
                "indices_tuple came with gather=True or a miner; give the miner to WithTCM(miner=...) instead, "
                "so that it mines the batch that the loss sees"
            )
        if self._has_memory and (ref_emb is not None or ids is not None):
            raise InputError(
                "the base loss is a CrossBatchMemory, which brings its own reference; pass no ref_emb, ids"
            )
        if self.gather:
            given = {name: rows for name, rows in {"groups": groups, "ids": ids}.items() if rows is not None}
            embeddings, labels, *rest = gather_rows(embeddings, labels, *given.values())
            joined = dict(zip(given, rest, strict=True))
            groups, ids = joined.get("groups"), joined.get("ids")

        # Only what was given is handed on, so that a plain callable(embeddings, labels) will do.
        refs = {} if ref_emb is None else {"ref_emb": ref_emb, "ref_labels": ref_labels}
        if self.miner is not None:
            indices_tuple = self.miner(embeddings, labels, **refs)
        tuples = {} if indices_tuple is None else {"indices_tuple": indices_tuple}
        base = self.base_loss(embeddings, labels, **tuples, **refs)
        if not isinstance(base, Tensor) or base.ndim != 0:
            raise InputError("the base loss did not return a scalar tensor; give it a reducer that returns the mean")
        if self._has_memory:
            ref_emb, ref_labels, ids, ref_ids = _memory_entries(self.base_loss)
        grouped = {"groups": groups} if isinstance(self.tcm, AdaptiveTCMLoss) else {}
        tcm = self.tcm(embeddings, labels, ref_emb, ref_labels, ids=ids, ref_ids=ref_ids, **grouped)
        self.last = WithTCMStats(base.detach(), tcm.detach())
        return base + self.weight * tcm

    def get_extra_state(self) -> dict[str, int]:
        """Where a memory's queue stands, which its own state_dict leaves out; without it a resumed run differs."""
        if not self._has_memory:
            return {}
        memory: Any = self.base_loss
        return {"queue_idx": int(memory.queue_idx), "has_been_filled": int(memory.has_been_filled)}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Counterpart of get_extra_state."""
        if self._has_memory and state:
            memory: Any = self.base_loss
            memory.queue_idx = state["queue_idx"]
            memory.has_been_filled = bool(state["has_been_filled"])

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"weight={self.weight}, gather={self.gather}"


def _is_memory(base_loss: object) -> bool:
    try:
        from pytorch_metric_learning.losses import CrossBatchMemory
    except ImportError:  # then base_loss cannot be one
        return False
    return isinstance(base_loss, CrossBatchMemory)


def _memory_entries(memory: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The memory after it took in the batch: embeddings, labels, each batch row's slot, each entry's slot."""
    filled = memory.memory_size if memory.has_been_filled else memory.queue_idx
    entries = memory.embedding_memory[:filled]
    slots = torch.arange(filled, device=entries.device)
    return entries, memory.label_memory[:filled], memory.curr_batch_idx, slots
