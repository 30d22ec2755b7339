"""Audit with the core alone; run by ``make test`` in an environment that has no extra installed.

A plain script, because that environment has no pytest either.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EXTRAS = ("torch", "torchvision", "faiss", "lightning", "timm", "pytorch_metric_learning", "dask")


def require(holds: bool, what: str) -> None:
    """Stop with a message unless something holds; unlike assert, also under ``python -O``."""
    if not holds:
        sys.exit(f"core only: FAILED, {what}")


def evenmatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program of this environment."""
    command = [sys.executable, "-m", "evenmatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def main() -> None:
    """Audit and calibrate random embeddings from a file and look at what comes back."""
    present = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    require(not present, f"{', '.join(present)} can be imported here, so this is not the core alone")

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 10)
    embeddings = (rng.normal(size=(30, 16))[labels] + 0.7 * rng.normal(size=(300, 16))).astype(np.float32)
    groups = np.array(["north", "south"])[labels % 2]
    with tempfile.TemporaryDirectory() as folder:
        file, saved = Path(folder) / "embeddings.npz", Path(folder) / "run.audit"
        np.savez(file, embeddings=embeddings, labels=labels, groups=groups)
        done = evenmatch("audit", str(file), "--k", "1,5", "--json", "--save", str(saved))
        require(done.returncode == 0, f"audit exits with {done.returncode}: {done.stderr}")
        summary = json.loads(done.stdout)
        require(0 < summary["opis"] < 0.25, f"OPIS is {summary['opis']}")
        require(summary["data"]["n"] == 300, f"{summary['data']['n']} samples instead of 300")
        require(len(summary["groups"]) == 2, f"{len(summary['groups'])} groups instead of 2")
        require(list(summary["recall_at_k"]) == ["1", "5"], f"recall at {list(summary['recall_at_k'])}")
        require(saved.is_file(), "--save wrote nothing")
        tables = evenmatch("audit", str(file), "--fail-above", "opis=0")
        require(tables.returncode == 1, f"a broken limit exits with {tables.returncode}: {tables.stderr}")
        require("Worst classes" in tables.stdout, "no table is printed")
        point = Path(folder) / "point.json"
        shipped = evenmatch("calibrate", str(file), "--far", "1e-2", "--out", str(point), "--json")
        require(shipped.returncode == 0, f"calibrate exits with {shipped.returncode}: {shipped.stderr}")
        require(json.loads(shipped.stdout)["far"] <= 1e-2, "the calibrated threshold exceeds its target")
        checked = evenmatch("check", str(file), "--point", str(point), "--fail-above", "far=1e-2")
        require(checked.returncode == 0, f"check exits with {checked.returncode}: {checked.stderr}")
        report = Path(folder) / "report.html"
        written = evenmatch("audit", str(file), "--html", str(report))
        require(written.returncode == 0, f"--html exits with {written.returncode}: {written.stderr}")
        require(report.stat().st_size < 6e6, f"the report has {report.stat().st_size} bytes")
        missing = evenmatch("audit", str(Path(folder) / "none.npz"))
        require(missing.returncode == 2, f"a missing file exits with {missing.returncode}")
        require(missing.stderr.count("\n") == 1, f"a missing file is explained as {missing.stderr!r}")
    print(f"core only: audit, calibrate and check work without {', '.join(EXTRAS)} (OPIS {summary['opis']:.4g})")


if __name__ == "__main__":
    main()
