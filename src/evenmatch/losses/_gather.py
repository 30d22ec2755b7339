"""All-gather across the processes of a distributed run, with gradients."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from evenmatch.errors import InputError

__all__ = ["gather"]


def gather(*tensors: Tensor, group: dist.ProcessGroup | None = None) -> tuple[Tensor, ...]:
    """Join the rows of every process, in rank order, so that a loss sees the pairs of the whole batch.

    Gradients flow back to the process that a row came from, summed over the processes. When every process then computes
    the same loss on the joined batch, each receives world_size times the gradient of its own rows, and
    DistributedDataParallel, which averages over processes, makes that the gradient of one process holding the whole
    batch. Do not divide by the world size yourself. Parameters of the loss (proxies) see the whole batch in every
    process and so have the right gradient with or without DistributedDataParallel.

    Every process must call this with the same number of tensors of the same trailing shapes; the number of rows may
    differ between processes. The row counts are read on the host, which waits for the device once per call.

    Args:
        tensors: each (n, …) with the same n within a process, e.g. embeddings, labels, ids. Gradients flow through the
            floating-point ones that require them.
        group: the process group; None is the default group.

    Returns:
        As many tensors as were given, each (sum of n over processes, …). Outside a process group, or in one of a
        single process, the tensors themselves.

    Raises:
        InputError: no tensor, or tensors with different numbers of rows.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import TCMLoss, gather
        >>> embeddings, labels = torch.eye(2), torch.tensor([0, 1])
        >>> embeddings, labels = gather(embeddings, labels)  # a no-op here: no process group
        >>> float(TCMLoss()(embeddings, labels))
        0.0
    """
    if not tensors:
        raise InputError("gather received no tensor; pass embeddings, labels and whatever else belongs to the rows")
    rows = {tensor.shape[0] if tensor.ndim else None for tensor in tensors}
    if len(rows) != 1 or None in rows:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise InputError(f"gather received shapes {shapes}; every tensor needs the same number of rows")
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
        return tensors
    device = tensors[0].device
    own = torch.tensor([tensors[0].shape[0]], device=device)
    counts = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(counts, own, group=group)
    sizes = torch.cat(counts).tolist()
    return tuple(_AllGather.apply(tensor.to(device), sizes, group) for tensor in tensors)


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, sizes: list[int], group: dist.ProcessGroup | None) -> Tensor:
        rank = dist.get_rank(group)
        ctx.group = group
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        # Collectives want equal shapes: pad to the largest, and cut the padding off again.
        padded = tensor.new_zeros((max(sizes), *tensor.shape[1:]))
        padded[: tensor.shape[0]] = tensor
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=ctx.group)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        total = grad_outputs[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        return total[ctx.own], None, None
