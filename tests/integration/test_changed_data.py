"""Images or labels that change between two runs: said before anything is trained, never mixed in a trial."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from killing import MOMENTS, contents
from PIL import Image, ImageOps

from optdet.data.synthetic.dataset import make_dataset

pytestmark = pytest.mark.slow

RUN = ("study", "run", "tiny")
ACCEPT = "--accept-changed-data"


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("receipts") / "data"
    make_dataset(folder, n_train=10, n_val=5, seed=0, image_size=192, difficulty=0.0)
    return folder


@pytest.fixture
def new_folder(tmp_path, receipts, study_file):
    """A working directory with files of its own as the study's data, and its study file."""

    def made(name):
        folder = tmp_path / name
        folder.mkdir()
        for path in receipts.rglob("*"):
            if path.is_file():
                copy = folder / "data" / path.relative_to(receipts)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        sets = ", ".join(
            f"{part}: {{images: data/{part}/images, labels: data/{part}/labels.json}}"
            for part in ("train", "val")
        )
        text = re.sub(r"synthetic: \{[^}]*\}", sets, study_file)
        (folder / "tiny.yaml").write_text(text)
        config = re.search(r"^config:\n((?:  .*\n)+)", text, re.MULTILINE)
        (folder / "one.yaml").write_text(re.sub(r"^  ", "", config[1], flags=re.MULTILINE))
        return folder

    return made


@pytest.fixture
def folder(new_folder, commands):
    return create(commands, new_folder("here"))


def create(commands, folder, *changes):
    created = commands.run("study", "create", "tiny.yaml", "pruner.name=none", *changes, cwd=folder)
    assert created.code == 0, created.err
    return folder


def drop_a_word(folder, part="val"):
    """One word less in the labels of the first image that has some."""
    path = folder / "data" / part / "labels.json"
    tree = json.loads(path.read_text())
    image = next(image for image in tree["images"].values() if len(image["words"]) > 1)
    image["words"].popitem()
    path.write_text(json.dumps(tree))
    return sum(len(image["words"]) for image in tree["images"].values())


def invert_an_image(folder, part):
    path = sorted((folder / "data" / part / "images").iterdir())[0]
    ImageOps.invert(Image.open(path).convert("RGB")).save(path)


def die(commands, folder, moment, name, *words):
    killed = commands.run(*(words or RUN), cwd=folder, kill=moment(*MOMENTS[name]))
    assert killed.code == -signal.SIGKILL, killed.err
    return killed


def refused(commands, folder, *words):
    ended = commands.run(*(words or RUN), cwd=folder)
    assert ended.code == 1, ended.err
    assert "Traceback" not in ended.err
    return ended.err.splitlines()[-1]


def test_changed_labels_stop_a_run_until_they_are_accepted(commands, new_folder):
    folder = create(
        commands, new_folder("quick"), "train.epochs=1", "keep.overlays=0", "keep.inner_studies=0"
    )
    assert commands.run(*RUN, "--trials", "1", cwd=folder).code == 0
    labels = (folder / "data" / "val" / "labels.json").read_text()
    n_words = drop_a_word(folder)
    before = contents(folder / "studies")
    assert refused(commands, folder) == (
        f"error: study tiny: the validation labels ({n_words + 1} words then, {n_words} now) changed since "
        "trial 0: values would not be comparable; "
        f"put them back, make a new study, or: optdet study run tiny {ACCEPT}"
    )
    assert contents(folder / "studies") == before
    shown = commands.run("study", "show", "tiny", cwd=folder)
    assert "other images" not in shown.out

    accepted = commands.run(*RUN, "--trials", "2", ACCEPT, cwd=folder)
    assert accepted.code == 0, accepted.err
    assert "going on with changed data, the validation labels" in accepted.err
    assert "trial 0 had others" in accepted.err
    line = "trial 0: on other images or labels than the newest, so values cannot be compared"
    for command in ("show", "best"):
        assert line in commands.run("study", command, "tiny", cwd=folder).out.splitlines()
        assert json.loads(commands.run("study", command, "tiny", "--json", cwd=folder).out)["other_data"] == [
            0
        ]

    # What was accepted is the data now: the former state is the changed one.
    (folder / "data" / "val" / "labels.json").write_text(labels)
    assert "changed since trial 1:" in refused(commands, folder)
    # A copy knows it too.
    assert commands.run("study", "copy", "tiny", "--to", "other/copy.db", cwd=folder).code == 0
    assert "changed since trial 1:" in refused(commands, folder, *RUN, "--storage", "other/copy.db")


@pytest.mark.parametrize(
    "change",
    [drop_a_word, lambda folder: invert_an_image(folder, "train")],
)
def test_a_trial_in_work_begins_again_on_changed_data(commands, folder, new_folder, moment, change):
    """And ends as in a study that never saw the former data, whatever it had come to."""
    die(commands, folder, moment, "before tell")
    change(folder)
    assert "changed since trial 0:" in refused(commands, folder)
    accepted = commands.run(*RUN, "--trials", "1", ACCEPT, cwd=folder)
    assert accepted.code == 0, accepted.err
    assert "trial 0: begins again, it had other images or labels" in accepted.err

    fresh = new_folder("fresh")
    change(fresh)
    create(commands, fresh)
    assert commands.run(*RUN, "--trials", "1", cwd=fresh).code == 0
    ours, theirs = contents(folder / "studies"), contents(fresh / "studies")
    for each in (ours, theirs):  # maps of other weights are bounded by cache.max_gb
        each["files"] = [name for name in each["files"] if name.startswith("runs/")]
    assert ours == theirs


def test_a_single_run_and_a_study_by_an_earlier_version(commands, new_folder, moment):
    folder = new_folder("one")
    train = ("train", "one.yaml", "train.epochs=1")
    die(commands, folder, moment, "before the first epoch", *train)
    invert_an_image(folder, "val")
    assert "study one: the validation images changed since trial 0: " in refused(commands, folder, *train)
    with sqlite3.connect(folder / "studies" / "optdet.db") as connection:
        gone = connection.execute("DELETE FROM study_user_attributes WHERE key LIKE 'optdet:data:%'")
        assert gone.rowcount == 1
    assert "study one: the images or labels changed since trial 0: " in refused(commands, folder, *train)
    killed = die(commands, folder, moment, "in training", *train, ACCEPT)
    assert "going on with changed data, the images or labels: trial 0 had others" in killed.err
    assert "begins again" in killed.err
    ended = commands.run(*train, cwd=folder)
    assert ended.code == 0, ended.err
    assert "begins again" not in ended.err


def test_workers_are_told_that_the_change_is_accepted(commands, folder, moment):
    die(commands, folder, moment, "before the first epoch")
    drop_a_word(folder, "train")
    assert refused(commands, folder, *RUN, "--workers", "2").count("the training labels") == 1
    ended = commands.run(*RUN, "--workers", "2", "--trials", "2", ACCEPT, cwd=folder)
    assert ended.code == 0, ended.err
    assert ended.err.count("going on with changed data") == 1
