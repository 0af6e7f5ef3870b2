"""Which images are shown, and that what is drawn of them is what the metric says."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from optdet.evaluation.evaluate import evaluate
from optdet.report.gallery import Found, choose_images, gallery_image
from optdet.report.pictures import IMAGE_SIDE, image_url, map_url
from optdet.structures import Sample, Word


def hmeans(values):
    return {f"{index:02d}.jpg": value for index, value in enumerate(values)}


def test_the_worst_and_those_that_changed_most():
    now = hmeans([0.9, 0.5, 0.8, 0.7, 1.0, 0.6, 0.95, 0.85])
    before = {**now, "00.jpg": 0.2, "06.jpg": 0.99}
    chosen = choose_images(now, before, 4)
    assert chosen == {
        "01.jpg": ["worst"],
        "05.jpg": ["worst"],
        "00.jpg": ["improved"],
        "06.jpg": ["harmed"],
    }
    assert choose_images(now, None, 2) == {"01.jpg": ["worst"], "05.jpg": ["worst"]}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30), st.integers(1, 40))
def test_no_more_than_asked_each_once_and_the_lowest_first(pairs, n):
    now, before = hmeans([a for a, _ in pairs]), hmeans([b for _, b in pairs])
    chosen = choose_images(now, before, n)
    assert len(chosen) <= n
    assert [now[name] for name in chosen] == sorted(now[name] for name in chosen)
    for name, groups in chosen.items():
        assert groups
        assert len(set(groups)) == len(groups)
        assert "improved" not in groups or now[name] > before[name]
        assert "harmed" not in groups or now[name] < before[name]


def quad(x, y, width=40, height=12):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)


def test_words_and_detections_have_the_kind_that_the_metric_gives_them(tmp_path):
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    words = (Word(quad(10, 10), "one"), Word(quad(10, 40), "two"))
    sample = Sample("a.png", tmp_path / "a.png", words)
    polygons = {"a.png": (quad(10, 10).astype(np.int32), quad(120, 10).astype(np.int32))}
    found = Found("now", polygons, evaluate({"a.png": words}, polygons))
    shown = gallery_image(sample, ["worst"], None, found, None)
    assert [word[0] for word in shown["now"]["words"]] == ["hit", "miss"]
    assert [each[0] for each in shown["now"]["detections"]] == ["hit", "false_positive"]
    assert shown["now"]["words"][0][1:] == [[10, 10, 50, 10, 50, 22, 10, 22], "one"]
    assert shown["now"]["hmean"] == pytest.approx(found.hmeans["a.png"], abs=1e-6)
    assert shown["map"] is None
    assert shown["before"] is None
    assert (shown["width"], shown["height"]) == (200, 100)


def test_pictures_are_made_smaller_and_never_larger():
    large = image_url(np.zeros((3000, 1500, 3), np.uint8))
    assert large.startswith("data:image/webp;base64,")
    assert size_of(large) == (IMAGE_SIDE // 2, IMAGE_SIDE)
    assert size_of(image_url(np.zeros((1, 1, 3), np.uint8))) == (1, 1)
    heat = np.zeros((40, 20), np.float32)
    heat[:20] = 1
    assert size_of(map_url(heat)) == (20, 40)


def size_of(url):
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return image.size
