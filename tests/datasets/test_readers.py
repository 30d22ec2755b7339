from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import official_trees as trees
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenmatch import datasets
from evenmatch.datasets import ImageSet
from evenmatch.errors import InputError

BENCHMARKS = ["cub", "cars", "sop", "inshop", "inaturalist", "vehicleid", "omniglot"]


def read(name: str, root: Path, split: str = "train", **options: object) -> ImageSet:
    images = datasets.build(name, root, split, **options)
    assert isinstance(images, ImageSet)
    return images


@pytest.mark.parametrize("name", [*BENCHMARKS, "folders", "manifest"])
def test_every_image_of_a_tree_is_where_the_set_says_and_no_class_is_in_both_splits(name: str, tmp_path: Path) -> None:
    root = getattr(trees, name)(tmp_path)
    train, test = read(name, root, "train"), read(name, root, "test")
    assert train.missing().size == test.missing().size == 0
    assert train.file(0).is_file()
    assert train.open(0).size == (4, 4)
    assert train.labels.dtype == test.labels.dtype or train.labels.dtype.kind == test.labels.dtype.kind == "U"
    datasets.require_disjoint(train, test)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_missing_root_says_what_to_fetch_and_shows_the_tree(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; fetch .*https://") as caught:
        datasets.build(name, tmp_path / "absent")
    assert "Expected tree:\n  " in str(caught.value)
    with pytest.raises(InputError, match="needs a root folder; fetch"):
        datasets.build(name)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("cub", "images.txt"),
        ("cub", "image_class_labels.txt"),
        ("cars", "cars_annos.mat"),
        ("sop", "Ebay_train.txt"),
        ("inshop", "Eval/list_eval_partition.txt"),
        ("inaturalist", "Inaturalist_train_set1.txt"),
        ("vehicleid", "train_test_split/train_list.txt"),
    ],
)
def test_a_missing_list_is_named_and_says_what_to_fetch(name: str, lost: str, tmp_path: Path) -> None:
    root = getattr(trees, name)(tmp_path)
    (root / lost).unlink()
    with pytest.raises(InputError, match=rf"has no {lost}.*; fetch (.|\n)*Expected tree"):
        datasets.build(name, root)


def test_the_folder_above_the_root_is_told_from_a_missing_one(tmp_path: Path) -> None:
    inner = trees.cub(tmp_path / "CUB_200_2011")
    with pytest.raises(InputError, match=f"pass {inner} as the root"):
        datasets.build("cub", tmp_path)
    inner = trees.vehicleid(tmp_path / "VehicleID_V1.0")
    with pytest.raises(InputError, match=f"pass {inner} as the root"):
        datasets.build("vehicleid", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "line", "message"),
    [
        ("cub", "images.txt", "7", r"line 7 of .*images.txt has 1 cells instead of 2"),
        ("cub", "images.txt", "7 001.A/c.jpg", r"line 7 of .*image 7, which image_class_labels.txt lacks"),
        ("cub", "image_class_labels.txt", "7 201", r"line 7 of .*has class 201; classes are 1 … 200"),
        ("cub", "image_class_labels.txt", "7 one", r"line 7 of .*has 'one' where a class number belongs"),
        ("sop", "Ebay_train.txt", "6 3 1", r"line 5 of .*Ebay_train.txt has 3 cells instead of 4"),
        ("sop", "Ebay_train.txt", "6 3.0 1 a_final/b.JPG", r"line 5 of .*'3.0' where a class_id belongs"),
        ("sop", "Ebay_train.txt", "6 3 1 b.JPG", r"line 5 of .*without a folder"),
        ("inshop", "Eval/list_eval_partition.txt", "img/A/B/c/d.jpg id_1 val", r"line 8 of .*the status 'val'"),
        ("inshop", "Eval/list_eval_partition.txt", "img/A/B/c/d.jpg id_1 train", r"announces '5' images but 6 follow"),
        ("inshop", "Eval/list_eval_partition.txt", "d.jpg id_1 train", r"line 8 of .*without department"),
        ("inaturalist", "Inaturalist_train_set1.txt", "Aves/2737/c.jpg", r"line 4 of .*is 'Aves/2737/c.jpg'"),
        ("inaturalist", "Inaturalist_train_set1.txt", "train_val2018//1/c.jpg", r"line 4 of .*each line is"),
        ("vehicleid", "train_test_split/train_list.txt", "0000009", r"line 4 of .*has 1 cells instead of 2"),
        ("vehicleid", "train_test_split/train_list.txt", "0000009 -1", r"line 4 of .*a vehicle number belongs"),
        ("vehicleid", "train_test_split/train_list.txt", "0000001 7", r"lists the image image/0000001.jpg twice"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(
    name: str, file: str, line: str, message: str, tmp_path: Path
) -> None:
    root = getattr(trees, name)(tmp_path)
    with (root / file).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(InputError, match=message):
        datasets.build(name, root)


@pytest.mark.parametrize(
    ("name", "file", "kept"),
    [
        ("cub", "images.txt", 0),
        ("sop", "Ebay_train.txt", 1),
        ("inshop", "Eval/list_eval_partition.txt", 2),
        ("inaturalist", "Inaturalist_train_set1.txt", 0),
        ("vehicleid", "train_test_split/train_list.txt", 0),
        ("manifest", "manifest.csv", 1),
    ],
)
def test_a_list_without_rows_is_refused(name: str, file: str, kept: int, tmp_path: Path) -> None:
    path = getattr(trees, name)(tmp_path) / file
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    with pytest.raises(InputError, match=f"{path.name} lists nothing"):
        datasets.build(name, tmp_path)


def test_a_list_that_is_not_text_is_refused(tmp_path: Path) -> None:
    root = trees.sop(tmp_path)
    (root / "Ebay_train.txt").write_bytes(b"\x80\x04\xff")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        datasets.sop(root)


def test_cub_trains_on_the_first_hundred_classes_and_tests_on_the_last(tmp_path: Path) -> None:
    root = trees.cub(tmp_path)
    train, test = datasets.cub(root), datasets.cub(root, "test")
    assert train.labels.tolist() == [1, 1, 100]
    assert test.labels.tolist() == [101, 101, 200]
    assert test.ids[0] == "images/101.C/a.jpg"
    assert train.groups is None
    assert train.roles is None
    assert test.singletons().tolist() == [200]


def test_cars_splits_by_class_whatever_the_official_split_of_images(tmp_path: Path) -> None:
    assert datasets.cars(trees.cars(tmp_path / "one"), "train").labels.tolist() == [1, 98]
    assert datasets.cars(tmp_path / "one", "test").paths.tolist() == ["car_ims/3.jpg"]
    for place in (True, False):
        root = trees.cars_devkit(tmp_path / f"devkit {place}", test_in_devkit=place)
        train, test = datasets.cars(root), datasets.cars(root, "test")
        assert dict(zip(train.paths.tolist(), train.labels.tolist(), strict=True)) == {
            "cars_train/1.jpg": 1,
            "cars_test/1.jpg": 98,
        }
        assert test.paths.tolist() == ["cars_train/2.jpg", "cars_test/2.jpg"]
        assert train.missing().size == 0


def test_cars_refuses_annotations_without_classes_and_damaged_files(tmp_path: Path) -> None:
    root = trees.cars(tmp_path, (("1.jpg", 197),))
    with pytest.raises(InputError, match=r"annotation 0 of .* has class 197"):
        datasets.cars(root)
    (root / "cars_annos.mat").write_bytes(b"not matlab" * 30)
    with pytest.raises(InputError, match=r"cannot be read as a \.mat file"):
        datasets.cars(root)
    trees.savemat(root / "cars_annos.mat", {"annotations": np.array([[(1,)]], dtype=[("bbox_x1", object)])})
    with pytest.raises(InputError, match=r"annotation 0 of .* has no relative_im_path with a class"):
        datasets.cars(root)
    trees.savemat(root / "cars_annos.mat", {"other": 1})
    with pytest.raises(InputError, match="has no annotations"):
        datasets.cars(root)


def test_cars_with_a_single_image_is_read(tmp_path: Path) -> None:
    assert datasets.cars(trees.cars(tmp_path, (("1.jpg", 5),))).labels.tolist() == [5]


def test_sop_groups_by_super_class(tmp_path: Path) -> None:
    train = datasets.sop(trees.sop(tmp_path))
    assert train.labels.tolist() == [1, 1, 2]
    assert train.groups is not None
    assert train.groups.tolist() == ["bicycle", "bicycle", "coffee_maker"]


@pytest.mark.parametrize("images", ["", "Img"])
def test_inshop_tells_queries_from_gallery(images: str, tmp_path: Path) -> None:
    root = trees.inshop(tmp_path, images)
    test = datasets.inshop(root, "test")
    assert test.roles is not None
    assert test.roles.tolist() == ["query", "gallery", "gallery"]
    assert test.with_role("gallery").n == 2
    assert test.groups is not None
    assert set(test.groups.tolist()) == {"MEN/Denim"}
    assert test.missing().size == 0
    train = datasets.inshop(root)
    assert train.labels.tolist() == ["id_00000002"] * 2
    with pytest.raises(InputError, match="has no query and gallery"):
        train.with_role("query")


@pytest.mark.parametrize("lists", ["", "Inat_dataset_splits"])
def test_inaturalist_takes_class_and_super_category_from_the_path(lists: str, tmp_path: Path) -> None:
    train = datasets.inaturalist(trees.inaturalist(tmp_path, lists))
    assert train.labels.tolist() == ["Aves/2737", "Aves/2737", "Fungi/12"]
    assert train.groups is not None
    assert train.groups.tolist() == ["Aves", "Aves", "Fungi"]


def test_inaturalist_takes_lists_from_elsewhere_and_drops_what_precedes_the_images(tmp_path: Path) -> None:
    root = trees.inaturalist(tmp_path / "images")
    mine = tmp_path / "mine.txt"
    trees.text(mine, "/scratch/other/train_val2018/Aves/3000/a.jpg")
    for split, option in (("train", "train_list"), ("test", "test_list")):
        assert read("inaturalist", root, split, **{option: mine}).paths.tolist() == ["train_val2018/Aves/3000/a.jpg"]
    with pytest.raises(InputError, match=r"test_list .*absent.txt does not exist; fetch"):
        datasets.inaturalist(root, "test", test_list=tmp_path / "absent.txt")


def test_vehicleid_sizes_are_named_or_numbered(tmp_path: Path) -> None:
    root = trees.vehicleid(tmp_path)
    for sizes, vehicles in ((("small", 800, "800"), 3), (("medium", 1600), 4), (("large", 2400), 5)):
        for size in sizes:
            assert len(datasets.vehicleid(root, "test", size=size).classes) == vehicles
    with pytest.raises(InputError, match="no test size of vehicleid '801'; did you mean '800'"):
        datasets.vehicleid(root, "test", size=801)


def test_vehicleid_draws_one_gallery_image_a_vehicle_by_seed(tmp_path: Path) -> None:
    root = trees.vehicleid(tmp_path)
    assert datasets.vehicleid(root, "test").roles is None
    draws = set()
    for seed in range(8):
        test = datasets.vehicleid(root, "test", gallery_seed=seed)
        assert test.n == 12
        gallery, queries = test.with_role("gallery"), test.with_role("query")
        assert gallery.labels.tolist() == [250, 251, 252]
        assert np.unique(queries.labels, return_counts=True)[1].tolist() == [3, 3, 3]
        draws.add(tuple(gallery.paths.tolist()))
    again = datasets.vehicleid(root, "test", gallery_seed=0).with_role("gallery")
    assert tuple(again.paths.tolist()) in draws
    assert len(draws) > 4
    assert datasets.vehicleid(root, "train", gallery_seed=0).roles is None


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_vehicleid_refuses_a_seed_that_is_none(seed: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gallery_seed"):
        datasets.build("vehicleid", trees.vehicleid(tmp_path), "test", gallery_seed=seed)


def test_vehicleid_groups_by_attribute(tmp_path: Path) -> None:
    root = trees.vehicleid(tmp_path)
    train = datasets.vehicleid(root, group="model")
    assert train.groups is not None
    assert train.groups.tolist() == ["12", "12", "unlabelled"]
    with pytest.raises(InputError, match=r"has no attribute/color_attr.txt"):
        datasets.vehicleid(root, group="color")
    with pytest.raises(InputError, match="no group of vehicleid 'colour'; did you mean 'color'"):
        datasets.vehicleid(root, group="colour")


def test_omniglot_splits_by_alphabet_and_takes_a_drawing_once(tmp_path: Path) -> None:
    root = trees.omniglot(tmp_path)
    train, test = datasets.omniglot(root), datasets.omniglot(root, "test")
    assert (train.n, len(train.classes)) == (5 * 2 * 2, 5 * 2)
    assert (test.n, len(test.classes)) == (3 * 2 * 2, 3 * 2)
    assert train.groups is not None
    assert set(train.groups.tolist()) == {"Balinese", "Greek", "Japanese_(katakana)", "Korean", "Latin"}
    assert "Greek/character01" in train.classes
    background = datasets.omniglot(root, "background")
    assert background.n == train.n + test.n


def test_omniglot_takes_other_alphabets_and_the_evaluation_half(tmp_path: Path) -> None:
    root = trees.omniglot(tmp_path, evaluation=True)
    assert datasets.omniglot(root, "test", alphabets=["Korean"]).n == 4
    assert datasets.omniglot(root, "evaluation").classes.tolist() == ["Oriya/character01", "Oriya/character02"]
    with pytest.raises(InputError, match=r"no alphabet 'Corean'.*did you mean 'Korean'"):
        datasets.omniglot(root, alphabets=["Corean"])
    with pytest.raises(InputError, match="is one text; pass a list"):
        datasets.build("omniglot", root, alphabets="Korean")


def test_omniglot_without_its_folders_says_what_to_unpack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images_background or images_background_small1; fetch"):
        datasets.omniglot(tmp_path)
    trees.omniglot(tmp_path / "omniglot")
    with pytest.raises(InputError, match=f"pass {tmp_path / 'omniglot'} as the root"):
        datasets.omniglot(tmp_path)
    with pytest.raises(InputError, match="has no images_evaluation; fetch"):
        datasets.omniglot(tmp_path / "omniglot", "evaluation")


def test_folders_take_images_of_class_folders_only(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    train = datasets.folders(root)
    assert train.paths.tolist() == ["train/bolt/1.png", "train/bolt/2.JPG", "train/nut/1.jpeg"]
    assert train.labels.tolist() == ["bolt", "bolt", "nut"]
    assert datasets.folders(root / "train", "all").labels.tolist() == ["bolt", "bolt", "nut"]


def test_folders_refuse_a_split_they_do_not_have_and_a_class_without_images(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    with pytest.raises(InputError, match="divided into train and test; ask for one of them"):
        datasets.folders(root, "all")
    with pytest.raises(InputError, match='has no folder test; ask for the split "all"'):
        datasets.folders(root / "train", "test")
    (root / "train/empty").mkdir()
    with pytest.raises(InputError, match="empty has no images"):
        datasets.folders(root)
    (tmp_path / "nothing/train").mkdir(parents=True)
    with pytest.raises(InputError, match="has no images"):
        datasets.folders(tmp_path / "nothing")


def test_manifest_reads_csv_with_whole_numbers_as_int(tmp_path: Path) -> None:
    root = trees.manifest(tmp_path)
    train = datasets.manifest(root, "train")
    assert train.labels.dtype == np.int64
    assert train.labels.tolist() == [7, 7]
    assert train.groups is not None
    assert train.groups.tolist() == ["steel", "brass"]
    assert datasets.manifest(root).n == 3
    assert datasets.manifest(root / "manifest.csv", "test").paths.tolist() == ["b/1.png"]
    (root / "manifest.csv").rename(root / "parts.csv")
    assert datasets.manifest(root, "test", file="parts.csv").labels.tolist() == [8]
    with pytest.raises(InputError, match=r"has no manifest.csv or manifest.parquet"):
        datasets.manifest(root)


def test_manifest_keeps_numbers_with_leading_zeros_as_text(tmp_path: Path) -> None:
    trees.text(tmp_path / "m.csv", "label,path", "007,a", "12,b")
    assert datasets.manifest(tmp_path / "m.csv").labels.tolist() == ["007", "12"]


def test_manifest_reads_roles(tmp_path: Path) -> None:
    trees.text(tmp_path / "m.csv", "path,label,role", "a,1,query", "b,1,gallery")
    assert datasets.manifest(tmp_path / "m.csv").with_role("query").paths.tolist() == ["a"]
    trees.text(tmp_path / "m.csv", "path,label,role", "a,1,query", "b,1,probe")
    with pytest.raises(InputError, match="an image with role 'probe'"):
        datasets.manifest(tmp_path / "m.csv")


def test_manifest_reads_parquet(tmp_path: Path) -> None:
    file = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"path": ["a", "b"], "label": [2**62, 2], "split": ["train", "test"]}), file)
    assert datasets.manifest(tmp_path, "train").labels.tolist() == [2**62]
    for column, message in (
        (["x", None], "row 1 of .* has no label"),
        ([1.0, 2.0], "column label of .* must be text or whole numbers"),
    ):
        pq.write_table(pa.table({"path": ["a", "b"], "label": column}), file)
        with pytest.raises(InputError, match=message):
            datasets.manifest(tmp_path)
    pq.write_table(pa.table({"path": ["a"], "class": ["b"]}), file)
    with pytest.raises(InputError, match="has no column label, only path, class"):
        datasets.manifest(tmp_path)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(InputError, match=r"cannot be read as a \.parquet table"):
        datasets.manifest(tmp_path)


@pytest.mark.parametrize(
    ("lines", "split", "message"),
    [
        (["path,label", "a,1,2"], "all", "line 2 of .* has 3 cells instead of 2"),
        (["path,label", "a,1", "b,"], "all", "line 3 of .* has no label"),
        (["path,name", "a,1"], "all", "has no column label, only path, name"),
        ([], "all", "has no column path, only nothing"),
        (["path,label", "a,1"], "train", "has no column split"),
        (["path,label,split", "a,1,train"], "tset", "there is no split in .* 'tset'"),
        (["path,label", "a,1", "a,2"], "all", "lists the image a twice"),
    ],
)
def test_manifest_refuses_wrong_tables(lines: list[str], split: str, message: str, tmp_path: Path) -> None:
    trees.text(tmp_path / "m.csv", *lines)
    with pytest.raises(InputError, match=message):
        datasets.manifest(tmp_path / "m.csv", split)


def test_manifest_refuses_other_suffixes(tmp_path: Path) -> None:
    trees.text(tmp_path / "m.tsv", "path\tlabel")
    with pytest.raises(InputError, match="no known suffix for a manifest"):
        datasets.manifest(tmp_path / "m.tsv")
    with pytest.raises(InputError, match=r"absent\.csv does not exist"):
        datasets.manifest(tmp_path, file="absent.csv")


@pytest.mark.parametrize("reader", [datasets.cub, datasets.cars, datasets.sop, datasets.inshop, datasets.folders])
def test_an_unknown_split_names_the_known_ones(reader: Callable[..., ImageSet], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"did you mean 'train'\? choose one of 'train', 'test'"):
        reader(tmp_path, "training")
