"""Pages in a real browser, with everything that they asked for and complained about."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import evenmatch as em

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "=cmd()",
    "🦊 emoji 👩‍👩‍👧",
    "שלום עולם",
    "\u202egnp.exe",
    "x" * 500,
    "<b>bold</b><br>&lt;i&gt;",
    "%{y} $x^2$",
    "</script><script>alert(3)</script>",
    "' onmouseover='alert(4)",
    "{{headline}}",
]


@dataclass
class Visit:
    """A page that was opened."""

    page: Any
    path: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).text_content()

    def slide(self, share: float) -> None:
        """Drag the slider to a share of its way."""
        self.page.evaluate(
            """async (share) => {
              const slider = document.getElementById("slider");
              const [low, high] = [Number(slider.min), Number(slider.max)];
              slider.value = low + share * (high - low);
              slider.dispatchEvent(new Event("input", {bubbles: true}));
              await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            }""",
            share,
        )

    def fill(self, selector: str, text: str) -> None:
        self.page.fill(selector, text)
        self.page.press(selector, "Enter")

    def thresholds(self) -> tuple[float, float | None]:
        """The threshold shown and that of the classes, to the last digit."""
        shown = self.page.locator("#moving").evaluate("e => ({...e.dataset})")
        of_classes = shown["classThreshold"]
        return float(shown["threshold"]), float(of_classes) if of_classes else None

    def until(self, expression: str) -> None:
        """Wait for an expression to hold; the page's policy forbids Playwright's own way of waiting for one."""
        patience = time.monotonic() + 10
        while not self.page.evaluate(expression):
            assert time.monotonic() < patience, f"not within 10 s: {expression}"
            time.sleep(0.02)

    def rows(self, table: str = "#table") -> list[list[str]]:
        return self.page.locator(f"{table} tbody").evaluate(
            "body => [...body.rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
        )

    def csv(self, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click("#csv")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def drawn(self) -> None:
        """Draw every chart, in view or not."""
        self.page.evaluate("drawAll()")


def clusters(k: int = 40, each: int = 12, dim: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes around centres, each of its own width."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(k), each)
    widths = rng.uniform(0.3, 1.1, k)
    x = rng.normal(size=(k, dim))[codes] + widths[codes, None] * rng.normal(size=(codes.size, dim))
    return x.astype(np.float32), codes


def grouped_audit(**options: Any) -> em.Audit:
    """Classes of plain names, one of them undefined, in three groups."""
    x, codes = clusters()
    x = np.concatenate([x, np.random.default_rng(9).normal(size=(1, 8)).astype(np.float32)])
    labels = [f"class {code}" for code in codes] + ["alone"]
    groups = np.array(["north", "south", "east"])[np.arange(len(labels)) % 3]
    return em.audit(em.EmbeddingSet.from_arrays(x, labels, groups=groups, name="cards"), **options)


def hostile_audit() -> em.Audit:
    """Classes, groups and a data set with names that want to be more than text."""
    x, codes = clusters(len(HOSTILE), 12)
    groups = [HOSTILE[code % 4] for code in codes]
    data = em.EmbeddingSet.from_arrays(x, [HOSTILE[code] for code in codes], groups=groups, name=HOSTILE[0])
    return em.audit(data, far=(0.02, 0.2))
