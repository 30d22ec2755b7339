"""em.nearest_classes: which classes are confusable with which, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.auditing._run import _as_set, fingerprint_of
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import class_neighbours

if TYPE_CHECKING:
    import pandas as pd

    from evenmatch.auditing._audit import Audit

__all__ = ["confusable", "nearest_classes"]


def nearest_classes(
    embeddings: Any,
    labels: Any = None,
    *,
    threshold: float,
    candidates: int = 3,
    once: bool = False,
    metric: str = "cosine",
    threads: int | None = None,
) -> pd.DataFrame:
    """The classes that each class is most likely taken for, and how far its own scores lie above theirs.

    Candidates are the classes with the nearest centres; every pair of samples with them is scored (of a class of more
    than 256 samples, 256 random ones). ``far`` is exact for the pairs of the two classes; ``overlap`` is 1 - AUC of the
    class's genuine scores against them (Hanley and McNeil, Radiology 143, 1982).

    A bad value, an overlap above a few percent: look at both classes. They may be one class under two labels, or need
    a feature that the model does not see; no threshold tells them apart.

    Args:
        embeddings: ``(n, d)``, or an `EmbeddingSet` with labels.
        labels: ``(n,)`` hashable scalars.
        threshold: accept iff score ≥ threshold, as ``audit.threshold``.
        candidates: neighbours of each class, at least 1.
        once: name two classes that are each other's neighbours in one row, that of the larger overlap.
        metric: ``"cosine"`` or ``"euclidean"``.
        threads: CPU threads.

    Returns:
        One row a class and candidate, most confusable (highest ``far``, then ``overlap``) first: ``class``,
        ``nearest``, ``far``, ``overlap``, ``genuine_mean``, ``genuine_deviation``, ``impostor_mean`` and
        ``impostor_deviation`` of the scores.

    Raises:
        InputError: the data or an argument cannot be used.

    Examples:
        >>> import numpy as np
        >>> x = np.eye(3)[[0, 0, 1, 1, 2, 2]] + [[0, 0, 0], [0, 0.9, 0]] * 3
        >>> table = nearest_classes(x, list("aabbcc"), threshold=0.5, candidates=1)
        >>> sorted(table.head(2)["class"])
        ['a', 'b']
    """
    import pandas as pd

    data = _as_set(embeddings, labels, None, "embeddings", "labels").without_groups()
    found = class_neighbours(data, threshold, candidates=candidates, metric=metric, threads=threads)
    count = found.neighbours.shape[1]
    own, near = np.arange(found.classes.size).repeat(count), found.neighbours.ravel()
    rows = np.lexsort((-found.overlap.ravel(), -found.accepted.ravel()))
    if once:
        both = np.sort(np.stack([own[rows], near[rows]], axis=1), axis=1)
        rows = rows[np.sort(np.unique(both, axis=0, return_index=True)[1])]
    return pd.DataFrame(
        {
            "class": found.classes[own[rows]],
            "nearest": found.classes[near[rows]],
            "far": found.accepted.ravel()[rows],
            "overlap": found.overlap.ravel()[rows],
            "genuine_mean": found.own_mean[own[rows]],
            "genuine_deviation": found.own_deviation[own[rows]],
            "impostor_mean": found.mean.ravel()[rows],
            "impostor_deviation": found.deviation.ravel()[rows],
        }
    )


def confusable(audit: Audit, data: EmbeddingSet, n: int) -> pd.DataFrame:
    """The first rows of `nearest_classes` at the threshold of an audit, two classes in one row."""
    if audit.data.n_references is not None:
        raise InputError("the audit is one of queries and a gallery; classes are compared within one set")
    if fingerprint_of(data, None) != audit.data.fingerprint:
        raise InputError("these embeddings are not those of the audit; give the ones it was made from")
    return nearest_classes(data, threshold=audit.threshold, once=True, metric=audit.settings.metric).head(n)
