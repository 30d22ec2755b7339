"""OPIS as a torchmetrics metric."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from evenmatch.auditing import Audit, audit

__all__ = ["OPIS"]


class OPIS(Metric):
    """Operating-point inconsistency score of all samples seen, for loops of one's own.

    Keeps the embeddings, since pairs reach across batches; in a distributed run `compute` joins those of all processes.
    See `evenmatch.audit` for what OPIS is and which choices it makes.

    Args:
        far: as in `evenmatch.audit`.
        beta: likewise.
        eps: likewise.
        kwargs: of torchmetrics.Metric, such as `sync_on_compute`.

    Examples:
        >>> import torch
        >>> from evenmatch.training import OPIS
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(30).repeat_interleave(10)
        >>> noise = torch.randn(300, 16, generator=generator)
        >>> metric = OPIS()
        >>> metric.update(torch.randn(30, 16, generator=generator)[labels] + noise, labels)
        >>> 0 < float(metric.compute()) < 0.25
        True
        >>> sorted(metric.audit().recall_at_k)
        [1]
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    embeddings: list[Tensor]
    labels: list[Tensor]

    def __init__(
        self,
        *,
        far: tuple[float, float] = (1e-2, 1e-1),
        beta: float = 1.0,
        eps: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._settings: dict[str, Any] = {"far": far, "beta": beta, "eps": eps}
        self.add_state("embeddings", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take in embeddings `(n, d)` and integer labels `(n,)`."""
        self.embeddings.append(embeddings.detach())
        self.labels.append(labels.detach())

    def compute(self) -> Tensor:
        """OPIS, a scalar in float64.

        Raises:
            InputError: nothing to audit: no samples, no positive pair, one class only.
        """
        result = self.audit()
        return torch.tensor(result.opis, dtype=torch.float64, device=self.device)

    def audit(self) -> Audit:
        """The whole audit, of the samples that this process holds (all of them within `compute`)."""
        embeddings, labels = dim_zero_cat(self.embeddings), dim_zero_cat(self.labels)
        return audit(embeddings.float().cpu().numpy(), labels.cpu().numpy(), **self._settings)
