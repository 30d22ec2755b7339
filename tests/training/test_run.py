"""Runs: what a folder holds, and that kills, full disks and damage lose nothing and are said in a line."""

from __future__ import annotations

import csv
import errno
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import evenmatch as em
from evenmatch.datasets import ImageSet
from evenmatch.errors import ArtefactError, InputError
from evenmatch.training import dump_config, embed_with_run, load_config, load_network, parse_config, resume, train

Said = list[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tree):
    """A run to the end, with held-out classes to look at."""
    from small_training import SMALL

    config = parse_config(SMALL, [f"data.root={tree}", "data.validation=0.25", "audit.checkpoint=best"])
    folder = tmp_path_factory.mktemp("runs") / "finished"
    said: Said = []
    result = train(config, folder, say=said.append)
    assert result is not None
    return result, said


def weights(path: Path) -> dict[str, torch.Tensor]:
    states = torch.load(path, weights_only=True)["state_dict"]
    return {name: value for name, value in states.items() if isinstance(value, torch.Tensor)}


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_configuration_metrics_checkpoints_embeddings_and_audit(finished):
    result, said = finished
    names = {"best.ckpt", "config.yaml", "last.ckpt", "metrics.csv", "run.audit", "test.npz"}
    assert {path.name for path in result.folder.iterdir()} == names
    data = em.load(result.folder / "test.npz")
    assert data.fingerprint == result.embeddings.fingerprint
    assert data.n == 30
    assert em.audit(data).opis == result.audit.opis == em.Audit.load(result.folder / "run.audit").opis
    assert any(line.startswith("step 4 of 6: loss") and "validation recall@1" in line for line in said)


def test_metrics_have_a_row_for_each_step_and_the_audits(finished):
    with (finished[0].folder / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(6))
    assert all(row["train/loss"] and row["train/tcm"] for row in rows)
    assert [bool(row["val/opis"]) for row in rows] == [False, True] * 3


def test_the_configuration_in_the_folder_gives_the_run_again(finished, tmp_path):
    config = load_config(finished[0].folder / "config.yaml")
    assert config.image.mean == [0.5], "resolved"
    train(config, tmp_path / "again", say=lambda text: None)
    assert same(finished[0].folder / "last.ckpt", tmp_path / "again/last.ckpt")
    read = [(folder / "metrics.csv").read_text() for folder in (finished[0].folder, tmp_path / "again")]
    assert read[0] == read[1]


def test_a_folder_with_something_in_it_is_not_touched(small, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is not empty; use --resume"):
        train(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# Each part of a run in a process of its own, as users have it: what other tests did to the libraries' threads and
# kernels in this process could change the order of a sum.
CHILD = """
import sys
from evenmatch.training import load_config, resume, train
def say(text):
    print(text, flush=True)
if len(sys.argv) == 3:
    train(load_config(sys.argv[1]), sys.argv[2], say=say)
else:
    resume(sys.argv[1], say=say)
"""


def child_of(*arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(small, tmp_path):
    settings = {"steps": 40, "every": 5, "warmup": 3}
    config = small.model_copy(update={"schedule": small.schedule.model_copy(update=settings)})
    config = parse_config(
        config.model_dump(by_alias=True), ["data.validation=0.25", "loss.name=contrastive", "loss.memory=16"]
    )
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    whole = child_of(tmp_path / "config.yaml", straight)
    whole.communicate(timeout=600)
    assert whole.returncode == 0

    child = child_of(tmp_path / "config.yaml", killed)
    stop = f"step {5 * random.randint(1, 6)} of 40"  # the test is that it does not matter where
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(stop):
            time.sleep(random.random() * 0.05)
            child.send_signal(signal.SIGKILL)
            break
    child.wait()
    child.stdout.close()
    assert child.returncode == -signal.SIGKILL
    assert not (killed / "run.audit").exists()
    (killed / ".tmp-0123456789abcdef.ckpt").write_bytes(b"half a checkpoint")
    # a kill at step 5 may come before the first checkpoint is whole
    expected = (
        f"continuing {killed} from step " if (killed / "last.ckpt").is_file() else f"{killed} has no checkpoint yet"
    )
    assert (killed / "last.ckpt").is_file() or stop == "step 5 of 40"

    resumed = child_of(killed)
    said, _ = resumed.communicate(timeout=600)
    assert resumed.returncode == 0
    assert any(line.startswith(expected) for line in said.splitlines())
    for name in ("last.ckpt", "best.ckpt"):
        assert same(straight / name, killed / name), (stop, name)
    assert (straight / "metrics.csv").read_text() == (killed / "metrics.csv").read_text()
    assert em.load(straight / "test.npz").fingerprint == em.load(killed / "test.npz").fingerprint
    assert not list(killed.glob(".tmp-*"))


def test_a_run_without_a_checkpoint_starts_from_the_beginning(finished, small, tmp_path):
    folder = tmp_path / "young"
    folder.mkdir()
    (folder / "config.yaml").write_bytes((finished[0].folder / "config.yaml").read_bytes())
    said: Said = []
    resume(folder, say=said.append)
    assert said[0] == f"{folder} has no checkpoint yet; starting from the beginning"
    assert same(finished[0].folder / "last.ckpt", folder / "last.ckpt")


def test_resuming_a_finished_run_makes_its_results_again(finished, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(finished[0].folder, folder)
    (folder / "test.npz").unlink()
    result = resume(folder, say=lambda text: None)
    assert result is not None
    assert result.embeddings.fingerprint == finished[0].embeddings.fingerprint


def test_a_full_disk_leaves_the_last_good_checkpoint(small, tmp_path, monkeypatch):
    from evenmatch.training import _checkpoints

    folder, writes = tmp_path / "run", []
    real = _checkpoints.Path.write_bytes

    def fill(path, content):
        if path.suffix == ".ckpt":
            writes.append(path)
            if len(writes) == 3:
                with path.open("wb") as file:
                    file.write(bytes(content)[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(_checkpoints.Path, "write_bytes", fill)
    with pytest.raises(InputError, match=r"last.ckpt could not be written \(No space left on device\)") as caught:
        train(small, folder, say=lambda text: None)
    assert "\n" not in str(caught.value)
    assert not list(folder.glob(".tmp-*"))
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 4
    monkeypatch.undo()
    assert resume(folder, say=lambda text: None) is not None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "cannot be read as a checkpoint"),
        (lambda path: path.write_bytes(b""), "cannot be read as a checkpoint"),
        (lambda path: torch.save({"state_dict": {}}, path), "is not a checkpoint of evenmatch train"),
        (lambda path: torch.save({"evenmatch": {"kind": "evenmatch.checkpoint", "schema": 9}}, path), "schema 9"),
        (lambda path: torch.save({"x": Path("/")}, path), "cannot be read as a checkpoint"),
    ],
)
def test_damaged_checkpoints_are_refused_by_name(finished, tmp_path, damage, message):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "last.ckpt"):
        (folder / name).write_bytes((finished[0].folder / name).read_bytes())
    damage(folder / "last.ckpt")
    for read in (load_network, resume):
        with pytest.raises(ArtefactError, match=message) as caught:
            read(folder)
        assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_configuration_are_refused(finished, tmp_path):
    (tmp_path / "last.ckpt").write_bytes((finished[0].folder / "last.ckpt").read_bytes())
    text = (finished[0].folder / "config.yaml").read_text().replace("dim: 8", "dim: 9")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ArtefactError, match="does not fit"):
        load_network(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    for read in (load_network, resume):
        with pytest.raises(InputError, match="holds no run"):
            read(tmp_path)


def test_a_checkpoint_that_is_not_there_is_refused(finished):
    with pytest.raises(InputError, match="has no checkpoint 'first'; it has best, last"):
        load_network(finished[0].folder, "first")


def test_embedding_the_test_images_again_gives_what_the_run_wrote(finished):
    shares: list[float] = []
    again = embed_with_run(finished[0].folder, checkpoint="best", progress=shares.append)
    assert shares == [1.0, 1.0], "of the look at the images, and of the embedding"
    assert again.fingerprint == finished[0].embeddings.fingerprint
    assert again.ids is not None
    assert again.ids.tolist() == finished[0].embeddings.ids.tolist()


def test_any_folder_of_classes_or_manifest_can_be_embedded(finished, tree, tmp_path):
    table = tmp_path / "m.csv"
    rows = [f"{tree}/test/b{i}/{j}.png,{i}" for i in range(2) for j in range(3)]
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    assert embed_with_run(finished[0].folder, str(tree)).n == 30
    assert embed_with_run(finished[0].folder, str(tree / "test")).n == 30
    assert embed_with_run(finished[0].folder, str(tree), split="train").n == 60
    assert embed_with_run(finished[0].folder, str(table)).labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match=r"is neither a data set .* nor a folder of classes nor a manifest"):
        embed_with_run(finished[0].folder, "nowhere")
    with pytest.raises(InputError, match="the data has no role 'query'"):
        embed_with_run(finished[0].folder, role="query")


def test_what_does_not_suit_the_data_stops_before_the_folder_is_made(small, tmp_path):
    for change, message in (
        ("batch.size=40", "needs 20 classes"),
        ("loss.name=smoothap", "did you mean 'smooth_ap'"),
        ("model.backbone=resnet5", "no backbone is called"),
        ("data.root=nowhere", "nowhere does not exist"),
    ):
        config = parse_config(small.model_dump(by_alias=True), [change])
        with pytest.raises(InputError, match=message):
            train(config, tmp_path / "run", say=lambda text: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change",
    [
        "trainer.accelerator=abacus",
        pytest.param(
            "trainer.accelerator=gpu", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
        ),
        "trainer.precision=bf17",
        "trainer.devices=-7",
        "trainer.strategy=dpp",
    ],
)
def test_a_machine_that_lightning_does_not_know_is_refused_before_images_are_decoded(
    small, tmp_path, monkeypatch, change
):
    monkeypatch.setattr(ImageSet, "unreadable", lambda *_, **__: pytest.fail("decoded"))
    config = parse_config(small.model_dump(by_alias=True), [change])
    with pytest.raises(InputError, match="change the section trainer") as caught:
        train(config, tmp_path / "run", say=lambda text: None)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
