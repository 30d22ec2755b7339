"""One pass on a Dask cluster, as its client sees it: send the job, hand out parts, collect and merge counts."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from evenmatch.embeddings import EmbeddingSet
from evenmatch.embeddings._shards import Shard, ShardedVectors
from evenmatch.embeddings._spool import spool
from evenmatch.embeddings._vectors import row_blocks
from evenmatch.errors import EvenmatchError, InputError
from evenmatch.pairs._checkpoint import Checkpoint
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._dask_worker import Host, Job, merge_parts, run_part, without_labels
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._parts import BlockGrid, PartCounts, merged, whole
from evenmatch.pairs._problem import Problem, Side

if TYPE_CHECKING:
    from evenmatch.pairs._dask import DaskEngine

__all__ = ["count_on_cluster"]

_LOGGER = logging.getLogger("evenmatch.dask")
_FAN_IN = 4
_SAVE_SHARE = 0.05
_ANSWER_SECONDS = 10
_PATIENCE_SECONDS = 60


def count_on_cluster(
    problem: Problem, ladder: Ladder, engine: DaskEngine, progress: Callable[[float], None] | None
) -> PairCounts:
    """Count every pair of a problem on the cluster that an engine names; see `DaskEngine`."""
    # where a worker has no bfloat16 it counts in float32, and the error bars are then wider than need be
    arithmetic = "float32" if engine.precision == "exact" else "bfloat16"
    checkpoint, grid, done = None, None, None
    if engine.checkpoint is not None:
        checkpoint = Checkpoint.of(Path(engine.checkpoint), problem, ladder, engine.precision)
        if engine.resume or checkpoint.finished:
            grid, done = checkpoint.load() or (None, None)
        if grid is None:
            checkpoint.require_free()
    if grid is not None and done is not None and len(done.parts) == len(grid.parts):
        return whole(problem, grid, ladder, done, arithmetic)
    with _client(engine) as client:
        _require_same_version(client)
        threads = client.nthreads()
        _LOGGER.info("counting on %d workers with %d threads", len(threads), sum(threads.values()))
        _LOGGER.info("dashboard (with bokeh installed): %s", client.dashboard_link)
        if grid is None:
            grid = BlockGrid.plan(problem, ladder, sum(threads.values()))
        job = Job(_travelling(problem), ladder, grid, engine.precision)
        name = f"evenmatch-{uuid.uuid4().hex[:12]}"
        run = _Run(client, name, grid, done, checkpoint, progress)
        try:
            # in a thread that an interrupt waits for: what is still on its way cannot be taken back
            with ThreadPoolExecutor(1) as registering:
                registering.submit(client.register_plugin, Host(name, job), name=name).result()
            total = run.count()
        finally:
            run.cancel()
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.unregister_worker_plugin(name)
    if progress is not None:
        progress(1.0)
    return whole(problem, grid, ladder, total, arithmetic)


class _Run:
    """Parts that are being counted, and counts that are waiting on workers to be collected."""

    def __init__(
        self,
        client: Any,
        name: str,
        grid: BlockGrid,
        done: PartCounts | None,
        checkpoint: Checkpoint | None,
        progress: Callable[[float], None] | None,
    ) -> None:
        self.client, self.name, self.grid = client, name, grid
        self.total, self.checkpoint, self.progress = done, checkpoint, progress
        self.counting: dict[Future, tuple[int, int]] = {}
        self.waiting: dict[str, list[Future]] = {}
        self.saved_at, self.save_seconds = time.monotonic(), 0.0

    def count(self) -> PartCounts:
        finished = {part for part, _, _ in self.total.parts} if self.total is not None else set()
        left = [part for part in self.grid.parts if part not in finished]
        pairs = sum(self.grid.pairs(part) for part in self.grid.parts)
        pairs_done = pairs - sum(self.grid.pairs(part) for part in left)
        if self.checkpoint is not None and self.total is None:
            self.checkpoint.save(self.grid, None)
        self._report(pairs_done / pairs)
        self.counting = {
            self.client.submit(run_part, self.name, part, key=f"{self.name}-part-{part[0]}-{part[1]}"): part
            for part in left
        }
        for future in as_completed(list(self.counting), loop=self.client.loop):
            self._require_good(future)
            pairs_done += self.grid.pairs(self.counting.pop(future))
            self._keep(future)
            self._report(pairs_done / pairs)
            rested = self.save_seconds <= _SAVE_SHARE * (time.monotonic() - self.saved_at)
            if self.checkpoint is not None and self.counting and rested:
                self._save()
        self._save()
        assert self.total is not None
        return self.total

    def _keep(self, future: Future) -> None:
        """Leave counts on their worker, and merge them there when there are some."""
        holders = self.client.who_has([future]).get(future.key, ())
        place = holders[0] if holders else ""
        here = self.waiting.setdefault(place, [])
        here.append(future)
        if len(here) >= _FAN_IN:
            self.waiting[place] = [self._merge(here, place)]

    def _merge(self, futures: list[Future], place: str = "") -> Future:
        where: dict[str, Any] = {"workers": [place], "allow_other_workers": True} if place else {}
        return self.client.submit(merge_parts, futures, pure=False, priority=1, **where)

    def _save(self) -> None:
        """Bring what is waiting on the workers to this process, in a tree, and write it."""
        started = time.monotonic()
        futures = [
            self._merge(here, place) if len(here) > 1 else here[0] for place, here in self.waiting.items() if here
        ]
        while len(futures) > 1:
            futures = [
                self._merge(futures[at : at + _FAN_IN]) if len(futures[at : at + _FAN_IN]) > 1 else futures[at]
                for at in range(0, len(futures), _FAN_IN)
            ]
        for future in futures:
            self._require_good(future)
            counts = future.result()
            self.total = counts if self.total is None else merged([self.total, counts])
        self.waiting = {}
        if self.checkpoint is not None:
            self.checkpoint.save(self.grid, self.total)
        self.saved_at = time.monotonic()
        self.save_seconds = self.saved_at - started

    def _require_good(self, future: Future) -> None:
        error: Any = future.exception()
        if error is None:
            return
        if isinstance(error, KilledWorker):
            raise EvenmatchError(
                f"the same task lost its worker several times ({error.last_worker}); the workers probably run out of "
                "memory: give them more, or fewer threads each"
            ) from error
        raise error

    def _report(self, share: float) -> None:
        if self.progress is not None:
            self.progress(min(share, 1.0))

    def cancel(self) -> None:
        """Let go of everything that is not collected."""
        futures = [*self.counting, *(future for here in self.waiting.values() for future in here)]
        if futures:
            with contextlib.suppress(Exception):
                self.client.cancel(futures, force=True)
        self.counting, self.waiting = {}, {}


@contextmanager
def _client(engine: DaskEngine) -> Iterator[Any]:  # a Client, whose types say that each call may be asynchronous
    """The client of a running cluster, or of one that lasts as long as the context."""
    if engine.scheduler is not None:
        try:
            client = Client(engine.scheduler, set_as_default=False, timeout=_ANSWER_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"no Dask scheduler answers at {engine.scheduler} ({error}); start one with: dask scheduler"
            ) from error
        with client:
            _require_workers(client)
            yield client
        return
    current = _current_client() if engine.workers is None else None
    if current is not None:
        _require_workers(current)
        yield current
        return
    threads = engine.threads or 1
    workers = engine.workers or max(1, available_cores() // threads)
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            dashboard_address="127.0.0.1:0",
            memory_limit=None,  # it would count mapped pages, which can be dropped at any time
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _current_client() -> Client | None:
    try:
        return Client.current()
    except ValueError:
        return None


def _require_workers(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
    except TimeoutError as error:
        raise InputError(
            f"the Dask scheduler at {client.scheduler.address if client.scheduler else '?'} has no workers; start "
            "some with: dask worker"
        ) from error


def _require_same_version(client: Any) -> None:
    found = client.get_versions(packages=["evenmatch"])
    ours = found["client"]["packages"].get("evenmatch")
    for address, facts in found["workers"].items():
        theirs = facts["packages"].get("evenmatch")
        if theirs != ours:
            raise InputError(
                f"worker {address} has evenmatch {theirs or '(none)'} but this process {ours}; install the same version"
            )


def _travelling(problem: Problem) -> Problem:
    """The problem with its vectors in files, and without what workers do not need."""
    rows = _travelling_side(problem.rows)
    return replace(problem, rows=rows, cols=rows if problem.half else _travelling_side(problem.cols))


def _travelling_side(side: Side) -> Side:
    return replace(side, source=without_labels(side.source, _in_files(side.source)))


def _in_files(source: EmbeddingSet) -> ShardedVectors:
    vectors = source.vectors
    if isinstance(vectors, ShardedVectors):
        return vectors
    shard = Shard.of(vectors) if isinstance(vectors, np.memmap) else None
    if shard is not None:
        return ShardedVectors([shard])
    blocks = (vectors[rows] for rows in row_blocks(vectors))
    return spool(blocks, (source.n, source.dim), vectors.dtype, "handing embeddings to the workers")
