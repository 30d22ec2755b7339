"""What an audit needs for OPIS without its sampling bias."""

from __future__ import annotations

from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import Consistency, SamplingNoise, debiased_opis, noise_thresholds, sampling_noise
from evenmatch.pairs import PairCounts, sample_scatter

__all__ = ["debiased_interval", "noise_of"]


def noise_of(
    embeddings: EmbeddingSet, counts: PairCounts, result: Consistency, metric: str, beta: float, threads: int | None
) -> SamplingNoise:
    """Look at the samples of every class once more, a few percent of the work of the audit."""
    scatter = sample_scatter(embeddings, noise_thresholds(counts, result), metric=metric, threads=threads)
    return sampling_noise(counts, scatter, beta=beta)


def debiased_interval(
    counts: PairCounts, result: Consistency, noise: SamplingNoise | None, beta: float, confidence: float
) -> dict[str, tuple[float, float]]:
    """The interval of the debiased OPIS by its name; empty where there is none."""
    if noise is None:
        return {}
    interval = debiased_opis(counts, result, noise, beta=beta).interval(confidence)
    return {} if interval is None else {"opis_debiased": interval}
