"""``optdet ensemble``."""

from __future__ import annotations

import json
import re
import shutil

import pytest

SMALL = [
    word
    for setting in (
        "space.thresh={type: float, low: 0.1, high: 0.5, step: 0.1}",
        "space.box_thresh={type: float, low: 0.1, high: 0.6, step: 0.1}",
        "space.unclip_ratio={type: float, low: 1.0, high: 2.5, step: 0.5}",
    )
    for word in ("-s", setting)
]
GIVEN = ("--images", "images", "--labels", "labels.json")


@pytest.fixture
def project(pages, tmp_path):
    """A folder of a test's own, with the pages, labels and maps in it."""
    for name in ("m0", "m1", "m2", "images"):
        (tmp_path / name).symlink_to(pages / name)
    shutil.copy(pages / "labels.json", tmp_path)
    return tmp_path


def shown(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.parametrize("method", ["maps", "votes"])
def test_the_reported_score_is_that_of_the_predictions_to_the_last_digit(method, project, optdet):
    """Written at once, and by `predict` from the saved file; `compare` says the same."""
    ran = optdet(
        *("ensemble", "m0", "m1", "m2", "--method", method, *GIVEN, *SMALL, "--json"),
        *("--save", "configs/e.yaml", "--test-images", "images", "--out", "out.csv", "--picture", "e.png"),
    )
    report = shown(ran)
    assert len(report["members"]) == 3
    assert "wrote configs/e.yaml: 3 members; it is a SOURCE" in ran.err
    again = optdet("predict", "configs/e.yaml", "--images", "images", "--out", "again.csv")
    assert again.code == 0, again.err
    assert (project / "again.csv").read_bytes() == (project / "out.csv").read_bytes()
    scored = shown(optdet("evaluate", "out.csv", "--labels", "labels.json", "--json"))
    for metric in ("competition", "official", "iou"):
        assert scored[metric] == report["ensemble"][metric]
    assert scored["interval"] == report["ensemble"]["interval"]
    compared = shown(optdet("compare", "configs/e.yaml", "out.csv", *GIVEN, "--json"))
    macro = compared["competition"]["macro"]["hmean"]
    assert macro["a"] == macro["b"] == scored["competition"]["macro"]["hmean"]
    assert (project / "e.png").stat().st_size > 5000


@pytest.mark.parametrize("method", ["maps", "votes"])
@pytest.mark.thin(1)
def test_the_saved_ensemble_keeps_its_cross_fitted_score(method, project, optdet):
    """For the images that it was tuned on, as long as it is what was tuned."""
    ran = optdet(
        *("ensemble", "m0", "m1", "--method", method, *GIVEN, *SMALL, "--json", "--save", "e.yaml"),
        *("--test-images", "images", "--out", "out.csv"),
    )
    expected = shown(ran)["ensemble"]["hmean_crossfit"]
    assert expected is not None

    def local(labels, *options):
        """What is said of the score on the images of a label file."""
        val = ("--val-images", "images", "--val-labels", labels)
        ran = optdet("predict", "e.yaml", "--images", "images", "--out", "again.csv", *val, *options)
        assert ran.code == 0, ran.err
        (line,) = [line for line in ran.err.splitlines() if line.startswith("local ")]
        return line

    labels = json.loads((project / "labels.json").read_text())
    labels["images"].pop("page_9.png")
    (project / "fewer.json").write_text(json.dumps(labels))
    for line in (local("fewer.json"), local("labels.json", "--simplify", "4")):
        assert "cross-fitted" not in line
    text = (project / "e.yaml").read_text()
    assert "hmean_crossfit" in text
    changed = re.sub(r"min_votes: \d|box_thresh: [\d.]+", lambda found: f"{found[0].split()[0]} 1", text)
    assert changed != text
    (project / "e.yaml").write_text(changed)
    assert "cross-fitted" not in local("labels.json")
    (project / "e.yaml").write_text(text)
    assert f", cross-fitted {expected:.4f}, " in local("labels.json")
    rows = shown(optdet("submission", "list", "--json"))["submissions"]
    (row,) = [row for row in rows if (row["file"], row["state"]) == ("again.csv", "there")]
    assert row["sources"] == ["../e.yaml"]
    assert row["local"]["hmean_crossfit"] == expected


def test_the_table_says_what_the_ensemble_is_worth(project, optdet):
    ran = optdet("ensemble", "m0", "m1", "m2", "--method", "votes", *GIVEN, *SMALL)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "votes of 3 members on 10 images"
    assert lines[1].split() == ["P", "R", "H", "crossfit", "95", "%", "interval", "boxes"]
    assert [line.split()[0].rstrip("*") for line in lines[2:6]] == ["m0", "m1", "m2", "ensemble"]
    assert sum("*" in line for line in lines[2:5]) == 1
    assert any(line.startswith("2 of 3 votes, IoU 0.5: ") for line in lines)
    assert lines[-1].startswith("the ensemble beats its best member, m")
    assert max(map(len, lines)) < 120


def test_long_names_cut_no_number_off(project, optdet):
    long = project / ("a-folder-of-maps-with-a-name" * 3)
    long.symlink_to(project / "m2")
    ran = optdet("ensemble", long.name, "m0", "--method", "votes", *GIVEN, "-s", "method=none")
    (line,) = [line for line in ran.out.splitlines() if line.startswith(long.name) and " at " not in line]
    assert len(line.split()) == 7
    assert "…" not in ran.out


def test_an_ensemble_that_does_not_beat_its_best_member(project, optdet):
    shutil.copytree(project / "m0", project / "copy")
    command = ("ensemble", "m0", "copy", "--method", "maps", *GIVEN, *SMALL, "--weights", "1,1")
    report = shown(optdet(*command, "--json"))
    assert report["beats_best"] is False
    assert report["difference"]["difference"] == 0
    assert report["ensemble"]["weights"] == [1, 1]
    assert (report["ensemble"]["how"], report["ensemble"]["min_votes"]) == ("given", None)
    assert report["votes"] is None
    ran = optdet(*command)
    assert "the ensemble does not beat its best member, copy, beyond chance: +0.0000" in ran.out


def test_other_peoples_files_and_ours(project, optdet):
    for out in ("m0.csv", "m1.csv", "m2.json"):
        ran = optdet("predict", out[:2], "--images", "images", "--out", out, "-t", "thresh=0.2")
        assert ran.code == 0, ran.err
    lines = (project / "m1.csv").read_text().splitlines()
    (project / "m1.csv").write_text("\n".join(lines[:-1]))  # the last image is not in it
    files = ("m0.csv", "m1.csv", "m2.json")
    ran = optdet("ensemble", *files, "m0", "--method", "votes", *GIVEN, *SMALL, "--json")
    report = shown(ran)
    tuned = "scored as they are, too well if their thresholds were tuned on these images"
    assert report["notes"] == [
        f"{tuned}: m0.csv, m1.csv, m2.json",
        "m1.csv: 1 of 10 images without a prediction, taken as empty",
    ]
    assert "note: m1.csv: 1 of 10 images without a prediction, taken as empty" in ran.err
    assert [member["thresholds"] is None for member in report["members"]] == [True, True, True, False]
    assert report["members"][0]["hmean_crossfit"] == report["members"][0]["competition"]["macro"]["hmean"]
    test = ("--test-images", "images", "--out", "v.csv")
    ran = optdet("ensemble", *files, "--method", "votes", *test)
    assert "m1.csv: no prediction for 1 of 10 images, as page_9.png" in ran.error
    assert not (project / "v.csv").exists()


def test_a_file_of_other_images(project, optdet, monkeypatch):
    """What cannot be tuned or predicted is said before any map is read."""
    (project / "test").mkdir()
    shutil.copy(project / "images/page_0.png", project / "test/t.png")
    (project / "theirs.csv").write_text("filename,polygons\nt.png,1 1 9 1 9 9 1 9\n")
    (project / "none.csv").write_text("filename,polygons\nother.png,\n")
    monkeypatch.setattr("optdet.inference.map_folder.read_map", lambda _: pytest.fail("maps were read"))
    vote = ("ensemble", "m0", "--method", "votes")
    test = ("--test-images", "test", "--out", "v.csv")
    assert (
        "theirs.csv: it names none of the images of labels.json; leave out --images and --labels: the usual"
        in optdet(*vote, "theirs.csv", *GIVEN, *test).error
    )
    assert (
        "theirs.csv: none of its 1 images is labelled"
        in optdet(*vote[:1], "theirs.csv", "none.csv", *vote[2:], *GIVEN).error
    )
    (project / "nested.yaml").write_text("{method: votes, members: [{source: none.csv}]}")
    for member in ("none.csv", "nested.yaml"):
        error = optdet(*vote, member, *GIVEN, *test).error
        assert "none.csv: no prediction for 1 of 1 image, as t.png; give a file that has all of them" in error


def test_without_labels_a_vote_is_the_usual_one(project, optdet):
    ran = optdet(
        *("ensemble", "m0", "m1", "m2", "--method", "votes", "--save", "e.yaml"),
        *("--test-images", "images", "--out", "v.csv"),
    )
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "note: no labels, so nothing is tuned or scored" in ran.err
    assert optdet("predict", "e.yaml", "--images", "images", "--out", "w.csv").code == 0
    assert (project / "v.csv").read_bytes() == (project / "w.csv").read_bytes()
    assert "min_votes: 2\niou_thresh: 0.5" in (project / "e.yaml").read_text()
    assert "at least one of" not in ran.err
    assert "no labelled images: nothing to do" in optdet("ensemble", "m0", "m1", "--method", "votes").error
    maps = optdet("ensemble", "m0", "m1", "--method", "maps", "--save", "f.yaml")
    assert "no labelled images: the thresholds of a mean have to be tuned; give --images" in maps.error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("m0", "m1", "--method", "boxes"), "--method: 'boxes' is no method; use maps or votes"),
        (("m0", "--method", "maps"), "an ensemble needs two members"),
        (("m0", "m0", "--method", "maps"), "m0 and m0 are the same member"),
        (("m0", "nothing/x", "--method", "maps"), "nothing/x: no such file or folder"),
        (("m0", "m1", "--method", "votes", "--weights", "1,2"), "every vote counts the same"),
        (("m0", "m1", "--method", "maps", "--weights", "1,x"), "'1,x' are no weights; write numbers with"),
        (("m0", "m1", "--method", "maps", "--weights", "0,0"), "no weight is above 0"),
        (("m0", "m1", "--method", "maps", "--weights", "1"), "1 weights for 2 sources"),
        (("m0", "m1", "--method", "maps", "--iou-thresh", "0.5"), "a mean has no votes"),
        (("m0", "m1", "--method", "votes", "--iou-thresh", "1.5"), "1.5 is no IoU"),
        (("m0", "m1", "--method", "votes", "--min-votes", "3"), "3 votes of 2 members"),
        (("m0", "m1", "--method", "maps", "--tta", "flip"), "'flip' is no augmentation"),
        (("m0", "m1", "--method", "votes", "-s", "method=tpe"), "cannot be cross-fitted by method tpe"),
        (("m0", "m1", "--method", "maps", "--images", "images"), "--images and --labels go together"),
        (("m0", "m1", "--method", "maps", "--out", "x.csv"), "--test-images and --out go together"),
        (
            ("m0", "m1", "--method", "maps", "--out", "x.txt", "--test-images", "images"),
            ".txt is not a prediction format",
        ),
        (("m0", "m1", "--method", "maps", "--save", "e.txt"), "an ensemble is a YAML file"),
        (
            ("m0", "m1", "--method", "maps", "--save", "there.yaml"),
            "there.yaml: the file exists",
        ),
        (("m0", "m1", "--method", "maps", "--picture", "p.jpg"), "a picture is a PNG"),
    ],
)
def test_what_cannot_be_is_one_line_and_comes_first(words, message, project, optdet, monkeypatch):
    monkeypatch.setattr("optdet.inference.map_folder.read_map", lambda _: pytest.fail("maps were read"))
    (project / "there.yaml").write_text("mine\n")
    ran = optdet("ensemble", *words, *(() if "--images" in words else GIVEN))
    assert message in ran.error
    assert (project / "there.yaml").read_text() == "mine\n"


def test_a_vote_has_neither_thresholds_nor_maps_to_change(project, optdet):
    assert optdet("ensemble", "m0", "m1", "--method", "votes", "--save", "e.yaml").code == 0
    predict = ("predict", "e.yaml", "--images", "images", "--out", "x.csv")
    assert "e.yaml: its members have thresholds of their own" in optdet(*predict, "-t", "thresh=0.2").error
    assert "hflip needs a detector" in optdet(*predict, "--tta", "hflip").error
    assert (
        "an ensemble by votes has no probability maps"
        in optdet("postprocess", "tune", "e.yaml", *GIVEN).error
    )
    assert "they have none" not in optdet("compare", "e.yaml", "m0", *GIVEN).out
    changed = optdet("compare", "e.yaml", "m0", "-a", "thresh=0.2", *GIVEN)
    assert "e.yaml: its members have thresholds of their own" in changed.error
