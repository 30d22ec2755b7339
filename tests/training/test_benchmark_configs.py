"""Every configuration that is shipped, on a tiny tree in the official layout with a tiny backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_trees import TREES

from evenmatch.training import load_config, train

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    made: dict[str, Path] = {}

    def root(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            TREES[name](made[name])
        return made[name]

    return root


# The demo, which has tests of its own, trains with the one that is left out.
@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem != "glyphs"], ids=lambda path: path.stem)
def test_a_shipped_configuration_trains(path, roots, tmp_path):
    full = load_config(path)
    assert (full.tcm.weight, full.tcm.margin_pos, full.tcm.margin_neg) == (1.0, 0.9, 0.5), "the paper's"
    changes = ["schedule.steps=2", "schedule.every=1", "batch.size=8", "trainer.precision=32-true"]
    changes += ["trainer.workers=0", "trainer.accelerator=cpu", "trainer.devices=1"]
    if full.model.backbone != "conv4":
        assert full.model.pretrained
        backbone = "test_vit" if "vit" in full.model.backbone else "test_resnet"
        changes += [f"model.backbone={backbone}", "model.pretrained=false", "image.size=32", "image.resize=36"]
        changes += ["batch.per_class=2"]
    changes.append(f"data.root={roots(full.data.name)}")
    result = train(load_config(path, changes), tmp_path / "run", say=lambda text: None)
    assert result is not None
    assert result.audit.opis >= 0
    files = {"test_query.npz", "test_gallery.npz"} if result.audit.data.n_references else {"test.npz"}
    assert files <= {file.name for file in result.folder.iterdir()}


def test_there_is_one_for_each_benchmark_of_the_paper_with_both_networks():
    expected = {name for data in TREES if data != "omniglot" for name in (data, f"{data}_vit")}
    assert expected | {"omniglot", "glyphs"} == {path.stem for path in CONFIGS}
    for path in CONFIGS:
        backbone = load_config(path).model.backbone
        assert backbone.split(".")[0] in ("resnet50", "vit_small_patch16_224", "conv4"), path


def test_the_demo_follows_the_glyphs_configuration():
    from evenmatch.training import parse_config
    from evenmatch.training._demo import RECIPE, STEPS

    changes = [f"schedule.steps={STEPS}", "schedule.every=100"]
    assert parse_config(RECIPE, changes) == load_config(FOLDER / "glyphs.yaml")
