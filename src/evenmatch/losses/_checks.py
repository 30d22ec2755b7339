"""What every loss asks of its arguments, checked on shapes and types alone so that no device has to answer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._pair_hinge import Pairs, unit_rows

__all__ = [
    "check_embeddings",
    "check_finite",
    "check_positive",
    "check_positive_int",
    "check_same_width",
    "checked_pairs",
    "integer_labels",
]


def check_embeddings(embeddings: Tensor, name: str = "embeddings") -> None:
    """Raise unless `embeddings` is a floating-point tensor of shape (n, d)."""
    if not isinstance(embeddings, Tensor):
        raise InputError(f"{name} is a {type(embeddings).__name__}, not a tensor; use torch.as_tensor first")
    if embeddings.ndim != 2:
        raise InputError(f"{name} has shape {tuple(embeddings.shape)}; pass one row per sample, shape (n, d)")
    if not embeddings.is_floating_point():
        raise InputError(f"{name} has dtype {embeddings.dtype}; pass a floating-point tensor, e.g. {name}.float()")


def check_same_width(embeddings: Tensor, ref_emb: Tensor) -> None:
    """Raise unless both have the same number of columns and sit on the same device."""
    if embeddings.shape[1] != ref_emb.shape[1]:
        raise InputError(
            f"embeddings have {embeddings.shape[1]} columns and ref_emb has {ref_emb.shape[1]}; "
            "both must come from the same model"
        )
    if embeddings.device != ref_emb.device:
        raise InputError(f"embeddings are on {embeddings.device} and ref_emb is on {ref_emb.device}; move one of them")


def integer_labels(labels: Tensor, rows: Tensor, name: str, rows_name: str) -> Tensor:
    """`labels` as int64 on the device of `rows`, one per row.

    Integers are never cast to float: in float32 the ids 2**24 and 2**24 + 1 are the same number.
    """
    if not isinstance(labels, Tensor):
        raise InputError(
            f"{name} is a {type(labels).__name__}, not an integer tensor; "
            "number the classes first, e.g. with numpy.unique(names, return_inverse=True)"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise InputError(f"{name} has dtype {labels.dtype}; pass integers, because large ids collide as floats")
    if labels.ndim != 1 or labels.shape[0] != rows.shape[0]:
        raise InputError(
            f"{name} has shape {tuple(labels.shape)} for {rows.shape[0]} rows of {rows_name}; pass one integer a row"
        )
    return labels.to(device=rows.device, dtype=torch.int64)


def check_finite(value: float, name: str, *, minimum: float | None = None) -> float:
    """`value` as a float; raise unless it is a finite number, at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; pass a finite number")
    if minimum is not None and value < minimum:
        raise InputError(f"{name} is {value}; pass a number of at least {minimum:g}")
    return float(value)


def check_positive(value: float, name: str) -> float:
    """`value` as a float; raise unless it is a finite number above 0."""
    if check_finite(value, name) <= 0:
        raise InputError(f"{name} is {value}; pass a number above 0")
    return float(value)


def check_positive_int(value: int, name: str) -> int:
    """`value`; raise unless it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} is {value!r}; pass an integer of at least 1")
    return value


def checked_pairs(
    embeddings: Tensor,
    labels: Tensor,
    ref_emb: Tensor | None = None,
    ref_labels: Tensor | None = None,
    ids: Tensor | None = None,
    ref_ids: Tensor | None = None,
) -> Pairs:
    """The pairs of a batch, or of a batch with reference embeddings, between unit rows.

    Raises:
        InputError: shapes, types or lengths that do not fit together.
    """
    check_embeddings(embeddings)
    labels = integer_labels(labels, embeddings, "labels", "embeddings")
    if ids is not None:
        ids = integer_labels(ids, embeddings, "ids", "embeddings")
    if ref_emb is None:
        if ref_labels is not None or ref_ids is not None:
            raise InputError("ref_labels or ref_ids came without ref_emb; pass the reference embeddings too")
    else:
        check_embeddings(ref_emb, "ref_emb")
        check_same_width(embeddings, ref_emb)
        if ref_labels is None:
            raise InputError("ref_emb came without ref_labels; pass the class of each reference row too")
        if (ids is None) != (ref_ids is None):
            raise InputError("only one of ids and ref_ids was given; pass both, or neither")
        ref_labels = integer_labels(ref_labels, ref_emb, "ref_labels", "ref_emb")
        if ref_ids is not None:
            ref_ids = integer_labels(ref_ids, ref_emb, "ref_ids", "ref_emb")
    with torch.autocast(embeddings.device.type, enabled=False):
        x = unit_rows(embeddings)
        ref = None if ref_emb is None else unit_rows(ref_emb).to(x.dtype)
    return Pairs(x, ref, labels, ref_labels, ids, ref_ids)
