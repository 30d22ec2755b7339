"""The demo: the same small network with and without TCM, trained on Latin and audited on scripts never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenmatch.auditing import Audit, Comparison, compare
from evenmatch.errors import EvenmatchError
from evenmatch.training._config_file import parse_config
from evenmatch.training._demo_files import AUDIT_FILES, make_folder, write_audit, write_json
from evenmatch.training._run import train

__all__ = ["DemoResult", "run_demo"]

STEPS = 300

# The recipe of configs/glyphs.yaml, here because an installed package has no configs/.
RECIPE: dict[str, Any] = {
    "data": {"name": "glyphs", "options": {"size": 32}},
    "image": {"size": 28, "resize": None, "channels": 1, "augment": "affine"},
    "model": {"backbone": "conv4", "pooling": "flatten", "dim": 64},
    "loss": {"name": "smooth_ap"},
    "batch": {"size": 160, "per_class": 4},
    "optimizer": {"lr": 1e-2, "weight_decay": 1e-4},
    "schedule": {"warmup": 20},
}
_ARMS = {"base": ("Smooth-AP alone", 0.0), "tcm": ("Smooth-AP + TCM", 1.0)}
_RUN_FILES = ("config.yaml", "metrics.csv", "last.ckpt", "test.npz")


@dataclass(frozen=True)
class DemoResult:
    """The demo's audits and the files that it wrote.

    Attributes:
        audits: of the test images, "base" for the base loss alone and "tcm" with TCM.
        comparison: of the two.
        files: all that was written.
    """

    audits: Mapping[str, Audit]
    comparison: Comparison
    files: tuple[Path, ...]


def run_demo(out: Path, *, seed: int = 0, steps: int = STEPS, say: Callable[[str], None] = print) -> DemoResult:
    """Train conv4 on Latin glyphs with the base loss and with base loss and TCM, and audit both on four other scripts.

    Both arms share the seed, so the initial weights, every batch and its augmentation, and the number of steps.

    Args:
        out: folder to write to; made if need be. Files of an earlier demo in it are replaced.
        seed: of the rendering, the weights and the batches.
        steps: batches to train on, in each arm.
        say: where to tell what is being done.

    Raises:
        InputError: the folder cannot be made or holds something else, or a number is out of range.
    """
    make_folder(out)
    audits: dict[str, Audit] = {}
    embeddings = None
    files: list[Path] = []
    for arm, (title, weight) in _ARMS.items():
        folder = out / arm
        for name in (*_RUN_FILES, *AUDIT_FILES):
            (folder / name).unlink(missing_ok=True)
        say(f"{title}: training conv4 on Latin characters, {steps} steps …")
        recipe = {
            **RECIPE,
            "seed": seed,
            "data": {**RECIPE["data"], "options": {**RECIPE["data"]["options"], "seed": seed}},
            "schedule": {**RECIPE["schedule"], "steps": steps, "every": min(steps, 100)},
            "tcm": {"weight": weight},
            "trainer": {"accelerator": "cpu", "devices": 1},
        }
        run = train(parse_config(recipe, where="the demo"), folder, say=lambda text: say(f"  {text}"))
        if run is None:
            raise EvenmatchError("internal error: the demo ran in a process that does not write; please report it")
        audits[arm], embeddings = run.audit, run.embeddings
        files += [*(folder / name for name in _RUN_FILES), *write_audit(run.audit, folder)]
    write_json(out / "audits.json", {arm: result.summary() for arm, result in audits.items()})
    comparison = compare({"Smooth-AP": audits["base"], "Smooth-AP + TCM": audits["tcm"]})
    pages = out / "report.html", out / "compare.html"
    audits["tcm"].to_html(pages[0], embeddings=embeddings)
    comparison.to_html(pages[1])
    return DemoResult(audits, comparison, (*files, out / "audits.json", *pages))
