"""Random data of several shapes, as a user would bring it, and the float64 scores that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import PairCounts, ScoreGrid, count_pairs


def clusters(k: int, sizes: Any, dim: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes around centres, each of its own width, in no order: ``(n, dim)`` float32 and ``(n,)`` labels."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(k), sizes))
    widths = rng.uniform(0.3, 1.2, k)
    x = rng.normal(size=(k, dim))[codes] + widths[codes, None] * rng.normal(size=(codes.size, dim))
    return x.astype(np.float32), np.array([f"class {code}" for code in codes])


@dataclass(frozen=True)
class Sample:
    """Embeddings with labels, perhaps with a gallery, under a metric."""

    x: np.ndarray
    labels: np.ndarray
    ref: np.ndarray | None = None
    ref_labels: np.ndarray | None = None
    metric: str = "cosine"

    @property
    def sets(self) -> tuple[EmbeddingSet, EmbeddingSet | None]:
        gallery = None if self.ref is None else EmbeddingSet.from_arrays(self.ref, self.ref_labels)
        return EmbeddingSet.from_arrays(self.x, self.labels), gallery

    def count(self, **options: Any) -> PairCounts:
        return count_pairs(*self.sets, metric=self.metric, **options)

    @property
    def scores(self) -> np.ndarray:
        return reference.scores(self.x, self.ref, self.metric)

    def reference_counts(self, counts: PairCounts, thresholds: np.ndarray) -> reference.ClassCounts:
        """Classes counted in float64, in the order of ``counts``."""
        return reference.class_counts(self.scores, self.labels, thresholds, self.ref_labels, counts.classes.tolist())


def _gallery(metric: str) -> Sample:
    x, labels = clusters(40, 16, seed=5)
    return Sample(x[:300], labels[:300], x[300:], labels[300:], metric)


SAMPLES = {
    "cosine": lambda: Sample(*clusters(30, 20)),
    "euclidean": lambda: Sample(*clusters(30, 20, seed=1), metric="euclidean"),
    "two a class": lambda: Sample(*clusters(300, 2, seed=2)),
    "singletons": lambda: Sample(*clusters(60, [1, 1, 20] * 20, seed=3)),
    "unbalanced": lambda: Sample(*clusters(25, 2 + np.arange(25) * 3, seed=4)),
    "query and gallery": lambda: _gallery("cosine"),
    "query and gallery, euclidean": lambda: _gallery("euclidean"),
}


def counts_of(positive: Any, negative: Any, grid: ScoreGrid | None = None) -> PairCounts:
    """Counts of pairs whose scores are given, between two classes of no matter whom; no class thresholds."""
    grid = ScoreGrid.cosine() if grid is None else grid
    pooled = [
        np.bincount([grid.bin_of(score) for score in scores], minlength=grid.size).astype(np.int64)
        for scores in (positive, negative)
    ]
    empty = np.zeros((2, 0), dtype=np.int64)
    return PairCounts(
        grid=grid,
        classes=np.array(["a", "b"]),
        thresholds=np.empty(0),
        positives=np.array([len(positive), 0]),
        negatives=np.array([len(negative), len(negative)]),
        positives_accepted=empty,
        negatives_accepted=empty,
        pooled_positives=pooled[0],
        pooled_negatives=pooled[1],
        best_positive=np.empty(0, np.float32),
        best_negative=np.empty(0, np.float32),
        codes=np.empty(0, np.int64),
    )
