"""Batches: balanced, a function of seed and step, the same whole batch for every number of processes."""

from __future__ import annotations

import numpy as np
import pytest

from evenmatch.errors import InputError
from evenmatch.training import BalancedBatches

LABELS = np.repeat(np.arange(20), 6)


def batches(**options):
    return BalancedBatches(LABELS, 12, 3, steps=options.pop("steps", 4), **options)


def test_every_batch_has_as_many_images_of_each_of_its_classes():
    for plan in batches(steps=30):
        classes, counts = np.unique(LABELS[plan.rows], return_counts=True)
        assert len(classes) == 4
        assert set(counts) == {3}
        assert len(set(plan.rows.tolist())) == 12, "no image twice where the class has enough"


def test_a_batch_depends_on_seed_and_step_alone():
    straight = [plan.rows.tolist() for plan in batches(steps=6)]
    np.random.seed(3)  # noqa: NPY002
    later = [plan.rows.tolist() for plan in batches(start=3, steps=3)]
    assert straight[3:] == later
    assert straight[0] != straight[1]
    assert straight != [plan.rows.tolist() for plan in batches(steps=6, seed=1)]


def test_seeds_of_the_augmentation_differ_between_steps_and_images():
    seeds = np.concatenate([plan.seeds for plan in batches(steps=20)])
    assert len(np.unique(seeds)) == len(seeds)


def test_drawing_leaves_the_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    list(batches())
    assert np.random.random(3).tolist() == expected.tolist()  # noqa: NPY002


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_the_parts_of_the_processes_joined_are_the_whole_batch(world_size):
    whole = list(batches())
    parts = [list(batches(rank=rank, world_size=world_size)) for rank in range(world_size)]
    for step, plan in enumerate(whole):
        assert np.concatenate([part[step].rows for part in parts]).tolist() == plan.rows.tolist()
        assert np.concatenate([part[step].seeds for part in parts]).tolist() == plan.seeds.tolist()


def test_classes_with_too_few_images_give_some_twice():
    plan = BalancedBatches(np.repeat(np.arange(4), 2), 16, 4).plan(0)
    assert np.bincount(plan.rows // 2).tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("size", "per_class", "world_size", "message"),
    [
        (8, 1, 1, "no batch would have a positive pair"),
        (8, 8, 1, "no batch would have a negative pair"),
        (9, 2, 1, "no multiple of batch.per_class 2"),
        (42, 2, 1, "needs 21 classes with two images or more, and the training images have 20"),
        (12, 3, 5, "does not divide among 5 processes"),
    ],
)
def test_batches_that_cannot_be_made_are_refused(size, per_class, world_size, message):
    with pytest.raises(InputError, match=message):
        BalancedBatches(LABELS, size, per_class, world_size=world_size)
