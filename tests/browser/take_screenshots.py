"""The picture of the dashboard in the README, taken from a study in a database.

    optdet study create && optdet study run --trials 6
    python tests/browser/take_screenshots.py studies/optdet.db

Three pages at a width of 1280: a study's graphs, the pictures of its best trial, its note with links. They
are put above each other and saved with as many colours as a small file allows.
"""

from __future__ import annotations

import argparse
import shutil
import threading
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from optdet.tuning.dashboard import open_dashboard
from optdet.tuning.results import best_trial
from optdet.tuning.study import find_study, load_study, open_database

PICTURE = Path(__file__).parent / "pictures" / "dashboard.png"
SIZE = (1280, 900)
ARTIFACTS_HEIGHT = 500
N_COLOURS = 256
MAX_BYTES = 250_000
WAIT_MS = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--study", help="The newest one if left out.")
    parser.add_argument("--out", type=Path, default=PICTURE)
    parser.add_argument("--browser", default=shutil.which("chromium"), help="Chromium's program")
    given = parser.parse_args()
    database = open_database(str(given.database))
    study = load_study(database, find_study(database, given.study))
    opened = open_dashboard(database.url, database.places.artifacts_dir, host="127.0.0.1", port=0)
    threading.Thread(target=opened.server.serve_forever, daemon=True).start()
    url = opened.url_of(study.study_id)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}).new_page()
        parts = [
            _graphs(page, url),
            _trial(page, url, best_trial(study).number),
            _note(page, url, study.name),
        ]
        browser.close()
    opened.server.shutdown()
    opened.close()
    _save(parts, given.out)
    print(f"{given.out}: {given.out.stat().st_size / 1000:.0f} kB")


def _graphs(page: Page, url: str) -> Image.Image:
    """The row of the page with the landscape."""
    page.goto(url)
    landscape = page.locator("[id='user-defined-plot:landscape']")
    landscape.locator(".heatmaplayer image, .scatterlayer path").first.wait_for(
        state="attached", timeout=WAIT_MS
    )
    page.wait_for_timeout(1500)  # transitions of the other graphs
    top = landscape.bounding_box()
    assert top is not None
    picture = _shot(page, full=True)
    head = picture.crop((0, 0, SIZE[0], 660))
    return _stacked([head, picture.crop((0, round(top["y"]) - 16, SIZE[0], round(top["y"]) + 466))])


def _note(page: Page, url: str, name: str) -> Image.Image:
    page.goto(f"{url}/note")
    page.get_by_role("heading", name=name, exact=True).wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(500)
    return _shot(page).crop((0, 64, SIZE[0], 500))


def _trial(page: Page, url: str, number: int) -> Image.Image:
    page.goto(f"{url}/trials?numbers={number}")
    artifacts = page.get_by_role("heading", name="Artifacts")
    artifacts.wait_for(timeout=WAIT_MS)
    page.wait_for_function("() => document.images.length > 2", timeout=WAIT_MS)
    page.wait_for_function("() => [...document.images].every((image) => image.complete)", timeout=WAIT_MS)
    page.set_viewport_size({"width": SIZE[0], "height": 2 * SIZE[1]})  # what is below scrolls on its own
    page.wait_for_timeout(500)
    top = artifacts.bounding_box()
    assert top is not None
    picture = _shot(page)
    return picture.crop((0, round(top["y"]) - 16, SIZE[0], round(top["y"]) + ARTIFACTS_HEIGHT))


def _shot(page: Page, *, full: bool = False) -> Image.Image:
    if full:  # the window as high as its page, so that what is fixed to it is drawn once
        height = page.evaluate("Math.max(document.documentElement.scrollHeight, document.body.scrollHeight)")
        page.set_viewport_size({"width": SIZE[0], "height": max(height, SIZE[1])})
        page.wait_for_timeout(500)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    return picture


def _stacked(parts: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (SIZE[0], sum(part.height for part in parts)), "white")
    y = 0
    for part in parts:
        whole.paste(part, (0, y))
        y += part.height
    return whole


def _save(parts: list[Image.Image], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = _stacked(parts)
    palette = whole.quantize(N_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}: fewer colours")


if __name__ == "__main__":
    main()
