"""The figures of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenmatch.report import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evenmatch.auditing._audit import Audit

__all__ = ["AuditPlots"]


class AuditPlots:
    """Static figures of one audit. Each method draws on ``ax``, or on new axes, and returns the axes."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def utility(self, ax: Axes | None = None) -> Axes:
        """Utility of every class over the threshold, the calibration range shaded and the worst class named."""
        return figures.utility(self._audit.counts, self._audit.consistency, self._audit.settings.beta, ax)

    def rates(self, ax: Axes | None = None) -> Axes:
        """FAR against FRR of every class at the audit's threshold, the worst classes named."""
        audit = self._audit
        far, frr = audit.far_at(audit.threshold), audit.frr_at(audit.threshold)
        return figures.class_rates(audit.by_class, audit.threshold, far, frr, ax)

    def det(self, ax: Axes | None = None) -> Axes:
        """DET: FRR against FAR of all pairs on normal-deviate axes, with the equal error rate."""
        return figures.det(self._audit.curve, self._audit.eer, ax)

    def scores(self, ax: Axes | None = None) -> Axes:
        """Scores of all genuine and all impostor pairs, with the calibration range and the audit's threshold."""
        audit = self._audit
        return figures.scores(audit.counts, audit.threshold_range, audit.threshold, ax)

    def classes(self, ax: Axes | None = None) -> Axes:
        """FAR and FRR of the classes in ascending order at the audit's threshold, with the rates of all pairs."""
        audit = self._audit
        far, frr = audit.far_at(audit.threshold), audit.frr_at(audit.threshold)
        return figures.classes(audit.by_class, audit.threshold, far, frr, ax)
