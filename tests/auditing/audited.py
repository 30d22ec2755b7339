"""Small data sets for audits, and one audit with everything in it."""

from __future__ import annotations

from typing import Any

import numpy as np

import evenmatch as em


def clusters(k: int = 30, each: int = 20, dim: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes around centres, each of its own width: ``(n, dim)`` float32 and ``(n,)`` class numbers."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(k), each))
    widths = rng.uniform(0.3, 1.2, k)
    x = rng.normal(size=(k, dim))[codes] + widths[codes, None] * rng.normal(size=(codes.size, dim))
    return x.astype(np.float32), codes


def with_singletons(k: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, text labels and groups; three classes have one sample each, one group has one sample."""
    x, codes = clusters(k)
    x = np.concatenate([x, np.random.default_rng(1).normal(size=(3, x.shape[1])).astype(np.float32)])
    labels = np.array([f"class {code}" for code in codes] + ["once", "only", "alone"])
    groups = np.array(["north", "south"])[np.arange(len(labels)) % 2].astype("U8")
    groups[-1] = "nowhere"
    return x, labels, groups


def full_audit(**options: Any) -> em.Audit:
    """An audit with groups, undefined classes, recall at several k and MAP@R."""
    x, labels, groups = with_singletons()
    return em.audit(x, labels, groups=groups, **{"k": (1, 5, 10), "map_at_r": True, **options})
