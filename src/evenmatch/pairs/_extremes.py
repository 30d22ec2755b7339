"""The pairs that a class suffers from most: its highest-scoring impostors and lowest-scoring genuine pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._scores import scores_between

__all__ = ["ExtremePair", "extreme_pairs"]

_TILE = 1024
#: of a larger class, evenly spread samples are searched, so that one class costs at most this many rows of scores
_MOST_ROWS = 2048


@dataclass(frozen=True)
class ExtremePair:
    """A pair with one end in the class asked for.

    Attributes:
        row: source row of the sample in that class (with a reference set: of the query).
        other: source row of the other sample (with a reference set: of the reference).
        score: its score.
        genuine: whether both share their class.
    """

    row: int
    other: int
    score: float
    genuine: bool


def extreme_pairs(
    queries: EmbeddingSet,
    references: EmbeddingSet | None = None,
    *,
    label: object,
    count: int = 6,
    metric: str = "cosine",
) -> tuple[list[ExtremePair], list[ExtremePair]]:
    """Find the impostor pairs of a class with the highest scores and its genuine pairs with the lowest.

    Each sample of the class gives at most its one worst pair of either kind, so that a single bad sample does not
    fill the list. At most 2,048 samples of the class are searched, against everything: the cost is that of at most
    2,048 rows of the matrix of scores.

    Args:
        queries: as in ``count_pairs``.
        references: as in ``count_pairs``; the class's queries are then compared with all references.
        label: the class.
        count: pairs of either kind, at most.
        metric: ``"cosine"`` or ``"euclidean"``.

    Returns:
        Impostor pairs, highest score first, and genuine pairs, lowest first.
    """
    problem = Problem.build(queries, references, metric)
    code = problem.classes.tolist().index(label)
    mine = np.flatnonzero(problem.rows.codes == code)
    if mine.size > _MOST_ROWS:
        mine = mine[np.linspace(0, mine.size - 1, _MOST_ROWS).astype(int)]
    highest = np.full(mine.size, -np.inf, np.float32)
    lowest = np.full(mine.size, np.inf, np.float32)
    impostor, genuine = np.zeros(mine.size, int), np.zeros(mine.size, int)
    left = problem.rows.gather(mine)
    every = np.arange(mine.size)
    with one_blas_thread():
        for at in range(0, problem.cols.n, _TILE):
            cols = np.arange(at, min(at + _TILE, problem.cols.n))
            scores = scores_between(left, problem.cols.gather(cols), metric)
            same = problem.cols.codes[cols] == code
            if not same.all():
                best = np.argmax(np.where(same, -np.inf, scores), axis=1)
                better = ~same[best] & (scores[every, best] > highest)
                highest[better], impostor[better] = scores[every, best][better], cols[best[better]]
            if same.any():
                masked = np.where(same, scores, np.inf)
                if problem.half:
                    masked[mine[:, None] == cols] = np.inf
                worst = np.argmin(masked, axis=1)
                lower = masked[every, worst] < lowest
                lowest[lower], genuine[lower] = masked[every, worst][lower], cols[worst[lower]]

    def pairs(scores: np.ndarray, others: np.ndarray, order: np.ndarray, is_genuine: bool) -> list[ExtremePair]:
        found: dict[frozenset[tuple[int, int]], ExtremePair] = {}
        for at in order[np.isfinite(scores[order])].tolist():
            row, other = int(problem.rows.order[mine[at]]), int(problem.cols.order[others[at]])
            key = frozenset({(0, row), (0 if problem.half else 1, other)})
            found.setdefault(key, ExtremePair(row, other, float(scores[at]), is_genuine))
            if len(found) == count:
                break
        return list(found.values())

    return (
        pairs(highest, impostor, np.argsort(-highest, kind="stable"), False),
        pairs(lowest, genuine, np.argsort(lowest, kind="stable"), True),
    )
