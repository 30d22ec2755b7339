"""Whether two samples can be found that match, and two that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evenmatch.errors import InputError

if TYPE_CHECKING:
    from evenmatch.embeddings._set import EmbeddingSet

__all__ = ["require_pairs"]


def require_pairs(samples: EmbeddingSet, ref: EmbeddingSet | None) -> None:
    """Raise `InputError` unless positive and negative pairs exist within `samples`, or between it and `ref`."""
    if ref is None:
        _require_pairs_within(samples)
    else:
        _require_pairs_across(samples, ref)


def _require_pairs_within(samples: EmbeddingSet) -> None:
    if len(samples.classes) == 1:
        raise InputError(
            f"all {samples.n} samples have the label {samples.classes.tolist()[0]!r}, so there is no negative pair; "
            "pass at least two classes"
        )
    if int(np.bincount(samples.codes).max()) < 2:
        raise InputError(
            f"each of the {samples.n} samples has a label of its own, so there is no positive pair; "
            "at least one class needs two samples (are ids passed as labels?)"
        )


def _require_pairs_across(samples: EmbeddingSet, ref: EmbeddingSet) -> None:
    if samples.dim != ref.dim:
        raise InputError(
            f"embeddings has {samples.dim} columns and ref has {ref.dim}; both must come from the same model"
        )
    ours, theirs = samples.classes.tolist(), ref.classes.tolist()
    if set(ours).isdisjoint(theirs):
        raise InputError(
            f"embeddings and ref share no label, so there is no positive pair (labels such as {ours[0]!r} "
            f"against {theirs[0]!r}); check that both use the same labels and types"
        )
    if len(ours) == len(theirs) == 1:
        raise InputError(
            f"all samples of embeddings and ref have the label {ours[0]!r}, so there is no negative pair; "
            "pass at least two classes"
        )
    if samples.ids is not None and ref.ids is not None:
        known = set(ref.ids.tolist())
        shared = [value for value in samples.ids.tolist() if value in known]
        if shared:
            raise InputError(
                f"embeddings and ref share {len(shared)} ids, the first is {shared[0]!r}; "
                "a sample compared with itself is no pair: remove the shared samples from one of the two"
            )
