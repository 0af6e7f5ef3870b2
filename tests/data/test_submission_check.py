"""A file for a leaderboard: every fault by its line and image, and what the file holds."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from optdet.data.submission_check import check_file
from optdet.errors import OptdetError

QUAD = "1 1 30 1 30 20 1 20"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (40, 30)).save(folder / f"{name}.jpg")
    return folder


def write(tmp_path, *rows):
    path = tmp_path / "sub.csv"
    path.write_text("\n".join(("filename,polygons", *rows)) + "\n")
    return path


def problems(path, **options):
    return [str(problem).removeprefix(f"{path}:") for problem in check_file(path, **options).problems]


def test_a_sound_file(tmp_path, images):
    path = write(tmp_path, f"a.jpg,{QUAD}|{QUAD}|2 2 9 2 9 9 5 12 2 9", f"b.jpg,{QUAD}", "c.jpg,")
    checked = check_file(path, images=images)
    assert checked.problems == ()
    checked.require_sound()
    assert checked.summary.lines() == [
        "images     3 (1 without polygons)",
        "polygons   4; 0 / 1 / 3 an image (min / median / max)",
        "points     4 / 4 / 5 a polygon (min / median / max)",
        "size       0.00 MB",
    ]
    assert checked.as_json()["an_image"] == {"min": 0, "median": 1.0, "max": 3}
    assert checked.as_json()["bytes"] == path.stat().st_size
    assert len(checked.sha256) == 64


def test_every_fault_is_named_by_line_and_image(tmp_path, images):
    path = write(
        tmp_path,
        f"a.jpg,{QUAD}|1 1 5 1 5 5|1 1 50 1 50 20 1 20",
        "b.jpg,1 1 5 x 5 5",
        f"z.jpg,{QUAD}",
        f"a.jpg,{QUAD}",
    )
    assert problems(path, images=images) == [
        "3, b.jpg: polygon 1: could not convert string to float: 'x'",
        "5: the image 'a.jpg' is listed twice (the first is kept)",
        "4, z.jpg: no such image is expected",
        "2, a.jpg, polygon 2: 3 points, at least 4 are needed",
        "2, a.jpg, polygon 3: (50, 1) lies outside the image of 40x30",
        "c.jpg: the image is missing",
    ]
    with pytest.raises(OptdetError, match=r"sub\.csv:3, b\.jpg: 6 faults, the first: polygon 1: could not"):
        check_file(path, images=images).require_sound()


def test_without_images_what_can_be_known_is(tmp_path):
    path = write(tmp_path, "a.jpg,1 1 5 1 5 5", "b.jpg,-1 1 30 1 30 20 1 20", "c.jpg,1 1 9999 1 9 9 1 9")
    assert problems(path) == [
        "2, a.jpg, polygon 1: 3 points, at least 4 are needed",
        "3, b.jpg, polygon 1: (-1, 1) lies outside every image",
    ]
    assert not check_file(path).knows_images


def test_names_of_a_label_file(tmp_path):
    labels = tmp_path / "test.json"
    labels.write_text(
        json.dumps({"images": {"a.jpg": {"words": {}, "img_w": 20, "img_h": 30}, "b.jpg": {"words": {}}}})
    )
    path = write(tmp_path, f"a.jpg,{QUAD}", f"test/b.jpg,{QUAD}")
    assert problems(path, labels=labels) == [
        "3, test/b.jpg: no such image is expected",
        "2, a.jpg, polygon 1: (30, 1) lies outside the image of 20x30",
        "b.jpg: the image is missing",
    ]


def test_images_of_a_folder_that_a_label_file_names(tmp_path, images):
    labels = tmp_path / "test.json"
    labels.write_text(json.dumps({"images": {"a.jpg": {"words": {}}}}))
    path = write(tmp_path, f"a.jpg,{QUAD}")
    assert problems(path, images=images, labels=labels) == []
    assert problems(path, images=images) == [f"{name}.jpg: the image is missing" for name in "bc"]


def test_an_image_that_labels_name_and_the_folder_lacks_is_a_fault(tmp_path, images):
    labels = tmp_path / "test.json"
    labels.write_text(json.dumps({"images": {f"{name}.jpg": {"words": {}} for name in "axy"}}))
    path = write(tmp_path, f"a.jpg,{QUAD}", f"x.jpg,{QUAD}")
    assert problems(path, images=images, labels=labels) == [
        f"3, x.jpg: the image is labelled, and not in {images}",
        f"y.jpg: the image is labelled, and not in {images}",
        "y.jpg: the image is missing",
    ]


def test_label_files_that_are_named_after_their_images(tmp_path, images):
    gt = tmp_path / "gt"
    gt.mkdir()
    for name in ("a", "b", "x"):
        (gt / f"gt_{name}.txt").write_text("1,1,9,1,9,5,1,5,word\n")
    path = write(tmp_path, f"a.jpg,{QUAD}", f"b.jpg,{QUAD}", f"x.jpg,{QUAD}")
    assert problems(path, images=images, labels=gt) == [
        f"4, x.jpg: the image is labelled, and not in {images}"
    ]
    assert problems(path, labels=gt) == []


def test_faults_of_json_are_named_by_their_key(tmp_path):
    path = tmp_path / "sub.json"
    words = {"1": {"points": [[1, 1], [5, 1], [5, 5]]}, "2": {"points": [[1, 1], [5, None]]}}
    path.write_text(json.dumps({"images": {"a.jpg": {"words": words}}}))
    assert problems(path) == [
        "images/a.jpg/words/2: point 1 holds None, not a number",
        "images/a.jpg, polygon 1: 3 points, at least 4 are needed",
    ]


def test_what_is_no_prediction_file(tmp_path):
    path = tmp_path / "sub.csv"
    path.write_text("name;points\n")
    with pytest.raises(OptdetError, match="not a prediction file"):
        check_file(path)
    with pytest.raises(OptdetError, match="does not exist"):
        check_file(tmp_path / "none.csv")
