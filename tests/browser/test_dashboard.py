"""The dashboard of a real study in Chromium: its graphs, links that lead where they say, artifacts."""

from __future__ import annotations

import re
import runpy
import threading
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest

from optdet.store.engine import close_storage, open_storage
from optdet.tuning.dashboard import open_dashboard

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WAIT_MS = 120_000
SAVED = ("thrown: Cannot read properties of undefined (reading 'status')",)
"""What optuna-dashboard 0.21 throws when a note was saved: it looks for JSON in an answer that has none."""
BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "dashboard_open.py"


@contextmanager
def serving(database: Path):
    opened = open_dashboard(f"sqlite:///{database}", database.parent / "artifacts", host="127.0.0.1", port=0)
    answering = threading.Thread(target=opened.server.serve_forever, daemon=True)
    answering.start()
    yield opened
    opened.server.shutdown()
    opened.close()
    answering.join()


@pytest.fixture(scope="module")
def dashboard(shown_study):
    with serving(shown_study.database) as opened:
        yield opened


@pytest.fixture(scope="module")
def ids(shown_study):
    storage = open_storage(shown_study.database)
    found = {study.study_name: study._study_id for study in storage.get_all_studies()}
    close_storage(storage)
    return found


def drawn(page, element):
    """Waits until Plotly has drawn something there, and says its title."""
    page.wait_for_selector(f"{element} svg.main-svg", timeout=WAIT_MS)
    plot = page.locator(element)
    marks = plot.locator(".heatmaplayer image, .scatterlayer path.point, .scatterlayer path.js-line")
    marks.first.wait_for(state="attached", timeout=WAIT_MS)
    title = plot.locator(".gtitle")
    return (title.first.text_content() or "") if title.count() else ""


def test_a_study_opens_with_its_graphs(dashboard, ids, open_page, picture):
    page = open_page(dashboard.url_of(ids["shown"]))
    title = drawn(page, "[id='user-defined-plot:landscape']")
    assert re.match(r"Thresholds of the best trial, shown:1: H-mean of (quads|polygons) up to 0\.", title)
    drawn(page, "[id='graph-intermediate-values']")
    page.get_by_text("Best Trial (number=1)").wait_for(timeout=WAIT_MS)
    assert page.locator("text=shown (id=").first.is_visible()
    picture(page, "dashboard-study")


def test_inner_studies_have_their_landscapes(dashboard, ids, open_page, picture):
    tuned = next(name for name in ids if re.fullmatch(r"shown-1\.postprocess\..*", name))
    page = open_page(dashboard.url_of(ids[tuned]))
    titles = [
        drawn(page, f"[id='user-defined-plot:{graph}']")
        for graph in ("landscape-quads", "landscape-polygons")
    ]
    assert titles == [f"shown:1: CLEval competition, {kind}, 3 images" for kind in ("quads", "polygons")]
    from playwright.sync_api import expect

    files = page.locator("text=/landscape-(quads|polygons)\\.(npz|png|html)/")
    expect(files).to_have_count(6, timeout=WAIT_MS)
    picture(page, "dashboard-inner")


def test_artifacts_are_shown_under_their_trial(dashboard, ids, open_page, picture):
    page = open_page(f"{dashboard.url_of(ids['shown'])}/trials?numbers=1")
    page.get_by_text("images.csv").first.wait_for(timeout=WAIT_MS)
    loaded = "() => document.images.length >= 4 && [...document.images].every((image) => image.complete)"
    page.wait_for_function(loaded, timeout=WAIT_MS)
    sizes = page.evaluate("() => [...document.images].map((image) => image.naturalWidth)")
    assert len(sizes) == 4  # two overlays, the curve, the landscape
    assert min(sizes) >= 300
    for name in ("curve.png", "landscape.png"):
        assert page.get_by_text(name).first.is_visible()
    assert page.locator("text=/\\d{4}-receipt.*\\.jpg/").count() >= 2
    # A long attribute does not make the page wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    picture(page, "dashboard-trial")
    page.locator("button:near(:text('images.csv'))").first.click()
    page.get_by_role("cell", name=re.compile(r"receipt_\d+")).first.wait_for(timeout=WAIT_MS)
    picture(page, "dashboard-table")


def test_links_lead_where_they_say(dashboard, ids, open_page, picture):
    page = open_page(f"{dashboard.url_of(ids['shown'])}/note")
    page.get_by_role("link", name="shown-folds").wait_for(timeout=WAIT_MS)
    picture(page, "dashboard-note")
    assert "[//]" not in page.locator("main, body").first.inner_text()
    links = [
        (link.text_content(), link.get_attribute("href"))
        for link in page.locator("li > a:not([class])").all()
    ]
    assert {name for name, _ in links} >= {"shown-folds", "warm", "shown.t0001.postprocess", "trial 0"}
    for name, path in dict(links).items():
        page.wait_for_load_state("networkidle", timeout=WAIT_MS)  # pictures are fetched last
        page.goto(f"{dashboard.url}{path.removeprefix('/')}")
        if name.startswith("trial "):
            page.get_by_role("heading", name=re.compile(f"^T{name[1:]} ")).wait_for(timeout=WAIT_MS)
        else:
            page.get_by_text(f"{name} (id={ids[name]})").first.wait_for(timeout=WAIT_MS)


def test_a_link_leads_back(dashboard, ids, open_page):
    for name in ("shown-folds", "warm", "shown.t0001.postprocess"):
        page = open_page(f"{dashboard.url_of(ids[name])}/note")
        page.wait_for_load_state("networkidle", timeout=WAIT_MS)
        page.get_by_role("link", name="shown", exact=True).click()
        page.get_by_text(f"shown (id={ids['shown']})").first.wait_for(timeout=WAIT_MS)
        assert page.url.startswith(dashboard.url_of(ids["shown"]))


def test_a_note_that_is_written_in_the_page_keeps_its_words(shown_study, open_page, tmp_path):
    database = tmp_path / "studies" / "optdet.db"
    database.parent.mkdir()
    for path in shown_study.database.parent.glob("optdet.db*"):
        (database.parent / path.name).write_bytes(path.read_bytes())
    with serving(database) as opened:
        storage = open_storage(database)
        study_id = storage.get_study_id_from_name("warm")
        page = open_page(f"{opened.url_of(study_id)}/note", known=SAVED)
        page.get_by_role("link", name="shown", exact=True).wait_for(timeout=WAIT_MS)
        page.locator("[data-testid='ModeEditIcon'], [data-testid='EditIcon']").first.click()
        box = page.get_by_role("textbox").first
        box.fill(box.input_value() + "\n\nMy own words.")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("My own words.").first.wait_for(timeout=WAIT_MS)
        # The study that it starts from is deleted in the dashboard: the link goes, and nothing else.
        source_id = storage.get_study_id_from_name("shown")
        kept = {"remove_associated_artifacts": False}  # they are not beside this copy of the database
        answer = page.request.delete(f"{opened.url}api/studies/{source_id}", data=kept)
        assert answer.status == 204
        page.wait_for_load_state("networkidle", timeout=WAIT_MS)
        page.reload()
        page.get_by_text("shown, which is not here").wait_for(timeout=WAIT_MS)
        assert page.get_by_text("My own words.").first.is_visible()
        assert page.get_by_role("link", name="shown", exact=True).count() == 0
        close_storage(storage)


def fastest(opened):
    return min(opened, key=lambda took: took.wall)


def test_a_study_of_two_thousand_trials_opens(chromium, open_page, tmp_path, picture, capsys):
    """How long that takes is printed: what else this machine does says more of it than optdet."""
    benchmark = runpy.run_path(str(BENCHMARK))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = tmp_path / "large.db"
    storage = open_storage(database)
    study_id = benchmark["make_study"](storage, 2000)
    small_id = benchmark["make_study"](storage, 10, "small")
    close_storage(storage)
    with serving(database) as opened:
        opened.prepare(study_id)
        large, small = opened.url_of(study_id), opened.url_of(small_id)
        benchmark["seconds_to_open"](chromium, large, 2000)
        took = [benchmark["seconds_to_open"](chromium, large, 2000) for _ in range(3)]
        least = [benchmark["seconds_to_open"](chromium, small, 10) for _ in range(3)]
        with capsys.disabled():
            print(f"\n2000 trials open in {fastest(took)}, 10 trials in {fastest(least)}")
        page = open_page(large)
        title = drawn(page, "[id='user-defined-plot:curves']")
        assert title == "Intermediate values of the best 40 of 2000 trials"
        picture(page, "dashboard-2000-trials")
