"""The data module: who is left out, what a batch holds, and that workers change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import SMALL, write_classes

from evenmatch import datasets
from evenmatch.errors import InputError
from evenmatch.training import RetrievalData, TrainConfig, parse_config
from evenmatch.training._config import BatchConfig, ImageConfig, ScheduleConfig
from evenmatch.training._data import hold_out
from evenmatch.training._read import read_images

IMAGE = ImageConfig(size=20, resize=None, channels=1, augment="affine")
BATCH = BatchConfig(size=8, per_class=2)


def data(train, test=None, *, image=IMAGE, workers=0, **options) -> RetrievalData:
    schedule = ScheduleConfig(steps=3, every=3)
    return RetrievalData(train, test, test, image=image, batch=BATCH, schedule=schedule, workers=workers, **options)


def test_batches_hold_images_labels_and_rows(splits):
    module = data(*splits)
    (batch, *rest) = module.train_dataloader()
    assert len(rest) == 2
    assert batch["images"].shape == (8, 1, 20, 20)
    assert batch["images"].dtype == torch.float32
    labels = np.searchsorted(splits[0].classes, splits[0].labels)
    assert batch["labels"].tolist() == labels[batch["rows"].numpy()].tolist()
    assert torch.bincount(batch["labels"]).unique().tolist() == [0, 2]


def test_test_images_come_whole_and_in_order(splits):
    rows = torch.cat([batch["rows"] for batch in data(*splits, eval_batch_size=7).test_dataloader()])
    assert rows.tolist() == list(range(splits[1].n))


@pytest.mark.parametrize("augment", ["affine", "crop"])
def test_workers_do_not_change_the_batches(splits, augment):
    image = IMAGE.model_copy(update={"augment": augment})
    torch.manual_seed(0)
    here = list(data(*splits, image=image).train_dataloader())
    torch.manual_seed(1)
    there = list(data(*splits, image=image, workers=2).train_dataloader())
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one["images"], other["images"])
        assert torch.equal(one["rows"], other["rows"])


@pytest.mark.parametrize("augment", ["affine", "crop"])
def test_augmentation_changes_the_images_and_leaves_the_global_generator_alone(splits, augment):
    source = data(*splits, image=IMAGE.model_copy(update={"augment": augment}))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    batch = next(iter(source.train_dataloader()))
    plain = next(iter(data(*splits, image=IMAGE.model_copy(update={"augment": "none"})).train_dataloader()))
    assert torch.equal(batch["rows"], plain["rows"])
    assert not torch.allclose(batch["images"], plain["images"])
    assert torch.equal(torch.rand(3), expected)


def test_what_is_kept_in_memory_is_what_lies_on_disk(splits):
    kept, read = (
        data(*splits, image=IMAGE.model_copy(update={"cache": cache, "invert": True, "mean": [0.2], "std": [0.3]}))
        for cache in (True, False)
    )
    for one, other in zip(kept.test_dataloader(), read.test_dataloader(), strict=True):
        assert torch.equal(one["images"], other["images"])
    pixels = np.asarray(splits[1].open(0)) / 255
    torch.testing.assert_close(one["images"][0, 0], torch.tensor((1 - pixels - 0.2) / 0.3, dtype=torch.float32))


def test_images_become_rgb_and_the_centre_is_cut_out(splits):
    image = ImageConfig(size=16, resize=32, channels=3, augment="none", mean=[0.1, 0.2, 0.3], std=[1.0])
    batch = next(iter(data(*splits, image=image).test_dataloader()))
    assert batch["images"].shape == (30, 3, 16, 16)
    torch.testing.assert_close(batch["images"][:, 0] - batch["images"][:, 2], torch.full((30, 16, 16), 0.2))


def test_roles_reach_the_batch():
    images = datasets.ImageSet("x", "test", ".", ["a", "b"], [1, 1], roles=["query", "gallery"])
    assert data_source(images).tolist() == [True, False]


def data_source(images):
    from evenmatch.training._pixels import BatchSource

    return BatchSource(images, np.array([0, 0]), ImageConfig(), augment=True)._query


def test_classes_with_one_image_are_left_out_of_training_and_named(splits):
    train = splits[0].subset(~np.isin(splits[0].ids, [f"train/a3/{i}.png" for i in range(1, 5)]))
    module = data(train)
    assert list(module.left_out) == ["a3"]
    assert module.n_classes == 11
    assert all("a3" not in module.images["train"].labels[batch["rows"].numpy()] for batch in module.train_dataloader())


def test_without_a_class_of_two_images_there_is_nothing_to_learn(splits):
    firsts = splits[0].subset(np.char.endswith(splits[0].ids, "0.png"))
    with pytest.raises(InputError, match="no training class has two images, so there is no positive pair"):
        data(firsts)


def test_held_out_classes_are_the_same_each_time_and_shared_with_nobody(splits):
    rest, held = hold_out(splits[0], 0.25, seed=4)
    assert len(held.classes) == 3
    assert not set(rest.classes) & set(held.classes)
    assert rest.n + held.n == splits[0].n
    assert hold_out(splits[0], 0.25, seed=4)[1].classes.tolist() == held.classes.tolist()
    assert len(hold_out(splits[0], 0.01, seed=4)[1].classes) == 2
    with pytest.raises(InputError, match="too few to hold some out"):
        hold_out(splits[0].subset(slice(0, 15)), 0.5, seed=0)


@pytest.fixture
def damaged(tmp_path: Path, tree: Path) -> Path:
    import shutil

    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    (root / "train/a0/1.png").write_bytes(b"no image")
    (root / "test/b0/1.png").write_bytes((root / "test/b0/1.png").read_bytes()[:60])
    return root


def test_unreadable_images_are_named_and_counted_before_training(damaged, small):
    config = small.model_copy(update={"data": small.data.model_copy(update={"root": str(damaged)})})
    with pytest.raises(InputError, match=r"1 of 60 images of the split 'train' cannot be used: train/a0/1.png"):
        read_images(config, say=lambda text: None)


def test_skip_bad_leaves_them_out_and_says_so(damaged, small):
    config = small.model_copy(update={"data": small.data.model_copy(update={"root": str(damaged)})})
    said: list[str] = []
    module = read_images(config, skip_bad=True, say=said.append)
    assert (module.images["train"].n, module.images["test"].n) == (59, 29)
    assert sum("left out: 1 of" in line for line in said) == 2


def test_training_and_test_classes_must_differ(tree):
    config = parse_config({"data": {"name": "folders", "root": str(tree), "train": "train", "test": "train"}})
    with pytest.raises(InputError, match="12 of 12 test classes are training classes"):
        read_images(config, say=lambda text: None)


def manifest_of(tmp_path: Path, tree: Path, test_rows: list[str], train_role: str = "gallery") -> TrainConfig:
    """A configuration for a table: the training images of the tree, and the given rows (file, label, group, role)."""
    train = [f"{tree}/train/a{i}/{j}.png,a{i},g,train,{train_role}" for i in range(12) for j in range(5)]
    table = tmp_path / "m.csv"
    table.write_text("\n".join(["path,label,group,split,role", *train, *test_rows]) + "\n")
    return parse_config(SMALL | {"data": {"name": "manifest", "root": str(table)}})


def row(tree: Path, label: int, image: int, role: str, group: str = "g") -> str:
    return f"{tree}/test/b{label}/{image}.png,b{label},{group},test,{role}"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([(i, 0, "query") for i in range(6)], "no class has a query and a gallery image"),
        ([(0, j, "gallery" if j else "query") for j in range(5)], "0 negative pairs are too few"),
        ([(i, 0, "gallery" if i % 2 else "query") for i in range(6)], "there is no positive pair"),
        ([(i, j, "gallery" if j else "query") for i in range(2) for j in range(2)], "2 negative pairs are too few"),
    ],
)
def test_a_test_split_that_could_not_be_audited_is_refused_before_images_are_decoded(tmp_path, tree, images, message):
    config = manifest_of(tmp_path, tree, [row(tree, *image) for image in images])
    (tmp_path / "m.csv").write_text((tmp_path / "m.csv").read_text().replace("train/a0/0.png", "train/a0/gone.png"))
    with pytest.raises(InputError, match=f"the split 'test' .*{message}"):
        read_images(config, say=lambda text: None)


@pytest.mark.parametrize(("images", "message"), [(1, "no class has two images"), (5, "0 negative pairs are too few")])
def test_a_test_split_without_pairs_is_refused(tmp_path, small, images, message):
    write_classes(tmp_path / "train", [f"a{i}" for i in range(4)])
    write_classes(tmp_path / "test", ["b0"] if images > 1 else ["b0", "b1", "b2"], images=images)
    config = parse_config(small.model_dump(by_alias=True), [f"data.root={tmp_path}"])
    with pytest.raises(InputError, match=f"the split 'test' cannot be audited: .*{message}"):
        read_images(config, say=lambda text: None)


def test_a_test_split_of_too_many_groups_is_refused(tmp_path, tree):
    from evenmatch import audit

    labels = np.arange(520) // 2
    with pytest.raises(InputError, match="260 distinct values"):
        audit(np.random.default_rng(0).normal(size=(520, 4)), labels, groups=labels)
    write_classes(tmp_path / "test", [f"b{i}" for i in range(260)], images=2)
    rows = [row(tmp_path, i, j, "gallery" if j else "query", f"g{i}") for i in range(260) for j in range(2)]
    with pytest.raises(InputError, match=r"the split 'test' .*260 groups and at most 256"):
        read_images(manifest_of(tmp_path, tree, rows), say=lambda text: None)


def test_images_left_out_may_leave_too_few_to_audit(damaged, small):
    for path in (damaged / "test").glob("b*/[1-4].png"):
        path.write_bytes(b"no image")
    config = small.model_copy(update={"data": small.data.model_copy(update={"root": str(damaged)})})
    with pytest.raises(InputError, match=r"the split 'test' cannot be audited: .*no positive pair"):
        read_images(config, skip_bad=True, say=lambda text: None)


def test_held_out_classes_without_pairs_are_refused(tmp_path, small):
    write_classes(tmp_path / "train", [f"a{i}" for i in range(8)], images=2)
    write_classes(tmp_path / "test", [f"b{i}" for i in range(4)])
    config = parse_config(small.model_dump(by_alias=True), [f"data.root={tmp_path}", "data.validation=0.25"])
    with pytest.raises(InputError, match=r"the held-out training classes .*4 negative pairs are too few"):
        read_images(config, say=lambda text: None)


def test_roles_of_training_images_mean_nothing(tmp_path, tree):
    rows = [row(tree, i, j, "gallery" if j else "query") for i in range(6) for j in range(5)]
    config = manifest_of(tmp_path, tree, rows)
    config = parse_config(config.model_dump(by_alias=True), ["data.validation=0.25"])
    data = read_images(config, say=lambda text: None)
    assert "query" not in next(iter(data.val_dataloader()))
    assert "query" in next(iter(data.test_dataloader()))


def test_groups_that_are_not_there_are_asked_for_before_images_are_decoded(damaged, small):
    changes = [f"data.root={damaged}", "tcm.kind=adaptive", "tcm.by_group=true"]
    config = parse_config(small.model_dump(by_alias=True), changes)
    with pytest.raises(InputError, match=r"tcm\.by_group is set and the training images have no groups"):
        read_images(config, say=lambda text: None)
