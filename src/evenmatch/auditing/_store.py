"""Audits on disk: one safetensors file of counts, with a JSON header and a checksum. Nothing is pickled."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evenmatch.auditing._audit import Audit, AuditSettings, DataFacts
from evenmatch.embeddings import EmbeddingSet, atomic_path, write_tensors
from evenmatch.errors import ArtefactError, EvenmatchError, InputError
from evenmatch.measures import SamplingNoise, consistency
from evenmatch.pairs import GroupCounts, PairCounts, Sampling, ScoreGrid

__all__ = ["SCHEMA", "load", "require_savable", "save"]

SCHEMA = 2
_READ = (1, 2)  # 1 had no checksum
_KIND = "evenmatch.audit"
_COUNTS = (
    "positives",
    "negatives",
    "positives_accepted",
    "negatives_accepted",
    "pooled_positives",
    "pooled_negatives",
    "codes",
)
_NOISE = ("thresholds", "variance", "curvature")
_NOISE_SHARES = ("reliability", "trust")
_DRAWN = ("seed", "pairs", "reference_share")
_SAMPLED = (
    "positives", "negatives", "knots", "knot_tar", "replicate_far", "replicate_pooled", "far_noise", "tar_noise",
)  # fmt: skip
_GROUPS = ("positives", "negatives", "positives_accepted", "negatives_accepted", "sizes")


def require_savable(*sets: EmbeddingSet | None) -> None:
    """Raise `InputError` for labels or groups that a saved audit cannot hold: ask before the count."""
    for data in sets:
        if data is not None:
            _encode(data.classes)
            if data.group_names is not None:
                _encode(data.group_names)


def save(audit: Audit, path: Path) -> None:
    """Write an audit, whole or not at all."""
    counts = audit.counts
    arrays = {name: _narrow(getattr(counts, name)) for name in _COUNTS}
    arrays |= {name: getattr(counts, name) for name in ("thresholds", "best_positive", "best_negative")}
    if counts.groups is not None:
        arrays |= {f"groups.{name}": _narrow(getattr(counts.groups, name)) for name in _GROUPS}
    if audit.noise is not None:
        arrays |= {f"noise.{name}": getattr(audit.noise, name) for name in _NOISE}
    header = {
        "kind": _KIND,
        "schema": SCHEMA,
        "grid": asdict(counts.grid),
        "classes": _encode(counts.classes),
        "groups": None if counts.groups is None else _encode(counts.groups.names),
        "directed": counts.groups is not None and counts.groups.directed,
        "settings": asdict(audit.settings),
        "data": asdict(audit.data),
        "recall_at_k": [(k, None if value != value else value) for k, value in audit.recall_at_k.items()],
        "map_at_r": audit.map_at_r,
        "intervals": dict(audit.intervals),
        "noise": None if audit.noise is None else {name: getattr(audit.noise, name) for name in _NOISE_SHARES},
        "error_bars": dict(audit.error_bars),
        "arithmetic": counts.arithmetic,
        "sampling": None if counts.sampling is None else {name: getattr(counts.sampling, name) for name in _DRAWN},
    }
    if counts.sampling is not None:
        arrays |= {f"sampling.{name}": getattr(counts.sampling, name) for name in _SAMPLED}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(header, allow_nan=False)
    metadata = {"evenmatch": text, "checksum": _checksum(text, contiguous)}
    with atomic_path(path) as temporary:
        write_tensors(temporary, contiguous, metadata)


def load(path: Path) -> Audit:
    """Read an audit, checking that it is one, that nobody changed it and that its counts add up."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            text = metadata.get("evenmatch", "{}")
            header = json.loads(text)
            _require_known(path, header)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path} cannot be read as an audit ({error}); save the audit again") from error
    sealed = header["schema"] > 1 or "checksum" in metadata
    if sealed and metadata.get("checksum") != _checksum(text, arrays):
        raise ArtefactError(
            f"{path} was altered after it was written (its checksum does not fit); save the audit again, "
            "or take the file from where it was made"
        )
    try:
        counts = _counts(header, arrays)
        settings = AuditSettings(**{**header["settings"], "far": tuple(header["settings"]["far"])})
        result = consistency(counts, far=settings.far, beta=settings.beta, eps=settings.eps)
        return Audit(
            counts=counts,
            consistency=result,
            settings=settings,
            data=DataFacts(**header["data"]),
            recall_at_k={int(k): math.nan if value is None else float(value) for k, value in header["recall_at_k"]},
            map_at_r=header["map_at_r"],
            intervals={name: (float(low), float(high)) for name, (low, high) in header["intervals"].items()},
            noise=_noise(header, arrays, counts.classes.size),
            error_bars={name: (float(low), float(high)) for name, (low, high) in header.get("error_bars", {}).items()},
        )
    except (EvenmatchError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is damaged: {error}; save the audit again") from error


def _require_known(path: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise ArtefactError(f"{path} is not a saved audit; give a file that Audit.save or --save wrote")
    if header.get("schema") not in _READ:
        raise ArtefactError(
            f"{path} has audit schema {header.get('schema')!r}, this version reads schema {SCHEMA} and "
            "older; read it with the version of evenmatch that wrote it, or audit again"
        )


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return f"sha256:{digest.hexdigest()}"


def _counts(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> PairCounts:
    groups = None
    if header["groups"] is not None:
        parts = {name: arrays[f"groups.{name}"].astype(np.int64) for name in _GROUPS}
        groups = GroupCounts(names=_decode(header["groups"]), directed=header["directed"], **parts)
    tables: dict[str, Any] = {name: arrays[name].astype(np.int64) for name in _COUNTS}
    sampling = None
    if header.get("sampling") is not None:
        drawn: dict[str, Any] = {name: arrays[f"sampling.{name}"] for name in _SAMPLED}
        sampling = Sampling(**header["sampling"], **drawn)
    counts = PairCounts(
        grid=ScoreGrid(**header["grid"]),
        classes=_decode(header["classes"]),
        thresholds=arrays["thresholds"],
        best_positive=arrays["best_positive"],
        best_negative=arrays["best_negative"],
        groups=groups,
        arithmetic=header.get("arithmetic", "float32"),
        sampling=sampling,
        **tables,
    )
    table = (counts.classes.size, counts.thresholds.size)
    if counts.positives_accepted.shape != table or counts.negatives_accepted.shape != table:
        raise ValueError("its tables do not fit its classes and thresholds")
    counts.require_conserved(counts.n_positives + counts.n_negatives)
    return counts


def _noise(header: dict[str, Any], arrays: dict[str, np.ndarray], n_classes: int) -> SamplingNoise | None:
    """None in audits with a reference set, and in those of before there was one."""
    if header.get("noise") is None:
        return None
    shares: dict[str, Any] = {name: float(header["noise"][name]) for name in _NOISE_SHARES}
    noise = SamplingNoise(**{name: arrays[f"noise.{name}"] for name in _NOISE}, **shares)
    if noise.variance.shape != (n_classes,) or noise.curvature.shape != (n_classes,):
        raise ValueError("its sampling noise does not fit its classes")
    return noise


def _narrow(array: np.ndarray) -> np.ndarray:
    """Counts in the smallest unsigned type that holds them: most classes are small."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def _encode(labels: np.ndarray) -> dict[str, Any]:
    values = labels.tolist()
    for value in values:
        if type(value) not in (str, int, bool, float):
            raise InputError(
                f"label {value!r} is a {type(value).__name__}, which a saved audit cannot hold; "
                "use text or whole numbers as labels"
            )
    return {"dtype": labels.dtype.str, "values": [[type(value).__name__, str(value)] for value in values]}


def _decode(encoded: dict[str, Any]) -> np.ndarray:
    read = {"str": str, "int": int, "bool": lambda text: text == "True", "float": float}
    values = [read[kind](text) for kind, text in encoded["values"]]
    dtype = np.dtype(encoded["dtype"]) if encoded["dtype"] != "|O" else np.dtype(object)
    labels = np.empty(len(values), dtype=dtype)
    labels[:] = values
    return labels
