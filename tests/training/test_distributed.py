"""Two processes on halves of each batch end where one process on the whole does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evenmatch.training import dump_config, parse_config

CHILD = Path(__file__).parent / "distributed_child.py"


def launch(config: Path, out: Path, world_size: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world_size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1"}
        cluster = {name: str(value) for name, value in {**place, "MASTER_PORT": port}.items()} if world_size > 1 else {}
        torchrun = {"TORCHELASTIC_RUN_ID": "test"} if world_size > 1 else {}
        environment = {**os.environ, **cluster, **torchrun, "GLOO_SOCKET_IFNAME": "lo"}
        command = [sys.executable, str(CHILD), str(config), str(out), str(world_size)]
        children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    outputs = [child.communicate(timeout=180)[0].decode() for child in children]
    assert all(child.returncode == 0 for child in children), "\n".join(outputs)


@pytest.mark.parametrize(
    "changes",
    [
        ["loss.name=smooth_ap", "model.pooling=gem"],
        ["loss.name=contrastive", "loss.memory=16", "optimizer.clip=1"],
    ],
    ids=["smooth_ap", "memory"],
)
def test_two_processes_equal_one(small, tmp_path, changes):
    # Batch norms see the half of each process, so they keep their statistics, as when one fine-tunes.
    settings = [
        "model.freeze_bn=true",
        "optimizer.name=sgd",
        "optimizer.lr=0.01",
        "schedule.steps=5",
        "schedule.every=3",
    ]
    config = tmp_path / "config.yaml"
    config.write_text(
        dump_config(parse_config(small.model_dump(by_alias=True), [*settings, *changes])), encoding="utf-8"
    )
    launch(config, tmp_path / "one", 1)
    launch(config, tmp_path / "two", 2)
    one, *two = (
        torch.load(path, weights_only=True) for path in (tmp_path / "one.0", tmp_path / "two.0", tmp_path / "two.1")
    )
    for name, value in one["state"].items():
        if isinstance(value, torch.Tensor):
            for other in two:
                torch.testing.assert_close(other["state"][name], value, rtol=1e-5, atol=1e-6, msg=name)
    for name in ("val/opis", "val/eps_opis", "val/recall_at_1", "val/threshold"):
        assert two[0]["metrics"][name] == two[1]["metrics"][name]
        assert two[0]["metrics"][name] == pytest.approx(one["metrics"][name], abs=2e-3)
