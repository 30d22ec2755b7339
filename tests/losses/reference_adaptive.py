"""The slow truth for margins that follow the data and for the loss with a learned threshold: float64, pair by pair."""

from __future__ import annotations

import math

import numpy as np


def scored_pairs(rows, labels, ref=None, ref_labels=None, *, ids=None, ref_ids=None):
    """(i, j, score, whether positive) of every pair of a row of the batch; within a batch both ways."""
    rows = np.asarray(rows, dtype=np.float64)
    others = rows if ref is None else np.asarray(ref, dtype=np.float64)
    other_labels = labels if ref is None else ref_labels
    other_ids = ids if ref is None else ref_ids
    found = []
    for i in range(len(rows)):
        for j in range(len(others)):
            if ids is not None and int(ids[i]) == int(other_ids[j]):
                continue
            if ids is None and ref is None and i == j:
                continue
            norms = math.sqrt(float(rows[i] @ rows[i])) * math.sqrt(float(others[j] @ others[j]))
            found.append((i, j, float(rows[i] @ others[j]) / norms, int(labels[i]) == int(other_labels[j])))
    return found


class RunningQuantiles:
    """All scores ever seen, each with its weight; group by group."""

    def __init__(self, n_groups, decay):
        self.seen = {(group, positive): [] for group in range(n_groups) for positive in (True, False)}
        self.decay = decay

    def see(self, pairs, groups):
        for key, old in self.seen.items():
            new = [score for i, _, score, positive in pairs if (int(groups[i]), positive) == key]
            if new:
                self.seen[key] = [(score, weight * self.decay) for score, weight in old] + [(s, 1.0) for s in new]

    def margin(self, positive, share):
        """Mean over the groups of the score that a share of the weight lies at or below."""
        found = []
        for (_, kind), scores in self.seen.items():
            if kind is not positive or not scores:
                continue
            wanted = share * math.fsum(weight for _, weight in scores)
            below = 0.0
            for score, weight in sorted(scores):
                below += weight
                if below >= wanted * (1 - 1e-9):
                    found.append(score)
                    break
        return math.fsum(found) / len(found)


def grouped_tcm(rows, labels, groups, margins, weights=(1.0, 1.0), **others):
    """Value, gradient by the rows and by the reference rows (None without); every group's mean has the same weight."""
    rows = np.asarray(rows, dtype=np.float64)
    ref = others.get("ref")
    far_rows = rows if ref is None else np.asarray(ref, dtype=np.float64)
    grad = np.zeros_like(rows)
    grad_far = grad if ref is None else np.zeros_like(far_rows)
    pairs = scored_pairs(rows, labels, **others)
    value = 0.0
    for positive, sign, margin, weight in ((True, -1.0, margins[0], weights[0]), (False, 1.0, margins[1], weights[1])):
        active = {}
        for i, j, score, kind in pairs:
            if kind is positive and (score <= margin if positive else score >= margin):
                active.setdefault(int(groups[i]), []).append((i, j, score))
        for hits in active.values():
            slope = sign * weight / (len(active) * len(hits))
            for i, j, score in hits:
                value += slope * (score - margin)
                norm_i, norm_j = (math.sqrt(float(row @ row)) for row in (rows[i], far_rows[j]))
                unit_i, unit_j = rows[i] / norm_i, far_rows[j] / norm_j
                grad[i] += slope * (unit_j - score * unit_i) / norm_i
                grad_far[j] += slope * (unit_i - score * unit_j) / norm_j
    return value, grad, None if ref is None else grad_far


def unified_threshold(rows, labels, scale, bias, margin, **others):
    """The USS loss, row by row."""
    by_row = {}
    for i, _, score, positive in scored_pairs(rows, labels, **others):
        by_row.setdefault(i, ([], []))[0 if positive else 1].append(score)
    positives, negatives = [], []
    for own, other in by_row.values():
        positives += [math.log(1 + math.exp(bias - scale * (score - margin))) for score in own]
        if other:
            negatives.append(math.log(1 + math.fsum(math.exp(scale * score - bias) for score in other)))
    return sum(math.fsum(part) / len(part) for part in (positives, negatives) if part)
