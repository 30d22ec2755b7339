"""Every block of the documentation runs; tutorials in an empty folder, as a newcomer would."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from markdown_blocks import BLOCK, ROOT, run_page, write_inputs

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
OWN_TESTS = ("cluster.md", "transfer.md")  # they need shards, or a point that an earlier page made
RUNNABLE = [page for page in PAGES if page not in OWN_TESTS and BLOCK.search((DOCS / page).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch, capfd):
    text = (DOCS / page).read_text(encoding="utf-8")
    if not page.startswith("tutorials/"):
        write_inputs(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    run_page(text, page, capfd)
    plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_pages_and_pictures_have_words(page):
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for picture, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)]+)\)", text):
        assert words.strip(), f"{page}: a link or picture to {target} has no text"
        if picture:
            assert len(words) > 20, f"{page}: the text of {target} does not say what it shows"
        if not target.startswith(("http://", "https://", "#")):
            path = (DOCS / page).parent / target.partition("#")[0]
            assert Path(path).is_file(), f"{page}: {target} is not there"
