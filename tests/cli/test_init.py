"""``optdet init``: the shipped files, and a config for whatever labelled images there are."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from optdet.cli.app import app
from optdet.config_io import load_config
from optdet.data.labels import read_labels
from optdet.data.located import locate
from optdet.data.project import path_from
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.shipped import shipped_folder
from optdet.study_io import load_study

WORD = {"points": [[5, 5], [60, 5], [60, 25], [5, 25]], "transcription": "total"}
NAMES = [f"{number}.jpg" for number in range(10)]


def invoke(*arguments):
    return CliRunner().invoke(app, ["init", *map(str, arguments)], catch_exceptions=False)


def make_images(folder, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):  # no two are one image
        image = Image.new("RGB", (120, 80), "white")
        image.paste((0, 0, 0), (110, 8 * number, 118, 8 * number + 6))
        image.save(folder / name)


def make_labels(path, names, words=(WORD, WORD)):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = {name: {"words": dict(enumerate(words))} for name in names}
    path.write_text(json.dumps({"images": images}))


@pytest.fixture
def data(tmp_path):
    """``data/images`` of ten images."""
    make_images(tmp_path / "data" / "images")
    return tmp_path / "data"


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def trained_on(project, config="configs/mine.yaml"):
    """What a run started in the project folder reads: its training and validation sources."""
    os.chdir(project)
    found = locate(load_config(project / config).data, data_root=project, data_dir=project / "unused")
    return [
        load_source(project / s.images, project / s.labels, format=s.format)
        for s in (*found.train, found.val)
    ]


def names_of(source):
    return {sample.name for sample in source.samples}


def test_the_shipped_files_are_copied_and_those_that_exist_kept(tmp_path):
    folder = tmp_path / "new" / "project"
    result = invoke(folder)
    for kind in ("configs", "studies"):
        shipped = {path.name: path.read_bytes() for path in shipped_folder(kind).glob("*.yaml")}
        assert "quickstart.yaml" in shipped
        assert {path.name: path.read_bytes() for path in (folder / kind).iterdir()} == shipped
    assert f"cd {folder}" in result.stdout
    assert "optdet study create" in result.stdout
    changed = folder / "configs" / "quickstart.yaml"
    changed.write_text("seed: 7\n")
    again = invoke(folder).stdout
    assert "kept, with other content than optdet's (`optdet init --force` without --data " in again
    assert "replaces them): configs/quickstart.yaml" in again
    assert changed.read_text() == "seed: 7\n"
    forced = invoke(folder, "--force").stdout
    assert "replaced configs/quickstart.yaml\n" in forced
    assert "wrote" not in forced
    assert changed.read_bytes() == (shipped_folder("configs") / "quickstart.yaml").read_bytes()


def test_with_data_force_replaces_the_files_for_the_data_alone(data, project):
    make_labels(data / "labels.json", NAMES)
    invoke("--data", data)
    changed = {place: project / place for place in ("configs/resnet50.yaml", "configs/mine.yaml")}
    for path in changed.values():
        path.write_text("seed: 7\n")
    again = invoke("--data", data, "--force").stdout.splitlines()
    assert "replaced configs/mine.yaml" in again
    assert any(line.startswith("kept, ") and line.endswith(": configs/resnet50.yaml") for line in again)
    assert changed["configs/resnet50.yaml"].read_text() == "seed: 7\n"
    assert changed["configs/mine.yaml"].read_text() != "seed: 7\n"


def test_train_and_val_are_found_and_their_config_and_study_load(data, project):
    make_labels(data / "jsons" / "train.json", NAMES[:7])
    make_labels(data / "jsons" / "val.json", NAMES[7:])
    result = invoke("--data", data, "--size", 640)
    train, val = trained_on(project)
    assert names_of(train) == set(NAMES[:7])
    assert names_of(val) == set(NAMES[7:])
    config = load_config(project / "configs/mine.yaml")
    assert config.data.size == 640
    assert config.data.train[0].images == "../data/images"
    study = load_study(project / "studies/mine.yaml")
    assert (study.name, study.trials, study.pruner.name) == ("mine", 20, "median")
    assert study.space["optimizer.lr"].log
    assert study.config == config
    for text in (
        "words         14; 2 / 2 / 2 an image",
        "under 8 pixels at size 640",
        "EXIF-rotated  0",
        "(ufo)",
    ):
        assert text in result.stdout
    following = result.stdout.partition("next:\n")[2].split("\n  ")
    assert [line.strip() for line in following] == [
        "optdet study create studies/mine.yaml",
        "optdet study run mine",
        "optdet train configs/mine.yaml optimizer.lr=0.0004",
    ]
    with Image.open(project / "mine-preview.jpg") as preview:
        assert preview.format == "JPEG"
        upper = np.asarray(preview.crop((0, 0, preview.width, preview.height // 2)), dtype=int)
    assert (upper[..., 1] - upper[..., 0] > 60).any(), "green outlines on the white image"


def test_one_source_is_split_by_a_hash_of_the_names(data, project):
    make_labels(data / "labels.json", NAMES)
    result = invoke("--data", data, "--name", "scans")
    train, val = trained_on(project, "configs/scans.yaml")
    assert (len(names_of(train)), len(names_of(val))) == (8, 2)
    assert names_of(train) | names_of(val) == set(NAMES)
    assert "is parted by a hash of the names, 8 images to train and 2 to validate" in result.stdout
    assert load_config(project / "configs/scans.yaml").data.val.labels == "data/scans-val.json"
    before = (project / "data" / "scans-val.json").read_bytes()
    assert "there already: data/scans-train.json" in invoke("--data", data, "--name", "scans").stdout
    assert (project / "data" / "scans-val.json").read_bytes() == before


def test_groups_and_equal_files_stay_on_one_side_and_are_kept(data, project):
    make_labels(data / "labels.json", NAMES)
    path = data / "labels.json"
    labels = json.loads(path.read_text())
    for number, name in enumerate(NAMES[:6]):
        labels["images"][name]["group"] = f"receipt {number // 2}"
    path.write_text(json.dumps(labels))
    images = next(iter(data.rglob(NAMES[6]))).parent
    shutil.copyfile(images / NAMES[6], images / NAMES[7])
    result = invoke("--data", data, "--name", "scans")
    assert "parted by a hash of the names, groups and equal files together," in result.stdout
    sides = {}
    for side in ("train", "val"):
        for name, entry in json.loads((project / f"data/scans-{side}.json").read_text())["images"].items():
            sides.setdefault(entry.get("group", name), set()).add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert {f"receipt {number}" for number in range(3)} < sides.keys()
    assert len(sides) == 6  # three receipts, the equal files, and two that are alone


def test_icdar_text_per_image_keeps_texts_and_ignored_words(data, project):
    for name in NAMES:
        path = data / "gt" / f"gt_{name[:-4]}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("5,5,60,5,60,25,5,25,a, b\n5,30,60,30,60,50,5,50,###\n1,2,3\n")
    result = invoke("--data", data)
    assert "(icdar)" in result.stdout
    assert "bad rows      10: " in result.stdout
    _, val = trained_on(project)
    assert [(word.text, word.ignored) for word in val.samples[0].words] == [("a, b", False), ("###", True)]


def test_what_is_left_out_is_said(data, project):
    make_labels(data / "train.json", NAMES[:6])
    make_labels(data / "train_v2.json", NAMES[:6], words=[WORD])
    make_labels(data / "val.json", NAMES[5:8])
    make_labels(data / "test.json", NAMES[8:], words=[])
    (data / "broken.txt").write_text("1,1,9,1,9,9,1,9,word\n")
    out = invoke("--data", data).stdout
    assert f"{data}/train_v2.json is left out: it names images of {data}/train.json" in out
    assert f"{data}/test.json is left out: it has no words" in out
    assert "warning: 1 images of" in out
    assert "as 5.jpg: the score will be too good" in out
    assert names_of(trained_on(project)[0]) == set(NAMES[:6])


def test_a_labelled_test_set_is_not_validated_on(data, project):
    make_labels(data / "train.json", NAMES[:8])
    make_labels(data / "test.json", NAMES[8:])
    assert "test.json is left out: its name says test" in invoke("--data", data).stdout
    train, val = trained_on(project)
    assert names_of(train) | names_of(val) == set(NAMES[:8])


def test_several_sources_stay_several(tmp_path, project):
    for place in ("a/train", "b/train", "a/val"):
        make_images(tmp_path / "data" / place / "images", NAMES[:4])
        make_labels(tmp_path / "data" / place / "labels.json", NAMES[:4])
    invoke("--data", tmp_path / "data")
    assert [str(s.images.relative_to(tmp_path / "project/../data")) for s in trained_on(project)] == [
        "a/train/images",
        "b/train/images",
        "a/val/images",
    ]


def test_images_in_sub_folders_get_their_own_words(tmp_path, project):
    shops = [f"shop{number}/scan.jpg" for number in range(4)]
    make_images(tmp_path / "scans", [f"{number}.jpg" for number in range(4)])
    for number, name in enumerate(shops):
        (tmp_path / "data" / "train" / name).parent.mkdir(parents=True)
        shutil.move(tmp_path / "scans" / f"{number}.jpg", tmp_path / "data" / "train" / name)
    lines = [f"{name}\t{json.dumps([{**WORD, 'transcription': name}])}\n" for name in shops]
    (tmp_path / "data" / "train" / "Label.txt").write_text("".join(lines))
    invoke("--data", tmp_path / "data")
    samples = [sample for source in trained_on(project) for sample in source.samples]
    assert sorted(sample.name for sample in samples) == shops
    assert all(sample.words[0].text == sample.name for sample in samples)


def test_one_label_file_of_several_folders_finds_all(tmp_path, project):
    make_images(tmp_path / "data/imgs/batch0", NAMES[:5])
    make_images(tmp_path / "data/imgs/batch1", NAMES[5:])
    make_labels(tmp_path / "data/labels.json", NAMES)
    invoke("--data", tmp_path / "data")
    assert sum(len(source.samples) for source in trained_on(project)) == 10


def test_unsafe_names_are_the_reason_that_is_said(data, project):
    make_labels(data / "train.json", ["../1.jpg"])
    with pytest.raises(OptdetError, match=r"leaves its folder"):
        invoke("--data", data)


@pytest.mark.parametrize("train", [None, ["../1.jpg"]], ids=["missing", "unsafe"])
def test_val_is_not_trained_on_where_train_has_no_labels(tmp_path, project, train):
    for split in ("train", "val"):
        make_images(tmp_path / "data" / split / "images")
    make_labels(tmp_path / "data/val/labels.json", NAMES)
    if train is not None:
        make_labels(tmp_path / "data/train/labels.json", train)
    reason = "have no labels that can be used" + ("" if train is None else ".*leaves its folder")
    with pytest.raises(OptdetError, match=f"data/train/images: the images to train on {reason}"):
        invoke("--data", tmp_path / "data")
    assert list(project.iterdir()) == []


def test_images_without_labels_are_said_first(data, project):
    make_labels(data / "labels.json", NAMES)
    make_images(data / "more", ["other.jpg"])
    assert invoke("--data", data).stdout.startswith(f"{data}/more: its images have no labels, left out")


def test_a_folder_without_labels_says_what_was_looked_for(data, project):
    with pytest.raises(OptdetError, match=r"data: no labelled images found; looked for UFO JSON, ICDAR text"):
        invoke("--data", data)
    (data / "coco.json").write_text(json.dumps({"images": [], "annotations": []}))
    (data / "1.xml").write_text("<annotation/>")
    with pytest.raises(
        OptdetError,
        match=r"2 files there may be labels of another format, as .*\.xml.*in one of these formats",
    ):
        invoke("--data", data)
    make_labels(data / "test.json", NAMES, words=[])
    with pytest.raises(OptdetError, match=r"no labelled images found: .*test.json has no words"):
        invoke("--data", data)
    make_labels(data / "one.json", NAMES[:1])
    with pytest.raises(OptdetError, match=r"1 images with readable words cannot be parted"):
        invoke("--data", data)
    with pytest.raises(OptdetError, match=r"the data folder does not exist; did you mean"):
        invoke("--data", data.with_name("dta"))
    assert list(project.iterdir()) == []


def test_nothing_is_written_where_the_image_to_draw_is_cut_short(data, project):
    make_labels(data / "labels.json", NAMES)
    for name in NAMES:
        path = data / "images" / name
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OptdetError, match=r"0.jpg: the image cannot be read .*; replace it"):
        invoke("--data", data)
    assert list(project.iterdir()) == []


def test_a_config_of_the_users_is_not_replaced_unasked(data, project):
    make_labels(data / "labels.json", NAMES)
    invoke("--data", data)
    config = project / "configs" / "mine.yaml"
    config.write_text("seed: 1\n")
    with pytest.raises(
        OptdetError, match=r"configs/mine.yaml: the file exists with other content; replace it"
    ):
        invoke("--data", data)
    assert config.read_text() == "seed: 1\n"
    invoke("--data", data, "--force")
    assert "train:" in config.read_text()


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--name", "a b", r"--name: name: a name begins"),
        ("--name", "quickstart", r"a config of this name comes with optdet"),
        ("--size", 1000, r"--size: size: .*multiple of 32"),
    ],
)
def test_a_name_or_size_that_cannot_be_used(data, project, option, value, match):
    make_labels(data / "labels.json", NAMES)
    with pytest.raises(OptdetError, match=match):
        invoke("--data", data, option, value)
    assert list(project.iterdir()) == []


def test_a_file_in_the_way_of_the_project_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptdetError, match=r"file/configs"):
        invoke(tmp_path / "file")


@pytest.mark.parametrize("name", ['say "hi": #1, {x}', "receipts 가게", "back\\slash", "1e5", "tab\there"])
def test_any_folder_name_survives_the_config(tmp_path, project, name):
    make_images(tmp_path / name)
    make_labels(tmp_path / name / "labels.json", NAMES)
    invoke("--data", tmp_path / name)
    train, val = trained_on(project)
    assert names_of(train) | names_of(val) == set(NAMES)


def test_a_folder_name_that_is_no_text_is_refused(tmp_path, project):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    make_images(folder)
    make_labels(folder / "labels.json", NAMES)
    with pytest.raises(OptdetError, match=r"cannot be written in a config; rename the folder"):
        invoke("--data", folder)


def test_paths_are_relative_below_or_beside_the_project_and_absolute_elsewhere(tmp_path):
    project = tmp_path / "work" / "project"
    project.mkdir(parents=True)
    assert path_from(project, project / "data" / "images") == "data/images"
    assert path_from(project, project) == "."
    assert path_from(project, tmp_path / "work" / "data") == "../data"
    assert path_from(project, tmp_path / "data") == str(tmp_path / "data")
    link = tmp_path / "work" / "link"
    (tmp_path / "far").mkdir()
    link.symlink_to(tmp_path / "far")
    assert path_from(link, tmp_path / "work" / "data") == str(tmp_path / "work" / "data")
    assert path_from(link, link / "data") == "data"


def test_labels_written_for_the_split_hold_the_same_words(data, project):
    make_labels(data / "labels.json", NAMES)
    invoke("--data", data)
    whole = read_labels(data / "labels.json").words
    for part in ("train", "val"):
        for name, words in read_labels(project / "data" / f"mine-{part}.json").words.items():
            assert [word.polygon.tolist() for word in words] == [w.polygon.tolist() for w in whole[name]]
