"""Chromium without a window: a page that remembers what went wrong in it, and pictures to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PHONE, DESK = (390, 844), (1280, 900)
"""Widths and heights that pages are looked at in, in CSS pixels."""
PICTURES_VARIABLE = "OPTDET_TEST_PICTURES"
"""A folder for the screenshots of the tests; without it they go into each test's own."""


@pytest.fixture(scope="session")
def chromium():
    """A running browser. Skips where there is none: `apt-get install chromium`, and the extra ``browser``."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        # Root may not use Chromium's own sandbox; the pages are ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium) -> Iterator[Callable]:
    """``open_page(url, size=DESK, dark=False, offline=False)`` gives a page of Playwright's.

    At the end of the test no page may have said an error on its console, failed a request, or thrown.
    """
    wrong: list[str] = []
    contexts = []

    def opened(url: str, *, size: tuple[int, int] = DESK, dark: bool = False, offline: bool = False):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            offline=offline,
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"thrown: {error}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url} {request.failure}"))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def picture(tmp_path, request) -> Callable[[object, str], Path]:
    """``picture(page, name)`` takes a screenshot of the whole page, for a person to look at."""
    given = os.environ.get(PICTURES_VARIABLE)
    folder = tmp_path if given is None else Path(given)

    def taken(page, name: str) -> Path:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path, full_page=True)
        assert path.stat().st_size > 0
        return path

    return taken
