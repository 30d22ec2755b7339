"""Every exception that evenmatch raises on purpose; each message names the fact, the place and the way out."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArtefactError",
    "CheckFailed",
    "EvenmatchError",
    "InputError",
    "MissingExtraError",
    "UnreachableTargetError",
]


class EvenmatchError(Exception):
    """Base class; catch this to catch everything that evenmatch raises on purpose."""


class InputError(EvenmatchError, ValueError):
    """The data or an argument cannot be used as given."""


class UnreachableTargetError(InputError):
    """No threshold meets the requested target on this data."""


class ArtefactError(InputError):
    """A saved file is truncated, altered, of another kind, or of an unknown schema version."""


class CheckFailed(EvenmatchError):  # noqa: N818 - it reports the outcome of a check, not a malfunction
    """A limit that the user asked to hold does not hold."""


class MissingExtraError(EvenmatchError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}, which is not installed; run: pip install "evenmatch[{extra}]"')
        self.package = package
        self.extra = extra
        self._purpose = purpose

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as what it was made of, since the message alone does not make another."""
        return type(self), (self.package, self.extra, self._purpose), vars(self)
