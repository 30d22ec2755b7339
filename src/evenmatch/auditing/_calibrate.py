"""em.calibrate: embeddings or an audit in, OperatingPoint out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from evenmatch.auditing._audit import Audit, DataFacts
from evenmatch.auditing._precision import refuse_estimate
from evenmatch.auditing._progress import progress_bar
from evenmatch.auditing._run import _as_set, _choose_engine, _facts
from evenmatch.calibration import (
    LEVELS,
    METHODS,
    CalibrationData,
    Objective,
    OperatingPoint,
    calibrate_counts,
    check_guarantee,
    choose_objective,
    choose_threshold,
    fit_probability,
    score_curves,
)
from evenmatch.errors import InputError
from evenmatch.measures import InsufficientCountsError
from evenmatch.pairs import Engine, PairCounts, count_pairs

__all__ = ["calibrate"]


def calibrate(
    data: Any,
    labels: Any = None,
    *,
    far: float | None = None,
    frr: float | None = None,
    utility: float | None = None,
    beta: float | None = None,
    cost_false_accept: float | None = None,
    cost_false_reject: float | None = None,
    prior: float | None = None,
    guarantee: str = "mean",
    n_classes: int | None = None,
    confidence: float = 0.95,
    probability: str | None = "isotonic",
    ref: Any = None,
    ref_labels: Any = None,
    metric: str | None = None,
    device: str = "auto",
    engine: str | Engine | None = None,
    threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> OperatingPoint:
    """Choose the threshold to ship, with what is known about it for classes that nobody has seen.

    Exactly one objective is given. The threshold is the lowest one of the counted grid that meets it (for ``frr`` the
    highest), by exact counts over every pair, never interpolated.

    Intervals are for *classes*: pairs that share one are not independent, so that the usual binomial interval of the
    pairs holds the truth far less often than it says. `ClassRate` in ``evenmatch.measures`` has the formulas, and
    ``studies/calibration`` how often they hold on real data.

    Args:
        data: ``(n, d)`` floating point, an `EmbeddingSet`, or an `Audit`, which takes no pass over the pairs.
        labels: ``(n,)`` hashable scalars; left out for an `EmbeddingSet` or an `Audit`.
        far: highest false accept rate, in [0, 1].
        frr: highest false reject rate, in [0, 1].
        utility: lowest utility ``(1+β²)·TNR·TAR / (β²·TNR + TAR)`` of all pairs; with ``beta`` alone the highest there
            is.
        beta: weight of TAR against TNR in the utility, > 0; 1 by default.
        cost_false_accept: with ``cost_false_reject``: the expected cost of a pair,
            ``prior·FRR·cost_false_reject + (1 - prior)·FAR·cost_false_accept``, is made as low as it gets.
        cost_false_reject: see there.
        prior: share of matches among the pairs that will be compared, for costs and for the probability; by default
            that of the data.
        guarantee: ``"mean"``: the realised rate meets the target, so that half of all deployments will exceed it.
            ``"upper"``: the upper end of the prediction interval for ``n_classes`` new classes meets it as well.
        n_classes: classes of the deployment, for ``"upper"``; by default as many as are calibrated on.
        confidence: of the intervals, two-sided, in (0, 1).
        probability: how P(match | score) is fitted: ``"isotonic"``, ``"beta"``, ``"platt"``, ``"temperature"`` or None.
        ref: a gallery, ``(m, d)`` or an `EmbeddingSet`: pairs are then those across the two.
        ref_labels: ``(m,)`` its labels.
        metric: ``"cosine"`` (the default) or ``"euclidean"``; that of an audit is its own.
        device: ``"auto"`` (an NVIDIA GPU if torch sees one, else the CPU), ``"cpu"``, ``"cuda"`` (all GPUs) or
            ``"cuda:1"``.
        engine: a pair engine or its name; by default the best for the device.
        threads: CPU threads; by default one a core.
        progress: True for a bar on stderr, or a function of the share done in [0, 1].

    Returns:
        The operating point.

    Raises:
        UnreachableTargetError: nothing meets the objective, or too few classes certify it; says what can be had.
        InputError: the data or an argument cannot be used, or an audit did not count its classes near the threshold.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(60), 8)
        >>> embeddings = rng.normal(size=(60, 16))[labels] + rng.normal(size=(480, 16))
        >>> point = calibrate(embeddings, labels, far=1e-2)
        >>> point.far <= 0.01 and point.far_ci[0] < point.far < point.far_ci[1]
        True
        >>> point.accepts([1.0, -1.0]).tolist()
        [True, False]
    """
    objective = choose_objective(far, frr, utility, beta, cost_false_accept, cost_false_reject, prior)
    check_guarantee(objective, guarantee, n_classes, confidence)
    if probability is not None and probability not in METHODS:
        raise InputError(f"probability {probability!r} is unknown; use {', '.join(map(repr, METHODS))} or None")
    options: dict[str, Any] = {"confidence": confidence, "guarantee": guarantee, "n_classes": n_classes}

    def point(counts: PairCounts, facts: DataFacts, levels: PairCounts | None = None) -> OperatingPoint:
        refuse_estimate(counts, "a threshold to ship")
        if counts.arithmetic != "float32":
            raise InputError(
                f"a threshold to ship needs float32 scores, and these were counted in {counts.arithmetic}; "
                "audit with precision='exact', or pass the embeddings"
            )
        fitted = None if probability is None else fit_probability(counts, probability, prior)
        found = calibrate_counts(counts, objective, _data(counts, facts), probability=fitted, **options)
        return replace(found, curves=score_curves(counts if levels is None else levels))

    if isinstance(data, Audit):
        if labels is not None or ref is not None or metric not in (None, data.settings.metric):
            raise InputError("an audit has its own labels, gallery and metric; leave labels, ref and metric out")
        return point(data.counts, data.data)
    run = _choose_engine("exact", device, engine, threads)
    queries = _as_set(data, labels, None, "data", "labels").without_groups()
    references = None if ref is None else _as_set(ref, ref_labels, None, "ref", "ref_labels").without_groups()
    metric = metric or "cosine"

    def count(**where: Any) -> PairCounts:
        with progress_bar("Counting pairs", progress) as report:
            return count_pairs(queries, references, metric=metric, engine=run, progress=report, **where)

    counts = count(far=tuple({*_rates(objective, guarantee), *LEVELS}))
    facts = _facts(queries, references, counts.classes.size, 0)
    try:
        return point(counts, facts)
    except InsufficientCountsError:
        # the first pass has told where the classes are needed
        index = min(choose_threshold(counts, objective), counts.grid.size - 1)
        threshold = float(counts.grid.threshold(index))
        if guarantee == "upper" and objective.kind == "frr":
            # what these classes allow by themselves is the highest threshold that can be certified
            bins = np.unique(np.linspace(counts.grid.bin_of(counts.thresholds[-1]), index, 256).astype(int))
            return point(count(far=(0.999, 0.1), thresholds=counts.grid.threshold(bins).tolist()), facts, counts)
        if guarantee == "upper":
            return point(count(far=_within(objective.target or 0.0, 1e-6), thresholds=[threshold]), facts, counts)
        return point(count(far=(), thresholds=[threshold]), facts, counts)


def _rates(objective: Objective, guarantee: str) -> tuple[float, ...]:
    """False accept rates whose thresholds very probably surround the one that will be chosen."""
    if objective.kind != "far":
        return 0.9, 1e-3
    target = objective.target or 0.0
    return _within(target, 0.1, target / 20) if guarantee == "upper" else _within(target)


def _within(*rates: float) -> tuple[float, ...]:
    return tuple(rate for rate in rates if 0 < rate < 1)


def _data(counts: PairCounts, facts: DataFacts) -> CalibrationData:
    return CalibrationData(
        name=facts.name,
        samples=facts.n,
        references=facts.n_references,
        dim=facts.dim,
        classes=counts.classes.size,
        positives=counts.n_positives,
        negatives=counts.n_negatives,
        fingerprint=facts.fingerprint,
    )
