"""What an audit says about its own exactness: estimates, rounding, and the error bars of both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evenmatch.errors import InputError
from evenmatch.measures import Consistency, rounding_bars
from evenmatch.pairs import Engine, PairCounts, SampleEngine

__all__ = ["error_bars", "how_measured", "intervals_of_estimate", "refuse_estimate", "with_budget"]


def with_budget(
    engine: str | Engine | None, budget: str | float | None, pairs: float | None, precision: str, threads: int | None
) -> str | Engine | None:
    """The engine for a budget: the one given where there is no budget.

    Raises:
        InputError: the budget makes no sense, or another engine than the one for estimates is asked for.
    """
    if budget is None and pairs is None:
        return engine
    if engine not in (None, "sample"):
        name = engine if isinstance(engine, str) else engine.name if engine is not None else ""
        raise InputError(
            f"budget and pairs are for estimates, but engine is {name!r}; leave the engine out, or the budget"
        )
    return SampleEngine(budget=budget, pairs=pairs, precision=precision, threads=threads)


def error_bars(
    counts: PairCounts, result: Consistency, *, far: tuple[float, float], beta: float, confidence: float
) -> dict[str, tuple[float, float]]:
    """Intervals that hold what counting every pair in float32 would give; empty where that was done."""
    if counts.sampling is None or result.sampling_error is None:
        return rounding_bars(counts, result, far=far, beta=beta, confidence=confidence)
    values = {
        "opis": result.opis,
        "eps_opis": result.eps_opis,
        "threshold_low": result.range[0],
        "threshold_high": result.range[1],
    }
    bars = {}
    for name, value in values.items():
        reach = result.sampling_error.reach(name, confidence)
        low = max(value - reach, 0.0) if name in ("opis", "eps_opis") else value - reach
        bars[name] = (low, value + reach)
    return bars


def intervals_of_estimate(
    intervals: Mapping[str, tuple[float, float]], result: Consistency, confidence: float
) -> dict[str, tuple[float, float]]:
    """Intervals for other classes, with the error of sampling added to that of the choice of classes.

    Those of OPIS and ε-OPIS were made from curves that hold noise: they are moved by what the noise had added, and
    their reach and that of the sampling error are added as squares.
    """
    error = result.sampling_error
    if error is None:
        return dict(intervals)
    adjusted = {name: interval for name, interval in intervals.items() if name != "recall_at_1"}
    added = {"opis": float(error.class_opis.sum()), "eps_opis": error.eps_opis}
    for name, value in (("opis", result.opis), ("eps_opis", result.eps_opis)):
        if name in adjusted:
            low, high = (end - added[name] for end in adjusted[name])
            reach = error.reach(name, confidence)
            below, above = (float(np.hypot(max(side, 0.0), reach)) for side in (value - low, high - value))
            adjusted[name] = (max(value - below, 0.0), value + above)
    return adjusted


def how_measured(counts: PairCounts, precision: str) -> str:
    """In a few words, which pairs were counted and how."""
    if counts.sampling is not None:
        every = counts.n_positives + counts.n_negatives
        return (
            f"ESTIMATE from {counts.sampling.pairs:,} of {every:,} pairs (seed {counts.sampling.seed}); "
            "groups and recall@k are not estimated"
        )
    if precision == "exact":
        return "every pair counted"
    if counts.arithmetic == "float32":
        return "every pair counted, precision fast: no bfloat16 instructions here, so computed in float32"
    return f"every pair counted, precision fast: products in {counts.arithmetic}"


def refuse_estimate(counts: PairCounts, purpose: str) -> None:
    """Raise `InputError` where counts are an estimate and the purpose needs every pair."""
    if counts.sampling is not None:
        raise InputError(
            f"{purpose} needs every pair, and this is an estimate from {counts.sampling.pairs:,} of them; "
            "audit without budget and pairs"
        )
