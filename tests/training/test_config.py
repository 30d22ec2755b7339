"""Configurations: what fits, and one line for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenmatch.errors import InputError
from evenmatch.training import TrainConfig, dump_config, load_config, parse_config

DATA = {"data": {"name": "cub", "root": "x"}}


def test_defaults_are_filled_in_and_survive_a_file(tmp_path: Path):
    config = parse_config(DATA, ["optimizer.lr=3e-4", "loss.options.temperature=1e-2", "data.options.size=small"])
    assert config.optimizer.lr == 3e-4
    assert config.loss.options == {"temperature": 0.01}
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


def test_later_changes_win_and_the_given_values_stay_as_they_are():
    values = {**DATA, "tcm": {"weight": 2.0}}
    assert parse_config(values, ["tcm.weight=1", "tcm.weight=0"]).tcm.weight == 0
    assert values["tcm"] == {"weight": 2.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer.learning=1"], "section 'optimizer' has no key 'optimizer.learning'"),
        (["optimiser.lr=1"], "has no key 'optimiser'; did you mean 'optimizer'"),
        (["tcm.margin_positive=0.8"], "did you mean 'tcm.margin_pos'"),
        (["optimizer.lr=fast"], "--set optimizer.lr: optimizer.lr is 'fast': input should be a valid number"),
        (["schedule.steps=0"], "schedule.steps is 0: input should be greater than 0"),
        (["tcm.margin_neg=0.95"], "margin_pos is 0.9 and margin_neg is 0.95; keep 0 < margin_neg < margin_pos <= 1"),
        (["tcm.margin_pos=1.5"], "margin_pos is 1.5"),
        (["tcm.weight=.nan"], "tcm.weight"),
        (["tcm.weight"], "is not a change; write it as optimizer.lr=3e-4"),
        (["tcm..weight=1"], "is not a change"),
        (["seed.x=1"], "has no key|valid integer"),
        (["data.name.x=1"], "data.name is a single value, not a section"),
        (["image.resize=100"], "resize 100 is below size 224"),
        (["image.mean=[0.1, 0.2]"], "mean has 2 values for 3 channels"),
        (["image.cache=true"], 'use augment "affine" or "none" with it'),
        (["audit.checkpoint=best"], "hold out training classes"),
        (["audit.far=[0.05, 0.05]"], "audit: far is .* give two different false accept rates"),
        (["audit.beta=1e-7"], "audit: beta is 1e-07; give a weight above 0, from 1e-6 to 1e6"),
        (["schema=2"], "schema is 2"),
        (["loss.options={a: ["], "--set loss.options.*repair it"),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_place(changes: list[str], message: str):
    with pytest.raises(InputError, match=message) as caught:
        parse_config(DATA, changes)
    assert "\n" not in str(caught.value)


def test_several_mistakes_are_counted():
    with pytest.raises(InputError, match=r"\(and 1 more\)"):
        parse_config(DATA, ["tcm.weight=-1", "batch.size=-1"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data: {name: [", "line 1.*repair it"),
        ("- a list", "is not a table of sections"),
        ("", "is not a table of sections"),
        ("seed: 1", "data is missing; add it"),
        ("data: {}", "data.name is missing; add it"),
    ],
)
def test_files_that_are_no_configuration_are_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "c.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_config(path)


def test_a_missing_file_points_at_the_examples(tmp_path: Path):
    with pytest.raises(InputError, match="does not exist; give a configuration, as those in configs/"):
        load_config(tmp_path / "none.yaml")


def test_yaml_cannot_make_objects(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("data: !!python/object/apply:os.getcwd []", encoding="utf-8")
    with pytest.raises(InputError, match="could not determine a constructor"):
        load_config(path)


def test_every_section_has_defaults_but_data():
    required = [name for name, field in TrainConfig.model_fields.items() if field.is_required()]
    assert required == ["data"]
