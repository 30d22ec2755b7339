"""The face: runs embeddings, pairs and measures, and holds the result."""

from evenmatch.auditing._audit import Audit, AuditSettings, DataFacts
from evenmatch.auditing._comparison import Comparison, Difference, compare
from evenmatch.auditing._run import audit

__all__ = ["Audit", "AuditSettings", "Comparison", "DataFacts", "Difference", "audit", "compare"]
