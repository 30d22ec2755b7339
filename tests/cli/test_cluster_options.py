"""evenmatch audit on a folder of shards and on a Dask cluster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import evenmatch.auditing
from evenmatch.cli import main

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", memory_limit=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def shards(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(20), 12))
    x = (rng.normal(size=(20, 8))[codes] + rng.normal(size=(240, 8))).astype(np.float32)
    folder = tmp_path / "shards"
    folder.mkdir()
    for i in range(12):
        np.save(folder / f"img_emb_{i}.npy", x[20 * i : 20 * i + 20])
        lines = "".join(f"{code}\n" for code in codes[20 * i : 20 * i + 20])
        (folder / f"labels_{i}.csv").write_text("label\n" + lines)
    return folder


def summary(capfd, *arguments: str) -> dict:
    assert main(["audit", *arguments, "--json"]) == 0
    captured = capfd.readouterr()
    return json.loads(captured.out) | {"stderr": captured.err}


def test_an_audit_of_a_folder_on_a_cluster_is_that_on_the_cpu(shards, scheduler, capfd):
    cpu = summary(capfd, "shards")
    assert cpu["stderr"] == ""
    dask = summary(capfd, "shards", "--scheduler", scheduler, "--checkpoint", "counted")
    assert "counting on 1 workers with 1 threads" in dask["stderr"]
    assert "dashboard (with bokeh installed): http" in dask["stderr"]
    again = summary(
        capfd, "shards", "--engine", "dask", "--scheduler", scheduler, "--checkpoint", "counted", "--resume"
    )
    assert again["stderr"] == ""  # all was counted
    for found in (dask, again):
        assert found["settings"].pop("engine") == "dask"
        found["stderr"] = ""
    assert cpu["settings"].pop("engine") == "cpu"
    assert dask == again == cpu


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "cpu", "--workers", "2"], "--workers belong to --engine dask, not to cpu"),
        (["--resume"], "give checkpoint too"),
        (["--workers", "0"], "workers is 0"),
        (["--scheduler", "tcp://x:1", "--workers", "2"], "give either scheduler or workers"),
        (["--engine", "abacus"], "engine 'abacus' is unknown"),
    ],
)
def test_options_that_make_no_sense_are_a_line(shards, capfd, options, message):
    assert main(["audit", "shards", *options]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_interrupt_says_how_to_go_on(shards, capfd, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(evenmatch, "audit", interrupted)
    assert main(["audit", "shards", "--checkpoint", "counted"]) == 130
    expected = "interrupted; continue with the same command and --resume (checkpoint counted)\n"
    assert capfd.readouterr().err == expected
    assert main(["audit", "shards"]) == 130
    assert capfd.readouterr().err == "interrupted\n"
