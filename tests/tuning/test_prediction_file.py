"""Other people's detections as a member of a vote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.errors import OptdetError
from optdet.tuning.prediction_file import PredictionFile, is_prediction_file


@pytest.fixture
def images(tmp_path) -> list[Path]:
    paths = [tmp_path / "images" / name for name in ("a.png", "sub/b.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((50, 100, 3), np.uint8)).save(path)
    return paths


def written(tmp_path, *rows):
    path = tmp_path / "theirs.csv"
    path.write_text("\n".join(["filename,polygons", *rows]) + "\n")
    return PredictionFile.read(path)


def test_polygons_of_each_image_clipped_and_with_a_score_of_1(tmp_path, images):
    file = written(tmp_path, "a.png,-5 1.5 30 1.5 30 20 -5 20|-9 -9 -2 -9 -2 -2", "b.png,")
    found = list(file.detect(images))
    assert [polygon.tolist() for polygon in found[0].polygons] == [[[0, 1.5], [30, 1.5], [30, 20], [0, 20]]]
    assert found[0].scores.tolist() == [1.0]
    assert len(found[1]) == 0
    assert [len(each) for each in file.detect_each(images, [None, None])] == [2, 2]
    assert (file.title, file.thresholds, file.config, file.labelled) == ("theirs.csv", None, None, None)


def test_an_image_that_is_not_in_the_file(tmp_path, images):
    file = written(tmp_path, "images/sub/b.png,1 1 9 1 9 9 1 9", "other.png,")
    first, second = file.found(images)
    assert first is None
    assert len(second) == 1
    with pytest.raises(OptdetError, match=r"theirs.csv: no prediction for 1 of 2 images, as a.png; give"):
        list(file.detect(images))
    assert file.names_any(images)
    assert not written(tmp_path, "other.png,").names_any(images)
    with pytest.raises(OptdetError, match=r"no prediction for 2 of 2 images, as a.png"):
        list(written(tmp_path, "other.png,").detect(images))
    with pytest.raises(OptdetError, match="none of its 1 images is labelled"):
        written(tmp_path, "other.png,").found(images)


def test_a_polygon_that_is_none(tmp_path):
    with pytest.raises(OptdetError, match=r"polygon 1 of a.png has 2 points, 3 are the least; write the"):
        written(tmp_path, "a.png,1 1 9 9")


def test_files_by_their_names():
    assert [is_prediction_file(name) for name in ("a.csv", "A.JSON", "a.yaml", "study")] == [
        True,
        True,
        False,
        False,
    ]
