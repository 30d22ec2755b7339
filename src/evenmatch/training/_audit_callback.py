"""An audit at each validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from evenmatch.auditing import Audit, audit
from evenmatch.errors import InputError
from evenmatch.losses import gather

__all__ = ["QUANTITIES", "AuditCallback"]

QUANTITIES = ("recall_at_1", "opis", "eps_opis", "threshold")


class AuditCallback(Callback):
    """Audits the embeddings of each validation and logs what came out, to whatever logger the Trainer has.

    Logged: ``val/recall_at_1``, ``val/opis``, ``val/eps_opis`` and ``val/threshold`` (at the lower FAR of `far`), so
    that a ModelCheckpoint or EarlyStopping can monitor any of them. The module's ``validation_step`` returns a dict
    with embeddings `(n, d)` and labels `(n,)`; optionally rows `(n,)`, which number the samples (one that a
    distributed sampler handed out twice is counted once), and query `(n,)` bool, which parts queries from gallery.

    In a distributed run the embeddings of all processes are gathered, the first one audits them, and all log the same.
    While Lightning's sanity check runs, nothing is audited. Embeddings that cannot be audited (all alike, NaN)
    give a warning, and NaN in the log.

    Args:
        far: as in `evenmatch.audit`.
        beta: likewise.
        eps: likewise.
        prefix: of the logged names.
        threads: CPU threads of the audit; by default one a core.

    Attributes:
        last: the latest Audit, on the first process; None elsewhere and before.

    Examples:
        >>> from lightning.pytorch.callbacks import ModelCheckpoint
        >>> from evenmatch.training import AuditCallback
        >>> callbacks = [AuditCallback(), ModelCheckpoint(monitor="val/opis", mode="min")]
    """

    def __init__(
        self,
        *,
        far: tuple[float, float] = (1e-2, 1e-1),
        beta: float = 1.0,
        eps: float = 0.1,
        prefix: str = "val/",
        threads: int | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {"far": far, "beta": beta, "eps": eps, "threads": threads}
        self._prefix = prefix
        self._collected: list[dict[str, Tensor]] = []
        self.last: Audit | None = None

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget earlier embeddings."""
        self._collected = []

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the embeddings of a batch."""
        if not isinstance(outputs, dict) or not {"embeddings", "labels"} <= outputs.keys():
            raise InputError("validation_step returned no embeddings and labels; return them in a dict for the audit")
        kept = {name: outputs[name].detach() for name in ("embeddings", "labels", "rows", "query") if name in outputs}
        self._collected.append(kept)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Audit and log."""
        if trainer.sanity_checking or not self._collected:
            return
        samples = gathered(self._collected)
        self._collected = []
        values = torch.full((len(QUANTITIES),), torch.nan, device=samples["embeddings"].device)
        if trainer.is_global_zero:
            self.last = self._audit(samples)
            if self.last is not None:
                found = (self.last.recall_at_k[1], self.last.opis, self.last.eps_opis, self.last.threshold)
                values = torch.tensor(found).to(values)
        if trainer.world_size > 1:
            dist.broadcast(values, src=0)
        for name, value in zip(QUANTITIES, values.tolist(), strict=True):
            pl_module.log(f"{self._prefix}{name}", value, sync_dist=False, rank_zero_only=False)

    def _audit(self, samples: dict[str, Tensor]) -> Audit | None:
        try:
            return audit_samples(samples, **self._settings)
        except InputError as error:  # a network that maps all to one point now may still recover
            rank_zero_warn(f"this validation has no audit: {error}", category=RuntimeWarning)
            return None


def gathered(collected: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join batches, then processes; where samples are numbered, in their order and each once."""
    joined = {name: torch.cat([batch[name] for batch in collected]) for name in collected[0]}
    samples = dict(zip(joined, gather(*joined.values()), strict=True))
    if "rows" not in samples:
        return samples
    order = torch.from_numpy(np.unique(samples["rows"].cpu().numpy(), return_index=True)[1])
    return {name: values[order.to(values.device)] for name, values in samples.items()}


def audit_samples(samples: dict[str, Tensor], **settings: Any) -> Audit:
    """Audit gathered samples, queries against the gallery where they are told apart."""
    embeddings, labels = (samples[name].cpu().numpy() for name in ("embeddings", "labels"))
    if "query" not in samples:
        return audit(embeddings, labels, **settings)
    query = samples["query"].cpu().numpy().astype(bool)
    return audit(embeddings[query], labels[query], ref=embeddings[~query], ref_labels=labels[~query], **settings)
