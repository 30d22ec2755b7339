"""What is the Dask engine's own: equal to the CPU engine bit for bit, whatever dies, stops or is continued."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import Case, assert_same, clusters
from threadpoolctl import threadpool_info

distributed = pytest.importorskip("distributed")

import evenmatch as em  # noqa: E402
from evenmatch.embeddings import EmbeddingSet  # noqa: E402
from evenmatch.errors import ArtefactError, EvenmatchError, InputError, MissingExtraError  # noqa: E402
from evenmatch.pairs import ENGINES, CpuEngine, DaskEngine, PairCounts, _dask_run, _dask_worker, _parts, count_pairs  # noqa: E402
from evenmatch.pairs._cuda import _devices  # noqa: E402
from evenmatch.pairs._parts import BlockGrid  # noqa: E402


@pytest.fixture
def client(dask_client):
    with dask_client.as_current():
        yield dask_client


def data(n: int = 5000, k: int = 200, dim: int = 12, seed: int = 0) -> EmbeddingSet:
    return EmbeddingSet.from_arrays(*clusters(n, k, dim, seed))


def within(dtype: type = np.float32) -> Case:
    x, codes = clusters(5300, 200, 12)
    return Case(x.astype(dtype), codes, groups=codes % 3)


def across() -> Case:
    x, codes = clusters(9000, 150, 12, seed=1)
    codes[5000:] += 20
    groups = np.arange(9000) % 2
    return Case(x[:5000], codes[:5000], groups[:5000], x[5000:], codes[5000:], groups[5000:])


@pytest.fixture
def planned(monkeypatch) -> list[BlockGrid]:
    """The grids that were planned, to see that there was something to share out, with as many parts as threads like."""
    monkeypatch.setattr(_parts, "_PAIRS_PER_CELL", 0.1)
    grids: list[BlockGrid] = []
    real = BlockGrid.plan.__func__

    def plan(cls: Any, *arguments: Any) -> BlockGrid:
        grids.append(real(cls, *arguments))
        return grids[-1]

    monkeypatch.setattr(BlockGrid, "plan", classmethod(plan))
    return grids


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "case",
    [within(), within(np.float16), within(np.float64), across()],
    ids=["float32", "float16", "float64", "across"],
)
def test_counts_and_best_scores_are_the_cpu_engines_bit_for_bit(client, planned, case, metric):
    options: dict[str, Any] = {"metric": metric, "thresholds": (-0.25,)}
    ours, theirs = case.count(engine="dask", **options), case.count(engine="cpu", **options)
    assert len(planned[0].parts) >= 8
    assert_same(ours, theirs)
    if case.ref is not None:
        assert ours.reference_best is not None
        assert theirs.reference_best is not None
        np.testing.assert_array_equal(ours.reference_best, theirs.reference_best)


def test_workers_read_memory_maps_and_shards_themselves(client, planned, tmp_path, monkeypatch):
    x, codes = clusters(5000, 200, 12)
    np.save(tmp_path / "x.npy", x)
    shards = tmp_path / "shards"
    shards.mkdir()
    for i in range(7):
        np.save(shards / f"{i}.npy", x[i * 800 : (i + 1) * 800 if i < 6 else None])
    np.save(shards / "labels.npy", codes)
    expected = count_pairs(EmbeddingSet.from_arrays(x, codes))

    def refused(*arguments: Any) -> None:
        raise AssertionError("the vectors were copied")

    monkeypatch.setattr(_dask_run, "spool", refused)
    assert_same(count_pairs(em.load(tmp_path / "x.npy", labels=codes), engine="dask"), expected)
    assert_same(count_pairs(em.load(shards), engine="dask"), expected)
    with pytest.raises(AssertionError, match="were copied"):
        count_pairs(EmbeddingSet.from_arrays(x, codes), engine="dask")
    assert len(planned[0].parts) >= 8


def test_the_temporary_file_of_embeddings_in_memory_is_removed(client, tmp_path, monkeypatch):
    from evenmatch.embeddings import _spool

    monkeypatch.setattr(_spool.tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []
    count_pairs(data(300, 9), engine="dask", progress=lambda share: seen.append(len(list(tmp_path.iterdir()))))
    assert seen[0] == 1
    assert not list(tmp_path.iterdir())


def test_an_audit_says_that_it_was_counted_with_dask(client):
    samples = data(400, 20)
    one, other = em.audit(samples, engine="dask"), em.audit(samples)
    assert one.summary()["settings"]["engine"] == "dask"
    assert one.opis == other.opis


def test_what_merges_on_the_way_is_bounded(client, planned, monkeypatch):
    """Tables that travel have the classes of two blocks, not all of them."""
    sizes: list[int] = []
    real = _dask_worker.count_part

    def spy(*arguments: Any) -> Any:
        counts = real(*arguments)
        sizes.append(sum(block.positives.size for block in counts.rows.values()))
        return counts

    monkeypatch.setattr(_dask_worker, "count_part", spy)
    count_pairs(data(9000, 900), engine="dask")
    blocks = len(planned[0].row_edges) - 1
    assert blocks >= 4
    assert max(sizes) <= 2 * 900 / blocks * 1.3


def quiet_after(client: Any) -> bool:
    """Whether nothing is left of a run on the workers: no task, no job, no limit on the BLAS."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        host = _dask_worker.Host
        if not host._jobs and not host._tasks and not host._holders and not any(client.processing().values()):
            return True
        time.sleep(0.05)
    return False


def blas_limits() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_an_interrupt_cancels_what_is_left_and_the_cluster_goes_on(client):
    limits = blas_limits()
    shares: list[float] = []

    def interrupt(share: float) -> None:
        shares.append(share)
        if len(shares) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_pairs(data(9000), engine="dask", progress=interrupt)
    assert shares[-1] < 1
    assert quiet_after(client)
    assert blas_limits() == limits
    assert_same(count_pairs(data(), engine="dask"), count_pairs(data()))


def test_where_one_worker_does_not_see_the_file_the_others_forget_the_job(client, monkeypatch):
    samples, limits, real = data(300, 9), blas_limits(), _dask_worker.Host.setup

    def setup(self: Any, worker: Any) -> None:
        if worker.name == 1:
            raise InputError("x.npy cannot be read here")
        real(self, worker)

    with monkeypatch.context() as patch:
        patch.setattr(_dask_worker.Host, "setup", setup)
        with pytest.raises(InputError, match=r"x\.npy cannot be read here"):
            count_pairs(samples, engine="dask")
    assert quiet_after(client)
    assert blas_limits() == limits
    assert_same(count_pairs(samples, engine="dask"), count_pairs(samples))


def test_an_interrupt_while_the_job_is_handed_out_takes_it_away_again(client, monkeypatch):
    limits, real = blas_limits(), _dask_worker.Host.setup

    def slow(self: Any, worker: Any) -> None:
        if worker.name == 0:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.5)
        real(self, worker)

    monkeypatch.setattr(_dask_worker.Host, "setup", slow)
    with pytest.raises(KeyboardInterrupt):
        count_pairs(data(300, 9), engine="dask")
    monkeypatch.undo()
    assert quiet_after(client)
    assert blas_limits() == limits


@pytest.mark.slow
def test_a_worker_that_joins_later_and_does_not_see_the_file_names_it(planned, tmp_path):
    x, codes = clusters(5000, 200, 12)
    np.save(tmp_path / "x.npy", x)
    samples = em.load(tmp_path / "x.npy", labels=codes)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):

        def join(share: float) -> None:
            if not (tmp_path / "moved.npy").exists():
                (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
                cluster.scale(2)
                client.wait_for_workers(2)

        with pytest.raises(InputError, match=r"x\.npy cannot be read here \(No such file"):
            count_pairs(samples, engine="dask", progress=join)
    assert len(planned[0].parts) > 1


def test_a_task_stops_soon_after_its_run(client, monkeypatch):
    """A task takes up to a minute, but looks several times a second whether anybody waits for it."""
    started, order = threading.Event(), []

    class Limit:
        def __init__(self, *arguments: Any) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *exception: object) -> None:
            order.append("limit on the BLAS given back")

    def endless(*arguments: Any, progress: Any) -> None:
        started.set()
        try:
            for _ in range(600):
                progress(0.0)
                time.sleep(0.1)
        finally:
            time.sleep(0.5)
            order.append("task ended")

    def interrupted(*arguments: Any, **options: Any) -> Any:
        assert started.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setitem(ENGINES, "cpu", lambda **options: endless)
    monkeypatch.setattr(_dask_run, "as_completed", interrupted)
    monkeypatch.setattr(_dask_worker, "one_blas_thread", Limit)
    with pytest.raises(KeyboardInterrupt):
        count_pairs(data(300, 9), engine=DaskEngine())
    assert quiet_after(client)  # within 20 of 60 seconds
    assert order == ["task ended", "limit on the BLAS given back"]


def test_an_error_on_a_worker_is_raised_here(client, monkeypatch):
    def broken(**settings: Any) -> Any:
        def count(*arguments: Any, **options: Any) -> None:
            raise MemoryError("no memory for one part")

        return count

    monkeypatch.setitem(ENGINES, "cpu", broken)
    with pytest.raises(MemoryError, match="one part"):
        count_pairs(data(300, 9), engine=DaskEngine())
    assert quiet_after(client)


def test_a_worker_that_sees_a_gpu_uses_the_gpu_engine(client, monkeypatch):
    used: list[str] = []

    def cuda(precision: str) -> Any:
        used.append(precision)
        return CpuEngine(threads=1)

    monkeypatch.setitem(ENGINES, "cuda", cuda)
    monkeypatch.setattr(_dask_worker, "gpu_visible", lambda: False)
    expected = count_pairs(data(), engine="dask")
    assert not used
    monkeypatch.setattr(_dask_worker, "gpu_visible", lambda: True)
    assert_same(count_pairs(data(), engine="dask"), expected)
    assert set(used) == {"exact"}


@pytest.mark.parametrize("missing", ["torch", "a GPU of 2020 or newer"])
def test_a_worker_whose_gpu_is_of_no_use_counts_on_its_cpu(client, monkeypatch, missing):
    monkeypatch.setattr(_devices, "_DRIVER_FILES", ("/dev/null",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = importlib.util.find_spec
    absent = ("torch",) if missing == "torch" else ()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else found("json"))
    monkeypatch.setattr(_devices, "_usable", list)

    def cuda(**settings: Any) -> Any:
        raise AssertionError("the engine 'cuda' was made")

    monkeypatch.setitem(ENGINES, "cuda", cuda)
    assert_same(count_pairs(data(300, 9), engine="dask"), count_pairs(data(300, 9)))


def test_an_engine_that_does_not_say_the_best_of_references_is_not_trusted(client, monkeypatch):
    import dataclasses

    def forgetful(**settings: Any) -> Any:
        def count(problem: Any, ladder: Any, **options: Any) -> PairCounts:
            return dataclasses.replace(CpuEngine(threads=1)(problem, ladder), reference_best=None)

        return count

    monkeypatch.setitem(ENGINES, "cpu", forgetful)
    with pytest.raises(EvenmatchError, match="does not give reference_best"):
        count_pairs(data(), engine=DaskEngine())


def facts(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("pass-*.npz")
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(str(archive["facts"]))


def interrupted_run(samples: EmbeddingSet, folder: Path, after: int) -> None:
    reports: list[float] = []

    def interrupt(share: float) -> None:
        reports.append(share)
        if len(reports) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_pairs(samples, engine=DaskEngine(checkpoint=folder), progress=interrupt)


@pytest.fixture
def counted(monkeypatch) -> list[tuple[int, int]]:
    """The parts that workers count."""
    seen: list[tuple[int, int]] = []
    real = _dask_worker.count_part

    def spy(problem: Any, grid: Any, part: Any, *more: Any) -> Any:
        seen.append(part)
        return real(problem, grid, part, *more)

    monkeypatch.setattr(_dask_worker, "count_part", spy)
    return seen


@pytest.mark.parametrize("case", [within(), across()], ids=["within", "across"])
def test_a_stopped_run_is_continued_and_does_nothing_twice(client, planned, tmp_path, counted, monkeypatch, case):
    monkeypatch.setattr(_dask_run, "_SAVE_SHARE", 1e9)  # after each task
    queries, references = case.sets
    reports: list[float] = []

    def interrupt(share: float) -> None:
        reports.append(share)
        if len(reports) > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_pairs(queries, references, engine=DaskEngine(checkpoint=tmp_path), progress=interrupt)
    assert quiet_after(client)
    kept = {tuple(part) for part, _, _ in facts(tmp_path)["parts"]}
    assert len(kept) >= 3
    assert facts(tmp_path)["left"] >= 2
    counted.clear()
    shares: list[float] = []
    engine = DaskEngine(checkpoint=tmp_path, resume=True)
    ours = count_pairs(queries, references, engine=engine, progress=shares.append)
    assert shares[0] > 0.1
    assert shares == sorted(shares)
    assert kept.isdisjoint(counted)
    assert_same(ours, count_pairs(queries, references))
    log = Counter(tuple(part) for part, _, _ in facts(tmp_path)["parts"])
    assert set(log.values()) == {1}
    assert set(log) == kept | set(counted)
    counted.clear()
    assert_same(count_pairs(queries, references, engine=engine), ours)  # all is known now
    assert not counted


def test_a_finished_pass_does_not_stand_in_the_way_of_another_over_the_same_data(client, tmp_path):
    engine = DaskEngine(checkpoint=tmp_path)
    counts = count_pairs(data(300, 9), engine=engine)
    assert_same(count_pairs(data(300, 9), engine=engine), counts)
    count_pairs(data(300, 9), engine=engine, thresholds=(0.5,))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_finished_pass_is_neither_counted_again_nor_written_again(client, tmp_path, counted):
    engine = DaskEngine(checkpoint=tmp_path)
    counts = count_pairs(data(300, 9), engine=engine)
    (path,) = tmp_path.iterdir()
    kept = path.read_bytes()
    counted.clear()
    assert_same(count_pairs(data(300, 9), engine=engine), counts)
    assert not counted
    assert path.read_bytes() == kept


def test_resuming_where_nothing_was_begun_begins(client, tmp_path):
    engine = DaskEngine(checkpoint=tmp_path / "new", resume=True)
    assert_same(count_pairs(data(300, 9), engine=engine), count_pairs(data(300, 9)))


def test_a_checkpoint_of_something_else_is_refused(client, tmp_path):
    interrupted_run(data(), tmp_path, 2)
    again, anew = DaskEngine(checkpoint=tmp_path, resume=True), DaskEngine(checkpoint=tmp_path)
    with pytest.raises(InputError, match="holds the checkpoint of a run; continue it with resume"):
        count_pairs(data(), engine=anew)
    with pytest.raises(InputError, match="holds the checkpoint of other data"):
        count_pairs(data(seed=1), engine=again)
    with pytest.raises(InputError, match="holds the checkpoint of other data"):
        count_pairs(data(), metric="euclidean", engine=again)
    with pytest.raises(InputError, match="holds the checkpoint of a run with other settings"):
        count_pairs(data(), far=(0.2,), engine=again)


@pytest.mark.parametrize("harm", ["truncate", "schema", "text"])
def test_a_damaged_checkpoint_is_refused_by_name(client, tmp_path, harm):
    interrupted_run(data(), tmp_path, 2)
    (path,) = tmp_path.glob("pass-*.npz")
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:-200])
    elif harm == "schema":
        np.savez(path, facts=np.array(json.dumps({"kind": "evenmatch.counts", "schema": 99})))
    else:
        path.write_text("hello")
    with pytest.raises(ArtefactError, match=r"pass-\w+\.npz"):
        count_pairs(data(), engine=DaskEngine(checkpoint=tmp_path, resume=True))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="give either scheduler or workers"):
        DaskEngine(scheduler="tcp://x:1", workers=2)
    with pytest.raises(InputError, match="give checkpoint too"):
        DaskEngine(resume=True)
    with pytest.raises(InputError, match="workers is 0"):
        DaskEngine(workers=0)
    with pytest.raises(InputError, match="precision 'Fast' is unknown to the engine 'dask'; use 'exact' or 'fast'"):
        DaskEngine(precision="Fast")
    with pytest.raises(InputError, match="threads is 0; give 1 or more"):
        DaskEngine(threads=0)


def test_a_scheduler_that_does_not_answer_is_said_in_a_line(monkeypatch):
    monkeypatch.setattr(_dask_run, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9") as caught:
        count_pairs(data(300, 9), engine=DaskEngine(scheduler="tcp://127.0.0.1:9"))
    assert "\n" not in str(caught.value)


def test_a_scheduler_without_workers_is_said_in_a_line(monkeypatch):
    monkeypatch.setattr(_dask_run, "_PATIENCE_SECONDS", 0.2)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(InputError, match="has no workers"),
    ):
        count_pairs(data(300, 9), engine=DaskEngine(scheduler=empty.scheduler_address))


def test_the_scheduler_that_is_named_is_used(dask_client):
    engine = DaskEngine(scheduler=dask_client.scheduler.address)
    assert_same(count_pairs(data(300, 9), engine=engine), count_pairs(data(300, 9)))


def test_without_dask_a_line_names_the_pip_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "evenmatch\[cluster\]"'):
        count_pairs(data(300, 9), engine="dask")


@pytest.mark.slow
def test_two_of_four_workers_are_killed_while_they_count():
    x, codes = clusters(16_000, 400, 64)
    samples = EmbeddingSet.from_arrays(x, codes)
    shares: list[float] = []
    with (
        distributed.LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=":0", memory_limit=None) as four,
        distributed.Client(four, set_as_default=False) as client,
        client.as_current(),
    ):
        before = client.run(os.getpid)

        def kill(share: float) -> None:
            shares.append(share)
            if len(shares) == 4:
                for pid in list(before.values())[:2]:
                    os.kill(pid, signal.SIGKILL)

        counts = count_pairs(samples, engine="dask", progress=kill)
        deadline = time.monotonic() + 60
        while len(client.nthreads()) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        after = client.run(os.getpid)
    assert shares[3] < 0.8
    assert set(list(before.values())[:2]).isdisjoint(after.values())
    assert set(after.values()) - set(before.values()), "a nanny has started one again"
    assert_same(counts, count_pairs(samples))


RUN = """
import sys
import numpy as np
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import DaskEngine, count_pairs
if __name__ == "__main__":
    samples = EmbeddingSet.from_arrays(np.load(sys.argv[1]), np.load(sys.argv[2]))
    count_pairs(samples, engine=DaskEngine(workers=2, checkpoint=sys.argv[3]))
"""


@pytest.mark.slow
def test_a_run_whose_processes_are_all_killed_is_continued(client, tmp_path, counted):
    x, codes = clusters(24_000, 600, 64)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "codes.npy", codes)
    (tmp_path / "run.py").write_text(RUN)
    folder = tmp_path / "checkpoint"
    arguments = [str(tmp_path / name) for name in ("run.py", "x.npy", "codes.npy")] + [str(folder)]
    child = subprocess.Popen([sys.executable, *arguments], start_new_session=True, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            if list(folder.glob("pass-*.npz")) and facts(folder)["parts"]:
                break
            time.sleep(0.01)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        output = child.communicate()[1]
    kept = {tuple(part) for part, _, _ in facts(folder)["parts"]}
    assert kept, output.decode()
    assert facts(folder)["left"] > 0
    counts = count_pairs(EmbeddingSet.from_arrays(x, codes), engine=DaskEngine(checkpoint=folder, resume=True))
    assert kept.isdisjoint(counted)
    assert Counter(counted).most_common(1)[0][1] == 1
    assert facts(folder)["left"] == 0
    assert_same(counts, count_pairs(EmbeddingSet.from_arrays(x, codes)))
