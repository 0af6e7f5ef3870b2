"""The page: whole, without a network, and with nothing of what it shows taken for code."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest

from optdet.errors import OptdetError
from optdet.report.markup import Markup, element, section, table
from optdet.report.page import render, write_page
from optdet.report.study_report import Report

HOSTILE = '</script><img src=x onerror="alert(1)"><!--'


def a_report(**changes):
    values = {
        "title": "mine",
        "description": "",
        "made": "2026-01-01",
        "answer": element("header", element("p", "0.9")),
        "sections": (section("one", "First", "text"), section("two", "Second", "text")),
        "data": {"study": "mine", "images": []},
        "notes": (),
    }
    return Report(**{**values, **changes})


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def test_nothing_is_fetched_or_sent():
    page = Page(render(a_report()))
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "base", "object", "form"}
        assert not {"src", "action"} & attributes.keys()
        assert attributes.get("href", "#").startswith("#")
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "showSendToCloud: false" in "".join(page.texts)


def test_each_part_is_linked_to():
    page = Page(render(a_report()))
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["#one", "#two"]
    assert [a["id"] for tag, a in page.elements if tag == "section"] == ["one", "two"]


def test_names_are_text_and_data_end_no_script():
    report = a_report(
        title=HOSTILE,
        description=HOSTILE,
        sections=(section("x", HOSTILE, HOSTILE, table(["a"], [[HOSTILE]])),),
        data={"study": HOSTILE, "images": []},
    )
    text = render(report)
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert HOSTILE in page.texts
    packed = re.search(r'id="data">([^<]*)</script>', text)[1]
    assert json.loads(gzip.decompress(base64.b64decode(packed)))["study"] == HOSTILE


def test_markup_stands_as_it_is_and_attributes_are_escaped():
    made = element("p", Markup("<b>x</b>"), "<i>", class_='a"b', data_chart="c")
    assert made.html == '<p class="a&quot;b" data-chart="c"><b>x</b>&lt;i&gt;</p>'


def test_what_is_not_finite_is_refused_rather_than_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_page(a_report(data={"x": float("nan"), "images": []}), tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_the_size_is_that_of_the_file_and_a_bad_place_is_said(tmp_path):
    n_bytes = write_page(a_report(), tmp_path / "new" / "r.html")
    assert n_bytes == (tmp_path / "new" / "r.html").stat().st_size
    assert n_bytes < 3e6, "plotly.js is packed"
    with pytest.raises(OptdetError, match="the report cannot be written"):
        write_page(a_report(), tmp_path / "new" / "r.html" / "under")


def test_no_id_stands_twice():
    report = a_report(sections=tuple(section(name, name, "text") for name in ("images", "trials", "search")))
    ids = [attributes["id"] for _, attributes in Page(render(report)).elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
