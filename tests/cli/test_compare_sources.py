"""``optdet compare`` of what optdet did not train: ONNX files and folders of maps."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from optdet.data.labels import write_ufo
from optdet.structures import Word

GIVEN = ("--images", "images", "--labels", "labels.json")
PLAIN = ("--mean", "0", "--std", "1", "--size", "128")


@pytest.fixture
def project(tmp_path):
    """Pages with a faint and a strong word in blue, maps of both, and a model that sees the first channel."""
    quads = [np.array([[50, y], [150, y], [150, y + 20], [50, y + 20]], dtype=np.float64) for y in (10, 60)]
    for folder in ("images", "maps", "shifted"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        page = np.zeros((100, 200, 3), np.uint8)
        page[10:30, 50:150, 2], page[60:80, 50:150, 2] = 100, 255
        Image.fromarray(page).save(tmp_path / f"images/{name}.png")
        np.save(tmp_path / f"maps/{name}.npy", page[..., 2])
        np.save(tmp_path / f"shifted/{name}.npy", np.roll(page[..., 2], 30, axis=1))
    write_ufo(tmp_path / "labels.json", {f"{name}.png": [Word(quad) for quad in quads] for name in "ab"})
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "blue.onnx")
    return tmp_path


def compared(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_two_configurations_of_a_folder_of_maps(project, optdet):
    shown = compared(optdet("compare", "maps", "maps", "-b", "box_thresh=0.3", *GIVEN, "--json"))
    assert (shown["a"]["source"], shown["settings"]) == ("maps", None)
    assert shown["thresholds"] == {"box_thresh": [0.6, 0.3]}
    recall = shown["competition"]["macro"]["recall"]
    assert (recall["a"], recall["b"], recall["standard_error"]) == (0.5, 1, 0)
    assert [image["image"] for image in shown["helped"]] == ["a.png", "b.png"]


def test_maps_are_detected_by_the_compiled_loops(project, optdet, monkeypatch):
    """The plain pipeline gives the same, at five times the cost."""

    def plain(*_):
        raise AssertionError("an image was detected by the plain pipeline")

    monkeypatch.setattr("optdet.detection.postprocess.MapDetector.detect", plain)
    compared(optdet("compare", "maps", "maps", "-b", "box_thresh=0.3", *GIVEN, "--json"))


def test_two_folders_of_maps(project, optdet):
    shown = compared(optdet("compare", "maps", "shifted", *GIVEN, "--json"))
    assert len(shown["harmed"]) == 2


def test_an_onnx_file_and_maps(project, optdet):
    shown = compared(optdet("compare", "blue.onnx", "maps", *GIVEN, *PLAIN, "--channels", "bgr", "--json"))
    recall = shown["competition"]["macro"]["recall"]
    assert (shown["a"]["source"], recall["a"], recall["b"]) == ("blue.onnx", 0.5, 0.5)
    again = optdet("compare", "maps", "blue.onnx", *GIVEN, *PLAIN)  # red comes first: nothing is there
    assert "blue.onnx: all 2 maps are empty" in again.error


def test_maps_need_neither_torch_nor_optuna(project):
    code = (
        "import sys\nfrom optdet.cli.app import app\n"
        f"sys.argv = ['optdet', 'compare', 'maps', 'shifted', *{GIVEN!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'optuna', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_errors(project, optdet):
    ran = optdet("compare", "maps", "shifted")
    assert "maps: its labels are not known; give --images DIR and --labels FILE" in ran.error
    for name in "ab":
        np.save(project / f"shifted/{name}.npy", np.zeros((64, 128), np.float32))
    ran = optdet("compare", "maps", "shifted", *GIVEN)
    assert "shifted: all 2 maps are empty" in ran.error
    ran = optdet("compare", "maps", "missing.onnx", *GIVEN)
    assert "no such ONNX file" in ran.error
