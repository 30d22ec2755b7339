from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import official_trees as trees
import pytest
import typer

from evenmatch import datasets
from evenmatch.cli.datasets import app
from evenmatch.errors import CheckFailed, InputError

DATA = Path(os.environ.get("EVENMATCH_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="session")
def real_omniglot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    zips = [DATA / "omniglot" / f"images_background_small{half}.zip" for half in (1, 2)]
    if not all(file.is_file() for file in zips):
        pytest.skip(
            f"the Omniglot zips are not in {DATA / 'omniglot'}; set EVENMATCH_DATA to the folder of the real data"
        )
    root = tmp_path_factory.mktemp("omniglot")
    for file in zips:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(root)
    return root


@pytest.mark.data
def test_real_omniglot_has_the_published_counts(real_omniglot: Path) -> None:
    report = datasets.check("omniglot", real_omniglot, decode=True, threads=2)
    assert report.problems() == ()
    assert [(split.name, split.classes, split.images, split.unreadable) for split in report.splits] == [
        ("train", 161, 3_220, 0),
        ("test", 81, 1_620, 0),
    ]
    background = datasets.omniglot(real_omniglot, "background")
    assert (len(background.classes), background.n) == (242, 4_840)


def test_counts_are_held_against_the_published_ones(tmp_path: Path) -> None:
    report = datasets.check("cub", trees.cub(tmp_path))
    assert not report.ok
    assert report.problems() == (
        "train: 2 classes found, 100 expected",
        "train: 3 images found, 5,864 expected",
        "test: 2 classes found, 100 expected",
        "test: 3 images found, 5,924 expected",
    )
    assert report.splits[1].singleton_classes == ("200",)
    assert "test: 2 classes, 3 images, 1 classes with one image" in str(report)
    with pytest.raises(CheckFailed, match=r"cub is not as published: train: 2 classes found.* \(and 3 more\)"):
        report.require_ok()


def test_queries_are_counted(tmp_path: Path) -> None:
    report = datasets.check("inshop", trees.inshop(tmp_path))
    assert "test: 1 queries found, 14,218 expected" in report.problems()
    assert "1 queries against 2" in str(report)


def test_every_test_size_of_vehicleid_is_counted(tmp_path: Path) -> None:
    report = datasets.check("vehicleid", trees.vehicleid(tmp_path))
    assert [split.name for split in report.splits] == ["train", "test (small)", "test (medium)", "test (large)"]
    assert [split.classes for split in report.splits] == [2, 3, 4, 5]
    assert not report.overlap


def test_a_listed_image_that_is_missing_is_named_and_counted(tmp_path: Path) -> None:
    root = trees.sop(tmp_path)
    (root / "bicycle_final/1_0.JPG").unlink()
    split = datasets.check("sop", root).splits[0]
    assert (split.missing, split.missing_files) == (1, ("bicycle_final/1_0.JPG",))
    assert "train: 1 images are missing: bicycle_final/1_0.JPG" in datasets.check("sop", root).problems()


def test_many_missing_images_are_counted_and_a_few_named(tmp_path: Path) -> None:
    trees.text(tmp_path / "m.csv", "path,label", *(f"{i}.png,{i}" for i in range(1200)))
    report = datasets.check("manifest", tmp_path / "m.csv")
    assert report.problems() == ("all: 1,200 images are missing: 0.png, 1.png, 2.png, 3.png, 4.png and 1,195 more",)


def test_a_class_in_train_and_test_is_found(tmp_path: Path) -> None:
    root = trees.sop(tmp_path)
    with (root / "Ebay_test.txt").open("a") as stream:
        stream.write("6 1 1 bicycle_final/1_2.JPG\n")
    report = datasets.check("sop", root)
    assert (report.overlap, report.overlap_classes) == (1, ("1",))
    assert report.problems()[-1] == "1 classes are in train and in test: 1"


def test_unreadable_images_are_found_only_when_asked_for(tmp_path: Path) -> None:
    root = trees.folders(tmp_path)
    assert datasets.check("folders", root).ok
    (root / "test/cog/1.png").write_bytes(b"\x89PNG")
    assert datasets.check("folders", root).ok
    steps: list[tuple[int, int]] = []
    report = datasets.check("folders", root, decode=True, threads=1, progress=lambda *step: steps.append(step))
    assert not report.ok
    assert report.splits[0].unreadable == 0
    assert report.splits[1].unreadable == 1
    assert report.splits[1].unreadable_files[0].startswith("test/cog/1.png is no image")
    assert steps == [(3, 3), (2, 2)]


def test_missing_images_are_not_counted_as_unreadable(tmp_path: Path) -> None:
    trees.text(tmp_path / "m.csv", "path,label", "a.png,1")
    split = datasets.check("manifest", tmp_path / "m.csv", decode=True).splits[0]
    assert (split.missing, split.unreadable) == (1, 0)


def test_only_splits_that_are_there_are_checked(tmp_path: Path) -> None:
    assert [split.name for split in datasets.check("manifest", trees.manifest(tmp_path / "m")).splits] == [
        "train",
        "test",
    ]
    flat = trees.folders(tmp_path / "f") / "train"
    assert [split.name for split in datasets.check("folders", flat).splits] == ["all"]
    root = trees.omniglot(tmp_path / "o", evaluation=True)
    assert [split.name for split in datasets.check("omniglot", root).splits] == ["train", "test", "evaluation"]


def test_options_reach_the_reader(tmp_path: Path) -> None:
    root = trees.manifest(tmp_path)
    (root / "manifest.csv").rename(root / "parts.csv")
    assert datasets.check("manifest", root, file="parts.csv").ok
    with pytest.raises(InputError, match=r"manifest has no option 'flie'; did you mean 'file'\? it takes file"):
        datasets.check("manifest", root, flie="parts.csv")


def test_an_unknown_name_says_the_nearest(tmp_path: Path) -> None:
    for given, meant in (
        ("omniglott", "omniglot"),
        ("CUB-200-2011", "cub"),
        ("Cars196", "cars"),
        ("in-shop", "inshop"),
    ):
        with pytest.raises(InputError, match=f"no data set '{given}'; did you mean '{meant}'"):
            datasets.build(given, tmp_path)
    with pytest.raises(InputError, match="no data set 'zzz'; choose one of 'cub'"):
        datasets.check("zzz", tmp_path)


def test_an_unknown_option_says_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cub has no option 'size'; it takes none"):
        datasets.build("cub", tmp_path, size=3)
    with pytest.raises(InputError, match="vehicleid has no option 'sise'; did you mean 'size'"):
        datasets.build("vehicleid", tmp_path, sise=3)


def test_importing_datasets_loads_neither_torch_nor_what_only_some_readers_need() -> None:
    program = (
        "import sys, evenmatch.datasets\n"
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'scipy', 'PIL', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def run(arguments: list[str]) -> object:
    return typer.main.get_command(app).main(args=arguments, prog_name="datasets", standalone_mode=False)


def test_cli_lists_the_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    run(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(datasets.names())
    run(["list", "--json"])
    entries = json.loads(capsys.readouterr().out)
    assert entries[2]["splits"][0] == {"split": "train", "name": "train", "classes": 11_318, "images": 59_551}


def test_cli_checks_and_fails_on_wrong_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", "folders", str(trees.folders(tmp_path / "f")), "--decode"])
    assert "all as expected" in capsys.readouterr().out
    with pytest.raises(CheckFailed):
        run(["check", "cub", str(trees.cub(tmp_path / "c")), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["splits"][0]["expected_images"] == 5_864
    with pytest.raises(InputError, match="does not exist; fetch"):
        run(["check", "cub", str(tmp_path / "absent")])
