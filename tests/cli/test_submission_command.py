"""``optdet submission``: from predictions to a leaderboard and back, by the command line."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from shutil import copyfile

import numpy as np
import pytest
from PIL import Image

from optdet.data.labels import write_ufo
from optdet.data.predictions import read_predictions
from optdet.structures import Word

SIZE = (160, 96)
N_IMAGES = 8


def draw_pages(folder, name, seed):
    """Images whose words stand in a grid, and maps that find the bright ones surely and the others hardly."""
    rng = np.random.default_rng(seed)
    (folder / name).mkdir()
    words = {}
    for number in range(N_IMAGES):
        page = np.zeros((SIZE[1], SIZE[0]), np.float32)
        words[f"{name}{number}.png"] = []
        for x in (10, 60, 110):
            for y in (10, 40, 70):
                page[y : y + 12, x : x + 36] = rng.uniform(0.62, 1.0)
                corners = [[x - 4, y - 4], [x + 40, y - 4], [x + 40, y + 16], [x - 4, y + 16]]
                words[f"{name}{number}.png"].append(Word(np.array(corners, dtype=np.float64)))
        Image.fromarray(np.uint8(page * 255)).save(folder / name / f"{name}{number}.png")
        np.save(folder / "maps" / f"{name}{number}.npy", page.astype(np.float16))
    write_ufo(folder / f"{name}.json", words)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "maps").mkdir()
    for seed, name in enumerate(("val", "test")):
        draw_pages(folder, name, seed)
    return folder


@pytest.fixture
def pages(drawn, tmp_path):
    """A project folder: labelled images, images of a leaderboard, and a detector's maps of both."""
    for entry in drawn.iterdir():
        os.symlink(entry, tmp_path / entry.name)
    return tmp_path


VAL = ("--val-images", "val", "--val-labels", "val.json")


@pytest.fixture
def predict(pages, optdet):
    def run(out, *options, labelled=VAL):
        ran = optdet("predict", "maps", "--images", "test", "--out", out, *labelled, *options)
        assert ran.code == 0, ran.err
        return ran

    return run


@pytest.fixture
def listed(optdet):
    def rows(*options):
        ran = optdet("submission", "list", "--json", *options)
        assert ran.code == 0, ran.err
        return {row["file"]: row for row in json.loads(ran.out)["submissions"]}

    return rows


@pytest.fixture
def score(optdet):
    def record(name, hmean, *options):
        ran = optdet("submission", "record", name, "--hmean", hmean, *options)
        assert ran.code == 0, ran.err
        return ran.out

    return record


def test_from_prediction_to_leaderboard_and_back(pages, predict, optdet, listed, score):
    said = predict("a.csv").err
    assert "local      H-mean 1.0000, precision 1.0000, recall 1.0000 on 8 labelled images" in said
    predict("near.csv", "-t", "box_thresh=0.5")  # every word is above both
    predict("b.csv", "-t", "box_thresh=0.7")
    predict("c.json", "-t", "box_thresh=0.9")
    rows = listed()
    assert {name: row["state"] for name, row in rows.items()} == dict.fromkeys(
        ("near.csv", "b.csv", "c.json"), "there"
    )  # the first two are the same bytes, and one submission
    optdet("predict", "maps", "--images", "val", "--out", "v.csv", "-t", "box_thresh=0.7")
    evaluated = json.loads(optdet("evaluate", "v.csv", "--labels", "val.json", "--json").out)
    local = rows["b.csv"]["local"]
    assert {key: local[key] for key in ("competition", "official", "iou")} == {
        key: evaluated[key] for key in ("competition", "official", "iou")
    }
    assert (local["hmean_crossfit"], local["images"]) == (None, N_IMAGES)
    assert rows["b.csv"]["sources"] == ["../maps"]
    assert rows["b.csv"]["settings"]["thresholds"]["box_thresh"] == 0.7
    assert rows["b.csv"]["images"] == N_IMAGES

    options = ("--precision", "0.9627", "--recall", "0.9598", "--note", "first")
    assert score("a.csv", "0.9600", *options) == (
        "a.csv on public: H-mean 0.9600, precision 0.9627, recall 0.9598 (first)\n"
    )
    assert score("b.csv", "0.91").endswith("0.9100\n")
    assert score("b.csv", "0.92") == "b.csv on public: H-mean 0.9200\nin place of H-mean 0.9100\n"
    assert score("b.csv", "0.93", "--board", "private") == "b.csv on private: H-mean 0.9300\n"
    shown = optdet("submission", "list").out
    assert "local and public: rank correlation undefined, fewer than 3 files (n = 2)" in shown
    score("c.json", "0.8")
    shown = optdet("submission", "list").out
    assert "local and public: Spearman +1.00, Kendall +1.00 (n = 3)" in shown
    gap = listed()["a.csv"]["gap"]
    assert gap == {"public": pytest.approx(-0.04), "private": None}

    for name in ("a.csv", "near.csv", "c.json"):
        (pages / name).unlink()
    predict("b.csv", "-t", "box_thresh=0.8")
    states = [row["state"] for row in json.loads(optdet("submission", "list", "--json").out)["submissions"]]
    assert states == ["gone", "changed", "gone", "there", "there"]  # the last: v.csv, and the new b.csv
    for name in ("a.csv", "c.json"):
        assert optdet("submission", "restore", name, "--out", f"again/{name}").code == 0
    found = read_predictions(pages / "again/a.csv")
    assert sum(map(len, found.values())) == 9 * N_IMAGES
    assert optdet("submission", "restore", "a.csv", "--out", "again/a.csv").out.startswith("it is there")
    assert listed()["a.csv"]["state"] == "there"


def test_next_says_what_cannot_be_told_apart(pages, predict, optdet, score):
    for command in (("next",), ("list",), ("restore", "a.csv", "--out", "b.csv")):
        error = optdet("submission", *command).error
        assert "no submission there yet; write one: optdet predict SOURCE" in error
    assert not (pages / "studies").exists()
    for name, change in (
        ("best", "unclip_ratio=1.5"),
        ("near", "box_thresh=0.63"),
        ("slim", "unclip_ratio=0.8"),
        ("few", "box_thresh=0.9"),
    ):
        predict(f"{name}.csv", "-t", change)
    predict("unknown.csv", "-t", "box_thresh=0.8", labelled=())
    found = json.loads(optdet("submission", "next", "--left", "2", "--json").out)
    assert [proposal["file"] for proposal in found["proposals"]] == ["best.csv", "slim.csv"]
    assert [[each["file"] for each in tier["files"]] for tier in found["tiers"]] == [
        ["best.csv", "slim.csv"],
        ["few.csv"],
    ]
    assert found["tiers"][0]["said"].startswith("these 2 cannot be told apart on 8 images")
    assert [each["file"] for each in found["proposals"][0]["stands_for"]] == ["near.csv"]
    assert [each["file"] for each in found["unranked"]] == ["unknown.csv"]
    shown = optdet("submission", "next", "--left", "2").out
    assert "these 2 cannot be told apart on 8 images" in shown
    assert "within a tier the order says nothing" in shown
    assert "stands for near.csv too" in shown
    assert "not ranked: unknown.csv: no local score is known" in shown
    score("near.csv", "0.96")
    shown = optdet("submission", "next").out
    assert "told already: best.csv agrees to 0.9" in shown
    assert "with near.csv, 0.9600 on public" in shown
    assert "1. slim.csv" in shown


def test_next_does_not_mix_files_of_other_images(pages, predict, optdet, score):
    predict("a.csv")
    optdet("predict", "maps", "--images", "val", "--out", "val.csv")
    error = optdet("submission", "next").error
    assert "there are files of 2 sets of images" in error
    assert "--images DIR" in error
    of_test = optdet("submission", "next", "--images", "test").out
    assert "1. a.csv" in of_test
    assert "left out: 1 file of other images" in of_test
    assert "not ranked: val.csv" in optdet("submission", "next", "--images", "val").out
    predict("b.csv", "-t", "box_thresh=0.8")
    score("b.csv", "0.9")
    assert "1. a.csv" in optdet("submission", "next").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hmean", "96.0"), "error: --hmean: 96 is not within 0..1; write 0.9600 for 96 %"),
        (("--hmean", "-1"), "--hmean: -1 is not within 0..1; write a part of 1, as 0.9600"),
        (("--hmean", "nan"), "--hmean: nan is not within 0..1"),
        (("--hmean", "0.9", "--recall", "95.98"), "--recall: 95.98 is not within 0..1; write 0.9598 for"),
        (("--hmean", "0.9", "--board", "secret"), "'secret' is no leaderboard; they are public and private"),
    ],
)
def test_scores_that_cannot_be(pages, optdet, options, message):
    assert message in optdet("submission", "record", "a.csv", *options).error
    assert not (pages / "studies").exists()


def test_h_is_what_the_leaderboard_says(predict, score, optdet, listed):
    """Not 2PR/(P+R): neither corrected nor remarked upon."""
    predict("a.csv")
    out = score("a.csv", "0.9", "--precision", "0.5", "--recall", "0.5")
    assert out == "a.csv on public: H-mean 0.9000, precision 0.5000, recall 0.5000\n"
    kept = listed()["a.csv"]["boards"]["public"]
    assert (kept["hmean"], kept["precision"], kept["recall"]) == (0.9, 0.5, 0.5)


def test_a_file_that_is_not_known(pages, predict, optdet, listed, score):
    predict("a.csv")
    lines = (pages / "a.csv").read_text().splitlines()
    (pages / "theirs.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    record = ("submission", "record", "theirs.csv", "--hmean", "0.9628")
    assert "the registry does not know this file; --adopt registers it as it is" in optdet(*record).error
    assert optdet(*record, "--adopt").code == 0
    row = listed()["theirs.csv"]
    assert (row["command"], row["local"], row["images"], row["kept"]) == ("adopt", None, N_IMAGES, True)
    (pages / "no.csv").write_text("nothing")
    assert "not a prediction file" in optdet(*record[:2], "no.csv", *record[3:], "--adopt").error
    error = optdet(*record[:2], "none.csv", *record[3:], "--adopt").error
    assert "no such file, and the registry knows no submission of this name" in error
    # A file that has changed since is not what the leaderboard saw.
    old = listed()["a.csv"]["sha256"]
    copyfile(pages / "theirs.csv", pages / "a.csv")
    (pages / "a.csv").write_text((pages / "a.csv").read_text() + "\n")
    error = optdet(*record[:2], "a.csv", *record[3:]).error
    assert f"the file has changed since it was written; for what stood there give {old[:12]}" in error
    said = score(old[:12], "0.95")
    assert "its bytes are lost already: it cannot be issued again" in said
    assert (
        "are lost: they are kept of recorded" in optdet("submission", "restore", old, "--out", "x.csv").error
    )


def test_a_moved_file_is_known_by_its_bytes(pages, predict, score, listed):
    predict("a.csv")
    (pages / "sent").mkdir()
    (pages / "a.csv").rename(pages / "sent/final.csv")
    assert listed()["a.csv"]["state"] == "gone"
    assert score("sent/final.csv", "0.9").startswith("final.csv on public")
    row = listed()["final.csv"]
    assert (row["state"], row["path"]) == ("there", "sent/final.csv")


def test_names_that_could_be_several(pages, predict, optdet):
    predict("one/a.csv")
    predict("two/a.csv", "-t", "box_thresh=0.8")
    error = optdet("submission", "record", "a.csv", "--hmean", "0.9").error
    assert "2 submissions could be meant" in error
    assert "../one/a.csv" in error
    assert optdet("submission", "record", "one/a.csv", "--hmean", "0.9").code == 0


def test_restore_replaces_nothing_unasked(pages, predict, optdet, score):
    predict("a.csv")
    score("a.csv", "0.9")
    content = (pages / "a.csv").read_bytes()
    (pages / "b.csv").write_text("mine")
    command = ("submission", "restore", "a", "--out", "b.csv")
    assert "b.csv: another file is there; give another name, or --force" in optdet(*command).error
    assert (pages / "b.csv").read_text() == "mine"
    (pages / "a.csv").unlink()
    assert optdet(*command, "--force").code == 0
    assert (pages / "b.csv").read_bytes() == content


def test_check(pages, predict, optdet):
    predict("a.csv", "-t", "use_polygon=true")
    ran = optdet("submission", "check", "a.csv", "--images", "test")
    assert ran.code == 0, ran.err
    assert "polygons   72; 9 / 9 / 9 an image (min / median / max)" in ran.out
    assert "from       ../maps at thresh 0.3" in ran.out
    text = (pages / "a.csv").read_text().splitlines()
    (pages / "bad.csv").write_text("\n".join(text[:-1]) + "\n")
    ran = optdet("submission", "check", "bad.csv", "--images", "test")
    assert "bad.csv:test7.png: 1 fault, the first: the image is missing" in ran.error
    assert "  - bad.csv:test7.png: the image is missing" in ran.out
    shown = json.loads(optdet("submission", "check", "bad.csv", "--labels", "test.json", "--json").out)
    assert shown["problems"] == [{"where": "test7.png", "reason": "the image is missing"}]
    assert shown["images"] == N_IMAGES - 1


def test_simplify(pages, predict, optdet, listed):
    predict("a.csv", "-t", "use_polygon=true")
    before = read_predictions(pages / "a.csv")
    assert max(len(polygon) for found in before.values() for polygon in found) > 6
    ran = optdet("submission", "check", "a.csv", "--simplify", "6", "--out", "few.csv", "--images", "test")
    assert ran.code == 0, ran.err
    assert "simplified 72 polygons to at most 6 points; IoU with the original 0.9" in ran.out
    after = read_predictions(pages / "few.csv")
    assert {len(polygon) for found in after.values() for polygon in found} == {6}
    rows = listed()
    assert rows["few.csv"]["origin"] == rows["a.csv"]["sha256"]
    assert rows["few.csv"]["sources"] == ["../maps"]
    assert rows["few.csv"]["settings"]["max_points"] == 6
    assert f"from {rows['a.csv']['sha256'][:8]}" in optdet("submission", "list").out
    said = predict("same.csv", "-t", "use_polygon=true", "--simplify", "6").err
    assert "simplified 72 polygons to at most 6 points" in said
    assert (pages / "same.csv").read_bytes() == (pages / "few.csv").read_bytes()
    row = listed()["same.csv"]
    assert row["local"]["images"] == N_IMAGES, "scored with simplified outlines"
    for command in (
        ("submission", "check", "a.csv"),
        ("predict", "maps", "--images", "test", "--out", "x.csv"),
    ):
        assert "--simplify: 3 points are too few" in optdet(*command, "--simplify", "3").error
    assert not (pages / "x.csv").exists()
    assert "add --simplify N" in optdet("submission", "check", "a.csv", "--out", "y.csv").error


def test_simplified_outlines_are_scored_as_they_are_written(tmp_path, optdet, listed):
    """A cross with four points is no cross: it loses some of the word along one of its bars."""
    page = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    page[44:52, 10:150] = page[10:86, 70:90] = 255
    for name in ("images", "maps"):
        (tmp_path / name).mkdir()
    Image.fromarray(page).save(tmp_path / "images/cross.png")
    np.save(tmp_path / "maps/cross.npy", page)
    bar = np.array([[10, 40], [150, 40], [150, 56], [10, 56]], dtype=np.float64)
    write_ufo(tmp_path / "labels.json", {"cross.png": [Word(bar)]})
    command = ("predict", "maps", "--images", "images", "-t", "use_polygon=true", "-t", "unclip_ratio=1")
    labelled = ("--val-images", "images", "--val-labels", "labels.json")
    scores = {}
    for name, options in (("whole", ()), ("few", ("--simplify", "4"))):
        ran = optdet(*command, "--out", f"{name}.csv", *labelled, *options)
        assert ran.code == 0, ran.err
        evaluated = optdet("evaluate", f"{name}.csv", "--labels", "labels.json", "--json").out
        scores[name] = json.loads(evaluated)["competition"]
        assert listed()[f"{name}.csv"]["local"]["competition"] == scores[name]
    assert scores["whole"] != scores["few"]


def test_files_of_a_tuning_are_registered_with_their_scores(pages, optdet, listed):
    (pages / "named.yaml").write_text(
        "candidates: [{box_thresh: 0.7, label: high}, {box_thresh: 0.4, label: low}]"
    )
    ran = optdet(
        *("postprocess", "tune", "maps", "--images", "val", "--labels", "val.json", "--no-study"),
        *("--thresh", "0.3", "--unclip-ratio", "1.5", "--candidates", "named.yaml"),
        *("--test-images", "test", "--out", "csv", "--json"),
    )
    assert ran.code == 0, ran.err
    candidates = json.loads(ran.out)["candidates"]
    rows = listed()
    assert set(rows) == {"high.csv", "low.csv"}
    for label in ("high", "low"):
        row = rows[f"{label}.csv"]
        assert row["command"] == "postprocess tune"
        assert row["local"]["competition"] == candidates[label]["competition"]
        assert row["local"]["images"] == N_IMAGES


@pytest.mark.parametrize("storage", ["notes.txt", "folder", "postgresql://localhost:1/none"])
def test_a_registry_that_cannot_be_written_costs_no_file(pages, predict, storage):
    (pages / "notes.txt").write_text("no database, and long enough to be none")
    (pages / "folder").mkdir()
    err = predict("a.csv", "--storage", storage).err
    assert len(read_predictions(pages / "a.csv")) == N_IMAGES
    (note,) = [line for line in err.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: a.csv is not in the registry of submissions: ")
    assert "Traceback" not in err


def test_labels_that_cannot_be_read_cost_the_score_alone(pages, predict, optdet, listed):
    (pages / "broken.json").write_text("{")
    ran = predict("a.csv", labelled=("--val-images", "val", "--val-labels", "broken.json"))
    assert "note: its local scores are not known: broken.json" in ran.err
    assert listed()["a.csv"]["local"] is None
    error = optdet("predict", "maps", "--images", "test", "--out", "b.csv", "--val-images", "val").error
    assert "--val-images and --val-labels go together" in error
    assert not (pages / "b.csv").exists()


def test_a_kill_between_file_and_row_is_healed_by_the_same_command(pages, predict, listed):
    arguments = ["optdet", "predict", "maps", "--images", "test", "--out", "a.csv", *VAL]
    script = (
        "import os, signal, sys\n"
        "from optdet.tuning import submission_predict as module\n"
        f"module.try_to_register = lambda *_: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        f"sys.argv = {arguments!r}\n"
        "from optdet.cli.app import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=pages, capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert (pages / "a.csv").exists()
    assert not (pages / "studies/optdet.db").exists()
    predict("a.csv")
    assert list(listed()) == ["a.csv"]
    with closing(sqlite3.connect(pages / "studies/optdet.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM optdet_submissions").fetchone() == (1,)


def test_a_folder_that_is_moved_keeps_its_files(pages, predict, optdet, listed, tmp_path_factory):
    predict("a.csv")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    elsewhere.mkdir()
    for name in ("a.csv", "studies"):
        (pages / name).rename(elsewhere / name)
    shown = json.loads(optdet("submission", "list", "--json", cwd=elsewhere).out)["submissions"]
    assert [(row["state"], row["path"]) for row in shown] == [("there", "a.csv")]
