"""``optdet data check`` and ``optdet data synth``."""

from __future__ import annotations

import json
import re

import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

from optdet.cli.app import app
from optdet.config import SyntheticConfig
from optdet.errors import OptdetError

WORD = {"points": [[5, 5], [60, 5], [60, 25], [5, 25]], "transcription": "total"}


def invoke(*arguments):
    return CliRunner().invoke(app, ["data", *map(str, arguments)], catch_exceptions=False)


def complaint(*arguments, match):
    """The result of a command that reports and then fails with one line."""
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert isinstance(result.exception, OptdetError)
    assert re.search(match, str(result.exception))
    return result


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        Image.effect_noise((80, 40), 50).convert("RGB").save(folder / name)
    return folder


@pytest.fixture
def write(tmp_path):
    def labels(name="labels.json", **words):
        listed = {f"{key.strip('_')}.jpg": {"words": dict(enumerate(value))} for key, value in words.items()}
        (tmp_path / name).write_text(json.dumps({"images": listed}))
        return tmp_path / name

    return labels


def test_sound_labels_are_surveyed_with_exit_0(images, write):
    result = invoke("check", "--images", images, "--labels", write(_1=[WORD], _2=[WORD, WORD]))
    assert result.exit_code == 0
    assert "words         3" in result.stdout
    assert "at size 1024" in result.stdout
    assert "bad rows      0" in result.stdout


def test_every_problem_is_listed_with_all(images, write):
    bad = {**WORD, "points": [[1, 1], [2, 2]]}
    files = ("--images", images, "--labels", write(_1=[WORD, *[bad] * 22], _9=[WORD]))
    first = complaint(
        "check", *files, match=r"22 bad rows, the first at images/1.jpg/words/1: 2 points"
    ).stdout
    assert first.count("\n  - ") == 20
    assert "... and 3 more: --all lists them" in first
    every = complaint("check", *files, "--all", match="bad rows").stdout
    assert every.count("\n  - ") == 23
    assert "images/1.jpg/words/22" in every
    assert f"no image 9.jpg in {images}" in every


def test_json_holds_the_survey_and_all_problems(images, write):
    labels = write(_1=[WORD], _9=[WORD])
    result = invoke("check", "--images", images, "--labels", labels, "--size", 640, "--json")
    (source,) = json.loads(result.stdout)["sources"]
    assert source["survey"]["n_images"] == 1
    assert source["survey"]["size"] == 640
    assert source["survey"]["words_per_image"] == {"low": 1, "median": 1.0, "high": 1}
    assert source["problems"] == [f"{labels}: no image 9.jpg in {images}"]
    assert source["refusal"] is None


def test_bad_rows_are_listed_with_file_line_and_reason_and_exit_1(images, tmp_path):
    labels = tmp_path / "gt"
    labels.mkdir()
    (labels / "gt_1.txt").write_text("5,5,60,5,60,25,5,25,x\n5,5,nan,5,60,25,5,25,x\n1,1,9,1,9,1,1,1,x\n")
    result = complaint("check", "--images", images, "--labels", labels, match="2 bad rows, the first at 2: ")
    assert f"  - {labels}/gt_1.txt:2: 2 numbers, then field 3 is 'nan'" in result.stdout
    assert f"  - {labels}/gt_1.txt:3: the polygon has no area" in result.stdout


def test_a_missing_validation_image_is_refused_and_a_missing_training_image_is_not(images, write, tmp_path):
    whole, lacking = write("whole.json", _1=[WORD]), write("lacking.json", _2=[WORD], _9=[WORD])
    config = tmp_path / "mine.yaml"

    def pair(train, val):
        sources = [f"{{images: {images}, labels: {labels}}}" for labels in (train, val)]
        config.write_text(f"data: {{train: {sources[0]}, val: {sources[1]}}}")

    pair(lacking, whole)
    assert invoke("check", config).exit_code == 0
    pair(whole, lacking)
    complaint("check", config, match=r"training would refuse data.val: .*1 of 2 validation images .* 9.jpg")


def test_what_training_refuses_is_an_error_after_the_report(images, write):
    def refused(match, labels, *more):
        with pytest.raises(OptdetError, match=match):
            invoke("check", "--images", images, "--labels", labels, *more)

    refused(r"training would refuse labels: .*none.json: the label file does not exist", images / "none.json")
    refused(r"training would refuse labels: .*no readable words in 1 images", write(_1=[]))
    refused(
        r"no readable word in the images that are there",
        write(_1=[{**WORD, "transcription": "###"}], _9=[WORD]),
    )
    unsafe = write(_1=[WORD])
    unsafe.write_text(unsafe.read_text().replace('"1.jpg"', '"../1.jpg": {"words": {}}, "1.jpg"'))
    refused(r"leaves its folder", unsafe)
    sound = write(_1=[WORD], _2=[WORD])
    (images / "2.jpg").write_bytes((images / "2.jpg").read_bytes()[:-600])
    refused(r"training would refuse labels: .*2.jpg: the image cannot be read", sound)
    headers = invoke("check", "--images", images, "--labels", sound, "--headers")
    assert headers.exit_code == 0, "a file that is cut short has a sound header"


def test_a_config_has_all_its_sources_checked(images, write, tmp_path):
    write("train.json", _1=[WORD], _2=[WORD])
    write("val.json", _2=[WORD], _3=[WORD])
    config = tmp_path / "mine.yaml"
    sources = [f"{{images: {images}, labels: {tmp_path / name}}}" for name in ("train.json", "val.json")]
    config.write_text(f"data: {{train: {sources[0]}, val: {sources[1]}, size: 640}}")
    result = invoke("check", config)
    assert "data.train: " in result.stdout
    assert "data.val: " in result.stdout
    assert result.stdout.count("at size 640") == 2
    line = "data.train and data.val share 1 image (1 same file): the score on data.val is too good"
    assert f"warning: {line}\n  - same file: {images}/2.jpg and {images}/2.jpg" in result.stdout
    as_json = json.loads(invoke("check", config, "--json").stdout)
    assert as_json["shared"] == [line]
    (overlap,) = as_json["duplicates"]
    assert (overlap["sources"], overlap["leak"]) == (["data.train", "data.val"], True)
    assert overlap["pairs"] == [
        {"first": f"{images}/2.jpg", "second": f"{images}/2.jpg", "kind": "same file", "likeness": 1.0}
    ]
    config.write_text(f"data: {{train: [{sources[0]}, {sources[0]}], val: {sources[1]}}}")
    assert "data.train[1]: " in invoke("check", config).stdout
    config.write_text("data: {synthetic: {train: 4, val: 2}}")
    assert "nothing to check" in invoke("check", config).stderr
    config.write_text("seed: 1")
    with pytest.raises(OptdetError, match="the config names no images"):
        invoke("check", config)


def test_copies_are_looked_for_in_another_folder_too_and_drawn(images, write, tmp_path):
    files = ("--images", images, "--labels", write(_1=[WORD], _2=[WORD]))
    assert "no copies of images" in invoke("check", *files).stdout
    nothing = invoke("check", *files, "--pairs", tmp_path / "pairs.jpg")
    assert "no copies: nothing to draw" in nothing.stderr
    assert not (tmp_path / "pairs.jpg").exists()
    test = tmp_path / "test"
    test.mkdir()
    (test / "x.jpg").write_bytes((images / "1.jpg").read_bytes())
    with Image.open(images / "2.jpg") as second:
        second.save(test / "y.jpg", quality=50)
    result = invoke("check", *files, "--also", test, "--pairs", tmp_path / "pairs.jpg")
    assert result.exit_code == 0
    assert f"warning: labels and {test} share 2 images (1 same bytes, 1 near copy)\n" in result.stdout
    assert f"  - same bytes: {images}/1.jpg and {test}/x.jpg\n" in result.stdout
    assert "drew 2 pairs" in result.stderr
    assert (tmp_path / "pairs.jpg").stat().st_size > 2000
    headers = invoke("check", *files, "--also", test, "--headers").stdout
    assert "share 1 image (1 same bytes)" in headers
    complaint("check", *files, "--also", test, "--pairs", tmp_path / "no/p.jpg", match="no such folder")
    complaint("check", *files, "--also", tmp_path / "none", match="images folder")


def test_half_of_the_options_is_wrong_usage(images, tmp_path):
    assert invoke("check").exit_code == 2
    assert invoke("check", "--images", images).exit_code == 2
    assert invoke("check", tmp_path / "x.yaml", "--images", images).exit_code == 2


def test_synth_makes_receipts_that_check_finds_sound(tmp_path):
    made = tmp_path / "receipts"
    arguments = ("synth", made, "--train", 2, "--val", 1, "--image-size", 192, "--seed", 3)
    result = invoke(*arguments)
    assert f"2 training images in {made}/train/images, labels in {made}/train/labels.json" in result.stdout
    before = (made / "train" / "labels.json").read_bytes()
    assert invoke(*arguments).exit_code == 0
    assert (made / "train" / "labels.json").read_bytes() == before
    checked = invoke("check", "--images", made / "train/images", "--labels", made / "train/labels.json")
    assert "bad rows      0" in checked.stdout
    with pytest.raises(OptdetError, match=r"data synth: difficulty: .* less than or equal to 1 \(it is 2"):
        invoke("synth", made, "--difficulty", 2)


def test_the_defaults_in_the_help_are_those_of_the_config():
    synth = typer.main.get_command(app).commands["data"].commands["synth"]
    shown = {param.name: param.show_default for param in synth.params if param.name != "folder"}
    shown.pop("help", None)
    assert shown == {name: str(value) for name, value in SyntheticConfig().model_dump().items()}
