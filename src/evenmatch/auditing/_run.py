"""em.audit: embeddings in, Audit out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evenmatch import measures
from evenmatch.auditing._audit import Audit, AuditSettings, DataFacts
from evenmatch.auditing._debias import debiased_interval, noise_of
from evenmatch.auditing._precision import error_bars, intervals_of_estimate, with_budget
from evenmatch.auditing._progress import progress_bar
from evenmatch.embeddings import EmbeddingSet, fingerprint_of
from evenmatch.errors import InputError
from evenmatch.measures import check_arguments, class_intervals, consistency, recall_at_1, recall_at_k
from evenmatch.pairs import CudaEngine, Engine, count_pairs, gpu_visible, make_engine, nearest_neighbours

__all__ = ["audit", "fingerprint_of"]


def audit(
    embeddings: Any,
    labels: Any = None,
    *,
    groups: Any = None,
    ref: Any = None,
    ref_labels: Any = None,
    ref_groups: Any = None,
    metric: str = "cosine",
    far: tuple[float, float] = (1e-2, 1e-1),
    beta: float = 1.0,
    eps: float = 0.1,
    k: Sequence[int] = (1,),
    map_at_r: bool = False,
    thresholds: Sequence[float] = (),
    confidence: float = 0.95,
    precision: str = "exact",
    device: str = "auto",
    engine: str | Engine | None = None,
    threads: int | None = None,
    budget: str | float | None = None,
    pairs: float | None = None,
    progress: bool | Callable[[float], None] = False,
) -> Audit:
    """Measure how consistent one match threshold is across classes, over every pair of samples.

    A score is a similarity and a pair is accepted if and only if score ≥ threshold. OPIS and ε-OPIS are those of
    *Threshold-Consistent Margin Loss for Open-World Deep Metric Learning* (arXiv 2307.04047); `consistency` in
    ``evenmatch.measures`` states the choices that the paper leaves open. Time is about that of the float32 product of
    half the similarity matrix; memory does not depend on the number of pairs (see ``evenmatch.pairs.count_pairs``).

    Args:
        embeddings: ``(n, d)`` floating point, or an `EmbeddingSet` (then ``labels`` and ``groups`` are its own).
        labels: ``(n,)`` hashable scalars.
        groups: ``(n,)`` a second label a sample (domain, site, script, demographic).
        ref: ``(m, d)`` a gallery: pairs are then those between queries and gallery. Also an `EmbeddingSet`.
        ref_labels: ``(m,)`` its labels.
        ref_groups: ``(m,)`` its groups, needed if ``groups`` is given.
        metric: ``"cosine"``; or ``"euclidean"``, whose score is ``-‖x - y‖``.
        far: the two false accept rates that bound the calibration range.
        beta: weight of TAR against TNR in the utility, > 0.
        eps: share of classes in ε-OPIS, in (0, 1].
        k: neighbours for recall@k; any but 1 costs a second product, of the whole matrix.
        map_at_r: whether to compute MAP@R; costs the same second product.
        thresholds: scores at which every class is counted besides the calibration range.
        confidence: of the intervals, in (0, 1).
        precision: ``"exact"``: float32 scores; or ``"fast"``: bfloat16 products where the processor has them, with
            `Audit.error_bars` for what that may have changed.
        device: ``"auto"`` (an NVIDIA GPU if torch sees one, else the CPU), ``"cpu"``, ``"cuda"`` (all GPUs) or
            ``"cuda:1"``.
        engine: a pair engine or its name; by default the best for the device.
        threads: CPU threads; by default one a core.
        budget: seconds, or text as ``"30s"``: estimate from as many random pairs as can be counted in that time.
        pairs: estimate from about this many random pairs.
        progress: True for a bar on stderr, or a function of the share done in [0, 1].

    Returns:
        The audit.

    Raises:
        InputError: the data or an argument cannot be used; raised before the work starts wherever it can be known
            then.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(30), 10)
        >>> embeddings = rng.normal(size=(30, 16))[labels] + rng.normal(size=(300, 16))
        >>> result = audit(embeddings, labels)
        >>> 0 < result.opis < 0.25 and result.far_at(result.threshold) <= 0.01
        True
    """
    two_rates = "two false accept rates between 0 and 1, as (1e-2, 1e-1)"
    rates = _numbers(far, "far", two_rates)
    if len(rates) != 2:
        raise InputError(f"far is {rates}; give {two_rates}")
    far = rates
    depths = _numbers(k, "k", "a list of whole numbers of neighbours, as [1, 5]")
    thresholds = _numbers(thresholds, "thresholds", "a list of scores, as [0.4, 0.5]")
    beta, eps, confidence = float(beta), float(eps), float(confidence)
    check_arguments(far, beta, eps)
    run = _choose_engine(precision, device, with_budget(engine, budget, pairs, precision, threads), threads)
    if not depths or any(value != value // 1 or value < 1 for value in depths):
        raise InputError(f"k is {tuple(k)}; give at least one whole number of neighbours, each 1 or more")
    neighbours_wanted = sorted({int(value) for value in depths})
    if run.name == "sample" and (map_at_r or neighbours_wanted != [1]):
        raise InputError("recall@k and MAP@R need every pair; leave k and map_at_r out of an estimate")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")
    queries = _as_set(embeddings, labels, groups, "embeddings", "labels")
    if ref is None and (ref_labels is not None or ref_groups is not None):
        raise InputError("ref_labels or ref_groups are given without ref; give the gallery too, or leave them out")
    references = None if ref is None else _as_set(ref, ref_labels, ref_groups, "ref", "ref_labels")

    with progress_bar("Counting pairs", progress) as report:
        counts = count_pairs(
            queries, references, metric=metric, far=far, thresholds=thresholds, engine=run, progress=report
        )  # fmt: skip
    result = consistency(counts, far=far, beta=beta, eps=eps)
    noise = None
    if references is None and counts.sampling is None:
        noise = noise_of(queries, counts, result, metric, beta, threads)
    recalls = {1: recall_at_1(counts) if counts.sampling is None else math.nan}
    mean_precision = None
    if map_at_r or neighbours_wanted != [1]:
        recalls, mean_precision = _search(queries, references, metric, neighbours_wanted, map_at_r, threads, progress)
    intervals = class_intervals(counts, result, eps=eps, threshold=result.range[1], confidence=confidence)
    return Audit(
        counts=counts,
        consistency=result,
        settings=AuditSettings(metric, far, beta, eps, run.precision, run.name, confidence),
        data=_facts(queries, references, counts.classes.size, result.defined.size),
        recall_at_k=recalls,
        map_at_r=mean_precision,
        intervals=intervals_of_estimate(intervals, result, confidence)
        | debiased_interval(counts, result, noise, beta, confidence),
        noise=noise,
        error_bars=error_bars(counts, result, far=far, beta=beta, confidence=confidence),
    )


def _numbers(values: Any, name: str, wanted: str) -> tuple[float, ...]:
    try:
        if not isinstance(values, str):
            return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name} is {' '.join(repr(values).split())}; give {wanted}")


def _choose_engine(precision: str, device: str, engine: str | Engine | None, threads: int | None) -> Engine:
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise InputError(f"device {device!r} is unknown; use 'auto', 'cpu', 'cuda' or 'cuda:0' (or another number)")
    if engine is None:
        if kind == "auto":
            kind = "cuda" if gpu_visible() else "cpu"
        if number:
            return CudaEngine(precision=precision, threads=threads, devices=[device])
        engine = kind
    run = make_engine(engine, precision=precision, threads=threads)
    if (kind == "cuda") > (run.name == "cuda") or (kind == "cpu") & (run.name == "cuda"):
        raise InputError(f"engine {run.name!r} does not run on device {device!r}; give one of the two alone")
    return run


def _as_set(embeddings: Any, labels: Any, groups: Any, name: str, labels_name: str) -> EmbeddingSet:
    if isinstance(embeddings, EmbeddingSet):
        if labels is not None or groups is not None:
            raise InputError(f"{name} is an EmbeddingSet, which has its own labels and groups; leave those out")
        return embeddings
    if labels is None:
        raise InputError(f"{labels_name} is missing; give one label for each row of {name}")
    return EmbeddingSet.from_arrays(embeddings, labels, groups=groups)


def _search(
    queries: EmbeddingSet,
    references: EmbeddingSet | None,
    metric: str,
    wanted: list[int],
    with_map: bool,
    threads: int | None,
    progress: bool | Callable[[float], None],
) -> tuple[dict[int, float], float | None]:
    depth = wanted[-1]
    if with_map:
        depth = max(depth, _largest_class(queries if references is None else references))
    with progress_bar("Finding neighbours", progress) as report:
        found = nearest_neighbours(queries, references, k=depth, metric=metric, threads=threads, progress=report)
    return {k: recall_at_k(found, k) for k in wanted}, measures.map_at_r(found) if with_map else None


def _largest_class(gallery: EmbeddingSet) -> int:
    return int(np.bincount(gallery.codes).max())


def _facts(queries: EmbeddingSet, references: EmbeddingSet | None, n_classes: int, n_defined: int) -> DataFacts:
    return DataFacts(
        name=queries.name,
        n=queries.n,
        n_references=None if references is None else references.n,
        dim=queries.dim,
        dtype=str(queries.vectors.dtype),
        n_classes=n_classes,
        n_defined=n_defined,
        fingerprint=fingerprint_of(queries, references),
    )
