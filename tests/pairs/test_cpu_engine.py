"""What is the CPU engine's own: tiles, blocks, tables that drain, threads that end."""

from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import numpy as np
import pytest
from contract import (
    ACROSS,
    FLOAT32,
    WITHIN,
    Case,
    assert_conserved,
    assert_same,
    assert_true,
    clusters,
    lattice,
    mirrored,
)

from evenmatch.pairs import PairCounts, _cpu
from evenmatch.pairs._cpu import count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

BINS = np.arange(15_000, 39_000, 300)
TILES = [(1, 1), (7, 5), (5, 7), (1, 64), (64, 1024), (1000, 1000)]


def count(case: Case, *, metric: str = "cosine", extra: tuple[float, ...] = (), **options: Any) -> PairCounts:
    problem = Problem.build(*case.sets, metric)
    return count_cpu(problem, Ladder.build(problem.grid, BINS, extra), **options)


def exact_case(across: bool) -> Case:
    """Scores that no order of arithmetic can change, so that counts must not differ at all."""
    rng = np.random.default_rng(1)
    x, codes, groups = mirrored(lattice(45, 16)), rng.integers(0, 9, 90), rng.choice(["p", "q", "r"], 90)
    if not across:
        return Case(x, codes, groups)
    ref = mirrored(lattice(38, 16, seed=2))
    return Case(x, codes, groups, ref, rng.integers(4, 13, 76), rng.choice(["q", "s"], 76))


def busy_case() -> Case:
    return Case(*clusters(2400, 30, dim=4))


def no_worker_lives() -> bool:
    return not any(thread.name.startswith("evenmatch") for thread in threading.enumerate())


@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_size_of_tiles_does_not_matter(tiles, across, metric):
    case = exact_case(across)
    assert_same(count(case, metric=metric, tiles=tiles), count(case, metric=metric))


@pytest.mark.parametrize("tiles", [(7, 5), (64, 1024)])
@pytest.mark.parametrize("name", ["uneven classes", "two samples a class", "groups", "three samples", "one dimension"])
def test_counts_in_small_tiles_are_true(tiles, name):
    counts = count(WITHIN[name], tiles=tiles, extra=(0.123, 0.5))
    assert_true(counts, WITHIN[name], FLOAT32.of(counts), exact_share=0.5)


@pytest.mark.parametrize("name", ACROSS)
def test_counts_across_in_small_tiles_are_true(name):
    counts = count(ACROSS[name], tiles=(7, 5), extra=(0.123, 0.5))
    assert_true(counts, ACROSS[name], FLOAT32.of(counts), exact_share=0.5)


@pytest.mark.parametrize("rows", [7, 20, 45])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_number_of_blocks_does_not_matter(rows, across, metric):
    case = exact_case(across)
    small = count(case, metric=metric, tiles=(7, 5), block_bytes=rows * 4 * 16)
    assert_same(small, count(case, metric=metric))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_matter_with_more_threads_than_tiles_or_fewer(threads):
    case = exact_case(False)
    assert_same(count(case, threads=threads, tiles=(30, 60)), count(case, threads=1))


def test_wide_tables_take_fewer_threads_and_give_the_same(monkeypatch):
    case = exact_case(False)
    expected = count(case)
    monkeypatch.setattr(_cpu, "_TABLE_BYTES", 1)
    assert_same(count(case, threads=8, tiles=(7, 5)), expected)


@pytest.mark.parametrize("tiles_before_drain", [1, 2])
@pytest.mark.parametrize("across", [False, True])
def test_draining_the_tables_loses_and_repeats_nothing(monkeypatch, tiles_before_drain, across):
    case = exact_case(across)
    expected = count(case)
    drained = []
    real = _cpu._Tally.drain
    monkeypatch.setattr(_cpu._Tally, "drain", lambda tally, total: (drained.append(1), real(tally, total)))
    monkeypatch.setattr(_cpu, "_TILES_BEFORE_DRAIN", tiles_before_drain)
    assert_same(count(case, tiles=(7, 5), threads=3), expected)
    assert len(drained) > 50  # of more than 100 tiles, drained after each or every other one


def test_no_cell_can_overflow_between_two_drains():
    assert (_cpu._TILES_BEFORE_DRAIN + 1) * _cpu.TILE_ROWS * _cpu.TILE_COLS <= 2**31


def test_progress_is_reported_during_the_run_and_never_falls(monkeypatch):
    real = _cpu.wait
    monkeypatch.setattr(_cpu, "wait", lambda jobs, timeout, **how: real(jobs, timeout=0.002, **how))
    seen: list[float] = []
    case = Case(*clusters(300, 30, dim=4))
    counts = count(case, tiles=(1, 1), block_bytes=100 * 16, progress=seen.append)
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert 0 <= seen[0] < 1
    assert seen[-1] == 1.0
    assert_conserved(counts, case.n_pairs)


def test_an_interrupt_from_the_progress_display_ends_the_run_at_once():
    calls: list[float] = []

    def interrupt(share: float) -> None:
        calls.append(share)
        raise KeyboardInterrupt

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        count(busy_case(), tiles=(1, 1), progress=interrupt)
    assert time.perf_counter() - started < 8  # of half a minute
    assert len(calls) == 1
    assert calls[0] < 1  # it was the run that was cut short, not its last call
    assert no_worker_lives()


def test_ctrl_c_ends_the_run_and_its_threads_at_once():
    timer = threading.Timer(0.3, _thread.interrupt_main)
    started = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        count(busy_case(), tiles=(1, 1))
    timer.join()
    assert time.perf_counter() - started < 8  # of half a minute
    assert no_worker_lives()


def test_a_failure_in_one_thread_stops_the_others(monkeypatch):
    lock, calls = threading.Lock(), [0]
    real = _cpu.count_tile

    def fails_once(*args: Any) -> None:
        with lock:
            calls[0] += 1
            call = calls[0]
        if call == 20:
            raise MemoryError("no memory for one tile")
        if call > 20:
            time.sleep(0.001)  # so that a run that goes on is seen to do so
        real(*args)

    monkeypatch.setattr(_cpu, "count_tile", fails_once)
    with pytest.raises(MemoryError, match="one tile"):
        count(Case(*clusters(60, 6)), tiles=(1, 1), threads=2)
    assert calls[0] < 200  # of 1,770
    assert no_worker_lives()
