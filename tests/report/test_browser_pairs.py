"""The worst pairs in a browser: real images, of the class chosen, judged at the threshold shown."""

from __future__ import annotations

import pytest
from browsing import HOSTILE, Visit, clusters
from PIL import Image

import evenmatch as em

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(visit, tmp_path_factory) -> Visit:
    root = tmp_path_factory.mktemp("photos")
    x, codes = clusters(12, 8)
    ids = [f"{row} onerror=alert(5) é.png" for row in range(len(codes))]
    for row, name in enumerate(ids[:-1]):  # one is missing
        Image.new("RGB", (64, 48), (row, 255 - row, 128)).save(root / name)
    data = em.EmbeddingSet.from_arrays(x, [HOSTILE[code] for code in codes], ids=ids)
    em.audit(data, far=(0.02, 0.2)).to_html(root / "report.html", root, embeddings=data)
    return visit(root / "report.html")


def test_every_class_offered_shows_its_pairs(page):
    names = page.page.evaluate("data.gallery.classes.map((each) => data.names[each.class])")
    assert len(names) == 12
    for k in range(12):
        page.page.select_option("#gallery-class", str(k))
        for kind in ("impostor", "genuine"):
            items = page.page.locator(f"#gallery-{kind} li")
            assert 4 <= items.count() <= 6
            shown = page.page.evaluate(
                f"Promise.all([...document.querySelectorAll('#gallery-{kind} img')].map("
                "(image) => image.decode().then(() => image.naturalWidth)))"
            )
            assert set(shown) <= {64}
            assert len(shown) >= 2 * items.count() - 1 - items.count() // 2
            named = names[k][:30]
            assert all(named in text for text in items.all_text_contents())


def test_the_verdict_follows_the_threshold(page):
    page.fill("#threshold", "-1")
    assert all("accepted" in text for text in page.page.locator("#gallery li").all_text_contents())
    page.fill("#threshold", "1.1")
    assert all("rejected" in text for text in page.page.locator("#gallery li").all_text_contents())
