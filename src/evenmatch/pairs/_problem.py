"""What is to be counted: the samples sorted by class, in blocks of rows that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._grid import ScoreGrid

__all__ = ["METRICS", "Problem", "Side"]

METRICS = ("cosine", "euclidean")


@dataclass(frozen=True, eq=False)
class Side:
    """One side of the matrix of pairs: n samples sorted by class.

    Attributes:
        source: the embeddings in their own order.
        order: source row of each sorted sample, ``(n,)``.
        codes: class of each sorted sample, ``(n,)`` int32.
        starts, stops: where each of the K classes begins and ends, ``(K,)`` int64.
        groups: group of each sorted sample, ``(n,)`` int32; empty without groups.
        mean: what is subtracted from the vectors, ``(d,)``; None for cosine, whose vectors are normalised instead.
    """

    source: EmbeddingSet
    order: np.ndarray
    codes: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    groups: np.ndarray
    mean: np.ndarray | None

    @classmethod
    def build(
        cls, source: EmbeddingSet, codes: np.ndarray, n_classes: int, groups: np.ndarray | None, mean: np.ndarray | None
    ) -> Side:
        """Sort the samples by class; samples of one class keep their order."""
        order = np.argsort(codes, kind="stable")
        ordered = codes[order].astype(np.int32)
        edges = np.searchsorted(ordered, np.arange(n_classes + 1))
        group_codes = np.empty(0, np.int32) if groups is None else groups[order].astype(np.int32)
        return cls(source, order, ordered, edges[:-1], edges[1:], group_codes, mean)

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.order.size

    @cached_property
    def sizes(self) -> np.ndarray:
        """Samples of each class, ``(K,)`` int64."""
        return self.stops - self.starts

    def block(self, start: int, stop: int) -> np.ndarray:
        """Sorted samples ``start … stop`` ready for the product, ``(stop - start, d)`` float32."""
        return self.take(self.order[start:stop])

    def gather(self, positions: np.ndarray) -> np.ndarray:
        """Sorted samples at these positions ready for the product, ``(len(positions), d)`` float32."""
        return self.take(self.order[positions])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The given source rows ready for the product, ``(len(rows), d)`` float32."""
        vectors = np.empty((rows.size, self.source.dim), dtype=np.float32)
        # a disk is read from its beginning to its end
        walk = None if type(self.source.vectors) is np.ndarray else np.argsort(rows, kind="stable")
        for at in range(0, rows.size, 4096):
            to = slice(at, at + 4096) if walk is None else walk[at : at + 4096]
            part = rows[to]
            values = self.source.vectors[part]
            # float16 norms overflow and float64 loses nothing by being divided first
            values = values if values.dtype == np.float64 else values.astype(np.float32)
            if self.mean is None:
                vectors[to] = values / self.source.norms[part, None].astype(values.dtype)
            else:
                vectors[to] = values - self.mean
        return vectors


@dataclass(frozen=True, eq=False)
class Problem:
    """All pairs within one set, or across two.

    Attributes:
        grid: the fine grid of scores.
        classes: labels of the K classes of both sides, ``(K,)``.
        rows, cols: the two sides; the same object within one set.
        group_names: labels of the groups, ``(G,)``, or None.
    """

    grid: ScoreGrid
    classes: np.ndarray
    rows: Side
    cols: Side
    group_names: np.ndarray | None

    @classmethod
    def build(cls, queries: EmbeddingSet, references: EmbeddingSet | None = None, metric: str = "cosine") -> Problem:
        """Validate and sort.

        Raises:
            InputError: unknown metric, zero vectors under cosine, dimensions that differ, one class only, no positive
                pair, more than 256 groups, or groups on one side only.
        """
        if metric not in METRICS:
            raise InputError(f"metric {metric!r} is unknown; use one of {', '.join(map(repr, METRICS))}")
        queries.require_pairs(references)
        sets = [queries] if references is None else [queries, references]
        if references is not None and references.dim != queries.dim:
            raise InputError(
                f"queries have {queries.dim} dimensions and references {references.dim}; embed both with one model"
            )
        mean = None
        if metric == "cosine":
            for each in sets:
                each.require_nonzero()
            grid = ScoreGrid.cosine()
        else:
            mean = _mean(sets)
            grid = ScoreGrid.euclidean(2.001 * max(_radius(each, mean) for each in sets))
        classes, codes = _align([(each.classes, each.codes) for each in sets])
        with_groups = [each.group_codes is not None for each in sets]
        if any(with_groups) != all(with_groups):
            raise InputError("groups are given for one of queries and references only; give them for both or neither")
        group_names, group_codes = None, [None] * len(sets)
        if all(with_groups):
            group_names, group_codes = _align(
                [
                    (each.group_names, each.group_codes)
                    for each in sets
                    if each.group_names is not None and each.group_codes is not None
                ]
            )
            if group_names.size > 256:
                raise InputError(f"groups have {group_names.size} distinct values; at most 256 can be compared")
        sides = [
            Side.build(each, code, classes.size, group, mean)
            for each, code, group in zip(sets, codes, group_codes, strict=True)
        ]
        return cls(grid, classes, sides[0], sides[-1], group_names)

    @property
    def half(self) -> bool:
        """Whether the pairs lie within one set, so that only the upper half of the matrix is counted."""
        return self.rows is self.cols

    @property
    def n_pairs(self) -> int:
        """Number of pairs: n(n-1)/2 within one set, n·m across two."""
        return self.rows.n * (self.rows.n - 1) // 2 if self.half else self.rows.n * self.cols.n

    def class_totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative pairs of each class, ``(K,)`` int64 each, by arithmetic alone."""
        a, b = self.rows.sizes, self.cols.sizes
        if self.half:
            return a * (a - 1) // 2, a * (self.rows.n - a)
        return a * b, a * (self.cols.n - b) + b * (self.rows.n - a)

    def group_totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative pairs between groups, ``(G, G)`` int64 each, by arithmetic alone."""
        if self.group_names is None:
            raise ValueError("this problem has no groups")
        rows, cols = (_contingency(side, self.classes.size, self.group_names.size) for side in (self.rows, self.cols))
        same = rows.T @ cols
        all_pairs = np.outer(rows.sum(axis=0), cols.sum(axis=0))
        if self.half:
            sizes = rows.sum(axis=0)
            np.fill_diagonal(same, (rows * (rows - 1)).sum(axis=0) // 2)
            np.fill_diagonal(all_pairs, sizes * (sizes - 1) // 2)
        return same, all_pairs - same


def _contingency(side: Side, n_classes: int, n_groups: int) -> np.ndarray:
    cells = side.codes.astype(np.int64) * n_groups + side.groups
    return np.bincount(cells, minlength=n_classes * n_groups).reshape(n_classes, n_groups)


def _align(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One index of names for codes that were made against different lists of names."""
    if len(parts) == 1:
        return parts[0][0], [parts[0][1]]
    index: dict[object, int] = {}
    codes = []
    for names, own in parts:
        mapping = np.array([index.setdefault(name, len(index)) for name in names.tolist()], dtype=np.int64)
        codes.append(mapping[own])
    joined = np.empty(len(index), dtype=object)
    joined[:] = list(index)
    dtypes = {names.dtype.kind for names, _ in parts}
    if len(dtypes) == 1 and dtypes <= {"i", "u", "U"}:
        joined = np.array(joined.tolist(), dtype=np.result_type(*(names.dtype for names, _ in parts)))
    return joined, codes


def _mean(sets: list[EmbeddingSet]) -> np.ndarray:
    total = np.zeros(sets[0].dim)
    for each in sets:
        for at in range(0, each.n, 4096):
            total += each.vectors[at : at + 4096].sum(axis=0, dtype=np.float64)
    return (total / sum(each.n for each in sets)).astype(np.float32)


def _radius(source: EmbeddingSet, mean: np.ndarray) -> float:
    largest = 0.0
    for at in range(0, source.n, 4096):
        offset = source.vectors[at : at + 4096].astype(np.float64) - mean
        largest = max(largest, float(np.einsum("ij,ij->i", offset, offset).max()))
    return largest**0.5
