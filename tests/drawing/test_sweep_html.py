"""The page of a dense sweep: whole, small, without a network, and with the scores it was given."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from optdet.drawing.sweep_html import write_sweep_page
from optdet.drawing.sweep_view import NamedPoint, SweepConstraint, SweepView, precision_recall_front
from optdet.errors import OptdetError

Hill = Callable[..., SweepView]
Named = Callable[[str, float, float], NamedPoint]


class Page(HTMLParser):
    """What of a page matters here: the elements with their attributes, the texts of its scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.data: dict[str, Any] = json.loads(self.scripts[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.texts.append(data)

    def scores(self, name: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
        steps = np.frombuffer(gzip.decompress(base64.b64decode(self.data["scores"][name])), dtype="<i4")
        return steps.reshape(shape).astype(np.int64).cumsum(axis=-1)


def page_of(view: SweepView, tmp_path: Path) -> Page:
    write_sweep_page(view, tmp_path / "made" / "sweep.html")
    return Page(tmp_path / "made" / "sweep.html")


def test_the_scores_are_those_of_the_view(hill: Hill, tmp_path: Path) -> None:
    view = hill()
    page = page_of(view, tmp_path)
    for name in ("hmean", "precision", "recall"):
        found = page.scores(name, view.hmean.shape) / page.data["divisor"]
        np.testing.assert_allclose(found, getattr(view, name), atol=0.51e-5)
    np.testing.assert_array_equal(page.scores("n_detections", view.hmean.shape), view.n_detections)
    assert page.data["thresh"] == view.thresh.tolist()
    assert page.data["unclip_ratio"] == [1.0, 1.25, 1.5, 1.75, 2.0]
    assert page.data["front"] == precision_recall_front(view.precision, view.recall).tolist()
    assert page.data["contour"] == pytest.approx(0.948)
    values = [attributes["value"] for tag, attributes in page.elements if tag == "option"]
    assert values == ["-1", "0", "1", "2", "3", "4"]


def test_nothing_is_fetched_or_sent(hill: Hill, tmp_path: Path) -> None:
    page = page_of(hill(), tmp_path)
    for tag, attributes in page.elements:
        assert not {"src", "href", "action", "data"} & attributes.keys(), (tag, attributes)
        assert tag not in {"link", "iframe", "img", "base", "object", "form"}
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert "default-src 'none'" in str(policies[0])
    assert "http" not in str(policies[0])
    assert "https:" not in page.scripts[2]
    # The button of plotly.js that sends the data away.
    assert "showSendToCloud: false" in page.scripts[2]


def test_a_name_is_text_and_cannot_end_the_script(hill: Hill, named_point: Named, tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!--"
    page = page_of(hill(named=(named_point(name, 0.3, 0.6),), title=name), tmp_path)
    assert len(page.scripts) == 3
    assert [p["name"] for p in page.data["named"]] == [name, "best"]
    assert page.texts.count(name) == 2, "the title and the heading"


def test_chosen_points_at_one_place_have_their_labels_apart(
    hill: Hill, named_point: Named, tmp_path: Path
) -> None:
    names = ("default", "current", "best", "robust")
    page = page_of(hill(named=tuple(named_point(name, 0.3, 0.6) for name in names)), tmp_path)
    assert len({point["side"] for point in page.data["named"]}) == 4


@pytest.mark.slow
def test_bounds_and_the_constraint_are_said(hill: Hill, tmp_path: Path) -> None:
    page = page_of(hill((0.1, 1.5, 0.6), constraint=SweepConstraint("recall", 0.94)), tmp_path)
    text = "".join(page.texts)
    assert "best lies at a bound of what was swept: thresh ≥ 0.1" in text
    assert "recall < 0.94" in text
    expected = {"metric": "recall", "bound": 0.94, "at_least": True, "divisor": 100_000}
    assert page.data["constraint"] == expected
    few = page_of(hill(constraint=SweepConstraint("n_detections", 1300, at_least=False)), tmp_path)
    assert "boxes > 1300" in "".join(few.texts)
    assert few.data["constraint"]["divisor"] == 1
    assert "bound" not in "".join(page_of(hill(), tmp_path).texts)


@pytest.mark.slow
def test_a_full_lattice_is_under_eight_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shape = (181, 26, 181)
    # Of 181 steps of box_thresh some thirty change something, as on receipts.
    changes = rng.random(shape) < 1 / 6
    fields = [0.9 + np.cumsum(changes * rng.normal(0, 1e-4, shape), axis=2) for _ in range(3)]
    counts = 4000 - np.cumsum(changes, axis=2)
    axis = np.linspace(0.05, 0.95, 181)
    view = SweepView(axis, axis, np.linspace(1, 3.5, 26), *fields, counts)
    write_sweep_page(view, tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 8e6
    assert len(Page(tmp_path / "a.html").data["cloud"]) <= 4000


def test_a_place_that_cannot_be_written_is_said(hill: Hill, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptdetError, match="the page cannot be written"):
        write_sweep_page(hill(), tmp_path / "file" / "a.html")


_STUBS = """
const made = [];
const select = {value: "-1", addEventListener() {}};
globalThis.document = {getElementById: (id) => id === "sweep" ? {textContent: TEXT} : select};
globalThis.Plotly = {react: async (div, traces, layout) => made.push({traces, layout})};
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("chosen", [-1, 2])
@pytest.mark.parametrize(
    "constraint",
    [
        SweepConstraint("recall", 0.9),
        SweepConstraint("precision", 0.94, at_least=False),
        SweepConstraint("n_detections", 1100, at_least=False),
    ],
)
def test_the_script_draws_what_was_sent(
    hill: Hill, tmp_path: Path, constraint: SweepConstraint, chosen: int
) -> None:
    view = hill(constraint=constraint)
    page = page_of(view, tmp_path)
    stubs = _STUBS.replace("TEXT", json.dumps(page.scripts[1])).replace('"-1"', f'"{chosen}"')
    # What the page starts itself, awaited here.
    script = re.sub(r"main\(\)\.catch.*", "", page.scripts[2], flags=re.DOTALL).replace('"use strict";', "")
    code = f"{stubs}{script}\nmain().then(() => console.log(JSON.stringify(made[0])));"
    (tmp_path / "run.js").write_text(code, encoding="utf-8")
    run = subprocess.run(
        ["node", str(tmp_path / "run.js")], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    traces = json.loads(run.stdout)["traces"]
    heat = view.hmean.max(axis=1) if chosen < 0 else view.hmean[:, chosen]
    np.testing.assert_allclose(np.array(traces[0]["z"]).T, heat, atol=1e-5)
    at = np.array(traces[0]["customdata"])[5, 3]
    u = int(view.hmean[3, :, 5].argmax()) if chosen < 0 else chosen
    expected = [
        view.precision[3, u, 5],
        view.recall[3, u, 5],
        view.unclip_ratio[u],
        view.n_detections[3, u, 5],
    ]
    np.testing.assert_allclose(at, expected, atol=1e-5)
    meets = view.meets_constraint()
    excluded = ~(meets.any(axis=1) if chosen < 0 else meets[:, chosen])
    np.testing.assert_array_equal(np.array(traces[1]["z"], dtype=float).T == 1, excluded)
    front = next(trace for trace in traces if trace.get("name") == "front")
    np.testing.assert_allclose(front["x"], view.recall.ravel()[page.data["front"]], atol=1e-5)
    k, u, b = np.unravel_index(page.data["front"][0], view.hmean.shape)
    assert front["customdata"][0][1:4] == [view.thresh[k], view.box_thresh[b], view.unclip_ratio[u]]


def test_single_values_and_no_error_make_a_page(hill: Hill, tmp_path: Path) -> None:
    view = hill(standard_error=None)
    arrays = {n: getattr(view, n)[:1, :1, :1] for n in ("hmean", "precision", "recall", "n_detections")}
    axes = {n: getattr(view, n)[:1] for n in ("thresh", "unclip_ratio", "box_thresh")}
    page = page_of(dataclasses.replace(view, **axes, **arrays), tmp_path)
    assert page.data["contour"] is None
    assert page.data["front"] == [0]
