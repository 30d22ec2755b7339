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


def _rows_across(queries: EmbeddingSet, references: EmbeddingSet, rows: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Random rows of both sets, and with them a positive and a negative pair."""
    known = {label: code for code, label in enumerate(references.classes.tolist())}
    ours, label = next(each for each in enumerate(queries.classes.tolist()) if each[1] in known)
    parts = []
    for each, code in ((queries, ours), (references, known[label])):
        chosen = np.random.default_rng(0).choice(each.n, min(rows, each.n), replace=False)
        needed = [np.argmax(each.codes == code), np.argmax(each.codes != code)]
        parts.append(each.subset(np.union1d(chosen, needed)))
    return parts[0], parts[1]


def probe_engine(
    engine: Engine,
    queries: EmbeddingSet,
    metric: str,
    indices: np.ndarray,
    *,
    seconds: float,
    references: EmbeddingSet | None = None,
) -> PassProbe:
    """Run an engine on random rows: a few, and so many that the run takes about ``seconds``, or all there are.

    Args:
        engine: what is to be measured.
        queries: the data.
        metric: ``"cosine"`` or ``"euclidean"``.
        indices: grid indices of the class thresholds, as `look` gives them for the whole.
        seconds: of the longest run.
        references: of a gallery, where the pairs are those across the two sets.
    """

    def run(rows: int) -> tuple[float, int, PairCounts]:
        sets = (_rows(queries, rows), None) if references is None else _rows_across(queries, references, rows)
        problem = Problem.build(*sets, metric)
        ladder = Ladder.build(problem.grid, indices)
        started = time.perf_counter()
        counts = engine(problem, ladder)
        if counts.arithmetic == "bfloat16":  # as count_pairs does
            recount(problem, ladder, round_to_bfloat16)
        return time.perf_counter() - started, problem.n_pairs, counts

    most = queries.n if references is None else max(queries.n, references.n)
    rows = min(_FEWEST_ROWS, most)
    run(rows)  # compiles, and warms the caches
    small, few, counts = min((run(rows) for _ in range(2)), key=lambda each: each[0])
    taken, pairs = small, few
    while (pairs == few or taken < seconds / 2) and rows < most:
        growth = (seconds / max(taken - small / 2, small / 8)) ** 0.5
        rows = min(int(rows * min(max(growth, 2.0), 4.0)), most)
        taken, pairs, counts = run(rows)
    if pairs == few:
        return PassProbe(0.0, small / few, counts)
    per_pair = float(np.clip((taken - small) / (pairs - few), 0.3 * taken / pairs, taken / pairs))
    return PassProbe(max(small - few * per_pair, 0.0), per_pair, counts)
