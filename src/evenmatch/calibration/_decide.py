"""Matches between queries and a gallery: every pair that a threshold accepts."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError, MissingExtraError

__all__ = ["Matches", "decide"]

_BLOCK_SCORES = 2**24
_SLACK = 1e-5  # far above what float32 products of unit vectors can be off by
_QUERIES_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Matches:
    """Accepted pairs, ordered by query and then by gallery row, for m matches.

    Attributes:
        query: row of the query, ``(m,)`` int64.
        gallery: row of the gallery, ``(m,)`` int64.
        scores: ``(m,)`` float64, each ≥ the threshold.
    """

    query: np.ndarray
    gallery: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return self.query.size


def decide(query: Any, gallery: Any, threshold: float, metric: str, dim: int, engine: str = "auto") -> Matches:
    """Every pair of a query and a gallery row with score ≥ threshold.

    float32 products find the candidates, with a margin; each candidate is then scored in float64, so that neither the
    order of a sum nor the engine decides. Time is that of the product of queries and gallery; memory is a float32
    copy of both, 64 MiB, and 24 bytes a match.

    Args:
        query: ``(m, dim)`` floating point.
        gallery: ``(n, dim)``.
        threshold: in the unit of the metric's score.
        metric: ``"cosine"`` or ``"euclidean"``.
        dim: what both must have.
        engine: ``"faiss"``, ``"blocks"`` or ``"auto"``.

    Raises:
        InputError: the embeddings cannot be used, or have another dimension.
        MissingExtraError: faiss is asked for and not installed.
    """
    if engine not in ("auto", "faiss", "blocks"):
        raise InputError(f"engine {engine!r} is unknown; use 'auto', 'faiss' or 'blocks'")
    installed = importlib.util.find_spec("faiss") is not None
    if engine == "faiss" and not installed:
        raise MissingExtraError("faiss", "ann", "engine='faiss'")
    sides = [_side(value, name, metric, dim) for value, name in ((query, "query"), (gallery, "gallery"))]
    left, right = (_ready(side, metric, sides[1]) for side in sides)
    search = _faiss if engine == "faiss" or (engine == "auto" and installed) else _blocks
    found = []
    for rows, columns in search(left, right, threshold, metric):
        scores = _scores(sides[0], sides[1], rows, columns, metric)
        kept = scores >= threshold
        found.append((rows[kept], columns[kept], scores[kept]))
    parts = list(zip(*found, strict=True)) or [(np.empty(0, np.int64),), (np.empty(0, np.int64),), (np.empty(0),)]
    rows, columns, scores = (np.concatenate(part) for part in parts)
    order = np.lexsort((columns, rows))
    return Matches(rows[order], columns[order], scores[order])


def _side(values: Any, name: str, metric: str, dim: int) -> EmbeddingSet:
    if isinstance(values, EmbeddingSet):
        side = values
    else:
        shape = np.shape(values)
        rows = shape[0] if shape else 0
        try:
            side = EmbeddingSet.from_arrays(values, np.zeros(rows, dtype=np.int64))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    if side.dim != dim:
        raise InputError(
            f"{name} has {side.dim} dimensions and the operating point was calibrated on {dim}; "
            "it holds for the embeddings of one model only"
        )
    if metric == "cosine":
        side.require_nonzero()
    return side


def _ready(side: EmbeddingSet, metric: str, gallery: EmbeddingSet) -> np.ndarray:
    """Vectors whose float32 products give the score: unit length, or moved to the middle of the gallery."""
    if metric == "cosine":
        return np.ascontiguousarray(np.asarray(side.vectors) / side.norms[:, None], dtype=np.float32)
    middle = np.asarray(gallery.vectors).mean(axis=0, dtype=np.float64)
    return np.ascontiguousarray(np.asarray(side.vectors) - middle, dtype=np.float32)


def _squared_reach(left: np.ndarray, right: np.ndarray, threshold: float) -> float:
    """Squared distance up to which a pair may be accepted, with room for the cancellation in float32."""
    if threshold > 0:
        return -1.0
    largest = max(float(np.einsum("ij,ij->i", side, side).max()) for side in (left, right))
    return threshold**2 * (1 + _SLACK) + _SLACK * 4 * largest


def _blocks(
    left: np.ndarray, right: np.ndarray, threshold: float, metric: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    columns = min(len(right), 65536)
    rows = max(1, _BLOCK_SCORES // columns)
    squared = metric == "euclidean"
    reach = _squared_reach(left, right, threshold) if squared else 0.0
    squares = [np.einsum("ij,ij->i", side, side) if squared else np.empty(0) for side in (left, right)]
    for row in range(0, len(left), rows):
        for column in range(0, len(right), columns):
            scores = left[row : row + rows] @ right[column : column + columns].T
            if squared:
                scores *= -2
                scores += squares[0][row : row + rows, None]
                scores += squares[1][None, column : column + columns]
            candidates = np.nonzero(scores <= reach if squared else scores >= threshold - _SLACK)
            yield candidates[0] + row, candidates[1] + column


def _faiss(
    left: np.ndarray, right: np.ndarray, threshold: float, metric: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its SWIG types, on newer Pythons
        import faiss

    squared = metric == "euclidean"
    reach = _squared_reach(left, right, threshold) if squared else threshold - _SLACK
    index = faiss.IndexFlatL2(right.shape[1]) if squared else faiss.IndexFlatIP(right.shape[1])
    index.add(right)
    for row in range(0, len(left), _QUERIES_AT_ONCE):
        limits, _, found = index.range_search(left[row : row + _QUERIES_AT_ONCE], reach)
        rows = np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64))) + row
        yield rows, found.astype(np.int64)


def _scores(
    query: EmbeddingSet, gallery: EmbeddingSet, rows: np.ndarray, columns: np.ndarray, metric: str
) -> np.ndarray:
    scores = np.empty(rows.size)
    step = max(1, 2**20 // query.dim)
    for at in range(0, rows.size, step):
        q, g = rows[at : at + step], columns[at : at + step]
        x, y = (side.vectors[part].astype(np.float64) for side, part in ((query, q), (gallery, g)))
        if metric == "cosine":
            scores[at : at + step] = np.einsum("ij,ij->i", x, y) / (query.norms[q] * gallery.norms[g])
        else:
            scores[at : at + step] = -np.sqrt(np.square(x - y).sum(axis=1))
    return scores
