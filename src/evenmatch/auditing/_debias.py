"""What an audit needs for OPIS without its sampling bias."""

from __future__ import annotations

from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import Consistency, SamplingNoise, noise_thresholds, sampling_noise
from evenmatch.pairs import PairCounts, sample_scatter

__all__ = ["noise_of"]


def noise_of(
    embeddings: EmbeddingSet, counts: PairCounts, result: Consistency, metric: str, beta: float, threads: int | None
) -> SamplingNoise:
    """Look at the samples of every class once more, a few percent of the work of the audit."""
    scatter = sample_scatter(embeddings, noise_thresholds(counts, result), metric=metric, threads=threads)
    return sampling_noise(counts, result, scatter, beta=beta)
