"""``optdet compare``: sources, configurations and prediction files against each other."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from optdet.data.labels import write_ufo
from optdet.data.predictions import write_predictions
from optdet.structures import Word


def quad(x, y, width=60, height=12):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


BOTH = [quad(10, 10), quad(10, 40)]


@pytest.fixture
def files(tmp_path):
    """Labels of three images of two words; A finds one word of b.jpg, B loses one of c.jpg."""
    write_ufo(
        tmp_path / "labels.json", {f"{name}.jpg": [Word(polygon) for polygon in BOTH] for name in "abc"}
    )
    write_predictions(tmp_path / "a.csv", {"a.jpg": BOTH, "b.jpg": BOTH[:1], "c.jpg": BOTH})
    write_predictions(tmp_path / "b.json", {"a.jpg": BOTH, "b.jpg": BOTH, "c.jpg": BOTH[:1], "z.jpg": BOTH})
    return tmp_path


@pytest.fixture(scope="module")
def val(studied, run_in):
    return json.loads(run_in(studied[0])("study", "best", "--json").out)["val"]


def compared(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_two_prediction_files(files, optdet):
    ran = optdet("compare", "a.csv", "b.json", "--labels", "labels.json", "--json")
    shown = compared(ran)
    assert (shown["a"], shown["b"]) == (
        {"source": "a.csv", "thresholds": None},
        {"source": "b.json", "thresholds": None},
    )
    assert (shown["images"], shown["settings"], shown["thresholds"]) == (3, None, None)
    assert [image["image"] for image in shown["helped"]] == ["b.jpg"]
    assert [image["image"] for image in shown["harmed"]] == ["c.jpg"]
    assert shown["competition"]["macro"]["hmean"]["difference"] == 0
    assert "note: B: 1 images predicted but not labelled, left out" in ran.err


def test_the_tables(files, optdet):
    out = optdet("compare", "a.csv", "b.json", "--labels", "labels.json").out
    for text in ("A  a.csv", "3 images; every difference is B - A", "macro H-mean", "global recall", "P>0"):
        assert text in out
    assert "found, by height (words)" in out
    assert "H-mean, words (images)" in out
    assert out.index("most helped") < out.index("b.jpg") < out.index("most harmed") < out.index("c.jpg")
    assert max(map(len, out.splitlines())) <= 80


def imported(heavy, *arguments):
    """Which of ``heavy`` a comparison in a process of its own has imported."""
    code = (
        "import sys\nfrom optdet.cli.app import app\n"
        f"sys.argv = ['optdet', 'compare', *{list(map(str, arguments))!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_two_prediction_files_need_neither_torch_nor_optuna(files):
    arguments = (files / "a.csv", files / "b.json", "--labels", files / "labels.json")
    assert imported(("torch", "optuna", "matplotlib"), *arguments) == "[]"


@pytest.mark.slow
def test_kept_maps_need_no_torch(studied):
    storage = studied[0] / "studies/optdet.db"
    arguments = ("tiny", "tiny", "-b", "thresh=0.5", "--storage", storage)
    assert imported(("torch", "timm", "albumentations"), *arguments) == "[]"


def test_maps_that_are_gone_or_damaged_are_made_again(studied, optdet, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(studied[0], folder)
    before = compared(optdet("compare", "tiny:0", "tiny:1", "--json", cwd=folder))
    (first, *_) = maps = sorted(folder.rglob("maps/*/*.npy"))
    assert maps
    first.write_bytes(first.read_bytes()[:-100])
    assert compared(optdet("compare", "tiny:0", "tiny:1", "--json", cwd=folder)) == before
    shutil.rmtree(folder / "studies/cache")
    assert compared(optdet("compare", "tiny:0", "tiny:1", "--json", cwd=folder)) == before


def test_two_trials_of_a_study_and_what_they_scored(studied, optdet):
    folder, _ = studied
    shown = compared(optdet("compare", "tiny:0", "tiny:1", "--json", cwd=folder))
    trials = json.loads(optdet("study", "show", "tiny", "--json", cwd=folder).out)["trials"]
    for side, trial in zip("ab", trials, strict=True):
        assert shown[side] == {"source": f"tiny:{trial['number']}", "thresholds": trial["thresholds"]}
        for kind in ("macro", "global"):
            scores = {name: score[side] for name, score in shown["competition"][kind].items()}
            assert scores == trial["scores"]["competition"][kind]
    assert set(shown["settings"]) == {"optimizer.lr", "seed"}
    assert shown["settings"]["optimizer.lr"] == [trial["params"]["optimizer.lr"] for trial in trials]


def test_a_source_and_its_own_predictions_do_not_differ(studied, val, optdet, tmp_path):
    folder, _ = studied
    file = tmp_path / "val.csv"
    assert optdet("predict", "tiny", "--images", val["images"], "--out", file, cwd=folder).code == 0
    for sides in (("tiny", file), (file, "tiny")):
        shown = compared(optdet("compare", *sides, "--json", cwd=folder))
        assert shown["helped"] == shown["harmed"] == []
        assert shown["competition"]["global"]["hmean"]["interval"] == [0, 0]


def test_two_configurations_of_one_source(studied, optdet, tmp_path):
    folder, _ = studied
    changes = ("-a", "thresh=0.2", "-a", "box_thresh=0.1", "--b", "thresh=0.95")
    shown = compared(optdet("compare", "tiny", "tiny", *changes, "--json", cwd=folder))
    assert shown["thresholds"]["thresh"] == [0.2, 0.95]
    assert shown["settings"] == {}
    assert shown["a"]["thresholds"]["box_thresh"] == 0.1
    again = compared(
        optdet("compare", "tiny", "tiny", *changes, "--json", "--out", tmp_path / "o", cwd=folder)
    )
    assert again == shown


def test_a_checkpoint_and_given_images(studied, val, optdet):
    folder, _ = studied
    checkpoint = json.loads(optdet("study", "best", "--json", cwd=folder).out)["checkpoint"]
    place = ("--images", val["images"], "--labels", val["labels"])
    shown = compared(optdet("compare", "tiny", checkpoint, *place, "--json", cwd=folder))
    assert shown["thresholds"] == {}
    assert shown["helped"] == shown["harmed"] == []


def test_out_is_a_table_and_pictures(files, optdet):
    (files / "images").mkdir()
    for name in "abc":
        Image.new("RGB", (90, 70), "white").save(files / "images" / f"{name}.jpg")
    arguments = ("a.csv", "b.json", "--labels", "labels.json", "--out", "changed")
    ran = optdet("compare", *arguments, "--images", "images")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (files / "changed").iterdir()) == [
        *("harmed-01-c.jpg", "helped-01-b.jpg", "images.csv")
    ]
    with (files / "changed" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["c.jpg", "a.jpg", "b.jpg"]
    assert float(rows[2]["difference"]) == float(rows[2]["hmean_b"]) - float(rows[2]["hmean_a"]) > 0
    picture = np.asarray(Image.open(files / "changed" / "helped-01-b.jpg"))
    assert picture.shape[1] > 2 * 90
    left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]
    assert not np.array_equal(left[:, : right.shape[1]], right[:, : left.shape[1]])


def test_out_without_images_is_the_table_alone(files, optdet):
    ran = optdet("compare", "a.csv", "b.json", "--labels", "labels.json", "--out", "changed")
    assert "no pictures: give --images DIR" in ran.err
    assert [path.name for path in (files / "changed").iterdir()] == ["images.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.csv", "b.json"), "a.csv: its labels are not known; give --labels FILE"),
        (("a.csv", "b.json", "--images", "."), "--images without --labels"),
        (("a.csv", "none.csv", "--labels", "labels.json"), "the prediction file does not exist"),
        (
            ("a.csv", "b.json", "--labels", "labels.json", "-b", "thresh=0.3"),
            "b.json: a prediction file has no thresholds to replace (thresh=0.3)",
        ),
        (("a.csv", "other.csv", "--labels", "labels.json"), "none of its 1 images is labelled"),
        (
            ("first.csv", "last.csv", "--labels", "labels.json"),
            "no labelled image is in both first.csv and last.csv",
        ),
    ],
)
def test_errors_of_prediction_files(files, optdet, arguments, message):
    for name, image in (("other", "x"), ("first", "a"), ("last", "c")):
        write_predictions(files / f"{name}.csv", {f"{image}.jpg": BOTH})
    assert message in optdet("compare", *arguments).error


def test_errors_of_sources(studied, val, optdet):
    folder, _ = studied
    ran = optdet("compare", "tiny", "tiny", "-b", "box_tresh=0.3", cwd=folder)
    assert "no threshold is named 'box_tresh'" in ran.error
    ran = optdet("compare", "tiny", "tiny", "-a", "thresh=3", cwd=folder)
    assert "thresh=3" in ran.error
    ran = optdet("compare", "tiny", "tiny", "--labels", val["labels"], cwd=folder)
    assert "tiny: the images of these labels are not known; give --images DIR too" in ran.error
    assert "no study named 'tony'" in optdet("compare", "tony", "tiny", cwd=folder).error
    best = json.loads(optdet("study", "best", "--json", cwd=folder).out)
    ran = optdet("compare", best["checkpoint"], best["checkpoint"], cwd=folder)
    assert "its labels are not known; give --images DIR and --labels FILE" in ran.error


@pytest.mark.parametrize(
    ("drop", "change", "message"),
    [
        (1, False, "A and B were validated on different images (4 and 3, 3 the same)"),
        (0, True, "A and B were validated on different images (4 and 4, 3 the same)"),
    ],
)
def test_studies_of_different_images(studied, val, optdet, tmp_path, drop, change, message):
    """The same study, but for its validation images, in a copy of the folder."""
    folder = tmp_path / "copy"
    shutil.copytree(studied[0], folder)
    images = tmp_path / "images"
    shutil.copytree(studied[0] / val["images"], images)
    labels = json.loads((studied[0] / val["labels"]).read_text())
    names = sorted(labels["images"])
    for name in names[:drop]:
        del labels["images"][name]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    if change:
        Image.new("RGB", (50, 50)).save(images / names[0])
    source = f"{{images: {images}, labels: {tmp_path / 'labels.json'}}}"
    config = (folder / "configs/tiny.yaml").read_text().splitlines()
    config[1] = f"  train: [{source}]\n  val: {source}"
    (folder / "configs/other.yaml").write_text("\n".join(config))
    quick = ("train.epochs=1", "postprocess.tune.method=none")
    assert optdet("train", "configs/other.yaml", *quick, cwd=folder).code == 0
    assert message in optdet("compare", "tiny", "other", cwd=folder).error


def test_studies_without_a_common_image(studied, optdet, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(studied[0], folder)
    quick = ("train.epochs=1", "postprocess.tune.method=none", "data.synthetic.seed=9")
    ran = optdet("train", "configs/tiny.yaml", "--name", "other", *quick, cwd=folder)
    assert ran.code == 0, ran.err
    ran = optdet("compare", "tiny", "other", cwd=folder)
    assert "A and B have no image in common (4 and 4 validation images)" in ran.error


def test_of_a_single_image_no_interval_is_shown(tmp_path, optdet):
    words = {f"{n}.jpg": [Word(polygon) for polygon in BOTH[: 1 + n % 2]] for n in range(3)}
    write_ufo(tmp_path / "labels.json", words)
    for name, kept in (("a.csv", 2), ("b.csv", 1)):
        write_predictions(tmp_path / name, dict.fromkeys(words, BOTH[:kept]))
    out = optdet("compare", "a.csv", "b.csv", "--labels", "labels.json", cwd=tmp_path).out
    rows = [
        line.split() for line in out.splitlines() if line.split()[1:3] in (["1-1", "(2)"], ["2-2", "(1)"])
    ]
    assert {row[2]: row[-3:] == ["--", "--", "--"] for row in rows} == {"(1)": True, "(2)": False}
