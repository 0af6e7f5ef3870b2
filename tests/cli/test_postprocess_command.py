"""``optdet postprocess tune``: studies, folders of maps, candidates, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from optdet.config_io import load_config
from optdet.detection.targets import build_targets
from optdet.errors import OptdetError
from optdet.shipped import shipped_folder

SIZE = 128
NAMES = ("b", "a", "e", "g", "r")  # one of each cross-fit part
LABELLED = ("--images", "images", "--labels", "labels.json")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Five pages with two words each; maps are blurred targets of them and of a smear. To be read."""
    folder = tmp_path_factory.mktemp("pages")
    labels, generous = {}, {}
    for place in ("images", "maps", "empty"):
        (folder / place).mkdir()
    for index, name in enumerate(NAMES):
        quads = [
            np.array([[16.0, y], [80 + 6 * index, y], [80 + 6 * index, y + 20], [16, y + 20]])
            for y in (12, 48, 88)
        ]
        word, other, smear = (build_targets([quad], [False], SIZE).shrink_map for quad in quads)
        prob_map = cv2.GaussianBlur(word * 0.9 + other * 0.5 + smear * 0.3, (0, 0), 1.5)
        np.save(folder / f"maps/{name}.npy", prob_map.astype(np.float16))
        np.save(folder / f"empty/{name}.npy", np.zeros_like(prob_map, dtype=np.float16))
        Image.new("RGB", (SIZE, SIZE), "white").save(folder / f"images/{name}.png")
        words = {str(i): {"points": quad.tolist()} for i, quad in enumerate(quads[:2])}
        labels[f"{name}.png"] = {"words": words}
        wide = {key: {"points": grown(word["points"], 8)} for key, word in words.items()}
        if index % 2:
            wide["missed"] = {"points": [[4, 116], [124, 116], [124, 126], [4, 126]]}
        generous[f"{name}.png"] = {"words": wide}
    (folder / "generous.json").write_text(json.dumps({"images": generous}))
    (folder / "labels.json").write_text(json.dumps({"images": labels}))
    (folder / "others.json").write_text(json.dumps({"images": {"zz.png": labels["a.png"]}}))
    return folder


def grown(points, by):
    (x1, y1), _, (x2, y2), _ = points
    return [[x1 - by, y1 - by], [x2 + by, y1 - by], [x2 + by, y2 + by], [x1 - by, y2 + by]]


def scores_of(shown, metric="competition"):
    return shown[metric]["macro"]["hmean"]


def test_a_folder_of_maps(pages, run_in):
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--json")
    assert ran.code == 0, ran.err
    shown = json.loads(ran.out)
    for name in ("default", "current", "best", "robust"):
        entry = shown[name]
        assert set(entry["thresholds"]) >= {
            "thresh",
            "box_thresh",
            "unclip_ratio",
            "max_candidates",
            "use_polygon",
        }
        assert set(entry) >= {"competition", "official", "iou", "interval"}
        low, high = entry["interval"]
        assert low <= scores_of(entry) <= high
    assert scores_of(shown["best"]) >= scores_of(shown["robust"])
    assert scores_of(shown["best"]) > scores_of(shown["default"])
    assert shown["images"] == 5
    assert shown["configurations"] > 100_000
    assert not list(pages.glob("studies/*.db")), "a folder of maps leaves no study unless it is asked to"


@pytest.mark.parametrize("method", ["exhaustive", "tpe"])
@pytest.mark.thin(1)
def test_off_a_terminal_each_stage_is_a_line(pages, method):
    """In a process of its own: Optuna speaks where nobody has told it not to."""
    command = ["postprocess", "tune", "maps", *LABELLED, "--set", f"method={method}"]
    if method == "tpe":
        command += ["--set", "trials=4"]
    done = subprocess.run(
        [sys.executable, "-m", "optdet", *command], cwd=pages, capture_output=True, text=True, check=True
    )
    said = done.stderr.splitlines()
    assert "reading maps: 5 of 5" in said
    total = {"exhaustive": 5, "tpe": 32 + 4}[method]  # images; what is always tried, and what is drawn
    assert said[-1] == f"tuning: {total} of {total}"
    assert all(line.startswith(("reading maps: ", "tuning: ")) for line in said)


def test_the_best_is_what_predict_and_evaluate_give(pages, run_in):
    optdet = run_in(pages)
    best = json.loads(optdet("postprocess", "tune", "maps", *LABELLED, "--json").out)["best"]
    changes = [
        part for name, value in best["thresholds"].items() for part in ("-t", f"{name}={json.dumps(value)}")
    ]
    ran = optdet("predict", "maps", "--images", "images", "--out", "best.csv", *changes)
    assert ran.code == 0, ran.err
    evaluated = json.loads(optdet("evaluate", "best.csv", "--labels", "labels.json", "--json").out)
    for metric in ("competition", "official", "iou"):
        assert evaluated[metric] == best[metric]


def test_the_table_fits_a_terminal(pages, run_in):
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80, ran.out
    assert [line.split()[0] for line in lines[2:6]] == ["default", "current", "best", "robust*"]
    assert "robust: " in ran.out
    assert "cross-fitted" in ran.out


def test_candidates_submissions_landscapes_config_and_study(pages, run_in, tmp_path):
    (tmp_path / "named.yaml").write_text(
        "postprocess: {max_candidates: 600}\n"
        "candidates:\n"
        "  - {label: low one, thresh: 0.1, box_thresh: 0.2}\n"
        "  - {phase: 2, thresh: 0.3, box_thresh: 0.4}\n"
    )
    out = tmp_path / "out"
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *LABELLED, "--candidates", tmp_path / "named.yaml"),
        *("--test-images", "images", "--out", out, "--write", tmp_path / "tuned.yaml", "--study"),
        *("--root", tmp_path / "root", "--storage", tmp_path / "some.db", "--json"),
    )
    assert ran.code == 0, ran.err
    shown = json.loads(ran.out)
    assert list(shown["candidates"]) == ["low one", "0.3/0.4"]
    assert shown["candidates"]["low one"]["thresholds"]["max_candidates"] == 600
    assert {path.name for path in out.iterdir()} == {
        "landscape-quads.npz",
        "landscape-quads.png",
        "landscape-quads.html",
        "low-one.csv",
        "0.3-0.4.csv",
    }
    with (out / "low-one.csv").open() as file:
        assert [row["filename"] for row in csv.DictReader(file)] == [f"{name}.png" for name in sorted(NAMES)]
    with np.load(out / "landscape-quads.npz") as landscape:
        k, u, m, b = np.unravel_index(landscape["hmean"].argmax(), landscape["hmean"].shape)
        best = shown["best"]
        assert landscape["hmean"][k, u, m, b] <= scores_of(best) + 1e-6
        assert landscape["thresh"].shape + landscape["unclip_ratio"].shape == landscape["hmean"].shape[:2]
    robust = shown["robust"]["thresholds"]
    written = load_config(tmp_path / "tuned.yaml").postprocess.thresholds()
    assert written.as_dict() == robust
    predicted = run_in(pages)(
        *("predict", "maps", "--images", "images", "--out", tmp_path / "again.csv"),
        *("--config", tmp_path / "tuned.yaml"),
    )
    assert f"maps at thresh {robust['thresh']}" in predicted.err
    evaluated = json.loads(
        run_in(pages)("evaluate", tmp_path / "again.csv", "--labels", "labels.json", "--json").out
    )
    assert evaluated["competition"] == shown["robust"]["competition"]
    (line,) = (line for line in ran.err.splitlines() if line.startswith("study "))
    listed = run_in(pages)("study", "list", "--all", "--storage", tmp_path / "some.db", "--json")
    assert [row["study"] for row in json.loads(listed.out)] == [line.split()[1].rstrip(":")]


def test_a_phase(pages, run_in):
    nine = shipped_folder("studies") / "postproc_nine.yaml"
    counts = []
    for phase in (1, 2, 3):
        ran = run_in(pages)(
            "postprocess", "tune", "maps", *LABELLED, "--candidates", nine, "--phase", phase, "--json"
        )
        named = json.loads(ran.out)["candidates"]
        counts.append(list(named))
        assert all(entry["thresholds"]["max_candidates"] == 600 for entry in named.values())
    assert counts == [
        ["conservative", "medium", "aggressive"],
        ["0.24/0.28", "0.24/0.3", "0.26/0.28"],
        ["balanced", "safe", "high precision"],
    ]


def test_a_constraint(pages, run_in, tmp_path):
    free = json.loads(run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--json").out)
    boxes = free["best"]["boxes"]
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *LABELLED, "--constraint", f"boxes<={boxes - 1}", "--json"),
        *("--out", tmp_path / "out"),
    )
    bound = json.loads(ran.out)
    assert bound["best"]["boxes"] < boxes
    assert scores_of(bound["best"]) < scores_of(free["best"])
    assert bound["best"]["hmean_crossfit"] < free["best"]["hmean_crossfit"]
    page = (tmp_path / "out/landscape-quads.html").read_text()
    assert f"excluded, boxes &gt; {boxes - 1}" in page


def test_what_is_in_use_stays_where_the_rule_is_worse(pages, run_in, tmp_path):
    """The lattice is so coarse that nothing on it is as good as the defaults."""
    coarse = ("--thresh", "0.05:0.95:0.9", "--box-thresh", "0.6:0.95:0.35", "--unclip-ratio", "1:3:2")
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *LABELLED, *coarse, "--write", tmp_path / "kept.yaml")
    )
    assert ran.code == 0, ran.err
    assert "robust scores lower than what is in use: nothing to change" in ran.out
    assert ran.out.splitlines()[-1] == "* recommended: current"
    assert "current*" in ran.out
    assert load_config(tmp_path / "kept.yaml").postprocess.thresh == 0.3
    outside = run_in(pages)("postprocess", "tune", "maps", *LABELLED, *coarse, "--thresh", "0.86:0.95:0.09")
    assert "scores higher than robust, but lies outside of what was asked for" in outside.out
    assert outside.out.splitlines()[-1] == "* recommended: robust"


def test_a_search_stays_in_its_ranges_and_says_where_they_end(pages, run_in):
    searched = ("-s", "method=random", "-s", "trials=5", "--thresh", "0.75:0.9:0.05")
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, *searched, "--json")
    shown = json.loads(ran.out)
    for name in ("best", "robust"):
        assert shown[name]["thresholds"]["thresh"] >= 0.75  # not the 0.3 in use
        ends = shown[name]["thresholds"]["thresh"] not in (0.8, 0.85)
        assert ("thresh" in shown[name]["at_bounds"]) >= ends


def test_one_value_in_place_of_a_range(pages, run_in):
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--thresh", "0.35", "--json")
    shown = json.loads(ran.out)
    assert shown["best"]["thresholds"]["thresh"] == shown["robust"]["thresholds"]["thresh"] == 0.35
    assert "thresh" not in shown["best"]["at_bounds"]


def test_options_of_another_kind_of_source_are_said(pages, run_in):
    given = ("--mean", "0.5", "--channels", "bgr", "--pad", "topleft")
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, *given)
    assert "note: maps is a folder of maps: --mean, --channels are not used" in ran.err


GENEROUS = ("--images", "images", "--labels", "generous.json")
"""Boxes far around the words: CLEval finds the characters in any case, IoU wants the polygons as large."""


def both_metrics(pages, run_in, *arguments):
    tuned = []
    for metric in ("competition", "iou"):
        ran = run_in(pages)(
            *("postprocess", "tune", "maps", *GENEROUS), *arguments, "--metric", metric, "--json"
        )
        assert ran.code == 0, ran.err
        tuned.append(json.loads(ran.out))
    return tuned


def test_a_metric(pages, run_in):
    usual, chosen = both_metrics(pages, run_in)
    assert (usual["metric"], chosen["metric"]) == ("competition", "iou")
    best = chosen["best"]
    assert scores_of(best, "iou") > scores_of(usual["best"], "iou")
    assert scores_of(best) <= scores_of(usual["best"])
    assert scores_of(best, "iou") != scores_of(best)
    low, high = best["interval"]
    assert low < scores_of(best, "iou") < high
    assert best["interval"] != usual["best"]["interval"]
    assert best["hmean_crossfit"] <= scores_of(best, "iou")
    assert best["hmean_crossfit"] != usual["best"]["hmean_crossfit"]


@pytest.mark.slow
def test_what_is_written_names_the_metric(pages, run_in, tmp_path):
    out = tmp_path / "out"
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *GENEROUS, "--metric", "iou", "--constraint", "precision>=1"),
        *("--out", out, "--write", tmp_path / "tuned.yaml", "--study", "--storage", tmp_path / "some.db"),
    )
    assert ran.code == 0, ran.err
    assert "P, R, H: IoU@0.5, macro; competition and official: their macro H-means" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80, ran.out
    assert (tmp_path / "tuned.yaml").read_text().startswith("# thresholds tuned to IoU@0.5 H-mean 0.")
    assert "maps: IoU@0.5, quads, 5 images" in (out / "landscape-quads.html").read_text()
    assert "-iou: optdet dashboard" in ran.err
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines()[2:6]}
    assert rows["best"][1] == rows["robust*"][1] == "1.0000"
    with np.load(out / "landscape-quads.npz") as landscape:
        assert str(landscape["metric"]) == "iou"
        assert landscape["hmean"][landscape["precision"] == 1].max() == pytest.approx(
            float(rows["best"][3]), abs=1e-4
        )


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_metric_of_a_search(pages, run_in, method):
    usual, chosen = both_metrics(pages, run_in, "-s", f"method={method}", "-s", "trials=3")
    assert scores_of(chosen["best"], "iou") > scores_of(usual["best"], "iou")
    assert scores_of(chosen["robust"], "iou") > scores_of(usual["robust"], "iou")
    assert chosen["robust"]["hmean_crossfit"] != usual["robust"]["hmean_crossfit"]


def test_a_study(studied, run_in, tmp_path):
    folder, _ = studied
    optdet = run_in(folder)
    best = json.loads(optdet("study", "best", "tiny", "--json").out)
    (tmp_path / "named.yaml").write_text("candidates: [{label: fewer, max_candidates: 7}]")
    ran = optdet(
        "postprocess", "tune", "tiny", "--no-study", "--candidates", tmp_path / "named.yaml", "--json"
    )
    assert ran.code == 0, ran.err
    shown = json.loads(ran.out)
    assert shown["current"]["thresholds"] == best["thresholds"]
    assert scores_of(shown["current"]) == best["value"]
    assert shown["candidates"]["fewer"]["thresholds"] == {**best["thresholds"], "max_candidates": 7}
    assert shown["source"] == f"tiny:{best['number']}"
    assert shown["robust"]["thresholds"] == best["thresholds"]
    assert scores_of(shown["robust"]) == best["value"]
    searched = json.loads(
        optdet(
            "postprocess", "tune", "tiny", "--no-study", "-s", "method=tpe", "-s", "trials=5", "--json"
        ).out
    )
    assert scores_of(searched["best"]) <= scores_of(shown["best"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("maps",), "this source has no labelled images of its own"),
        (("maps", "--images", "images"), "--images and --labels go together"),
        (("maps", "--images", "images", "--labels", "others.json"), "zz.png"),
        (("empty", *LABELLED), "all 5 maps are empty"),
        (
            ("maps", *LABELLED, "--thresh", "0.3:0.3"),
            "--thresh: a range of '0.3:0.3' has no width; for one value write 0.3",
        ),
        (("maps", *LABELLED, "--thresh", "0.3:0.3:0.1:1"), "'0.3:0.3:0.1:1' is not a range"),
        (("maps", *LABELLED, "--thresh", "0.3:1.3"), "space.thresh: 1.3 is not a number in 0..1"),
        (("maps", *LABELLED, "--box-thresh", "low"), "'low' is not a range"),
        (("maps", *LABELLED, "--unclip-ratio", "0:2"), "space.unclip_ratio: 0.0 is not a number above 0"),
        (("maps", *LABELLED, "--thresh", "0.1:0.9:0"), "space.thresh.step: Input should be greater than 0"),
        (("maps", *LABELLED, "--thresh", "0.1:0.9:0.001"), "801 values of thresh"),
        (("maps", *LABELLED, "--thresh", "0.2:0.4:1e-9"), "200,000,001 values of thresh, at most 255"),
        (("maps", *LABELLED, "--box-thresh", "0.2:0.4:1e-6"), "200,001 values of box_thresh"),
        (("maps", *LABELLED, "--unclip-ratio", "1:1000"), "9,991 values of unclip_ratio, at most 100"),
        (
            ("maps", *LABELLED, "-s", "space.max_candidates={type: categorical, choices: [abc]}"),
            "space.max_candidates: 'abc' is not a whole number above 0",
        ),
        (("maps", *LABELLED, "-s", "trials=9"), "an exhaustive search has no number of trials"),
        (("maps", *LABELLED, "--constraint", "boxes>=999"), "no thresholds keep boxes>=999"),
        (("maps", *LABELLED, "--constraint", "recall>=1.1"), "recall is a number of 0 to 1, not 1.1"),
        (("maps", *LABELLED, "--constraint", "recall>=95"), "0.95 is what a percentage of 95 would be"),
        (("maps", *LABELLED, "--constraint", "recall"), "'recall' is not a constraint"),
        (
            ("maps", *LABELLED, "--constraint", "recall>=0.9", "--constraint", "boxes<=9"),
            "2 constraints: recall>=0.9, boxes<=9",
        ),
        (
            ("maps", *LABELLED, "-s", "space.thresh.choices=[0.3]"),
            "space.thresh is of another kind here: give it whole, as space.thresh={type: ...",
        ),
        (("maps", *LABELLED, "--select", "median"), "select"),
        (
            ("maps", *LABELLED, "--metric", "f1"),
            "--metric: 'f1' is no metric; they are",
        ),
        (("maps", *LABELLED, "--test-images", "images"), "--test-images needs a folder to write to"),
        (("maps", *LABELLED, "--phase", "1"), "--phase is for --candidates"),
        (("maps", *LABELLED, "--candidates", "absent.yaml"), "absent.yaml"),
        (("maps", *LABELLED, "--write", "labels.json"), "the file exists"),
        (("maps", *LABELLED, "-s", "method=none"), "method none searches nothing"),
        (("absent.onnx", *LABELLED), "no such ONNX file"),
    ],
)
def test_what_is_refused(pages, run_in, arguments, message):
    ran = run_in(pages)("postprocess", "tune", *arguments)
    assert message in ran.error
    assert ran.out == ""


@pytest.fixture
def no_sweep(monkeypatch):
    """What is refused for its places is refused before any map is read."""
    monkeypatch.setattr("optdet.tuning.source.scorers_of", lambda *_, **__: pytest.fail("maps were read"))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("--out", "labels.json"), "labels.json: a file, where a folder is wanted; give another --out"),
        (("--out", "labels.json/below"), "labels.json: a file, where a folder is wanted"),
        (("--write", "labels.json/tuned.yaml"), "labels.json: a file, where a folder is wanted"),
        (("--write", "images", "--force"), "images: the file exists"),
        (("--out", "new", "--test-images", "more"), "1 of 6 images have no map, as more/zz.png"),
        (("--out", "new", "--test-images", "maps"), "maps: no images there"),
    ],
)
def test_places_are_refused_before_the_sweep(pages, run_in, tmp_path, no_sweep, places, message):
    folder = tmp_path / "project"
    shutil.copytree(pages, folder)
    shutil.copytree(pages / "images", folder / "more")
    shutil.copyfile(pages / "images/a.png", folder / "more/zz.png")
    ran = run_in(folder)("postprocess", "tune", "maps", *LABELLED, *places)
    assert message in ran.error
    assert ran.out == ""
    assert not (folder / "new").exists()


@pytest.mark.parametrize("second", ["a-b", "A b"])
def test_candidates_of_one_file_name_are_refused(pages, run_in, tmp_path, no_sweep, second):
    path = tmp_path / "named.yaml"
    path.write_text(f"candidates: [{{thresh: 0.2, label: a b}}, {{thresh: 0.3, label: {second}}}]")
    written = ("--test-images", "images", "--out", tmp_path / "out")
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--candidates", path, *written)
    assert f"the candidates 'a b' and '{second}' would both be written to" in ran.error


def test_what_was_written_before_a_failure_is_said(pages, run_in, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OptdetError("the disk is full", where="out")

    monkeypatch.setattr("optdet.tuning.submission_predict.write_submissions", broken)
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *LABELLED, "-s", "space.thresh={type: categorical, choices: [0.3]}"),
        *("--out", tmp_path / "out", "--write", tmp_path / "tuned.yaml", "--test-images", "images"),
    )
    assert ran.code != 0
    said = ran.err.splitlines()
    assert "the disk is full" in said[-1]
    for name in ("out/landscape-quads.npz", "out/landscape-quads.html", "tuned.yaml"):
        assert any(line.startswith(f"wrote {tmp_path / name}") for line in said)


def test_a_label_given_twice_and_a_threshold_outside(pages, run_in, tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("candidates: [{thresh: 0.2, label: x}, {thresh: 0.3, label: x}]")
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--candidates", path)
    assert "the label 'x' is given twice" in ran.error
    path.write_text("candidates: [{thresh: 1.2}]")
    ran = run_in(pages)("postprocess", "tune", "maps", *LABELLED, "--candidates", path)
    assert "thresh" in ran.error


def test_a_search_writes_what_it_tried(pages, run_in, tmp_path):
    ran = run_in(pages)(
        *("postprocess", "tune", "maps", *LABELLED, "-s", "method=tpe", "-s", "trials=3"),
        *("--out", tmp_path, "--json"),
    )
    assert ran.code == 0, ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"tried.csv", "tried.png"}
    assert f"wrote {tmp_path / 'tried.csv'}" in ran.err
    with (tmp_path / "tried.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = json.loads(ran.out)
    assert len(rows) == shown["configurations"]
    assert max(float(row["hmean"]) for row in rows) == scores_of(shown["best"])
