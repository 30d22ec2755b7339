"""Count all pairs of a data set: look, count, check, and count again where the look had missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._bfloat16 import round_to_bfloat16
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import CpuEngine
from evenmatch.pairs._cuda import CudaEngine
from evenmatch.pairs._dask import DaskEngine
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._recount import recount
from evenmatch.pairs._sample import SampleEngine
from evenmatch.pairs._window import exact_window, look

__all__ = ["ENGINES", "PRECISIONS", "Engine", "count_pairs", "make_engine"]

PRECISIONS = ("exact", "fast")


class Engine(Protocol):
    """What every engine is: its settings, and a call that turns a problem and thresholds into counts.

    Attributes:
        name: its key in ``ENGINES``.
        precision: ``"exact"`` or ``"fast"``.
    """

    name: ClassVar[str]

    @property
    def precision(self) -> str: ...

    def __call__(
        self, problem: Problem, ladder: Ladder, *, progress: Callable[[float], None] | None = None
    ) -> PairCounts: ...


# each is made with precision= and threads=, and has settings of its own
ENGINES: dict[str, Callable[..., Engine]] = {
    "cpu": CpuEngine,
    "cuda": CudaEngine,
    "dask": DaskEngine,
    "sample": SampleEngine,
}


def make_engine(engine: str | Engine, *, precision: str = "exact", threads: int | None = None) -> Engine:
    """The engine of a name; an engine that is made already passes as it is.

    Raises:
        InputError: unknown name, unknown precision, a number of threads that makes no sense, or a made engine whose
            precision is not the one that is asked for.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; use one of {', '.join(map(repr, PRECISIONS))}")
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; give 1 or more, or leave it out for one a core")
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise InputError(f"engine {engine!r} is unknown; use one of {', '.join(map(repr, ENGINES))}")
        return ENGINES[engine](precision=precision, threads=threads)
    if precision not in ("exact", engine.precision):
        raise InputError(
            f"precision is {precision!r}, but the {engine.name} engine was made for {engine.precision!r}; "
            "say it where the engine is made"
        )
    return engine


def count_pairs(
    queries: EmbeddingSet,
    references: EmbeddingSet | None = None,
    *,
    metric: str = "cosine",
    far: Sequence[float] = (1e-2, 1e-1),
    thresholds: Sequence[float] = (),
    engine: str | Engine = "cpu",
    precision: str = "exact",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> PairCounts:
    """Count every pair once, and every class at the thresholds that matter.

    All pairs together are counted on a grid over the whole score range (step 5e-5 in cosine). Each class is counted at
    the threshold of every rate in ``far``, at 128 to 256 thresholds or more between the lowest and the highest of
    them, and at ``thresholds``. A coarse look at a sample finds where these will lie; if the counts of all pairs then
    show that it missed one, the pass is done again at thresholds that are now known, so no value is extrapolated.

    Args:
        queries: n embeddings; without ``references`` the pairs are the n(n-1)/2 unordered ones among them.
        references: m embeddings of a gallery; the pairs are then the n·m ones across the two sets.
        metric: ``"cosine"``, or ``"euclidean"`` for the score ``-‖x - y‖``.
        far: false accept rates in (0, 1).
        thresholds: further scores at which every class is counted.
        engine: the name of an engine in ``ENGINES``, or an engine.
        precision: ``"exact"`` (float32 scores), or ``"fast"`` (bfloat16 products) where the engine knows it.
        threads: worker threads; by default one a core.
        progress: called with the share of pairs done, in [0, 1]; it begins at 0 again in a second pass.

    Returns:
        The counts; memory and time are those of the engine (see ``count_cpu``).

    Raises:
        InputError: the data or an argument cannot be used; raised before any pair is counted.

    Examples:
        >>> import numpy as np
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> counts = count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))
        >>> counts.n_positives + counts.n_negatives == 60 * 59 // 2
        True
    """
    run = make_engine(engine, precision=precision, threads=threads)
    for rate in far:
        if not 0 < rate < 1:
            raise InputError(f"far holds {rate:g}; a false accept rate to count at lies between 0 and 1")
    problem = Problem.build(queries, references, metric)
    extra = tuple(float(t) for t in thresholds)
    Ladder.build(problem.grid, np.empty(0), extra)  # refuses bad thresholds before the work starts
    indices = look(problem, far) if far else np.empty(0, dtype=np.int64)
    ladder = Ladder.build(problem.grid, indices, extra)
    counts = run(problem, ladder, progress=progress)
    wanted = exact_window(problem, counts, far)
    ends = [wanted[0], wanted[-1]] if wanted.size else []
    exact = [counts.index_at_far(f) for f in far]
    if not np.isin([*ends, *(i for i in exact if i < problem.grid.size)], indices).all():
        ladder = Ladder.build(problem.grid, wanted, extra)
        counts = run(problem, ladder, progress=progress)
    counts.require_conserved(problem.n_pairs)
    if counts.arithmetic == "bfloat16":
        counts = replace(counts, recount=recount(problem, ladder, round_to_bfloat16))
    return counts
