"""An audit in a notebook cell."""

from __future__ import annotations

from html import escape
from typing import Any

from evenmatch.report._text import audit_rows, data_line

__all__ = ["audit_card"]

_LEFT = 'style="text-align:left"'


def audit_card(summary: dict[str, Any]) -> str:
    """A small HTML table of ``Audit.summary()``; every string from the data is escaped."""
    rows = "".join(
        f"<tr><th {_LEFT}>{escape(name.strip())}</th><td {_LEFT}>{escape(value)}</td></tr>"
        for name, value in audit_rows(summary)
    )
    return (
        f"<div><p><strong>{escape(summary['headline'])}</strong></p>"
        f"<p>{escape(data_line(summary))}</p><table>{rows}</table></div>"
    )
