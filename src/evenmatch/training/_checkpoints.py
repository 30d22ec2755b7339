"""Checkpoints that are there whole or not at all, and hold nothing that could be executed."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from typing_extensions import override

from evenmatch.embeddings import atomic_path
from evenmatch.errors import ArtefactError, InputError
from evenmatch.training._learner import SCHEMA

__all__ = ["AtomicCheckpoints", "load_checkpoint"]


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes to a temporary name and renames, so that a full disk or a kill leaves the last good checkpoint; reads
    tensors and plain types alone.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            InputError: the folder cannot be written to, or the disk is full.
        """
        buffer = io.BytesIO()  # torch hides a full disk behind its own error, writing bytes does not
        torch.save(checkpoint, buffer)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; `weights_only` is always true.

        Raises:
            ArtefactError: the file is damaged, or is no checkpoint of this schema.
        """
        return load_checkpoint(Path(path), map_location)


def load_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of `evenmatch train`.

    Raises:
        InputError: the file does not exist.
        ArtefactError: it is damaged, holds more than tensors and plain types, or is of another kind or schema.
    """
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, ValueError, KeyError) as error:
        detail = (str(error).strip().splitlines() or ["it is empty"])[0][:120]
        raise ArtefactError(f"{path} cannot be read as a checkpoint ({detail}); use another one") from error
    mark = checkpoint.get("evenmatch") if isinstance(checkpoint, dict) else None
    if not isinstance(mark, dict) or mark.get("kind") != "evenmatch.checkpoint":
        raise ArtefactError(f"{path} is not a checkpoint of evenmatch train; give one from a run folder")
    if mark.get("schema") != SCHEMA:
        raise ArtefactError(
            f"{path} has checkpoint schema {mark.get('schema')!r}, this version reads schema {SCHEMA}; "
            "use the version of evenmatch that wrote it"
        )
    return checkpoint
