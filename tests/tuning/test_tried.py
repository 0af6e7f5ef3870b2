"""The picture of what threshold tuning tried."""

from __future__ import annotations

import pytest

from optdet.metrics.scores import PRH
from optdet.structures import Thresholds
from optdet.tuning.tried import Tried, draw_tried


@pytest.mark.parametrize(("quads", "polygons", "shown"), [(0.9, 0.8, "quads"), (0.8, 0.9, "polygons")])
def test_quads_and_polygons_are_not_mixed(monkeypatch, tmp_path, quads, polygons, shown):
    drawn = []
    monkeypatch.setattr(
        "optdet.drawing.landscape.draw_landscape", lambda *given, **of: drawn.append((given, of))
    )
    tried = [
        Tried(Thresholds(0.3, box_thresh, 1.5, 1000, use_polygon, 3.0), PRH(hmean, hmean, hmean))
        for use_polygon, hmean in ((False, quads), (True, polygons))
        for box_thresh in (0.5, 0.6)
    ]
    draw_tried(tried, tmp_path / "a.png")
    [((points, _), of)] = drawn
    assert of == {"outlines": shown, "chosen": None}
    assert [point.hmean for point in points] == [0.9, 0.9]


def test_the_outlines_of_the_chosen_thresholds_are_shown(monkeypatch, tmp_path):
    headings = []
    monkeypatch.setattr("optdet.drawing.landscape.set_heading", lambda axes, text: headings.append(text))
    quad, polygon, robust = (
        Tried(Thresholds(0.3, box, 1.5, 1000, use_polygon, 3.0), PRH(hmean, hmean, hmean))
        for use_polygon, box, hmean in ((False, 0.5, 0.95), (True, 0.6, 0.9), (True, 0.7, 0.85))
    )
    for chosen in (polygon, robust):
        draw_tried([quad, polygon, robust], tmp_path / "a.png", chosen)
    assert headings == [
        "H-mean of polygons: best 0.9000 at thresh 0.3, box_thresh 0.6",
        "H-mean of polygons: highest 0.9000 at thresh 0.3, box_thresh 0.6;\n"
        "chosen 0.8500 at thresh 0.3, box_thresh 0.7",
    ]


def test_nothing_tried_is_a_picture_too(tmp_path):
    draw_tried([], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0
