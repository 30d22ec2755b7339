"""Ctrl-C, where there is more to say than that."""

from __future__ import annotations

__all__ = ["Interrupted"]


class Interrupted(Exception):  # noqa: N818 - as KeyboardInterrupt
    """What was stopped can be continued; the message says how."""
