"""What no order, name, tile, thread or split may change: hypothesis looks for the data that says otherwise."""

from __future__ import annotations

import numpy as np
from contract import Case, assert_conserved, assert_same, assert_true, lattice, mirrored
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import reference
from evenmatch.pairs import PairCounts
from evenmatch.pairs._cpu import count_cpu
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

THRESHOLD_BINS = st.lists(st.integers(0, 40_000), max_size=8, unique=True)
TILES = st.tuples(st.integers(1, 30), st.integers(1, 40))


@st.composite
def exact_cases(draw, across: bool | None = None) -> Case:
    """Small sets on a lattice (every cosine a multiple of 1/2 or 1/8), with few or many classes, perhaps groups."""
    dim = draw(st.sampled_from([4, 16]))
    n_classes = draw(st.integers(2, 12))
    grouped = draw(st.booleans())

    def side(seed: int) -> tuple[np.ndarray, list[int], list[str] | None]:
        labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=36))
        groups = None
        if grouped:
            groups = draw(st.lists(st.sampled_from("pqr"), min_size=len(labels), max_size=len(labels)))
        return lattice(len(labels), dim, seed), labels, groups

    x, labels, groups = side(draw(st.integers(0, 1000)))
    if not (draw(st.booleans()) if across is None else across):
        assume(len(set(labels)) > 1)
        assume(len(set(labels)) < len(labels))
        return Case(x, labels, groups)
    ref, ref_labels, ref_groups = side(draw(st.integers(1001, 2000)))
    assume(len(set(labels) | set(ref_labels)) > 1)
    assume(set(labels) & set(ref_labels))
    return Case(x, labels, groups, ref, ref_labels, ref_groups)


def count(case: Case, bins: list[int], metric: str = "cosine", **options) -> PairCounts:
    problem = Problem.build(*case.sets, metric)
    return count_cpu(problem, Ladder.build(problem.grid, np.array(bins, dtype=np.int64)), threads=1, **options)


@settings(max_examples=60)
@given(exact_cases(), THRESHOLD_BINS)
def test_every_count_is_true_and_no_pair_is_lost(case, bins):
    counts = count(case, bins)
    assert_true(counts, case, 1e-9, exact_share=1)
    if case.ref is None:
        assert counts.n_positives + counts.n_negatives == len(case.x) * (len(case.x) - 1) // 2


@settings(max_examples=40)
@given(exact_cases(), THRESHOLD_BINS, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(case, bins, random):
    def shuffled(n: int) -> list[int]:
        order = list(range(n))
        random.shuffle(order)
        return order

    order = shuffled(len(case.x))
    pick = lambda values, by: None if values is None else [values[i] for i in by]  # noqa: E731
    moved = Case(case.x[order], pick(case.labels, order), pick(case.groups, order))
    if case.ref is not None:
        by = shuffled(len(case.ref))
        moved = Case(
            moved.x, moved.labels, moved.groups, case.ref[by], pick(case.ref_labels, by), pick(case.ref_groups, by)
        )
    a, b = count(case, bins), count(moved, bins)
    np.testing.assert_array_equal(a.best_positive[order], b.best_positive)
    np.testing.assert_array_equal(a.best_negative[order], b.best_negative)
    np.testing.assert_array_equal(a.codes[order], b.codes) if case.ref is None else None
    _assert_same_by_name(a, b, {name: name for name in a.classes.tolist()})


@settings(max_examples=40)
@given(
    exact_cases(), THRESHOLD_BINS, st.permutations(["zebra", (1, 2), 7, "7", 0.5, b"x", "a", "B", -3, "é", True, "q"])
)
def test_the_names_of_classes_do_not_matter(case, bins, names):
    new = dict(enumerate(names))
    renamed = Case(
        case.x,
        [new[label] for label in case.labels],
        case.groups,
        case.ref,
        None if case.ref_labels is None else [new[label] for label in case.ref_labels],
        case.ref_groups,
    )
    a, b = count(case, bins), count(renamed, bins)
    np.testing.assert_array_equal(a.best_positive, b.best_positive)
    np.testing.assert_array_equal(a.best_negative, b.best_negative)
    _assert_same_by_name(a, b, new)


def _assert_same_by_name(a: PairCounts, b: PairCounts, names: dict) -> None:
    np.testing.assert_array_equal(a.pooled_positives, b.pooled_positives)
    np.testing.assert_array_equal(a.pooled_negatives, b.pooled_negatives)
    at = {name: i for i, name in enumerate(b.classes.tolist())}
    order = [at[names[name]] for name in a.classes.tolist()]
    assert len(order) == b.classes.size
    for field in ("positives", "negatives", "positives_accepted", "negatives_accepted"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field)[order], err_msg=field)
    if a.groups is not None and b.groups is not None:
        at = {name: i for i, name in enumerate(b.groups.names.tolist())}
        order = [at[name] for name in a.groups.names.tolist()]
        for field in ("positives", "negatives", "positives_accepted", "negatives_accepted"):
            np.testing.assert_array_equal(
                getattr(a.groups, field), getattr(b.groups, field)[np.ix_(order, order)], err_msg=field
            )


@settings(max_examples=60)
@given(exact_cases(), THRESHOLD_BINS, TILES, st.integers(1, 4096), st.sampled_from(["cosine", "euclidean"]))
def test_tiles_and_blocks_do_not_matter(case, bins, tiles, block_bytes, metric):
    if metric == "euclidean":
        case = _mirrored(case)
    assert_same(count(case, bins, metric, tiles=tiles, block_bytes=block_bytes), count(case, bins, metric))


def _mirrored(case: Case) -> Case:
    twice = lambda values: None if values is None else [*values, *values]  # noqa: E731
    ref = None if case.ref is None else mirrored(case.ref)
    return Case(
        mirrored(case.x), twice(case.labels), twice(case.groups), ref, twice(case.ref_labels), twice(case.ref_groups)
    )


@settings(max_examples=15)
@given(exact_cases(), THRESHOLD_BINS, st.integers(2, 4), TILES)
def test_threads_do_not_matter(case, bins, threads, tiles):
    problem = Problem.build(*case.sets)
    ladder = Ladder.build(problem.grid, np.array(bins, dtype=np.int64))
    assert_same(count_cpu(problem, ladder, threads=threads, tiles=tiles), count(case, bins))


@settings(max_examples=40)
@given(exact_cases(across=True), THRESHOLD_BINS, st.data())
def test_counts_of_two_parts_of_the_references_add_up_to_the_whole(case, bins, data):
    # both parts have every class of the references, so that their counts are of the same samples and classes
    more = data.draw(st.lists(st.sampled_from(case.ref_labels), max_size=20))
    labels = [*dict.fromkeys(case.ref_labels), *more]
    other = lattice(len(labels), case.x.shape[1], 3000)
    first = Case(case.x, case.labels, None, case.ref, case.ref_labels)
    second = Case(case.x, case.labels, None, other, labels)
    whole = Case(case.x, case.labels, None, np.concatenate([case.ref, other]), [*case.ref_labels, *labels])
    a, b, expected = (count(each, bins) for each in (first, second, whole))
    merged = a + b
    assert_same(merged, expected)
    assert_same(b + a, merged)
    assert_conserved(merged, whole.n_pairs)


@settings(max_examples=60)
@given(
    exact_cases(),
    st.floats(-1, 1, width=64),
    st.sampled_from(["at", "above", "below", "anywhere"]),
    st.integers(-8, 8),
)
@example(Case(lattice(9, 16), [0, 0, 0, 1, 1, 1, 2, 2, 2]), 0.0, "above", 4)
def test_any_threshold_accepts_the_scores_at_or_above_it(case, anywhere, where, eighths):
    # a threshold at, or the least possible above or below, a value that many scores have
    value = eighths / 8
    threshold = {
        "at": value,
        "above": min(float(np.nextafter(value, 2)), 1.0),
        "below": max(float(np.nextafter(value, -2)), -1.0),
        "anywhere": anywhere,
    }[where]
    counts = case.count(far=(), thresholds=(threshold,), threads=1)
    S = np.round(reference.scores(case.x, case.ref) * 64) / 64  # exact
    truth = reference.class_counts(S, case.labels, [threshold], case.ref_labels, counts.classes.tolist())
    np.testing.assert_array_equal(counts.positives_accepted, truth.positives_accepted)
    np.testing.assert_array_equal(counts.negatives_accepted, truth.negatives_accepted)


@settings(max_examples=40)
@given(exact_cases(), st.floats(1e-6, 1 - 1e-6))
def test_the_admissible_threshold_is_that_of_the_reference(case, far):
    counts = count(case, [])
    S = np.round(reference.scores(case.x, case.ref) * 64) / 64
    _, negative = reference.pair_scores(S, case.labels, case.ref_labels)
    truth = reference.admissible_threshold(negative, far, counts.grid.thresholds)
    assert counts.grid.threshold(counts.index_at_far(far)) == truth
