"""Operating points on disk: JSON that people can read, with a checksum that machines do."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evenmatch.calibration._curves import ScoreCurves
from evenmatch.calibration._objective import Objective
from evenmatch.calibration._origin import Origin
from evenmatch.calibration._point import CalibrationData, OperatingPoint
from evenmatch.calibration._probability import ScoreCalibrator
from evenmatch.embeddings import atomic_path
from evenmatch.errors import ArtefactError, InputError
from evenmatch.measures import ClassRate

__all__ = ["SCHEMA", "load", "save"]

SCHEMA = 2
_READ = (1, 2)  # 1 had neither curves nor origin
_KIND = "evenmatch.operating_point"
# a list of numbers reads better on one line; text in JSON holds no line break
_NUMBERS = re.compile(r"\[\n\s*([-+0-9.e,\s]+?)\n\s*\]")
_METRICS = ("cosine", "euclidean")
_AGAIN = "calibrate again, or take the file from where it was made"


def save(point: OperatingPoint, path: Path) -> None:
    """Write a point, whole or not at all."""
    rates = {"far": asdict(point.far_evidence), "frr": asdict(point.frr_evidence)}
    for name, interval in (("far", point.far_ci), ("frr", point.frr_ci)):
        rates[name]["interval"] = list(interval)
    content: dict[str, Any] = {
        "kind": _KIND,
        "schema": SCHEMA,
        "threshold": point.threshold,
        "metric": point.metric,
        "rule": "accept if and only if score >= threshold",
        "objective": asdict(point.objective),
        "guarantee": point.guarantee,
        "guarantee_classes": point.guarantee_classes,
        "confidence": point.confidence,
        "rates": rates,
        "data": asdict(point.data),
        "probability": None if point.probability is None else asdict(point.probability),
        "not_for": list(point.not_for),
        "curves": None if point.curves is None else asdict(point.curves),
        "origin": None if point.origin is None else asdict(point.origin),
    }
    content["checksum"] = _checksum(content)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    text = _NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def load(path: Path, metric: str | None = None) -> OperatingPoint:
    """Read a point, checking that it is one and that nobody changed it."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ArtefactError(f"{path} cannot be read as an operating point ({reason}); {_AGAIN}") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise ArtefactError(f"{path} is no operating point; give a file that OperatingPoint.save or --out wrote")
    if content.get("schema") not in _READ:
        raise ArtefactError(
            f"{path} has operating point schema {content.get('schema')!r}, this version reads schema {SCHEMA} and "
            "older; "
            "read it with the version of evenmatch that wrote it, or calibrate again"
        )
    try:
        checksum = _checksum(content)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"{path} holds a number that JSON has not; {_AGAIN}") from error
    if content.get("checksum") != checksum:
        raise ArtefactError(f"{path} was altered after it was written (its checksum does not fit); {_AGAIN}")
    try:
        point = _point(content)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ArtefactError(f"{path} is damaged ({reason}); {_AGAIN}") from error
    if metric is not None:
        try:
            point.require_metric(metric)
        except ArtefactError as error:
            raise ArtefactError(f"{path}: {error}") from error
    return point


def _checksum(content: dict[str, Any]) -> str:
    plain = {name: value for name, value in content.items() if name != "checksum"}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _point(content: dict[str, Any]) -> OperatingPoint:
    threshold = float(content["threshold"])
    if content["metric"] not in _METRICS or not math.isfinite(threshold):
        raise ValueError(f"metric {content['metric']!r} or threshold {threshold} is unknown")
    return OperatingPoint(
        threshold=threshold,
        metric=content["metric"],
        objective=TypeAdapter(Objective).validate_python(content["objective"]),
        guarantee=str(content["guarantee"]),
        guarantee_classes=content["guarantee_classes"],
        confidence=float(content["confidence"]),
        far_evidence=TypeAdapter(ClassRate).validate_python(content["rates"]["far"]),
        frr_evidence=TypeAdapter(ClassRate).validate_python(content["rates"]["frr"]),
        data=TypeAdapter(CalibrationData).validate_python(content["data"]),
        probability=None
        if content["probability"] is None
        else TypeAdapter(ScoreCalibrator).validate_python(content["probability"]),
        not_for=tuple(content["not_for"]),
        curves=None if content.get("curves") is None else TypeAdapter(ScoreCurves).validate_python(content["curves"]),
        origin=None if content.get("origin") is None else TypeAdapter(Origin).validate_python(content["origin"]),
    )
