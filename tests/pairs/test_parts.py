"""A problem cut into parts has the counts of the whole, bit for bit."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contract import ACROSS, WITHIN, Case, assert_same, clusters

from evenmatch.errors import EvenmatchError
from evenmatch.pairs import PairCounts
from evenmatch.pairs._cpu import count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._parts import BlockGrid, count_part, merged, whole
from evenmatch.pairs._problem import Problem

TILES = (8, 16)
STEP = 16


def both_ways(case: Case, metric: str, blocks: int) -> tuple[PairCounts, PairCounts]:
    """Counts of the whole, and of parts merged in a tree of no special order."""
    problem = Problem.build(*case.sets, metric)
    ladder = Ladder.build(problem.grid, np.arange(12_000, 39_000, 300), (-0.3,))
    grid = BlockGrid(*(edges(side.n, blocks) for side in (problem.rows, problem.cols)), problem.half)

    def count(part: Problem) -> PairCounts:
        return count_cpu(part, ladder, tiles=TILES, threads=1)

    parts = [pickle.loads(pickle.dumps(count_part(problem, grid, at, count, time.monotonic))) for at in grid.parts]
    while len(parts) > 1:
        parts = [merged(parts[i : i + 3]) for i in range(0, len(parts), 3)][::-1]
    return whole(problem, grid, ladder, parts[0]), count_cpu(problem, ladder, tiles=TILES)


def edges(n: int, blocks: int) -> tuple[int, ...]:
    return tuple(sorted({0, *(min(n, i * n // blocks // STEP * STEP) for i in range(1, blocks)), n}))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("blocks", [1, 2, 5])
@pytest.mark.parametrize("name", [f"within: {name}" for name in WITHIN] + [f"across: {name}" for name in ACROSS])
def test_parts_are_the_whole(name, blocks, metric):
    place, _, name = name.partition(": ")
    ours, theirs = both_ways({"within": WITHIN, "across": ACROSS}[place][name], metric, blocks)
    assert_same(ours, theirs)
    assert (ours.reference_best is None) == (theirs.reference_best is None) == (place == "within")
    if theirs.reference_best is not None:
        np.testing.assert_array_equal(ours.reference_best, theirs.reference_best)
    if theirs.groups is not None:
        assert ours.groups is not None
        np.testing.assert_array_equal(ours.groups.sizes, theirs.groups.sizes)
        assert ours.groups.directed == theirs.groups.directed


def test_the_best_scores_of_references_are_those_with_the_sides_swapped():
    case = ACROSS["classes on one side only"]
    problem = Problem.build(*case.sets)
    ladder = Ladder.build(problem.grid, np.arange(0))
    counts = count_cpu(problem, ladder)
    swapped = count_cpu(replace(problem, rows=problem.cols, cols=problem.rows), ladder)
    assert counts.reference_best is not None
    for ours, theirs in zip(counts.reference_best, (swapped.best_positive, swapped.best_negative), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_part_that_is_missing_or_twice_is_noticed():
    problem = Problem.build(*WITHIN["uneven classes"].sets)
    ladder = Ladder.build(problem.grid, np.arange(0))
    grid = BlockGrid((0, 112, 230), (0, 112, 230), True)

    def count(part: Problem) -> PairCounts:
        return count_cpu(part, ladder)

    parts = [count_part(problem, grid, at, count, time.monotonic) for at in grid.parts]
    with pytest.raises(EvenmatchError, match="2 parts counted, 3 expected"):
        whole(problem, grid, ladder, merged(parts[1:]))
    with pytest.raises(EvenmatchError, match="4 parts counted, 3 expected"):
        whole(problem, grid, ladder, merged([*parts, parts[0]]))


def problem_of(n: int, k: int, ref: int = 0) -> tuple[Problem, Ladder]:
    x, codes = clusters(n + ref, k, dim=2)
    options: Any = {"ref": x[n:], "ref_labels": codes[n:]} if ref else {}
    problem = Problem.build(*Case(x[:n], codes[:n], **options).sets)
    return problem, Ladder.build(problem.grid, np.arange(20_000, 20_200))


@pytest.mark.parametrize(("n", "k", "ref"), [(50_000, 10, 0), (50_000, 10, 3_000), (300, 5, 0), (300, 5, 90_000)])
@pytest.mark.parametrize("threads", [1, 2, 16, 100])
def test_a_plan_gives_every_thread_work_and_cuts_where_tiles_begin(n, k, ref, threads):
    problem, ladder = problem_of(n, k, ref)
    grid = BlockGrid.plan(problem, ladder, threads)
    assert sum(grid.pairs(part) for part in grid.parts) == problem.n_pairs
    assert grid.parts[0] == max(grid.parts, key=grid.pairs)
    for edges, side in ((grid.row_edges, problem.rows), (grid.col_edges, problem.cols)):
        assert (edges[0], edges[-1]) == (0, side.n)
        assert all(edge % 1024 == 0 for edge in edges[:-1])
    if n == 50_000 and not ref:
        assert len(grid.parts) >= 4 * threads


def test_a_plan_makes_fewer_parts_where_tables_are_large():
    few, many = (BlockGrid.plan(*problem_of(50_000, k), threads=16) for k in (10, 25_000))
    assert len(many.parts) < len(few.parts)
    assert len(many.parts) >= 16
