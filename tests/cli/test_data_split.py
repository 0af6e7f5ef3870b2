"""``optdet data split`` as a user meets it."""

from __future__ import annotations

import json

import pytest

CONFIG = """\
data:
  train: {images: receipts/train/images, labels: receipts/train/labels.json}
  val: {images: receipts/val/images, labels: receipts/val/labels.json}
  size: 96
"""


@pytest.fixture
def receipts(tmp_path, optdet):
    made = optdet("data", "synth", "receipts", "--train", 9, "--val", 3, "--image-size", 192)
    assert made.code == 0, made.err
    (tmp_path / "mine.yaml").write_text(CONFIG)
    return tmp_path


def test_a_table_and_files(receipts, optdet):
    ran = optdet("data", "split", "mine.yaml", "--folds", 3, "--out", "folds")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["fold", "images", "words", "words", "an", "image", "longer", "side"]
    assert [line.split()[:2] for line in lines[1:4]] == [["0", "3"], ["1", "3"], ["2", "3"]]
    assert "wrote: folds/folds.json, and label files of each fold for other programs" in lines
    assert "their names begin at receipts/train/images" in lines
    assert "train all of them: optdet study create CONFIG --folds folds/folds.json" in lines
    files = sorted(str(path.relative_to(receipts)) for path in (receipts / "folds").rglob("*.json"))
    assert files == [
        *(f"folds/fold{fold}/{part}.json" for fold in range(3) for part in ("train", "val")),
        "folds/folds.json",
    ]
    again = optdet("data", "split", "mine.yaml", "--folds", 3, "--out", "folds")
    assert "exists: folds/folds.json" in again.out
    other = optdet("data", "split", "mine.yaml", "--folds", 4, "--out", "folds")
    assert "another partition is there" in other.error


def test_json_and_all_images(receipts, optdet):
    ran = optdet("data", "split", "mine.yaml", "--folds", 4, "--with-val", "--out", "all", "--json")
    shown = json.loads(ran.out)
    assert [fold["images"] for fold in shown["folds"]] == [3, 3, 3, 3]
    assert shown["with_val"] is True
    assert shown["path"] == "all/folds.json"
    names = json.loads((receipts / "all/fold0/val.json").read_text())["images"]
    assert {
        name.split("/")[0]
        for fold in range(4)
        for name in json.loads((receipts / f"all/fold{fold}/val.json").read_text())["images"]
    } == {"train", "val"}
    assert len(names) == 3


def test_a_folder_and_its_labels(receipts, optdet):
    where = ("--images", "receipts/val/images", "--labels", "receipts/val/labels.json")
    assert optdet("data", "split", *where, "--folds", 3).code == 0
    assert (receipts / "folds/folds.json").exists()
    assert optdet("data", "split", *where, "--folds", 3, "--with-val", "--out", "b").error.endswith(
        "there are no validation images to put with the others"
    )
    assert optdet("data", "split", "mine.yaml", *where).code == 2
    assert optdet("data", "split").code == 2


def test_a_config_of_folds_is_checked_and_not_parted_again(receipts, optdet):
    optdet("data", "split", "mine.yaml", "--folds", 3)
    (receipts / "folded.yaml").write_text("data: {folds: folds/folds.json, fold: 1, size: 96}\n")
    assert "its images are in folds already" in optdet("data", "split", "folded.yaml").error
    checked = optdet("data", "check", "folded.yaml", "--json")
    assert checked.code == 0, checked.err
    assert [each["title"] for each in json.loads(checked.out)["sources"]] == ["folds.train", "folds.val"]
    labels = receipts / "receipts/train/labels.json"
    tree = json.loads(labels.read_text())
    first, second = sorted(tree["images"])[:2]
    images = receipts / "receipts/train/images"
    whole = (images / first).read_bytes()
    (images / first).write_bytes((images / second).read_bytes())
    other = optdet("data", "check", "folded.yaml")
    assert (
        f"training would refuse folds.train: folds/folds.json: 1 image file is another ({first})"
        in other.error
    )
    (images / first).unlink()
    assert f"1 image is gone ({first})" in optdet("data", "check", "folded.yaml").error
    (images / first).write_bytes(whole)
    assert optdet("data", "check", "folded.yaml").code == 0
    (receipts / "both.yaml").write_text(CONFIG + "  folds: folds/folds.json\n")
    assert "data.folds names its sources itself" in optdet("data", "check", "both.yaml").error
    (receipts / "alone.yaml").write_text(CONFIG + "  fold: 2\n")
    assert "data.fold needs data.folds" in optdet("data", "check", "alone.yaml").error
