"""The slow truth that the losses are held against: float64, one pair at a time, nothing shared with the library."""

from __future__ import annotations

import math

import numpy as np


def tcm(
    rows,
    labels,
    ref=None,
    ref_labels=None,
    *,
    ids=None,
    ref_ids=None,
    margins=(0.9, 0.5),
    weights=(1.0, 1.0),
):
    """Value, gradient by the rows, gradient by the reference rows (None without), active counts, pair counts."""
    rows = np.asarray(rows, dtype=np.float64)
    within = ref is None
    others = rows if within else np.asarray(ref, dtype=np.float64)
    other_labels = labels if within else ref_labels
    if within and ids is not None:
        ref_ids = ids
    grad = np.zeros_like(rows)
    grad_other = grad if within else np.zeros_like(others)
    norms = [math.sqrt(float(row @ row)) for row in rows]
    other_norms = [math.sqrt(float(row @ row)) for row in others]

    active = {True: [], False: []}
    pairs = {True: 0, False: 0}
    for i in range(len(rows)):
        for j in range(i + 1 if within else 0, len(others)):
            if ids is not None and int(ids[i]) == int(ref_ids[j]):
                continue
            positive = int(labels[i]) == int(other_labels[j])
            pairs[positive] += 1
            score = float(rows[i] @ others[j]) / (norms[i] * other_norms[j])
            if positive and score <= margins[0]:
                active[True].append((i, j, score, margins[0] - score))
            if not positive and score >= margins[1]:
                active[False].append((i, j, score, score - margins[1]))

    value = 0.0
    for positive, sign, weight in ((True, -1.0, weights[0]), (False, 1.0, weights[1])):
        hits = active[positive]
        if not hits:
            continue
        value += weight * math.fsum(hinge for *_, hinge in hits) / len(hits)
        for i, j, score, _ in hits:
            slope = sign * weight / len(hits)
            unit_i, unit_j = rows[i] / norms[i], others[j] / other_norms[j]
            grad[i] += slope * (unit_j - score * unit_i) / norms[i]
            grad_other[j] += slope * (unit_i - score * unit_j) / other_norms[j]
    counts = (len(active[True]), len(active[False]), pairs[True], pairs[False])
    return value, grad, None if within else grad_other, counts


def recall_at_k(rows, labels, k=(1, 2, 4, 8, 16), temperature_rank=0.01, temperature_k=1.0):
    """1 minus the smooth recall, averaged over the queries that have a positive and over k."""
    rows = np.asarray(rows, dtype=np.float64)
    units = [row / math.sqrt(float(row @ row)) for row in rows]

    def sigmoid(u):
        return 1 / (1 + math.exp(-u)) if u > 0 else math.exp(u) / (1 + math.exp(u))

    recalls = []
    for q in range(len(rows)):
        positives = [x for x in range(len(rows)) if x != q and int(labels[x]) == int(labels[q])]
        if not positives:
            continue
        for size in k:
            found = 0.0
            for x in positives:
                own = float(units[q] @ units[x])
                rank = 1.0
                for z in range(len(rows)):
                    if z not in (q, x):
                        rank += sigmoid((float(units[q] @ units[z]) - own) / temperature_rank)
                found += sigmoid((size - rank) / temperature_k)
            recalls.append(found / min(size, len(positives)))
    return 1 - sum(recalls) / len(recalls) if recalls else 0.0
