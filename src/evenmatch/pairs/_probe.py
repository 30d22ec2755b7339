"""How fast an engine counts this data here: a short run on some of its rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs._bfloat16 import round_to_bfloat16
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._recount import recount
from evenmatch.pairs._run import Engine

__all__ = ["PassProbe", "probe_engine"]

_FEWEST_ROWS = 1024


@dataclass(frozen=True, eq=False)
class PassProbe:
    """What short runs of an engine took.

    Attributes:
        fixed: seconds of a run on almost no pairs.
        per_pair: seconds that a pair adds.
        counts: what the last run found.
    """

    fixed: float
    per_pair: float
    counts: PairCounts

    def seconds(self, pairs: int) -> float:
        """Predicted seconds of a pass over so many pairs."""
        return self.fixed + pairs * self.per_pair


def _rows(queries: EmbeddingSet, rows: int) -> EmbeddingSet:
    """Random rows with some positive and some negative pairs among them; all of them if that many are asked for."""
    if rows >= queries.n:
        return queries
    chosen = np.random.default_rng(0).choice(queries.n, rows, replace=False)
    sizes = np.bincount(queries.codes[chosen], minlength=queries.classes.size)
    if sizes.max() < 2 or np.count_nonzero(sizes) < 2:
        largest = int(np.argmax(np.bincount(queries.codes)))
        own, others = np.flatnonzero(queries.codes == largest), np.flatnonzero(queries.codes != largest)
        chosen = np.concatenate([own[: rows // 2], others[: rows // 2]])
    return queries.subset(np.sort(chosen))


def probe_engine(
    engine: Engine, queries: EmbeddingSet, metric: str, indices: np.ndarray, *, seconds: float
) -> PassProbe:
    """Run an engine on random rows: a few, and so many that the run takes about ``seconds``, or all there are.

    Args:
        engine: what is to be measured.
        queries: the data; pairs within it stand for those with a reference set, too.
        metric: ``"cosine"`` or ``"euclidean"``.
        indices: grid indices of the class thresholds, as `look` gives them for the whole.
        seconds: of the longest run.
    """

    def run(rows: int) -> tuple[float, int, PairCounts]:
        problem = Problem.build(_rows(queries, rows), None, metric)
        ladder = Ladder.build(problem.grid, indices)
        started = time.perf_counter()
        counts = engine(problem, ladder)
        if counts.arithmetic == "bfloat16":  # as count_pairs does
            recount(problem, ladder, round_to_bfloat16)
        return time.perf_counter() - started, problem.n_pairs, counts

    rows = min(_FEWEST_ROWS, queries.n)
    run(rows)  # compiles, and warms the caches
    small, few, counts = min((run(rows) for _ in range(2)), key=lambda each: each[0])
    taken, pairs = small, few
    while (pairs == few or taken < seconds / 2) and rows < queries.n:
        growth = (seconds / max(taken - small / 2, small / 8)) ** 0.5
        rows = min(int(rows * min(max(growth, 2.0), 4.0)), queries.n)
        taken, pairs, counts = run(rows)
    if pairs == few:
        return PassProbe(0.0, small / few, counts)
    per_pair = float(np.clip((taken - small) / (pairs - few), 0.3 * taken / pairs, taken / pairs))
    return PassProbe(max(small - few * per_pair, 0.0), per_pair, counts)
