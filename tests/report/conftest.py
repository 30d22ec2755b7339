"""A browser for the tests that need one: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Visit

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def _absent(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; these tests must run in CI", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless chromium."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _absent('no Playwright; run: pip install "evenmatch[dev]"')
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        _absent("no chromium on this machine; run: apt-get install chromium")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *_QUIET])
        except Error as error:
            _absent(f"{program} does not start ({str(error).splitlines()[0]})")
        yield started
        started.close()


@pytest.fixture(scope="module")
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Open a file as ``visit(path, width=1440, dark=False)``; afterwards no page may have complained or gone out."""
    visits: list[tuple[Visit, Any]] = []

    def open_page(path: Path, *, width: int = 1440, dark: bool = False, ready: bool = True) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        page = context.new_page()
        seen = Visit(page, path)
        page.on("console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (seen.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(path.as_uri())
        if ready:
            page.wait_for_selector("html[data-ready]", timeout=30_000)
        visits.append((seen, context))
        return seen

    yield open_page
    for seen, context in visits:
        context.close()
        assert seen.complaints == []
        outside = [url for url in seen.requests if not url.startswith(("data:", "blob:"))]
        assert outside == [seen.path.as_uri()]
