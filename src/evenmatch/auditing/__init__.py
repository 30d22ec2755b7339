"""The face: runs embeddings, pairs and measures, and holds the result."""

from evenmatch.auditing._across import AcrossAudit, audit_across
from evenmatch.auditing._audit import Audit, AuditSettings, DataFacts
from evenmatch.auditing._calibrate import calibrate
from evenmatch.auditing._comparison import Comparison, Difference, compare
from evenmatch.auditing._nearest import nearest_classes
from evenmatch.auditing._progress import progress_bar
from evenmatch.auditing._robustness import Robustness, robustness
from evenmatch.auditing._run import audit
from evenmatch.auditing._scores import ScoreAudit, audit_scores

__all__ = [
    "AcrossAudit",
    "Audit",
    "AuditSettings",
    "Comparison",
    "DataFacts",
    "Difference",
    "Robustness",
    "ScoreAudit",
    "audit",
    "audit_across",
    "audit_scores",
    "calibrate",
    "compare",
    "nearest_classes",
    "progress_bar",
    "robustness",
]
