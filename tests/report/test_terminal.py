"""The terminal view: names from the data are text, never markup."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

import evenmatch as em
from evenmatch.report import print_audit, print_check, print_comparison, print_point, print_scores


def printed(names: list[str], width: int = 500, groups: list[str] | None = None, **options) -> str:
    """An audit of eight classes of these names, and how it looks."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(8), 8)
    x = rng.normal(size=(8, 6))[codes] + 0.8 * rng.normal(size=(64, 6))
    labels = [names[code % len(names)] + f" {code}" for code in codes]
    of_rows = None if groups is None else [groups[row % len(groups)] for row in range(64)]
    data = em.EmbeddingSet.from_arrays(x, labels, groups=of_rows, **options)
    buffer = io.StringIO()
    print_audit(em.audit(data, far=(0.02, 0.2)).summary(), Console(file=buffer, width=width))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name", ["[red]x[/red]", "[/]", "[bold", "x\\", "\\[b]", "[link=https://example.org]a", ":smile:"]
)
def test_names_that_look_like_markup_are_printed_as_they_are(name):
    text = printed([name], groups=[name, "other"], name=name)
    lines = text.splitlines()
    assert lines[0].startswith(f"{name}: 64 × 6, 8 classes")
    rows = [line for line in lines if line.startswith("│")]
    assert len(rows) == 8 + 2
    for row in rows[:8]:
        assert row.startswith(f"│ {name} ")
    assert any(row.startswith(f"│ {name} ") for row in rows[8:])
    assert f"class {name} " in lines[-1]


def test_endless_names_leave_the_numbers_readable():
    lines = printed(["x" * 500], width=80).splitlines()
    rows = [line.split("│")[1:-1] for line in lines if line.startswith("│ xxx")]
    assert len(rows) == 8
    for name, n, utility, opis, far, frr in rows:
        assert name.strip().startswith("xxx")
        assert int(n) == 8
        assert 0 <= float(opis) < float(utility) < 1
        assert far.strip().endswith("%")
        assert frr.strip().endswith("%")


def test_without_groups_there_is_no_table_of_groups():
    assert "Groups" not in printed(["a"])
    assert "Groups" in printed(["a"], groups=["p", "q"])


def test_what_the_brackets_hold_is_said():
    assert "in brackets: 95% interval for other classes of the same kind" in printed(["a"])


@pytest.mark.parametrize(("confidence", "said"), [(0.57, "57%"), (0.95, "95%"), (0.995, "99.5%"), (0.999, "99.9%")])
def test_a_confidence_is_printed_as_it_is(confidence, said):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 8)
    x = rng.normal(size=(20, 6))[codes] + 0.8 * rng.normal(size=(160, 6))
    audit = em.audit(x, codes, far=(0.02, 0.2), confidence=confidence)
    point = em.calibrate(x, codes, far=0.1, confidence=confidence)
    scores = em.audit_scores(rng.random(600), codes[np.arange(600) % 160] % 2, folds=np.arange(600) % 5,
                             far=[0.1], confidence=confidence)  # fmt: skip
    buffer = io.StringIO()
    console = Console(file=buffer, width=200)
    views = [
        (print_audit, audit.summary()),
        (print_comparison, em.compare({"a": audit, "b": audit}).summary()),
        (print_point, point.summary()),
        (print_scores, scores.summary()),
        (print_check, point.check(em.EmbeddingSet.from_arrays(x, codes)).summary()),
    ]
    for show, summary in views:
        buffer.seek(0)
        buffer.truncate()
        show(summary, console)
        assert re.search(rf"(?<![\d.]){said} (interval|for)", buffer.getvalue()), show.__name__
