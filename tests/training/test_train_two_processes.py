"""``evenmatch train`` as torchrun starts it: two processes, one run folder, one report."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import evenmatch as em
from evenmatch.training import dump_config, parse_config


@pytest.mark.slow
def test_torchrun_trains_in_two_processes_to_one_folder(small, tmp_path):
    changes = ["trainer.devices=2", "trainer.strategy=ddp", "data.validation=0.25"]
    config = parse_config(small.model_dump(by_alias=True), changes)
    (tmp_path / "small.yaml").write_text(dump_config(config), encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "evenmatch", "train", "small.yaml", "--out", "run"],
        cwd=tmp_path,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote run: best.ckpt, config.yaml, last.ckpt, metrics.csv, run.audit, test.npz") == 1
    assert done.stdout.count("step 6 of 6: loss") == 1
    run = Path(tmp_path / "run")
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(6))
    data = em.load(run / "test.npz")
    assert data.n == 30
    assert em.audit(data).opis == em.Audit.load(run / "run.audit").opis
