"""What a tuning of thresholds writes: submissions made one map at a time."""

from __future__ import annotations

import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from optdet.config import PostprocessConfig
from optdet.detection.postprocess import MapDetector
from optdet.geometry.letterbox import Letterbox
from optdet.inference.predict import ImageMap
from optdet.tuning.postprocess_output import write_submissions

SIZE = 64
USUAL = PostprocessConfig().thresholds()


class CountedMaps:
    """Maps of one word each, and how many of them were there at once."""

    def __init__(self):
        self.made, self.most_at_once = [], 0

    def maps(self, paths, *, on_image=None):
        for path in paths:
            prob_map = np.zeros((SIZE, SIZE), np.float16)
            prob_map[20:40, 10:50] = 0.5
            image = ImageMap(path, MapDetector(prob_map, Letterbox(SIZE, SIZE, SIZE)))
            self.made.append(weakref.ref(image.detector))
            self.most_at_once = max(self.most_at_once, sum(made() is not None for made in self.made))
            yield image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abcdef":
        Image.new("RGB", (SIZE, SIZE)).save(folder / f"{name}.png")
    return folder


def test_submissions_hold_one_map_at_a_time(images, tmp_path):
    source = SimpleNamespace(maps=CountedMaps())
    entries = [
        SimpleNamespace(name="finds", thresholds=replace(USUAL, box_thresh=0.4)),
        SimpleNamespace(name="misses", thresholds=replace(USUAL, box_thresh=0.6)),
    ]
    written = [each for _, each in write_submissions(entries, source, images, tmp_path)]
    assert [each.lines()[0].split("/")[-1] for each in written] == [
        "finds.csv: 6 images, checked",
        "misses.csv: 6 images, checked",
    ]
    finds, misses = ((tmp_path / name).read_text() for name in ("finds.csv", "misses.csv"))
    assert len(finds) > len(misses)
    assert source.maps.most_at_once == 2, "the next one is made while a name still holds the last"
