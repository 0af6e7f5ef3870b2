import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from optdet.data.discovery import find_sources, guess_split
from optdet.data.source import load_source
from optdet.data.survey import Spread, survey
from optdet.errors import OptdetError

ROW = "1,1,9,1,9,5,1,5,x\n"
WORDS = {"1": {"points": [[1, 1], [9, 1], [9, 5], [1, 5]]}}


def images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (10, 8), "white").save(folder / name)


def ufo(path: Path, *names: str, words: object = WORDS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": {name: {"words": words} for name in names}}))


def icdar(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(ROW)


def found(root: Path) -> list[tuple[str, str, str, str | None, int]]:
    discovery = find_sources(root)
    assert discovery.problems == ()
    return [
        (str(c.images.relative_to(root)), str(c.labels.relative_to(root)), c.format, c.split, c.n_found)
        for c in discovery.candidates
    ]


def test_one_images_folder_with_a_label_file_per_split(tmp_path: Path) -> None:
    images(tmp_path / "images", "1.jpg", "2.jpg", "3.jpg")
    ufo(tmp_path / "jsons" / "val.json", "3.jpg")
    ufo(tmp_path / "jsons" / "train.json", "1.jpg", "2.jpg")
    assert found(tmp_path) == [
        ("images", "jsons/train.json", "ufo", "train", 2),
        ("images", "jsons/val.json", "ufo", "val", 1),
    ]
    source = load_source(tmp_path / "images", tmp_path / "jsons" / "val.json")
    assert survey(source).n_unlabelled == 2


def test_splits_with_the_same_names_keep_to_their_folders(tmp_path: Path) -> None:
    images(tmp_path / "train" / "images", "1.jpg", "2.jpg", "3.jpg")
    images(tmp_path / "val" / "images", "1.jpg", "2.jpg")
    icdar(tmp_path / "train" / "labels", "gt_1.txt", "gt_2.txt", "gt_3.txt")
    icdar(tmp_path / "val" / "labels", "gt_1.txt", "gt_2.txt", "gt_3.txt")
    assert found(tmp_path) == [
        ("train/images", "train/labels", "icdar", "train", 3),
        ("val/images", "val/labels", "icdar", "val", 2),
    ]


def test_splits_below_images_and_labels(tmp_path: Path) -> None:
    for split in ("training", "validation"):
        images(tmp_path / "images" / split, "1.jpg")
        icdar(tmp_path / "labels" / split, "1.txt")
    assert [row[:2] for row in found(tmp_path)] == [
        ("images/training", "labels/training"),
        ("images/validation", "labels/validation"),
    ]


def test_img_and_gt_without_a_split(tmp_path: Path) -> None:
    images(tmp_path / "img", "1.png")
    icdar(tmp_path / "gt", "1.txt")
    assert found(tmp_path) == [("img", "gt", "icdar", None, 1)]


def test_images_and_rows_in_one_folder(tmp_path: Path) -> None:
    images(tmp_path, "1.png")
    icdar(tmp_path, "1.txt")
    assert found(tmp_path) == [(".", ".", "icdar", None, 1)]


def test_a_paddle_label_file_beside_its_images(tmp_path: Path) -> None:
    images(tmp_path / "photos", "1.jpg")
    line = "photos/1.jpg\t" + json.dumps([WORDS["1"]]) + "\n"
    (tmp_path / "photos" / "Label.txt").write_text(line)
    (tmp_path / "photos" / "fileState.txt").write_text("/somewhere/photos/1.jpg\t1\n")
    assert found(tmp_path) == [("photos", "photos/Label.txt", "paddle", None, 1)]


def test_a_table(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    (tmp_path / "train.csv").write_text("1.jpg," + ROW)
    assert found(tmp_path) == [(".", "train.csv", "icdar", "train", 1)]


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    images(tmp_path / "images", "1.jpg")
    ufo(tmp_path / "labels.json", "1.jpg")
    ufo(tmp_path / ".hidden" / "labels.json", "1.jpg")
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "readme.txt").write_text("These are receipts, 1, 2, 3.\n")
    (tmp_path / "output.csv").write_text("filename,polygons\n1.jpg,1 1 9 1 9 5 1 5\n")
    assert [row[1] for row in found(tmp_path)] == ["labels.json"]


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    images(tmp_path / "images", "1.jpg")
    ufo(tmp_path / "other.json", "2.jpg")
    (tmp_path / "torn.json").write_text('{"images": {"1.jpg": {"words": {')
    discovery = find_sources(tmp_path)
    assert discovery.candidates == ()
    assert "other.json: none of its 1 images is below" in discovery.problems[0]
    assert "torn.json:1:33: broken JSON" in discovery.problems[1]
    with pytest.raises(OptdetError, match="data folder does not exist"):
        find_sources(tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train.json", "train"),
        ("jsons/train_v2.json", "train"),
        ("train/val.json", "val"),
        ("Test/labels", "test"),
        ("dev1/gt", "val"),
        ("constrained/contest.json", None),
        (".", None),
    ],
)
def test_a_split_is_a_word_of_the_path(path: str, split: str | None) -> None:
    assert guess_split(Path(path)) == split


def test_survey_counts(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images(folder, "damaged.jpg", "free.jpg")
    (folder / "damaged.jpg").write_bytes(b"x")
    Image.new("RGB", (200, 100)).save(folder / "wide.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (50, 40)).save(folder / "turned.jpg", exif=exif)

    def word(x: float, y: float, height: float, text: str = "x") -> dict[str, object]:
        corners = [[x, y], [x + 30, y], [x + 30, y + height], [x, y + height]]
        return {"points": corners, "transcription": text}

    entries = {
        # at size 100 the scale is 1/2: sides of 15.9 are small, of 16 not
        "wide.jpg": {
            "img_w": 200,
            "img_h": 100,
            "words": {"1": word(0, 0, 15.9), "2": word(0, 40, 16, "###")},
        },
        # at size 100 the scale is 2: 40 x 50 after the turn, so that x = 45 is outside
        "turned.jpg": {"img_w": 50, "img_h": 40, "words": {"1": word(40, 0, 4), "2": word(0, 42, 3.9)}},
        "damaged.jpg": {"words": {"1": word(0, 0, 1), "2": {"points": []}}},
        "gone.jpg": {"words": {}},
    }
    (tmp_path / "labels.json").write_text(json.dumps({"images": entries}))
    result = survey(load_source(folder, tmp_path / "labels.json"), size=100)
    assert (result.n_images, result.n_words, result.n_ignored) == (3, 5, 1)
    assert result.words_per_image == Spread(1, 2, 2)
    assert (result.widths, result.heights) == (Spread(40, 120, 200), Spread(50, 75, 100))
    assert (result.n_small, result.n_outside, result.n_rotated) == (2, 1, 1)
    assert (result.n_size_differs, result.n_unlabelled, result.missing) == (1, 1, ("gone.jpg",))
    assert [problem.where for problem in result.bad_rows] == ["images/damaged.jpg/words/2"]
    assert len(result.unreadable) == 1
    text = "\n".join(result.lines())
    for part in (
        "2 words (40.0 %) under 8 pixels at size 100",
        "gone.jpg",
        "0 points",
        "damaged.jpg: the image",
    ):
        assert part in text


def test_survey_of_words_without_images_is_all_zero_not_an_error(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    ufo(tmp_path / "test.json", "1.jpg", words={})
    result = survey(load_source(tmp_path, tmp_path / "test.json", require_words=False))
    assert (result.n_words, result.n_small) == (0, 0)
    assert "0 words (0.0 %)" in "\n".join(result.lines())
