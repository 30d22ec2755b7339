"""The face: runs embeddings, pairs and measures, and holds the result."""

from evenmatch.auditing._across import AcrossAudit, audit_across
from evenmatch.auditing._audit import Audit, AuditSettings, DataFacts
from evenmatch.auditing._calibrate import calibrate
from evenmatch.auditing._comparison import Comparison, Difference, compare
from evenmatch.auditing._nearest import nearest_classes
from evenmatch.auditing._plan import EngineCost, Plan, device_seconds, plan
from evenmatch.auditing._progress import progress_bar
from evenmatch.auditing._records import records
from evenmatch.auditing._robustness import Robustness, robustness
from evenmatch.auditing._run import audit
from evenmatch.auditing._scores import ScoreAudit, audit_scores
from evenmatch.auditing._transfer import drift, transfer

__all__ = [
    "AcrossAudit",
    "Audit",
    "AuditSettings",
    "Comparison",
    "DataFacts",
    "Difference",
    "EngineCost",
    "Plan",
    "Robustness",
    "ScoreAudit",
    "audit",
    "audit_across",
    "audit_scores",
    "calibrate",
    "compare",
    "device_seconds",
    "drift",
    "nearest_classes",
    "plan",
    "progress_bar",
    "records",
    "robustness",
    "transfer",
]
