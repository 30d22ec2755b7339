"""The grid of scores: what a bin is, and which threshold opens it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenmatch.errors import InputError
from evenmatch.pairs import ScoreGrid
from evenmatch.pairs._ladder import Ladder

GRIDS = [ScoreGrid.cosine(), ScoreGrid.euclidean(3.7), ScoreGrid.euclidean(1e-9), ScoreGrid.euclidean(1e9)]
grids = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: f"{grid.metric} {-grid.low:.3g}")


def test_the_cosine_grid_covers_all_cosines_in_steps_of_at_most_5e_5():
    grid = ScoreGrid.cosine()
    assert grid.low <= -1 <= 1 <= grid.low + grid.size * grid.step
    assert grid.step <= 5e-5


@grids
def test_thresholds_ascend_and_end_with_infinity(grid):
    assert grid.thresholds.shape == (grid.size,)
    assert (np.diff(grid.thresholds) > 0).all()
    np.testing.assert_array_equal(grid.threshold(np.arange(grid.size)), grid.thresholds)
    assert grid.threshold(grid.size) == math.inf


@grids
def test_every_threshold_is_found_again(grid):
    for index in (0, 1, 777, 20_000, grid.size - 1):
        threshold = float(grid.threshold(index))
        assert grid.index_at_or_above(threshold) == index
        assert grid.index_at_or_above(threshold + 0.4 * grid.step) == index + 1
        assert grid.index_at_or_above(threshold - 0.4 * grid.step) == index
        assert grid.bin_of(threshold + 0.5 * grid.step) == index


@grids
def test_infinite_thresholds_are_the_ends_and_nan_is_refused(grid):
    assert grid.index_at_or_above(math.inf) == grid.size
    assert grid.index_at_or_above(-math.inf) == 0
    with pytest.raises(InputError, match="NaN"):
        grid.index_at_or_above(math.nan)


@pytest.mark.parametrize("score", [-1.0, -0.5, -0.125, 0.0, 0.25, 0.5, 0.9, 1.0])
def test_round_scores_lie_in_the_middle_of_a_bin(score):
    grid = ScoreGrid.cosine()
    assert len({grid.bin_of(score + error) for error in (-1e-6, -1e-7, 0, 1e-7, 1e-6)}) == 1


@pytest.mark.parametrize("extra", [(), (0.3,), (0.3, -0.7, 0.31), (-1.0, 1.0)])
def test_the_ladder_gives_each_score_the_number_of_thresholds_that_it_reaches(extra):
    grid = ScoreGrid.cosine()
    ladder = Ladder.build(grid, np.array([5, 100, 26_000, 26_001, 40_000]), extra)
    assert ladder.thresholds.size == ladder.width - 1 == 5 + len(extra)
    rng = np.random.default_rng(0)
    near = [t + d for t in ladder.thresholds for d in (-1e-5, -2e-6, 2e-6, 1e-5)]
    for score in [*rng.uniform(-1, 1, 200), *(s for s in near if abs(s) <= 1)]:
        bin_ = grid.bin_of(score)
        slot = 0
        if bin_ >= ladder.first:
            slot = ladder.rungs[bin_ - ladder.first]
            if ladder.splits.size:
                slot += score >= ladder.splits[bin_ - ladder.first]
        assert slot == np.count_nonzero(ladder.thresholds <= score), score
