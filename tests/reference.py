"""The slow, obvious float64 truth that evenmatch is held against. It shares nothing with ``src``.

Everything here takes the full matrix of scores ``S``: ``(n, n)`` within one set, of which only the entries above the
diagonal are pairs, or ``(n, m)`` between queries and references (then ``ref_labels`` is given), of which all are.

Each quantity is computed in the most obvious way that is bearable for 3,000 rows. What counts pairs exists once more
as plain Python loops (``*_by_loops``), for tiny inputs; ``test_reference.py`` holds the two, and arithmetic by hand,
against each other.

Conventions: a pair is accepted iff score ≥ threshold. A class is undefined (NaN) if it has no positive or no negative
pair; undefined classes are left out of every mean.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Labels = Sequence[Any] | np.ndarray


# ---------------------------------------------------------------- scores and pairs


def scores(x: np.ndarray, y: np.ndarray | None = None, metric: str = "cosine") -> np.ndarray:
    """Scores of every row of ``x`` with every row of ``y`` (of ``x`` itself without it), float64."""
    x = np.asarray(x, dtype=np.float64)
    y = x if y is None else np.asarray(y, dtype=np.float64)
    if metric == "cosine":
        x = x / np.sqrt((x * x).sum(axis=1))[:, None]
        y = y / np.sqrt((y * y).sum(axis=1))[:, None]
        return x @ y.T
    if metric == "euclidean":
        return -np.array([np.sqrt(((row - y) ** 2).sum(axis=1)) for row in x])
    raise ValueError(metric)


def scores_by_loops(x: np.ndarray, y: np.ndarray | None = None, metric: str = "cosine") -> np.ndarray:
    """The same, one number at a time."""
    x = np.asarray(x, dtype=np.float64).tolist()
    y = x if y is None else np.asarray(y, dtype=np.float64).tolist()
    result = []
    for a in x:
        line = []
        for b in y:
            if metric == "cosine":
                dot = sum(p * q for p, q in zip(a, b, strict=True))
                line.append(dot / math.sqrt(sum(p * p for p in a)) / math.sqrt(sum(q * q for q in b)))
            else:
                line.append(-math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True))))
        result.append(line)
    return np.array(result)


def as_list(labels: Labels) -> list[Hashable]:
    """Labels as Python scalars, which compare as a dict does."""
    return labels.tolist() if isinstance(labels, np.ndarray) else list(labels)


def classes_of(labels: Labels, ref_labels: Labels | None = None) -> list[Hashable]:
    """Distinct labels in the order in which they appear, queries before references."""
    both = as_list(labels) + ([] if ref_labels is None else as_list(ref_labels))
    return list(dict.fromkeys(both))


def encode(labels: Labels, names: Sequence[Hashable]) -> np.ndarray:
    """Index of each label among the names."""
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[label] for label in as_list(labels)], dtype=np.int64)


def pairs_by_loops(S: np.ndarray, labels: Labels, ref_labels: Labels | None = None) -> Iterator[tuple[int, int]]:
    """Every pair of positions, each once, never (i, i) within one set."""
    for i in range(len(labels)):
        if ref_labels is None:
            for j in range(i + 1, len(labels)):
                yield i, j
        else:
            for j in range(len(ref_labels)):
                yield i, j


def pair_scores(S: np.ndarray, labels: Labels, ref_labels: Labels | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all positive pairs and of all negative pairs, each pair once."""
    names = classes_of(labels, ref_labels)
    rows = encode(labels, names)
    cols = rows if ref_labels is None else encode(ref_labels, names)
    same = rows[:, None] == cols[None, :]
    pair = np.triu(np.ones(S.shape, dtype=bool), 1) if ref_labels is None else np.ones(S.shape, dtype=bool)
    return S[same & pair], S[~same & pair]


def accepted(values: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """How many values are ≥ each threshold, ``(T,)`` int64."""
    return values.size - np.searchsorted(np.sort(values), np.asarray(thresholds, dtype=np.float64), side="left")


# ---------------------------------------------------------------- counts


@dataclass(frozen=True)
class ClassCounts:
    """Pairs of K classes and those accepted at T thresholds: ``(K,)`` and ``(K, T)`` int64."""

    classes: list[Hashable]
    positives: np.ndarray
    negatives: np.ndarray
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray

    @property
    def defined(self) -> np.ndarray:
        return (self.positives > 0) & (self.negatives > 0)

    @property
    def far(self) -> np.ndarray:
        """FAR of each class at each threshold, ``(K, T)``; NaN where a class has no negative pair."""
        return np.array(
            [a / n if n else a * np.nan for a, n in zip(self.negatives_accepted, self.negatives, strict=True)]
        )

    @property
    def frr(self) -> np.ndarray:
        """FRR of each class at each threshold, ``(K, T)``; NaN where a class has no positive pair."""
        return np.array(
            [1 - a / n if n else a * np.nan for a, n in zip(self.positives_accepted, self.positives, strict=True)]
        )


def class_counts(
    S: np.ndarray,
    labels: Labels,
    thresholds: Sequence[float] | np.ndarray,
    ref_labels: Labels | None = None,
    classes: Sequence[Hashable] | None = None,
) -> ClassCounts:
    """Positive pairs (both ends in the class) and negative pairs (exactly one end in it) of every class."""
    names = classes_of(labels, ref_labels) if classes is None else list(classes)
    rows = encode(labels, names)
    cols = rows if ref_labels is None else encode(ref_labels, names)
    positives, negatives, positives_accepted, negatives_accepted = [], [], [], []
    for code in range(len(names)):
        row_in, col_in = rows == code, cols == code
        both = S[np.ix_(row_in, col_in)]
        if ref_labels is None:
            positive = both[np.triu_indices(len(both), 1)]
            negative = S[np.ix_(row_in, ~col_in)].ravel()
        else:
            positive = both.ravel()
            negative = np.concatenate([S[np.ix_(row_in, ~col_in)].ravel(), S[np.ix_(~row_in, col_in)].ravel()])
        positives.append(positive.size)
        negatives.append(negative.size)
        positives_accepted.append(accepted(positive, thresholds))
        negatives_accepted.append(accepted(negative, thresholds))
    return ClassCounts(
        names, np.array(positives), np.array(negatives), np.array(positives_accepted), np.array(negatives_accepted)
    )


def class_counts_by_loops(
    S: np.ndarray, labels: Labels, thresholds: Sequence[float] | np.ndarray, ref_labels: Labels | None = None
) -> ClassCounts:
    """The same, one pair and one threshold at a time."""
    names = classes_of(labels, ref_labels)
    left = as_list(labels)
    right = left if ref_labels is None else as_list(ref_labels)
    n_classes, n_thresholds = len(names), len(thresholds)
    positives, negatives = [0] * n_classes, [0] * n_classes
    positives_accepted = [[0] * n_thresholds for _ in names]
    negatives_accepted = [[0] * n_thresholds for _ in names]
    for i, j in pairs_by_loops(S, labels, ref_labels):
        if left[i] == right[j]:
            owners, total, table = [left[i]], positives, positives_accepted
        else:
            owners, total, table = [left[i], right[j]], negatives, negatives_accepted
        for owner in owners:
            code = names.index(owner)
            total[code] += 1
            for k, threshold in enumerate(thresholds):
                if S[i, j] >= threshold:
                    table[code][k] += 1
    return ClassCounts(
        names,
        np.array(positives),
        np.array(negatives),
        np.array(positives_accepted).reshape(n_classes, n_thresholds),
        np.array(negatives_accepted).reshape(n_classes, n_thresholds),
    )


@dataclass(frozen=True)
class PooledCounts:
    """All pairs together, each counted once."""

    positives: int
    negatives: int
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray

    @property
    def far(self) -> np.ndarray:
        return self.negatives_accepted / self.negatives

    @property
    def frr(self) -> np.ndarray:
        return 1 - self.positives_accepted / self.positives


def pooled_counts(
    S: np.ndarray, labels: Labels, thresholds: Sequence[float] | np.ndarray, ref_labels: Labels | None = None
) -> PooledCounts:
    """Pairs of all classes together and those accepted at each threshold."""
    positive, negative = pair_scores(S, labels, ref_labels)
    return PooledCounts(positive.size, negative.size, accepted(positive, thresholds), accepted(negative, thresholds))


def pooled_counts_by_loops(
    S: np.ndarray, labels: Labels, thresholds: Sequence[float] | np.ndarray, ref_labels: Labels | None = None
) -> PooledCounts:
    """The same, one pair and one threshold at a time."""
    left = as_list(labels)
    right = left if ref_labels is None else as_list(ref_labels)
    totals = {True: 0, False: 0}
    tables = {True: [0] * len(thresholds), False: [0] * len(thresholds)}
    for i, j in pairs_by_loops(S, labels, ref_labels):
        same = left[i] == right[j]
        totals[same] += 1
        for k, threshold in enumerate(thresholds):
            tables[same][k] += S[i, j] >= threshold
    return PooledCounts(totals[True], totals[False], np.array(tables[True]), np.array(tables[False]))


@dataclass(frozen=True)
class GroupCounts:
    """Pairs between G groups: ``(G, G)``, and accepted at T thresholds ``(G, G, T)``.

    Within one set an unordered pair across two groups stands in both of their cells.
    """

    names: list[Hashable]
    positives: np.ndarray
    negatives: np.ndarray
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray


def group_counts(
    S: np.ndarray,
    labels: Labels,
    groups: Labels,
    thresholds: Sequence[float] | np.ndarray,
    ref_labels: Labels | None = None,
    ref_groups: Labels | None = None,
    names: Sequence[Hashable] | None = None,
) -> GroupCounts:
    """Pairs between every two groups; rows are the queries' groups, columns the references'."""
    names = classes_of(groups, ref_groups) if names is None else list(names)
    classes = classes_of(labels, ref_labels)
    rows, row_groups = encode(labels, classes), encode(groups, names)
    if ref_labels is None or ref_groups is None:
        cols, col_groups = rows, row_groups
        pair = ~np.eye(len(rows), dtype=bool)
    else:
        cols, col_groups = encode(ref_labels, classes), encode(ref_groups, names)
        pair = np.ones(S.shape, dtype=bool)
    same = rows[:, None] == cols[None, :]
    g, t = len(names), len(thresholds)
    totals = {key: np.zeros((g, g), dtype=np.int64) for key in ("pos", "neg")}
    tables = {key: np.zeros((g, g, t), dtype=np.int64) for key in ("pos", "neg")}
    for a in range(g):
        for b in range(g):
            cell = (row_groups[:, None] == a) & (col_groups[None, :] == b) & pair
            for key, kind in (("pos", same), ("neg", ~same)):
                values = S[cell & kind]
                # within one set the matrix is symmetric: inside one group it shows every pair twice
                if ref_labels is None and a == b:
                    values = S[np.triu(cell & kind)]
                totals[key][a, b] = values.size
                tables[key][a, b] = accepted(values, thresholds)
    return GroupCounts(names, totals["pos"], totals["neg"], tables["pos"], tables["neg"])


def group_counts_by_loops(
    S: np.ndarray,
    labels: Labels,
    groups: Labels,
    thresholds: Sequence[float] | np.ndarray,
    ref_labels: Labels | None = None,
    ref_groups: Labels | None = None,
) -> GroupCounts:
    """The same, one pair and one threshold at a time."""
    names = classes_of(groups, ref_groups)
    left, left_groups = as_list(labels), as_list(groups)
    right = left if ref_labels is None else as_list(ref_labels)
    right_groups = left_groups if ref_groups is None else as_list(ref_groups)
    g, t = len(names), len(thresholds)
    totals = {True: np.zeros((g, g), dtype=np.int64), False: np.zeros((g, g), dtype=np.int64)}
    tables = {True: np.zeros((g, g, t), dtype=np.int64), False: np.zeros((g, g, t), dtype=np.int64)}
    for i, j in pairs_by_loops(S, labels, ref_labels):
        a, b = names.index(left_groups[i]), names.index(right_groups[j])
        same = left[i] == right[j]
        cells = {(a, b)} if ref_labels is not None else {(a, b), (b, a)}
        for cell in cells:
            totals[same][cell] += 1
            for k, threshold in enumerate(thresholds):
                tables[same][cell][k] += S[i, j] >= threshold
    return GroupCounts(names, totals[True], totals[False], tables[True], tables[False])


def best_scores(S: np.ndarray, labels: Labels, ref_labels: Labels | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Each query's highest score with its own class (never with itself) and with another; -inf where there is none."""
    same, other = _relations(labels, ref_labels)
    return np.where(same, S, -np.inf).max(axis=1), np.where(other, S, -np.inf).max(axis=1)


def _relations(labels: Labels, ref_labels: Labels | None) -> tuple[np.ndarray, np.ndarray]:
    """Which columns are positives and which are negatives of each query; neither on the diagonal of one set."""
    names = classes_of(labels, ref_labels)
    rows = encode(labels, names)
    cols = rows if ref_labels is None else encode(ref_labels, names)
    same = rows[:, None] == cols[None, :]
    if ref_labels is None:
        return same & ~np.eye(len(rows), dtype=bool), ~same
    return same, ~same


# ---------------------------------------------------------------- thresholds and rates


def admissible_threshold(negative: np.ndarray, far: float, grid: Sequence[float] | np.ndarray) -> float:
    """The smallest threshold of an ascending grid at which the share of accepted negative pairs is ≤ far, or +inf."""
    allowed = accepted(negative, grid) / negative.size <= far
    return float(np.asarray(grid)[np.argmax(allowed)]) if allowed.any() else math.inf


def admissible_threshold_by_loops(negative: np.ndarray, far: float, grid: Sequence[float] | np.ndarray) -> float:
    """The same, one threshold at a time."""
    for threshold in sorted(grid):
        if sum(score >= threshold for score in negative) / len(negative) <= far:
            return float(threshold)
    return math.inf


def calibration_range(
    negative: np.ndarray, grid: Sequence[float] | np.ndarray, far: Sequence[float] = (1e-2, 1e-1)
) -> tuple[float, float]:
    """``(t_lo, t_hi)``: the admissible thresholds of the highest and of the lowest of the given FARs."""
    return admissible_threshold(negative, max(far), grid), admissible_threshold(negative, min(far), grid)


def tar_at_far(positive: np.ndarray, negative: np.ndarray, far: float, grid: Sequence[float] | np.ndarray) -> float:
    """Share of positive pairs accepted at the admissible threshold of a FAR."""
    return float(np.mean(positive >= admissible_threshold(negative, far, grid)))


def roc(
    positive: np.ndarray, negative: np.ndarray, grid: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """FAR and TAR at each threshold."""
    return accepted(negative, grid) / negative.size, accepted(positive, grid) / positive.size


def det(
    positive: np.ndarray, negative: np.ndarray, grid: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """FAR and FRR at each threshold."""
    far, tar = roc(positive, negative, grid)
    return far, 1 - tar


def equal_error_rate(positive: np.ndarray, negative: np.ndarray, grid: Sequence[float] | np.ndarray) -> float:
    """Mean of FAR and FRR at the threshold of the grid where they differ least (the lowest such threshold)."""
    far, frr = det(positive, negative, grid)
    at = int(np.argmin(np.abs(far - frr)))
    return float(far[at] + frr[at]) / 2


# ---------------------------------------------------------------- consistency


def utility(tnr: float, tar: float, beta: float = 1.0) -> float:
    """``(1+β²)·TNR·TAR / (β²·TNR + TAR)``, 0 where the denominator is 0."""
    denominator = beta**2 * tnr + tar
    return 0.0 if denominator == 0 else (1 + beta**2) * tnr * tar / denominator


def utilities(counts: ClassCounts, beta: float = 1.0) -> np.ndarray:
    """U_i of every class at every threshold, ``(K, T)``; a row of NaN for an undefined class."""
    result = np.full(counts.positives_accepted.shape, np.nan)
    for i in np.flatnonzero(counts.defined):
        for k in range(result.shape[1]):
            tnr = 1 - counts.negatives_accepted[i, k] / counts.negatives[i]
            tar = counts.positives_accepted[i, k] / counts.positives[i]
            result[i, k] = utility(tnr, tar, beta)
    return result


def mean_utility(U: np.ndarray) -> np.ndarray:
    """Ū at every threshold: the mean over the defined classes, ``(T,)``."""
    return np.mean([row for row in U if not np.isnan(row).any()], axis=0)


def trapezoid(values: Sequence[float] | np.ndarray, thresholds: Sequence[float] | np.ndarray) -> float:
    """The integral of a polygon, piece by piece."""
    total = 0.0
    for k in range(len(thresholds) - 1):
        total += (thresholds[k + 1] - thresholds[k]) * (values[k] + values[k + 1]) / 2
    return float(total)


def range_mean(values: Sequence[float] | np.ndarray, thresholds: Sequence[float] | np.ndarray) -> float:
    """``1/(t_hi - t_lo) · ∫ values dt`` by the trapezoid rule; of a single point, the value there."""
    width = thresholds[-1] - thresholds[0]
    return float(values[0]) if width == 0 else trapezoid(values, thresholds) / float(width)


def opis_by_class(U: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Mean squared distance of each U_i from Ū over the range, ``(K,)``; NaN for an undefined class."""
    mean = mean_utility(U)
    return np.array([np.nan if np.isnan(row).any() else range_mean((row - mean) ** 2, thresholds) for row in U])


def opis(U: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> float:
    """OPIS: the mean of the above over the defined classes."""
    return float(np.nanmean(opis_by_class(U, thresholds)))


def worst_classes(U: np.ndarray, thresholds: Sequence[float] | np.ndarray, eps: float = 0.1) -> list[int]:
    """The ⌈ε·K⌉ of the K defined classes with the lowest mean utility over the range, the worst first."""
    defined = [i for i, row in enumerate(U) if not np.isnan(row).any()]
    how_many = math.ceil(Fraction(str(eps)) * len(defined))
    return sorted(defined, key=lambda i: range_mean(U[i], thresholds))[:how_many]


def eps_opis(U: np.ndarray, thresholds: Sequence[float] | np.ndarray, eps: float = 0.1) -> float:
    """ε-OPIS: the mean squared distance between Ū of the worst classes and Ū of all."""
    worst = U[worst_classes(U, thresholds, eps)].mean(axis=0)
    return range_mean((worst - mean_utility(U)) ** 2, thresholds)


def opis_by_loops(U: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> float:
    """OPIS once more, written as the formula is, one number at a time."""
    defined = [row for row in np.asarray(U).tolist() if not any(math.isnan(value) for value in row)]
    total = 0.0
    for row in defined:
        integral = 0.0
        for k in range(len(thresholds) - 1):
            ends = []
            for at in (k, k + 1):
                mean = sum(other[at] for other in defined) / len(defined)
                ends.append((row[at] - mean) ** 2)
            integral += (thresholds[k + 1] - thresholds[k]) * (ends[0] + ends[1]) / 2
        total += integral / (thresholds[-1] - thresholds[0])
    return total / len(defined)


@dataclass(frozen=True)
class Consistency:
    """OPIS and what it was computed from."""

    threshold_range: tuple[float, float]
    thresholds: np.ndarray
    counts: ClassCounts
    utilities: np.ndarray
    opis: float
    eps_opis: float


def consistency(
    S: np.ndarray,
    labels: Labels,
    grid: Sequence[float] | np.ndarray,
    ref_labels: Labels | None = None,
    far: Sequence[float] = (1e-2, 1e-1),
    beta: float = 1.0,
    eps: float = 0.1,
    points: int = 200,
) -> Consistency:
    """From scores to OPIS: the range on the grid of thresholds, then equally spaced thresholds over it."""
    _, negative = pair_scores(S, labels, ref_labels)
    low, high = calibration_range(negative, grid, far)
    thresholds = np.linspace(low, high, points)
    counts = class_counts(S, labels, thresholds, ref_labels)
    U = utilities(counts, beta)
    return Consistency((low, high), thresholds, counts, U, opis(U, thresholds), eps_opis(U, thresholds, eps))


# ---------------------------------------------------------------- retrieval


def recall_at_k(S: np.ndarray, labels: Labels, k: int, ref_labels: Labels | None = None) -> float:
    """Share of queries, among those with a positive, whose best positive has fewer than k negatives at or above it."""
    same, other = _relations(labels, ref_labels)
    hits = []
    for i in range(len(S)):
        if same[i].any():
            best = S[i][same[i]].max()
            hits.append(np.count_nonzero(S[i][other[i]] >= best) < k)
    return float(np.mean(hits))


def recall_at_k_by_loops(S: np.ndarray, labels: Labels, k: int, ref_labels: Labels | None = None) -> float:
    """The same by ranking: negatives before positives of the same score, a hit if a positive is among the first k."""
    hits = [any(ranked[:k]) for ranked in _ranked_by_loops(S, labels, ref_labels) if any(ranked)]
    return sum(hits) / len(hits)


def map_at_r(S: np.ndarray, labels: Labels, ref_labels: Labels | None = None) -> float:
    """MAP@R over the queries with a positive.

    R is the number of positives of the query; the precision at each rank ≤ R that holds a positive is summed and
    divided by R. Of equal scores, negatives rank first.
    """
    same, other = _relations(labels, ref_labels)
    values = []
    for i in range(len(S)):
        relevant = int(same[i].sum())
        if relevant == 0:
            continue
        columns = np.flatnonzero(same[i] | other[i])
        ranked = same[i][columns[np.lexsort((same[i][columns], -S[i][columns]))]][:relevant]
        precision = np.cumsum(ranked) / np.arange(1, relevant + 1)
        values.append((precision * ranked).sum() / relevant)
    return float(np.mean(values))


def map_at_r_by_loops(S: np.ndarray, labels: Labels, ref_labels: Labels | None = None) -> float:
    """The same, one rank at a time."""
    values = []
    for ranked in _ranked_by_loops(S, labels, ref_labels):
        relevant = sum(ranked)
        if relevant == 0:
            continue
        found, total = 0, 0.0
        for rank, hit in enumerate(ranked[:relevant], start=1):
            if hit:
                found += 1
                total += found / rank
        values.append(total / relevant)
    return sum(values) / len(values)


def _ranked_by_loops(S: np.ndarray, labels: Labels, ref_labels: Labels | None) -> Iterator[list[bool]]:
    """For each query, whether the samples are of its class, from the best score to the worst."""
    left = as_list(labels)
    right = left if ref_labels is None else as_list(ref_labels)
    for i in range(len(left)):
        others = [j for j in range(len(right)) if ref_labels is not None or i != j]
        others.sort(key=lambda j: (-S[i, j], left[i] == right[j]))
        yield [left[i] == right[j] for j in others]
