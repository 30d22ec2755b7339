"""em.transfer and em.drift: a shipped point on new data that have no labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from evenmatch.auditing._progress import progress_bar
from evenmatch.auditing._run import _as_set, _choose_engine
from evenmatch.calibration import (
    FEWEST_SAMPLES,
    DriftCheck,
    MatchShare,
    OperatingPoint,
    Transfer,
    curves_of,
    drift_counts,
    share_from_curves,
    share_from_neighbours,
    transfer_counts,
    transfer_target,
)
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import Engine, UnlabeledCounts, count_unlabeled

__all__ = ["drift", "transfer"]


def transfer(
    point: OperatingPoint,
    embeddings: Any,
    *,
    source: Any = None,
    source_labels: Any = None,
    far: float | None = None,
    positives: float | None = None,
    samples_per_class: float | None = None,
    confidence: float | None = None,
    seed: int = 0,
    device: str = "auto",
    engine: str | Engine | None = None,
    threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> Transfer:
    """Find the threshold that keeps a FAR on new data, without labels.

    Almost all random pairs of an open world are of two classes, so the share of all pairs that a threshold accepts is
    nearly its FAR. The few matches among them are taken off: their share π is estimated, and how many of them a
    threshold accepts is taken from the calibration data. With the labelled calibration data as ``source`` the share
    is estimated from samples averaged with their nearest neighbours, which tells matches apart far better
    (``studies/transfer`` has the figures); without them, from the curves that the point carries.

    The FAR is that among the pairs of the new data, each with each. Where matches score there as they never did among
    the calibration data, the interval does not hold; ``docs/transfer.md`` says when not to trust it.

    Args:
        point: from `em.calibrate` on at least 20 classes.
        embeddings: ``(n, d)`` floating point of the same model, or an `EmbeddingSet`, whose labels are not looked at;
            n ≥ 200. Rows that repeat another row exactly are left out.
        source: the labelled data that the point was calibrated on, ``(m, d)`` or an `EmbeddingSet`.
        source_labels: ``(m,)`` their labels.
        far: target in (0, 1); by default that of the point, or the FAR that it realised if it had another objective.
        positives: share of matches among all pairs of the new data, in [0, 1), if it is known.
        samples_per_class: in its place, how many samples a class is known to have, ≥ 1; all classes alike.
        confidence: of the intervals; by default that of the point.
        seed: of the thinning of ``source``.
        device: ``"auto"`` or ``"cpu"``.
        engine: a pair engine or its name.
        threads: CPU threads; by default one a core.
        progress: True for a bar on stderr, or a function of the share done in [0, 1].

    Returns:
        The threshold, its estimated FAR, what was assumed, and whether the evidence is too thin; ``.point`` is an
        `OperatingPoint` to ship.

    Raises:
        InputError: the data or an argument cannot be used, or fewer than 200 different samples.
        UnreachableTargetError: the target cannot be estimated, or only rejecting every pair would meet it.

    Examples:
        >>> from evenmatch.auditing import calibrate
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(60), 8)
        >>> old = rng.normal(size=(60, 16))[labels] + 0.6 * rng.normal(size=(480, 16))
        >>> new = rng.normal(size=(60, 16))[labels] + 0.6 * rng.normal(size=(480, 16)) + 0.3
        >>> moved = transfer(calibrate(old, labels, far=1e-2), new, source=old, source_labels=labels)
        >>> moved.thin, moved.far <= 0.01 < moved.untouched_far, moved.point.origin.method
        ((), True, 'neighbours')
    """
    curves = curves_of(point)
    transfer_target(point, far, confidence)
    if positives is not None and samples_per_class is not None:
        raise InputError("positives and samples_per_class say the same; give one of them")
    if positives is not None and not 0 <= positives < 1:
        raise InputError(f"positives is {positives:g}; give the share of matches among all pairs, from 0 to below 1")
    if samples_per_class is not None and not samples_per_class >= 1:
        raise InputError(f"samples_per_class is {samples_per_class:g}; give how many samples a class has, at least 1")
    if source is None and source_labels is not None:
        raise InputError("source_labels are given without source; give the calibration data too")
    labelled = None if source is None else _as_set(source, source_labels, None, "source", "source_labels")
    if labelled is not None:
        _require_dim(point, labelled, "source")
    run = _choose_engine("exact", device, engine, threads)
    data, copies = _unlabeled(embeddings, point)
    with progress_bar("Counting pairs", progress) as report:
        counts = count_unlabeled(
            data, metric=point.metric, thresholds=curves.level_thresholds, engine=run, progress=report
        )
    if samples_per_class is not None:
        positives = min((samples_per_class - 1) / (data.n - 1), 0.999)
    if positives is not None:
        share, method = MatchShare(float(positives), 0.0, 1.0), "given"
    else:
        share, method = share_from_curves(curves, counts), "curves"
        if labelled is not None:
            labelled.require_pairs()
            share, method = share_from_neighbours(labelled, data, point.metric, share.value, seed), "neighbours"
    return transfer_counts(point, counts, share, method, data, far=far, confidence=confidence, copies=copies)


def drift(
    point: OperatingPoint,
    embeddings: Any,
    *,
    alpha: float = 0.01,
    device: str = "auto",
    engine: str | Engine | None = None,
    threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> DriftCheck:
    """Test whether new data without labels score as those that a point was calibrated on.

    Under the null hypothesis, other classes and samples of the same kind, the alarm is meant to fire in at most a share
    ``alpha`` of all checks; how many matches there are among the new data is left open. `drift_counts` in
    ``evenmatch.calibration`` has the formulas and ``studies/transfer`` how often it fires with and without a shift.

    Args:
        point: from `em.calibrate` on at least 20 classes.
        embeddings: ``(n, d)`` floating point of the same model, or an `EmbeddingSet`, whose labels are not looked at;
            n ≥ 200. Rows that repeat another row exactly are left out.
        alpha: the false-alarm rate allowed, in (0, 1).
        device: ``"auto"`` or ``"cpu"``.
        engine: a pair engine or its name.
        threads: CPU threads; by default one a core.
        progress: True for a bar on stderr, or a function of the share done in [0, 1].

    Returns:
        The verdict with its p value and the shares that it rests on.

    Raises:
        InputError: the data or an argument cannot be used, or fewer than 200 different samples.

    Examples:
        >>> from evenmatch.auditing import calibrate
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(60), 8)
        >>> def drawn(offset):
        ...     return rng.normal(size=(60, 16))[labels] + 0.6 * rng.normal(size=(480, 16)) + offset
        >>> point = calibrate(drawn(0), labels, far=1e-2)
        >>> drift(point, drawn(0)).drift, drift(point, drawn(0.5)).drift
        (False, True)
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}; give a false-alarm rate between 0 and 1, as 0.01")
    curves = curves_of(point)
    run = _choose_engine("exact", device, engine, threads)
    data, copies = _unlabeled(embeddings, point)
    with progress_bar("Counting pairs", progress) as report:
        counts: UnlabeledCounts = count_unlabeled(
            data, metric=point.metric, thresholds=curves.level_thresholds, engine=run, progress=report
        )
    return drift_counts(point, counts, alpha=alpha, copies=copies)


def _unlabeled(embeddings: Any, point: OperatingPoint) -> tuple[EmbeddingSet, int]:
    """The different rows as a set, every row its own class, and how many others there were."""
    name = ""
    if isinstance(embeddings, EmbeddingSet):
        name, embeddings = embeddings.name, embeddings.vectors
    rows = np.shape(embeddings)[0] if np.ndim(embeddings) else 0
    data = EmbeddingSet.from_arrays(embeddings, np.arange(rows), name=name)
    _require_dim(point, data, "embeddings")
    seen: dict[bytes, int] = {}
    for row in range(data.n):
        seen.setdefault(hashlib.blake2b(data.vectors[row].tobytes(), digest_size=16).digest(), row)
    copies = data.n - len(seen)
    if copies:
        data = data.subset(np.fromiter(seen.values(), np.int64))
    if data.n < FEWEST_SAMPLES:
        apart = f" that differ ({copies} are copies)" if copies else ""
        raise InputError(
            f"there are {data.n} samples{apart} and at least {FEWEST_SAMPLES} are needed without labels; pass more"
        )
    return data, copies


def _require_dim(point: OperatingPoint, data: EmbeddingSet, name: str) -> None:
    if data.dim != point.data.dim:
        raise InputError(
            f"{name} have {data.dim} dimensions and the point was calibrated on {point.data.dim}; it holds for one "
            "model only: calibrate again"
        )
