"""Configurations as files: YAML in, changes on top, one line for whatever does not fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from evenmatch.embeddings import atomic_path
from evenmatch.errors import InputError, MissingExtraError
from evenmatch.training._config import TrainConfig

__all__ = ["dump_config", "load_config", "parse_config", "write_config"]

_FLOAT = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+")


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration.

    Args:
        path: YAML file.
        changes: "section.key=value" each, the value in YAML; applied in order.

    Raises:
        InputError: the file cannot be read, or a key or value does not fit (says where, and the nearest key).
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give a configuration, as those in configs/") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a configuration ({error}); give a YAML file") from error
    values = _yaml(text, str(path))
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a table of sections; write it as those in configs/")
    return parse_config(values, changes, str(path))


def parse_config(
    values: Mapping[str, Any], changes: Sequence[str] = (), where: str = "the configuration"
) -> TrainConfig:
    """Check a configuration given as nested dicts, with changes as in `load_config`.

    Raises:
        InputError: a key or value does not fit.
    """
    merged = _copy(values)
    changed = [_change(merged, text) for text in changes]
    try:
        return TrainConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        source = f"--set {name}" if any(name.startswith(key) for key in changed) else where
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(f"{source}: {_explain(first, name)}{more}") from error


def dump_config(config: TrainConfig) -> str:
    """The whole configuration as YAML, defaults included."""
    return _module().safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def write_config(path: Path, config: TrainConfig) -> None:
    """Write it to a file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(dump_config(config), encoding="utf-8")


def _explain(error: Any, name: str) -> str:
    if error["type"] == "extra_forbidden":
        *parents, key = [part for part in error["loc"] if isinstance(part, str)]
        known = _keys(parents)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        section = f"section {'.'.join(parents)!r}" if parents else "configuration"
        hint = f"did you mean {'.'.join([*parents, near[0]])!r}?" if near else f"it has {', '.join(known)}"
        return f"the {section} has no key {name!r}; {hint}"
    if error["type"] == "missing":
        return f"{name} is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{name}: {message}" if name else message
    return f"{name} is {error['input']!r}: {message[:1].lower()}{message[1:]}"


def _keys(parents: Sequence[str]) -> list[str]:
    model: Any = TrainConfig
    for parent in parents:
        field = model.model_fields.get(parent)
        options = [field.annotation, *get_args(field.annotation)] if field else []
        model = next((kind for kind in options if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _change(values: dict[str, Any], text: str) -> str:
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {text!r} is not a change; write it as optimizer.lr=3e-4")
    section = values
    for depth, key in enumerate(keys[:-1]):
        if section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict):
            raise InputError(f"--set {text}: {'.'.join(keys[: depth + 1])} is a single value, not a section")
    section[keys[-1]] = _yaml(value, f"--set {name}")
    return name.strip()


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _yaml(text: str, where: str) -> Any:
    yaml = _module()

    class Loader(yaml.SafeLoader):  # YAML 1.1 takes 3e-4 for text
        pass

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise InputError(f"{where}{place}: {problem}; repair it") from error


def _module() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("pyyaml", "train", "reading a configuration") from error
    return yaml
