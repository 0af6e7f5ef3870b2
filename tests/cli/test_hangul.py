"""Hangul from end to end: files named in NFD, as macOS does, labels in NFC with a BOM, as Windows writes."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from optdet.drawing.typeface import font_note

BOM = "\ufeff"
CONFIG = """\
data:
  train:
    - {images: 학습/images, labels: 학습/labels.json}
    - {images: 추가/images, labels: 추가/labels.txt}
  val: {images: 검증/images, labels: 검증/gt}
  size: 96
  workers: 0
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16}
train: {epochs: 1, batch_size: 3}
"""
STUDY = """\
name: hangul
config: ../configs/한글.yaml
description: 영수증
space: {optimizer.lr: {type: float, low: 0.001, high: 0.02, log: true}}
postprocess: {method: none}
trials: 1
"""


def nfc(text):
    return unicodedata.normalize("NFC", text)


def nfd(text):
    return unicodedata.normalize("NFD", text)


def rows_of(words):
    return [[round(value) for point in word["points"] for value in point] for word in words.values()]


def save_images(source, folder, names):
    folder.mkdir(parents=True)
    for old, new in names.items():
        (source / "images" / old).rename(folder / nfd(new))


@pytest.fixture(scope="module")
def project(tmp_path_factory, run_in):
    """Receipts in three folders: UFO JSON, PaddleOCR lines, and a text file an image, each with a BOM."""
    folder = tmp_path_factory.mktemp("한글")
    synth = ("data", "synth", "made", "--train", 6, "--val", 3, "--image-size", 192)
    assert run_in(folder)(*synth).code == 0
    train, val = (
        {nfc(f"영수증_{name}"): (name, image["words"]) for name, image in json.loads(text)["images"].items()}
        for text in ((folder / "made" / kind / "labels.json").read_text() for kind in ("train", "val"))
    )
    for where, part in (("학습", list(train)[:3]), ("추가", list(train)[3:])):
        save_images(folder / "made/train", folder / where / "images", {train[name][0]: name for name in part})
    ufo = {name: {"words": train[name][1]} for name in list(train)[:3]}
    (folder / "학습/labels.json").write_text(BOM + json.dumps({"images": ufo}), encoding="utf-8")
    lines = [
        f"{name}\t"
        + json.dumps([{"points": word["points"], "transcription": "합계"} for word in words.values()])
        for name, (_, words) in list(train.items())[3:]
    ]
    (folder / "추가/labels.txt").write_text(BOM + "\n".join(lines), encoding="utf-8")
    save_images(folder / "made/val", folder / "검증/images", {old: name for name, (old, _) in val.items()})
    (folder / "검증/gt").mkdir()
    for name, (_, words) in val.items():
        text = "\r\n".join(",".join(map(str, row)) + ",합계" for row in rows_of(words))
        (folder / "검증/gt" / nfc(f"gt_{name.rpartition('.')[0]}.txt")).write_text(
            BOM + text, encoding="utf-8"
        )
    for kind, text in (("configs", CONFIG), ("studies", STUDY)):
        (folder / kind).mkdir()
        (folder / kind / nfd("한글.yaml")).write_text(nfc(text), encoding="utf-8")
    (folder / "configs" / nfd("한글.yaml")).rename(folder / "configs" / nfc("한글.yaml"))
    return folder, list(val)


@pytest.fixture(scope="module")
def optdet(project, run_in):
    def run(*arguments):
        ran = run_in(project[0])(*arguments)
        assert ran.code == 0, ran.err
        return ran

    return run


@pytest.fixture(scope="module")
def predicted(project, optdet):
    """A study of one trial, and its predictions of the validation images."""
    optdet("study", "create", nfd("studies/한글.yaml"))
    optdet("study", "run", "hangul", "--smoke")
    ran = optdet("study", "run", "hangul")
    optdet("predict", "hangul", "--images", "검증/images", "--out", "예측.csv")
    return ran


def test_every_label_finds_its_image(project, optdet):
    checked = optdet("data", "check", "configs/한글.yaml")
    sources = json.loads(optdet("data", "check", "configs/한글.yaml", "--json").out)["sources"]
    assert [each["survey"]["n_images"] for each in sources] == [3, 3, 3]
    assert [each["problems"] for each in sources] == [[], [], []]
    assert checked.out.count("no image      0") == 3


def test_a_trial_s_value_comes_back_through_files(project, optdet, predicted):
    best = json.loads(optdet("study", "best", "--json").out)
    scored = json.loads(optdet("evaluate", "예측.csv", "--labels", best["val"]["labels"], "--json").out)
    assert scored["competition"]["macro"]["hmean"] == best["value"]
    optdet("submission", "check", "예측.csv", "--images", "검증/images")


@pytest.mark.parametrize("form", [nfc, nfd])
def test_others_predictions_in_either_form_with_a_bom(form, project, optdet, predicted):
    folder, _ = project
    text = (folder / "예측.csv").read_text(encoding="utf-8")
    (folder / "theirs.csv").write_text(BOM + form(text), encoding="utf-8")
    scored = json.loads(optdet("evaluate", "theirs.csv", "--labels", "검증/gt", "--json").out)
    own = json.loads(optdet("evaluate", "예측.csv", "--labels", "검증/gt", "--json").out)
    assert scored == own
    optdet("submission", "check", "theirs.csv", "--images", "검증/images")


def test_the_pictures_of_a_trial_have_the_names_as_titles(project, predicted):
    folder, names = project
    pictures = sorted((folder / "studies/runs/hangul/t0000/artifacts").glob("*영수증*.jpg"))
    assert len(pictures) == 3
    tops = [np.asarray(Image.open(each))[:24] for each in pictures]
    assert all(top.std() > 1 for top in tops)
    assert (font_note(names) is None) == ("no font here" not in predicted.err)
    assert "Glyph" not in predicted.err
