"""Precision "fast" on the CPU: products of rounded vectors, counted like any others, and what the rounding did."""

from __future__ import annotations

import numpy as np
import pytest
from contract import ACROSS, WITHIN, Case, Tolerance, assert_conserved, assert_same, assert_true, clusters, lattice

import reference
from evenmatch.errors import InputError
from evenmatch.pairs import CpuEngine, _bfloat16, count_pairs
from evenmatch.pairs._bfloat16 import Bfloat16Block, has_bfloat16, round_to_bfloat16
from evenmatch.pairs._cpu import count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="the processor has no AVX512-BF16")
FAST = CpuEngine(precision="fast")


def nearest_bfloat16(x: np.ndarray) -> np.ndarray:
    """8 significant bits, ties to even, by arithmetic instead of bits."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 256) / 256, exponent)


def rounded_scores(case: Case, metric: str) -> np.ndarray:
    """The scores that rounded vectors have in float64."""
    sides = [case.x] if case.ref is None else [case.x, case.ref]
    if metric == "cosine":
        sides = [(x.astype("f4") / np.linalg.norm(x.astype("f8"), axis=1)[:, None].astype("f4")) for x in sides]
    else:
        every = np.concatenate(sides)
        sides = [x.astype("f4") - every.mean(axis=0, dtype="f8").astype("f4") for x in sides]
    left, right = nearest_bfloat16(sides[0]), nearest_bfloat16(sides[-1])
    if metric == "cosine":
        return left @ right.T
    return -np.sqrt(((left[:, None] - right[None]) ** 2).sum(axis=2))


@pytest.mark.parametrize("value", [1.0, -3.1415927, 1 + 2**-8, 1 + 3 * 2**-8, 1e-30, 65504.0, 0.0])
def test_rounding_is_to_the_nearest_with_ties_to_even(value):
    values = np.float32(value) * np.linspace(0.5, 2, 1001, dtype=np.float32)
    np.testing.assert_array_equal(round_to_bfloat16(values), nearest_bfloat16(values))


@needs_bfloat16
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "case",
    [WITHIN[name] for name in ("uneven classes", "three samples", "one dimension", "many wide rows", "groups")]
    + [ACROSS[name] for name in ("same classes", "one query", "groups")],
)
def test_counts_are_those_of_the_rounded_vectors(case, metric):
    counts = case.count(metric=metric, engine=FAST)
    tolerance = Tolerance(cosine=0.02, euclidean=0.2).of(counts)
    assert counts.arithmetic == "bfloat16"
    assert_true(counts, case, tolerance, rounded_scores(case, metric), exact_share=0.5)


@needs_bfloat16
@pytest.mark.parametrize("dim", [4, 16, 64])
def test_vectors_that_need_no_rounding_are_counted_exactly(dim):
    case = Case(lattice(140, dim), np.arange(140) % 11, groups=np.arange(140) % 4)
    counts = case.count(engine=FAST)
    assert_true(counts, case, 1e-9, exact_share=1)
    assert counts.recount is not None
    assert counts.recount.replicate.size == 0
    assert not counts.recount.pooled_shift.any()


@needs_bfloat16
@pytest.mark.parametrize(("tiles", "rows"), [((7, 32), 96), ((64, 64), 33), ((256, 1024), 2000), ((13, 96), 500)])
@pytest.mark.parametrize("across", [False, True])
def test_tiles_blocks_and_threads_do_not_matter(tiles, rows, across):
    case = ACROSS["groups"] if across else WITHIN["many wide rows"]
    problem = Problem.build(*case.sets)
    ladder = Ladder.build(problem.grid, np.arange(15_000, 39_000, 300))
    whole = count_cpu(problem, ladder, block=Bfloat16Block, threads=1)
    parts = count_cpu(
        problem, ladder, block=Bfloat16Block, threads=3, tiles=tiles, block_bytes=rows * 4 * problem.rows.source.dim
    )
    assert_same(whole, parts)


@needs_bfloat16
def test_tiles_that_would_split_a_packed_panel_are_refused():
    problem = Problem.build(*WITHIN["uneven classes"].sets)
    with pytest.raises(ValueError, match="multiples of 32"):
        count_cpu(problem, Ladder.build(problem.grid, np.arange(0)), block=Bfloat16Block, tiles=(8, 8))


def test_without_bfloat16_instructions_fast_is_exact_and_says_so(monkeypatch):
    monkeypatch.setattr(_bfloat16, "has_bfloat16", lambda: False)
    case = WITHIN["uneven classes"]
    counts = case.count(engine=FAST)
    assert (counts.arithmetic, counts.recount) == ("float32", None)
    assert_same(counts, case.count())


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="'half' is not available on the CPU; use 'exact' or 'fast'"):
        CpuEngine(precision="half")


@needs_bfloat16
def test_counts_of_two_precisions_do_not_merge():
    x, codes = clusters(60, 6)
    exact, fast = (
        Case(x, codes).count(precision=precision, far=(), thresholds=(0.5,)) for precision in ("exact", "fast")
    )
    with pytest.raises(InputError, match="float32 and bfloat16 products"):
        _ = exact + fast


@needs_bfloat16
def test_the_recount_stands_for_all_pairs():
    """Weighted, the sampled pairs that changed are about as many as all that did."""
    case = Case(*clusters(1500, 40, dim=33, seed=7))
    fast = case.count(precision="fast", far=(1e-3, 0.9))
    sample = fast.recount
    assert sample is not None
    exact = reference.scores(case.x)
    rounded = rounded_scores(case, "cosine")
    slots = [np.searchsorted(fast.thresholds, scores, side="right") for scores in (exact, rounded)]
    same = np.equal.outer(np.asarray(case.labels), np.asarray(case.labels))
    upper = np.triu(np.ones_like(same), 1)
    for genuine in (True, False):
        changed = np.count_nonzero((slots[0] != slots[1]) & (same == genuine) & upper)
        mine = (sample.second == -1) == genuine
        estimate = np.bincount(sample.replicate[mine], sample.weight[mine], minlength=sample.replicates)
        error = estimate.std(ddof=1) / np.sqrt(sample.replicates)
        assert changed > 50
        assert abs(estimate.mean() - changed) < 4 * error
    assert (sample.pooled_shift.sum(axis=1) == 0).all()  # what one bin gains, another loses


@needs_bfloat16
def test_fast_goes_through_count_pairs_by_name():
    case = WITHIN["groups"]
    counts = count_pairs(*case.sets, precision="fast")
    assert counts.arithmetic == "bfloat16"
    assert_conserved(counts, case.n_pairs)
