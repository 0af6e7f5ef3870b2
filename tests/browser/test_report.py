"""The report in Chromium: drawn without an error, light and dark, wide and narrow, and on paper."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PHONE = (390, 844)
STUDY = """\
name: shown
config:
  data:
    synthetic: {train: 8, val: 6, image_size: 320}
    size: 160
    workers: 0
  model: {backbone: test_efficientnet, pretrained: false, inner_channels: 32}
  train: {epochs: 3, batch_size: 2}
space:
  optimizer.lr: {type: float, low: 0.002, high: 0.02, log: true}
  loss.negative_ratio: {type: categorical, choices: [2, 3, 5]}
postprocess: {space: {use_polygon: {type: categorical, choices: [false]}}}
pruner: {name: none}
trials: 9
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The file of a study of nine trials, with a submission that a leaderboard has scored."""
    folder = tmp_path_factory.mktemp("shown")
    (folder / "study.yaml").write_text(STUDY)

    def run(*words):
        command = [sys.executable, "-m", "optdet", *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run("study", "create", "study.yaml")
    run("study", "run", "shown")
    (images,) = folder.glob("studies/data/*/val/images")
    run("predict", "shown", "--images", images, "--out", "sent.csv")
    run("submission", "record", "sent.csv", "--hmean", "0.5")
    run("report", "shown", "--out", "report.html", "--images", "6", "--against", "shown:0")
    return folder / "report.html"


def opened(open_page, report, **how):
    """Everything that is drawn when it comes into view is drawn."""
    page = open_page(report.as_uri(), offline=True, **how)
    page.wait_for_selector("html[data-ready]")
    for chart in page.query_selector_all("[data-chart]"):
        chart.scroll_into_view_if_needed()
        name = chart.get_attribute("data-chart")
        page.wait_for_selector(f"[data-chart={name}][data-drawn]", state="attached")
    for card in page.query_selector_all(".card"):
        card.scroll_into_view_if_needed()
        card.wait_for_selector("svg.now", state="attached")
    page.evaluate("scrollTo(0, 0)")
    return page


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "size"), [("wide", (1280, 900)), ("phone", PHONE)])
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_window(
    open_page, picture, report, width, size, dark
):
    page = opened(open_page, report, size=size, dark=dark)
    names = [chart.get_attribute("data-chart") for chart in page.query_selector_all("[data-chart]")]
    # fmt: off
    assert names == [
        "history", "curves", "parallel", "importances", "slices", "heat", "front", "costs", "buckets",
        "board",
    ]
    # fmt: on
    for name in names:
        svg = page.query_selector(
            f"[data-chart={name}] svg.{'parallel' if name == 'parallel' else 'main-svg'}"
        )
        assert svg is not None, name
        assert svg.bounding_box()["width"] > 200
    # Marks are there, not frames alone: every trial, the bars of every axis and kind of error.
    assert page.evaluate("document.querySelectorAll('[data-chart=history] .scatterlayer .point').length") == 9
    assert page.evaluate("document.querySelectorAll('[data-chart=costs] .bars .point').length") == 6
    assert page.evaluate("document.querySelectorAll('[data-chart=parallel] polyline').length") == 9
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    picture(page, f"report-{width}-{'dark' if dark else 'light'}")


def test_who_prints_without_scrolling_gets_every_image(open_page, report):
    page = open_page(report.as_uri(), offline=True)
    page.wait_for_selector("html[data-ready]")
    all_there = (
        "[...document.querySelectorAll('#gallery img')]"
        ".every((image) => image.complete && image.naturalWidth > 0)"
    )
    assert not page.evaluate(all_there)
    until = time.monotonic() + 60
    while not page.evaluate(all_there) and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert page.evaluate(all_there)


def test_lines_are_chosen_along_an_axis(open_page, report):
    page = opened(open_page, report)
    page.query_selector("[data-chart=parallel]").scroll_into_view_if_needed()
    titles = [title.text_content() for title in page.query_selector_all(".parallel .axis-title")]
    assert titles[:2] == ["lr", "negative_ratio"]
    assert titles[-1] == "value"
    box = page.query_selector_all(".parallel .grip")[-1].bounding_box()
    across = box["x"] + box["width"] / 2

    def n_out():
        return len(page.query_selector_all(".parallel .out"))

    page.mouse.move(across, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(across, box["y"] + box["height"] * 0.4, steps=3)
    page.mouse.up()
    assert 0 < n_out() < 9, "those of a low value are out"
    page.mouse.click(across, box["y"] + 5)
    assert n_out() == 0


def test_who_prints_at_once_gets_every_chart(open_page, report):
    page = open_page(report.as_uri(), offline=True)
    page.wait_for_selector("[data-chart=history][data-drawn]")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    late = page.evaluate(
        "[...document.querySelectorAll('[data-chart]:not([data-drawn])')].map((n) => n.dataset.chart)"
    )
    assert set(late) <= {"heat", "front"}, "but for what is still unpacked"


def test_the_table_is_sorted_by_a_click_and_filtered(open_page, report):
    page = opened(open_page, report)

    def column(place):
        return [cell.inner_text() for cell in page.query_selector_all(f"#trial-table td:nth-child({place})")]

    values = [float(text) for text in column(3)]
    assert len(values) == 9
    assert values == sorted(values, reverse=True), "the best first"
    assert page.query_selector("#trial-table tr.best td").inner_text() == column(1)[0]
    page.click("#trial-table th:nth-child(1) button")
    assert column(1) == [str(number) for number in range(9)]
    page.click("#trial-table th:nth-child(1) button")
    assert column(1)[0] == "8"
    assert page.get_attribute("#trial-table th:nth-child(1)", "aria-sort") == "descending"
    page.click("#trial-table th:nth-child(3) button")
    assert [float(text) for text in column(3)] == values
    page.fill("#table-controls input", "pruned")
    assert column(1) == []
    assert "0 of 0" in page.inner_text("#table-more")


def test_images_show_the_map_the_other_side_and_the_kinds_that_are_asked_for(open_page, picture, report):
    page = opened(open_page, report)
    first = page.query_selector(".card")
    assert page.evaluate("node => node.querySelector('img').naturalWidth", first) > 100

    def shown(selector):
        found = first.query_selector(selector)
        return found is not None and found.is_visible()

    assert not shown(".map")
    page.check("[data-layer=map]")
    assert shown(".map")
    assert page.evaluate("node => node.querySelector('.map').naturalWidth", first) > 50
    picture(page, "report-maps")
    assert shown("svg.now")
    assert not shown("svg.before")
    assert shown(".scores.now")
    assert not shown(".scores.before")
    page.check("#before")
    assert not shown("svg.now")
    assert shown("svg.before")
    assert shown(".scores.before")
    assert not shown(".scores.now")
    assert " before" in first.query_selector(".scores.before").inner_text()
    page.uncheck("#before")
    assert shown("polygon.word")
    page.uncheck("[data-layer=words]")
    assert not shown("polygon.word")
    width = first.bounding_box()["width"]
    first.query_selector(".view").click()
    assert first.bounding_box()["width"] > 1.5 * width
    groups = page.query_selector_all("#gallery-group option")
    assert groups[0].get_attribute("value") == "all"
    page.select_option("#gallery-group", "worst")
    visible = [card for card in page.query_selector_all(".card") if card.is_visible()]
    assert all("worst" in card.get_attribute("data-groups") for card in visible)


def test_thresholds_are_drawn_for_the_ratio_that_is_chosen(open_page, report):
    page = opened(open_page, report)
    z = "JSON.stringify(document.querySelector('[data-chart=heat]').data[0].z)"
    before = page.evaluate(z)
    page.select_option("#sweep-ratio", "0")
    until = time.monotonic() + 30
    while page.evaluate(z) == before and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert page.evaluate(z) != before


def test_links_lead_to_their_parts(open_page, report):
    page = opened(open_page, report)
    for link in page.query_selector_all("nav a"):
        name = link.get_attribute("href").removeprefix("#")
        assert page.query_selector(f"section#{name} h2").inner_text() == link.inner_text()


def test_the_button_changes_the_theme_and_paper_is_light(open_page, report, tmp_path):
    page = opened(open_page, report, dark=True)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 100_000


def printing(page, width):
    """The page as it lies on paper of so many CSS pixels between its margins."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": width, "height": 1000})
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")


@pytest.mark.parametrize("width", [703, 725])
def test_on_paper_charts_fill_their_places_and_nothing_is_wider_than_the_page(open_page, report, width):
    page = opened(open_page, report)
    printing(page, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shares = page.evaluate(
        """[...document.querySelectorAll("[data-chart]:not(.slices), .slice")].map((node) => {
          const svg = node.querySelector("svg");
          return svg.getBoundingClientRect().width / node.getBoundingClientRect().width;
        })"""
    )
    assert all(0.99 < share < 1.01 for share in shares), shares
    assert page.eval_on_selector_all(
        ".slice, figure, .scroll:not(.long)",
        "nodes => nodes.every((node) => getComputedStyle(node).breakInside === 'avoid')",
    )
    assert page.query_selector(".scroll:not(.long) > #trial-table"), "nine rows are not parted"
    assert page.eval_on_selector(".card", "node => getComputedStyle(node).display") == "inline-block"
    titles = page.evaluate(
        """[...document.querySelectorAll("[data-chart=buckets] .slice")].every((node) => {
          const title = node.querySelector(".gtitle").getBoundingClientRect();
          const chart = node.getBoundingClientRect();
          return title.left >= chart.left && title.right <= chart.right;
        })"""
    )
    assert titles, "a title is cut"
    # And back: the chart on the screen is not a picture of that on paper.
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.query_selector(".main-svg[viewBox]") is None


def legends(page):
    """How far each legend lies from the top of its chart, in pixels."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap((chart) => {
          const legend = chart.querySelector(".legend");
          const top = (node) => Math.round(node.getBoundingClientRect().top);
          return legend ? [top(legend) - top(chart)] : [];
        })"""
    )


def test_after_printing_the_page_is_as_it_was(open_page, report, tmp_path):
    page = opened(open_page, report)
    before = legends(page)
    assert len(before) >= 4
    page.pdf(path=tmp_path / "report.pdf")
    for _ in range(50):
        if legends(page) == before:
            return
        page.wait_for_timeout(100)
    assert legends(page) == before


def test_the_best_curve_is_that_of_the_best_trial(open_page, report):
    """Values are tuned after the epochs: the trial with the highest epoch may be another."""
    page = opened(open_page, report)
    best = page.evaluate(
        """() => document.querySelector("[data-chart=curves]").data.find((each) => each.name === "best")"""
    )
    number = re.search(r"trial (\d+), epoch", best["hovertemplate"]).group(1)
    assert f":{number}" in page.inner_text("header") or f"trial {number}" in page.inner_text("header")


def test_commands_and_costs_are_seen_without_scrolling(open_page, report):
    page = opened(open_page, report, size=PHONE)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for code in page.query_selector_all("pre"):
        assert page.evaluate("node => node.scrollWidth <= node.clientWidth", code)
    command = page.inner_text("header pre")
    assert len(command.splitlines()) == 2, "wrapped lines are copied as one"
    heads = page.query_selector_all("#errors > .scroll th")
    assert [head.inner_text() for head in heads[:2]] == ["error", "cost in H-mean"]
    box = heads[1].bounding_box()
    assert box["x"] + box["width"] <= PHONE[0]
    assert page.query_selector("#environment thead") is None


def test_trials_have_whole_numbers_and_the_worst_line_is_seen(open_page, report):
    page = opened(open_page, report)
    ticks = [tick.text_content() for tick in page.query_selector_all("[data-chart=history] .xtick text")]
    assert ticks == [str(number) for number in range(9)]
    strokes = page.eval_on_selector_all(
        ".parallel polyline", "nodes => nodes.map((node) => getComputedStyle(node).stroke)"
    )
    brightest = max(luminance(*map(int, re.findall(r"\d+", stroke)[:3])) for stroke in strokes)
    assert 1.05 / (brightest + 0.05) >= 3, "WCAG's contrast of graphics"


def luminance(*channels):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
