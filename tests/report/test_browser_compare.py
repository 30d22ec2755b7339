"""The comparison in a browser: every model at its own threshold for one false accept rate."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from browsing import HOSTILE, Visit, clusters

import evenmatch as em
from evenmatch.report._text import comparison_rows, rate

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def comparison() -> em.Comparison:
    x, codes = clusters()
    noise = np.random.default_rng(3).normal(size=x.shape).astype(np.float32)
    names = [HOSTILE[code] if code < len(HOSTILE) else f"class {code}" for code in codes]
    models = {"base": x, HOSTILE[0]: x + 0.4 * noise, HOSTILE[1]: 0.3 + x}
    return em.compare({name: em.audit(vectors, names) for name, vectors in models.items()})


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory, visit) -> Visit:
    path: Path = tmp_path_factory.mktemp("comparison") / "compare.html"
    comparison.to_html(path)
    return visit(path)


def test_the_quantities_on_top_are_those_of_the_summary(comparison, page):
    shown = page.rows("header table")
    assert shown == [[name.strip(), *cells] for name, cells in comparison_rows(comparison.summary())]
    assert comparison.headline in page.text(".headline")


def test_one_rate_moves_every_model_to_its_own_threshold(comparison, page):
    targets = page.page.evaluate("data.targets")
    assert targets[page.page.evaluate("data.start")] == 0.01
    for stop in (0, targets.index(0.1), targets.index(0.01), len(targets) // 2, len(targets) - 1):
        page.slide(stop / (len(targets) - 1))
        rows = page.rows("#at")
        assert [row[0] for row in rows] == list(comparison.audits)
        stops = page.page.evaluate(f"data.models.map((model) => model.stops[{stop}])")
        for row, here, audit in zip(rows, stops, comparison.audits.values(), strict=True):
            threshold = here["threshold"]
            assert row[2:4] == [rate(audit.far_at(threshold)), rate(audit.frr_at(threshold))]
            assert audit.far_at(threshold) <= targets[stop]
            assert threshold == pytest.approx(audit.threshold_at_far(targets[stop]).threshold, abs=0.01)
            if here["column"] < 0:
                assert row[4:] == ["–", "–"]
                continue
            table = audit.by_class_at(threshold)
            assert row[4:] == [rate(table["far"].max()), rate(table["frr"].max())]


def test_the_table_shows_both_models_and_the_change(comparison, page, tmp_path):
    targets = page.page.evaluate("data.targets")
    page.slide(targets.index(0.01) / (len(targets) - 1))
    for other, name in ((1, HOSTILE[0]), (2, HOSTILE[1])):
        page.page.select_option("#which", str(other))
        with page.csv(tmp_path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        both = comparison.by_class
        assert len(rows) == 40
        for row in rows:
            label = row["class"].removeprefix("'") if row["class"].startswith("'=") else row["class"]
            for key in ("utility", "far", "frr"):
                before, after = both.loc[label, ("base", key)], both.loc[label, (name, key)]
                assert float(row[f"{key} before"]) == before
                assert float(row[f"{key} after"]) == after
                assert float(row[f"{key} change"]) == after - before


def test_names_of_models_and_classes_are_text(comparison, page):
    page.drawn()
    assert page.page.locator("#which option").all_text_contents() == HOSTILE[:2]
    assert page.page.locator("main img, svg a, svg image, main script").count() == 0
    page.page.fill("#search", "<script>")
    assert sorted(row[0] for row in page.rows()) == sorted(name for name in HOSTILE if "<script>" in name)
    page.page.locator("#table tbody button").first.click()
    assert page.text("#pinned") in HOSTILE
    page.page.fill("#search", "")
    legends = page.page.locator("#plane .legendtext").all_text_contents()
    assert len(legends) == 4
    assert legends[2] == "<script>alert(1)</scrip…"


def test_seven_thousand_classes_are_drawn_under_the_page_s_policy(tmp_path, visit):
    x, codes = clusters(7_000, 2)
    noise = np.random.default_rng(3).normal(size=x.shape).astype(np.float32)
    path = tmp_path / "many.html"
    em.compare({"base": em.audit(x, codes), "other": em.audit(x + 0.4 * noise, codes)}).to_html(path)
    page = visit(path)
    # scrolled to, not drawn(): what a test evaluates may use eval(), which the policy denies the page
    page.page.locator("#change").scroll_into_view_if_needed()
    page.page.wait_for_selector("#change .legend", timeout=20_000)
    assert page.page.locator("#change .no-webgl").count() == 0
    assert page.page.locator("#change .points path").count() == 7_000
