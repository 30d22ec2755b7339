"""em.plan: what an audit would cost, before it starts."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evenmatch.auditing._run import _as_set
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import EvenmatchError, InputError
from evenmatch.measures import class_intervals, consistency
from evenmatch.pairs import (
    ENGINES,
    CpuEngine,
    PairCounts,
    SampleEngine,
    available_cores,
    count_pairs,
    find_thresholds,
    make_engine,
    probe_engine,
)

__all__ = ["EngineCost", "Plan", "device_seconds", "plan"]

_RESAMPLES = 1000
_BLOCK_BYTES = 256 * 2**20
_INTERVAL_BYTES = 6 * 8 * 2**22
_CELL_SECONDS = 12e-9
#: start of a local cluster, and what scheduling adds to a pass
_CLUSTER_SECONDS, _CLUSTER_OVERHEAD = 5.0, 1.2
_BUDGETS = (10.0, 30.0, 120.0)


@dataclass(frozen=True)
class EngineCost:
    """What one way to audit would cost.

    Attributes:
        engine: ``"cpu"``, ``"sample"``, …
        precision: ``"exact"`` or ``"fast"``.
        pairs: pairs that it counts.
        seconds: of the whole audit: reading and checking, the pass, the intervals.
        memory: bytes at the peak, beyond the embeddings themselves.
        opis_error: expected standard error of OPIS from sampling, as a share of OPIS; 0 where every pair is counted.
        note: what the figures rest on.
    """

    engine: str
    precision: str
    pairs: int
    seconds: float
    memory: int
    opis_error: float
    note: str


@dataclass(frozen=True)
class Plan:
    """What audits of a data set would cost here; made by `plan`.

    Attributes:
        n: samples (queries, where there is a reference set).
        n_references: samples of the reference set, or None.
        dim: values per embedding.
        n_classes: distinct labels.
        pairs: all pairs.
        operations: floating-point operations of their products.
        bytes: of the embeddings.
        cores: that were used.
        probe_seconds: how long the measuring took.
        costs: one for each way to audit, the exact one on the CPU first.
    """

    n: int
    n_references: int | None
    dim: int
    n_classes: int
    pairs: int
    operations: int
    bytes: int
    cores: int
    probe_seconds: float
    costs: tuple[EngineCost, ...]

    def cost(self, engine: str, precision: str = "exact") -> EngineCost:
        """The first cost of an engine and a precision.

        Raises:
            KeyError: there is none.
        """
        for each in self.costs:
            if (each.engine, each.precision) == (engine, precision):
                return each
        raise KeyError(f"no cost of engine {engine!r} with precision {precision!r}")

    def summary(self) -> dict[str, Any]:
        """Everything, as a dict that JSON can hold."""
        return asdict(self)


def device_seconds(n: int, pairs_per_second: float, devices: int = 1) -> float:
    """Seconds to count all pairs of n samples on some equal devices, from the measured rate of one.

    Examples:
        >>> round(device_seconds(10**7, 2.5e11, devices=8))
        25
    """
    return n * (n - 1) / 2 / (pairs_per_second * devices)


def plan(
    embeddings: Any,
    labels: Any = None,
    *,
    ref: Any = None,
    ref_labels: Any = None,
    metric: str = "cosine",
    threads: int | None = None,
    workers: int | None = None,
    budgets: Sequence[float] = _BUDGETS,
) -> Plan:
    """Say what an audit would cost on each engine at hand, from about two seconds of measuring.

    Every engine counts some of the data's own rows for a moment; its time for a pair, the time to check and hash the
    rows, and the time of the intervals are then scaled to the whole. The first audit of a Python process also loads
    compiled code, which is not in the figures (about a second).

    Args:
        embeddings: as in `audit`.
        labels: as in `audit`.
        ref: as in `audit`.
        ref_labels: as in `audit`.
        metric: ``"cosine"`` or ``"euclidean"``.
        threads: CPU threads; by default one a core.
        workers: also predict a cluster of so many workers, each as fast as this machine.
        budgets: times in seconds for which an estimate's error is predicted.

    Returns:
        The plan.

    Raises:
        InputError: the data cannot be used, or threads or workers are fewer than 1.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(600, 16))
        >>> result = plan(x, np.arange(600) // 4, budgets=())
        >>> result.pairs, result.operations, result.costs[0].engine
        (179700, 5750400, 'cpu')
    """
    for name, count in (("threads", threads), ("workers", workers)):
        if count is not None and count < 1:
            raise InputError(f"{name} is {count}; give 1 or more, or leave it out")
    started = time.perf_counter()
    queries = _as_set(embeddings, labels, None, "embeddings", "labels")
    references = None if ref is None else _as_set(ref, ref_labels, None, "ref", "ref_labels")
    queries.require_pairs(references)
    n_pairs = queries.n * (queries.n - 1) // 2 if references is None else queries.n * references.n
    sets = [queries] if references is None else [queries, references]
    n_classes = queries.classes.size
    n_threads = threads or available_cores()

    began = time.perf_counter()
    indices = find_thresholds(queries, references, metric)
    looking = time.perf_counter() - began
    exact = probe_engine(CpuEngine(threads=threads), queries, metric, indices, seconds=0.5, references=references)
    around = looking + _reading_seconds(sets) + _judging_seconds(exact.counts, n_classes)
    width = indices.size + 1
    around += 2 * n_classes * width * n_threads * _CELL_SECONDS
    memory = _memory(sets, n_classes, width, n_threads)
    costs = [EngineCost("cpu", "exact", n_pairs, around + exact.seconds(n_pairs), memory, 0.0, "measured")]
    for name, precision in _others():
        try:
            engine = make_engine(name, precision=precision, threads=threads)
            probed = probe_engine(engine, queries, metric, indices, seconds=0.3, references=references)
        except (EvenmatchError, RuntimeError):
            continue  # no such device here
        note = "measured" if probed.counts.arithmetic != "float32" or precision == "exact" else "no bfloat16 here"
        costs.append(EngineCost(name, precision, n_pairs, around + probed.seconds(n_pairs), memory, 0.0, note))
    costs += _estimates(queries, references, metric, threads, n_pairs, around, memory, budgets)
    if workers is not None:
        seconds = around + _CLUSTER_SECONDS + exact.seconds(n_pairs) * _CLUSTER_OVERHEAD / workers
        note = f"{workers} workers as fast as this machine, 20% overhead assumed"
        costs.append(EngineCost("dask", "exact", n_pairs, seconds, memory, 0.0, note))
    return Plan(
        n=queries.n,
        n_references=None if references is None else references.n,
        dim=queries.dim,
        n_classes=n_classes,
        pairs=n_pairs,
        operations=2 * n_pairs * queries.dim,
        bytes=sum(each.n * each.dim * each.vectors.dtype.itemsize for each in sets),
        cores=n_threads,
        probe_seconds=time.perf_counter() - started,
        costs=tuple(costs),
    )


def _others() -> list[tuple[str, str]]:
    """Engines besides the exact CPU one; estimates and clusters are predicted in their own way."""
    found = [("cpu", "fast")]
    for name in ENGINES:
        if name not in ("cpu", "sample", "dask"):
            found += [(name, "exact"), (name, "fast")]
    return found


def _reading_seconds(sets: list[EmbeddingSet]) -> float:
    """Checking every row and hashing it, from some of the rows."""
    total = 0.0
    for each in sets:
        count = min(each.n, max(2**22 // each.dim, 256))
        started = time.perf_counter()
        part = np.array(each.vectors[:count], order="C")
        block = part.astype(np.float64)
        np.sqrt(np.einsum("ij,ij->i", block, block))
        hashlib.sha256(part.data).hexdigest()
        total += (time.perf_counter() - started) * each.n / count
    return total


def _judging_seconds(counts: PairCounts, n_classes: int) -> float:
    """OPIS and the intervals, from the counts of some rows with few resamples and with more."""

    def took(resamples: int) -> float:
        started = time.perf_counter()
        result = consistency(counts)
        class_intervals(counts, result, eps=0.1, threshold=result.range[1], resamples=resamples)
        return time.perf_counter() - started

    try:
        took(_RESAMPLES // 100)  # a first call costs more
        few, more = took(_RESAMPLES // 100), took(_RESAMPLES // 5)
    except EvenmatchError:
        return 0.0
    each = max(more - few, 0.0) / (_RESAMPLES // 5 - _RESAMPLES // 100)
    return (few + each * _RESAMPLES) * n_classes / counts.classes.size


def _memory(sets: list[EmbeddingSet], n_classes: int, width: int, threads: int) -> int:
    blocks = sum(min(_BLOCK_BYTES, 4 * each.n * each.dim) for each in (sets if len(sets) == 2 else sets * 2))
    tables = n_classes * width * (16 + 8 * threads + 8)
    return int(blocks + tables + 12 * sets[0].n * (threads + 1) + _INTERVAL_BYTES)


def _estimates(
    queries: EmbeddingSet,
    references: EmbeddingSet | None,
    metric: str,
    threads: int | None,
    n_pairs: int,
    around: float,
    memory: int,
    budgets: Sequence[float],
) -> list[EngineCost]:
    """Times and errors of estimates, from one small estimate."""
    pairs = max(2**21, 600 * queries.classes.size)
    if not budgets or pairs >= n_pairs:
        return []
    try:
        engine = SampleEngine(pairs=pairs, threads=threads)
        count_pairs(queries, references, metric=metric, engine=engine)
        started = time.perf_counter()
        counts = count_pairs(queries, references, metric=metric, engine=engine)
        taken = time.perf_counter() - started
        result = consistency(counts)
    except EvenmatchError:
        return []
    if counts.sampling is None or result.sampling_error is None:
        return []
    counted, everything = counts.sampling.pairs, 2.0 * n_pairs
    error = result.sampling_error.standard_errors["opis"] / max(result.opis, 1e-12)
    found = []
    for seconds in budgets:
        bought = counted * seconds / taken
        if bought >= n_pairs:
            continue
        # an estimate counts a pair from both of its classes, so that it would need twice the pairs to be exact
        share = max(1 / bought - 1 / everything, 0.0) / max(1 / counted - 1 / everything, 1e-30)
        found.append(
            EngineCost(
                "sample",
                "exact",
                int(bought),
                around + seconds,
                memory,
                error * math.sqrt(share),
                f"budget {seconds:g}s",
            )
        )
    return found
