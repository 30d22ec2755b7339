"""evenmatch train and evenmatch embed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenmatch as em
from evenmatch.cli import main

CONFIG = """
data: {{name: folders, root: {root}}}
image: {{size: 16, resize: null, channels: 1, augment: none}}
model: {{backbone: conv4, pooling: flatten, dim: 8, options: {{width: 8}}}}
batch: {{size: 4, per_class: 2}}
schedule: {{steps: 2, every: 1}}
trainer: {{accelerator: cpu, devices: 1}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(4):
            pattern = rng.integers(0, 200, (4, 4)).repeat(4, 0).repeat(4, 1)
            for i in range(6):
                path = root / "data" / split / f"{split}{label}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((pattern + rng.integers(0, 55, (16, 16))).astype(np.uint8)).save(path)
    (root / "small.yaml").write_text(CONFIG.format(root=root / "data"))
    return root / "small.yaml"


@pytest.fixture(scope="module")
def run(config, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", str(config), "--out", str(folder), "--set", "tcm.weight=0.5"]) == 0
    return folder


def one_line(capfd) -> str:
    error = capfd.readouterr().err
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error


def test_a_dry_run_prints_the_whole_configuration_and_trains_nothing(config, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(config), "--dry-run", "--set", "optimizer.lr=3e-4"]) == 0
    printed = capfd.readouterr().out
    assert "lr: 0.0003" in printed
    assert "margin_neg: 0.5" in printed
    assert not list(tmp_path.iterdir())
    (tmp_path / "again.yaml").write_text(printed)
    assert main(["train", "again.yaml", "--dry-run"]) == 0
    assert capfd.readouterr().out == printed


def test_it_prints_the_audit_and_what_it_wrote(config, tmp_path, capfd):
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 0
    printed = capfd.readouterr().out
    assert "step 2 of 2: loss" in printed
    assert "OPIS" in printed
    assert "config.yaml, last.ckpt, metrics.csv, run.audit, test.npz" in printed.replace("\n", " ")


def test_json_has_stdout_to_itself(config, tmp_path, capfd):
    assert main(["train", str(config), "--out", str(tmp_path / "run"), "--json"]) == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary["opis"] == em.Audit.load(tmp_path / "run/run.audit").opis
    assert main(["train", "--resume", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["opis"] == summary["opis"]


def test_embeddings_of_a_run_can_be_audited(run, tmp_path, capfd):
    out = tmp_path / "e.npz"
    assert main(["embed", str(run), "--out", str(out)]) == 0
    assert "wrote" in capfd.readouterr().out
    assert em.load(out).fingerprint == em.load(run / "test.npz").fingerprint
    assert main(["audit", str(out), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["opis"] == em.Audit.load(run / "run.audit").opis


def test_other_data_can_be_embedded(run, config, tmp_path, capfd):
    out = tmp_path / "e.parquet"
    folder = config.parent / "data"
    assert main(["embed", str(run), str(folder), "--split", "train", "--out", str(out), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"file": str(out), "n": 24, "dim": 8, "classes": 4}
    assert main(["embed", str(run), "folders", "--root", str(folder), "--out", str(out)]) == 0
    assert em.load(out).classes.tolist() == [f"test{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "give either a configuration or --resume RUN"),
        (["train", "{config}", "--resume", "x"], "give either a configuration or --resume RUN"),
        (["train", "--resume", "nowhere", "--set", "seed=1"], "leave out --set, --out and --dry-run"),
        (["train", "--resume", "nowhere"], "nowhere holds no run"),
        (["train", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["train", "{config}", "--set", "optimizer.lrr=1"], "did you mean 'optimizer.lr'?"),
        (["train", "{config}", "--set", "tcm.margin_neg=0.95"], "keep 0 < margin_neg < margin_pos <= 1"),
        (["train", "{config}", "--set", "batch.per_class=1"], "no batch would have a positive pair"),
        (["train", "{config}", "--set", "loss.name=smoothap"], "did you mean 'smooth_ap'?"),
        (["embed", "nowhere"], "nowhere holds no run"),
        (["embed", "{run}", "nowhere"], "is neither a data set"),
        (["embed", "{run}", "--checkpoint", "best"], "has no checkpoint 'best'; it has last"),
        (["embed", "{run}", "--device", "abacus"], "device 'abacus' cannot be used"),
        (["embed", "{run}", "--out", "x.doc"], "x.doc has no suffix that can be written"),
    ],
)
def test_what_goes_wrong_is_one_line(arguments, message, config, run, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    filled = [argument.format(config=config, run=run) for argument in arguments]
    assert main(filled) == 2
    assert message in one_line(capfd)


def test_an_unreadable_image_stops_the_run_unless_it_may_be_skipped(config, tmp_path, capfd):
    import shutil

    root = tmp_path / "data"
    shutil.copytree(config.parent / "data", root)
    (root / "train/train0/0.png").write_bytes(b"no image")
    arguments = ["train", str(config), "--set", f"data.root={root}", "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    assert "1 of 24 images of the split 'train' cannot be used: train/train0/0.png" in one_line(capfd)
    assert not (tmp_path / "run").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    assert "left out: 1 of 24 images" in capfd.readouterr().out


@pytest.fixture
def photos(config, tmp_path) -> Path:
    """A folder of four classes whose last image is damaged."""
    import shutil

    root = tmp_path / "photos"
    shutil.copytree(config.parent / "data/test", root)
    (root / "test3/5.png").write_bytes(b"no image")
    return root


def test_an_unreadable_image_stops_embedding_before_it_starts_unless_it_may_be_skipped(
    run, photos, tmp_path, capfd, monkeypatch
):
    from evenmatch.training import _embed

    out = tmp_path / "e.npz"
    arguments = ["embed", str(run), str(photos), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(_embed, "embed_images", lambda *_, **__: pytest.fail("embedded"))
        assert main(arguments) == 2
    error = one_line(capfd)
    assert "1 of 24 images of the split 'all' cannot be used: test3/5.png is no image" in error
    assert "leave them out with --skip-bad" in error
    assert not out.exists()
    assert main([*arguments, "--skip-bad", "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["n"] == em.load(out).n == 23
    assert "left out: 1 of 24 images" in captured.err


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_image_that_is_damaged_later_is_one_line_whoever_loads_it(
    run, photos, tmp_path, capfd, monkeypatch, workers
):
    from evenmatch.datasets import ImageSet

    monkeypatch.setattr(ImageSet, "unreadable", lambda *_, **__: {})
    assert main(["embed", str(run), str(photos), "--out", str(tmp_path / "e.npz"), "--workers", workers]) == 2
    error = one_line(capfd)
    assert error.startswith("error: ")
    assert "test3/5.png is no image of a known format; restore it" in error


def test_a_run_that_decodes_nothing_beforehand_embeds_likewise(run, config, tmp_path, monkeypatch):
    import shutil

    from evenmatch.datasets import ImageSet

    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run/config.yaml"
    file.write_text(file.read_text().replace("check: true", "check: false"))
    monkeypatch.setattr(ImageSet, "unreadable", lambda *_, **__: pytest.fail("decoded"))
    assert main(["embed", str(tmp_path / "run"), "--out", str(tmp_path / "e.npz")]) == 0


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_run_says_once_how_to_go_on(config, tmp_path, capfd, monkeypatch):
    from evenmatch.training import _run

    monkeypatch.setattr(_run, "embed_images", interrupt)
    folder = tmp_path / "run"
    assert main(["train", str(config), "--out", str(folder)]) == 130
    assert one_line(capfd) == f"interrupted; continue with: evenmatch train --resume {folder}\n"
    assert main(["train", "--resume", str(folder), "--skip-bad"]) == 130
    assert one_line(capfd) == f"interrupted; continue with: evenmatch train --resume {folder} --skip-bad\n"


def test_a_run_interrupted_before_its_folder_is_made_says_so_only(config, tmp_path, capfd, monkeypatch):
    from evenmatch.datasets import ImageSet

    monkeypatch.setattr(ImageSet, "unreadable", interrupt)
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 130
    assert one_line(capfd) == "interrupted\n"
    assert not (tmp_path / "run").exists()


def test_ctrl_c_while_training_is_one_line(config, tmp_path):
    import signal
    import subprocess
    import sys

    folder = tmp_path / "run"
    # a process of a background shell ignores the signal, and so would its child
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import evenmatch.cli as c; c.main()"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, "train", str(config), "--out", str(folder)]
    with subprocess.Popen(
        [*command, "--set", "schedule.steps=100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith("step 1 of"):
                    child.send_signal(signal.SIGINT)
                    break
            _, said = child.communicate(timeout=120)
        finally:
            child.kill()
    assert child.returncode == 130
    assert said == f"interrupted; continue with: evenmatch train --resume {folder}\n"


def test_help_does_not_load_torch():
    import subprocess
    import sys

    code = "import sys; from evenmatch.cli import main; main(['train', '--help']); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_without_the_extra_a_line_names_the_pip_command(config, capfd, monkeypatch):
    import sys

    import evenmatch.training

    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, "evenmatch.training._run", raising=False)
    assert main(["train", str(config)]) == 2
    assert 'pip install "evenmatch[train]"' in one_line(capfd)
    assert evenmatch.training.__all__
