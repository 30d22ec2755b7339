"""Static figures of several models, in matplotlib; those of one audit are under ``Audit.plot``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evenmatch.auditing import Audit, Comparison, compare
from evenmatch.report import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pareto"]


def pareto(models: Comparison | Mapping[str, Audit], ax: Axes | None = None) -> Axes:
    """Draw accuracy against consistency: recall@1 and OPIS of each model, with intervals and the Pareto front.

    Args:
        models: a comparison, or model name → audit (which `compare` must accept).
        ax: axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        InputError: the audits cannot be compared.
    """
    comparison = models if isinstance(models, Comparison) else compare(models)
    return figures.pareto(comparison.table, ax)
