"""Which pairs an estimate counts: as many as a budget allows, some of every class."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError
from evenmatch.pairs._problem import Problem, Side

__all__ = ["ANCHOR_PARTS", "REPLICATES", "SamplePlan", "parse_budget", "plan_sample"]

REPLICATES = 16
ANCHOR_PARTS = 8
_FEWEST_REFERENCES = 8 * REPLICATES
_ENOUGH_REFERENCES = 2048
_MOST_ANCHORS = 4096
_REFERENCE_BYTES = 2**29
_POSITIVE_SHARE = 0.25
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_budget(budget: str | float) -> float:
    """Seconds of a budget: a number, or text such as ``"30s"``, ``"5m"`` or ``"1h"``.

    Raises:
        InputError: it is neither, or not above 0.

    Examples:
        >>> parse_budget("1.5m"), parse_budget(30)
        (90.0, 30.0)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|m|min|h|)\s*", str(budget), re.IGNORECASE)
    try:
        seconds = float(match[1]) * _UNITS[match[2].lower()] if match else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"budget {budget!r} is no time above 0; write it as '30s', '5m', '1h' or a number of seconds")
    return seconds


@dataclass(frozen=True, eq=False)
class SamplePlan:
    """How many samples of each class are used, and how many references.

    Attributes:
        positive_samples: at most this many samples of a class are compared with each other.
        anchors: at most this many samples of a class are compared with the references.
        references: drawn from all samples (across two sets: from either, or all of a smaller one), a multiple of the
            replicates.
        pairs: about how many pairs that is.
    """

    positive_samples: int
    anchors: int
    references: int
    pairs: int


def plan_sample(problem: Problem, pairs: int) -> SamplePlan:
    """Divide a budget of pairs.

    At most a quarter goes to positive pairs. Of the rest every sample is an anchor if there can then be 2,048
    references or more; otherwise fewer anchors of each class are drawn, but never less than 2.

    Raises:
        InputError: the pairs do not suffice for every class; says how many would.
    """
    sides = [problem.rows] if problem.half else [problem.rows, problem.cols]

    def positives(cap: int) -> int:
        a, b = (np.minimum(side.sizes, cap) for side in (problem.rows, problem.cols))
        return int((a * (a - 1) // 2 if problem.half else a * b).sum())

    def negatives(cap: int, references: int) -> int:
        others = sides[::-1]
        return int(
            sum(np.minimum(a.sizes, cap).sum() * min(references, b.n) for a, b in zip(sides, others, strict=True))
        )

    largest = max(int(side.sizes.max()) for side in sides)
    least = positives(2) + negatives(2, _FEWEST_REFERENCES)
    if pairs < least:
        raise InputError(
            f"a budget of {pairs:,} pairs is too small for {problem.classes.size:,} classes: at least {least:,} are "
            "needed for two samples of each against 128 others; give more pairs or more time"
        )
    for_positives = min(_POSITIVE_SHARE * pairs, pairs - negatives(2, _FEWEST_REFERENCES))
    positive_samples = _largest(2, largest, lambda cap: positives(cap) <= for_positives)
    rest = pairs - positives(positive_samples)
    most = min(max(side.n for side in sides), _REFERENCE_BYTES // (4 * problem.rows.source.dim))
    most_anchors = _largest(
        2, min(largest, _MOST_ANCHORS), lambda cap: negatives(cap, min(_ENOUGH_REFERENCES, most)) <= rest
    )
    references = _largest(1, most, lambda count: negatives(most_anchors, count) <= rest)
    references = max(references // REPLICATES, 1) * REPLICATES if references >= REPLICATES else references
    return SamplePlan(
        positive_samples, most_anchors, references, positives(positive_samples) + negatives(most_anchors, references)
    )


def draw(rng: np.random.Generator, side: Side, cap: int) -> np.ndarray:
    """At most ``cap`` random samples of each class, as sorted positions; within a class in random order."""
    shuffled = np.lexsort((rng.random(side.n), side.codes))
    rank = np.arange(side.n) - side.starts[side.codes]
    return shuffled[rank < cap]


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest value in [low, high] that fits; low if none does."""
    low = min(low, high)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
