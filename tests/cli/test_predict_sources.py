"""``optdet predict`` of what optdet did not train: an ONNX file, a folder of maps."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from optdet.data.labels import write_ufo
from optdet.data.predictions import read_predictions
from optdet.structures import Word


@pytest.fixture
def project(tmp_path):
    """A page with a white word on black, and a model that takes the first channel for the map."""
    (tmp_path / "images").mkdir()
    page = np.zeros((100, 200, 3), np.uint8)
    page[40:60, 50:150, 2] = 255  # blue, the first channel of bgr
    Image.fromarray(page).save(tmp_path / "images/page.png")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "blue.onnx")
    return tmp_path


def test_an_onnx_file(project, optdet):
    command = ("predict", "blue.onnx", "--images", "images", "--out", "out.csv")
    plain = ("--mean", "0", "--std", "1,1,1", "--size", "128")
    ran = optdet(*command, *plain, "--channels", "bgr")
    assert ran.code == 0, ran.err
    assert "blue.onnx at thresh 0.3" in ran.err
    (polygons,) = read_predictions(project / "out.csv").values()
    (polygon,) = polygons
    assert np.abs(np.mean(polygon, axis=0) - [100, 50]).max() < 2
    optdet(*command, *plain)
    assert [len(polygons) for polygons in read_predictions(project / "out.csv").values()] == [0]
    lines = optdet("cache", "list", "--root", "studies").out.splitlines()
    assert [line.split()[1:5] for line in lines[1:-1]] == [["maps", "blue.onnx", "128", "1"]] * 2


def test_a_folder_of_maps(project, optdet):
    (project / "maps").mkdir()
    np.save(project / "maps/page.npy", np.array(Image.open(project / "images/page.png"))[..., 2])
    ran = optdet("predict", "maps", "--images", "images", "--out", "out.csv")
    assert ran.code == 0, ran.err
    (polygons,) = read_predictions(project / "out.csv").values()
    assert np.abs(np.mean(polygons[0], axis=0) - [100, 50]).max() < 2


def test_images_in_sub_folders_are_named_from_the_folder(project, optdet):
    nested = project / "images" / "batch"
    nested.mkdir()
    (project / "images/page.png").rename(nested / "page.png")
    ran = optdet("predict", "blue.onnx", "--images", "images", "--out", "out.csv")
    assert ran.code == 0, ran.err
    assert list(read_predictions(project / "out.csv")) == ["batch/page.png"]


def test_maps_of_nested_images(project, optdet):
    """Two images of one name in two folders: each has its own map, or the command cannot tell and says so."""
    page = np.array(Image.open(project / "images/page.png"))[..., 2]
    for name, values in (("a", page), ("b", np.zeros_like(page))):
        (project / "maps" / name).mkdir(parents=True)
        (project / "images" / name).mkdir()
        Image.fromarray(page).save(project / f"images/{name}/1.png")
        np.save(project / f"maps/{name}/1.npy", values)
    (project / "images/page.png").unlink()
    ran = optdet("predict", "maps", "--images", "images", "--out", "out.csv")
    assert ran.code == 0, ran.err
    found = read_predictions(project / "out.csv")
    assert {name: len(polygons) for name, polygons in found.items()} == {"a/1.png": 1, "b/1.png": 0}
    write_ufo(project / "labels.json", {name: [Word(found["a/1.png"][0])] for name in found})
    given = ("--images", "images", "--labels", "labels.json")
    ran = optdet("postprocess", "tune", "maps", *given, "--thresh", "0.2:0.4", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["best"]["competition"]["macro"]["recall"] == 0.5
    for name in ("a", "b"):
        (project / f"maps/{name}/1.npy").rename(project / "maps/1.npy")
    for command in (
        ("predict", "maps", *given[:2], "--out", "two.csv"),
        ("postprocess", "tune", "maps", *given),
    ):
        ran = optdet(*command)
        assert ran.code == 1
        assert "maps: 1.npy could be the map of a/1.png and of b/1.png" in ran.error
    assert not (project / "two.csv").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--mean", "half", "error: --mean: 'half' is no number; write 0.5, or 0.485,0.456,0.406"),
        ("--size", "100", "error: --size: 100 is not a multiple of 32; as 96"),
        ("--placement", "fit", "--placement: unknown value 'fit'; use auto, letterbox or stretch"),
    ],
)
def test_options_that_cannot_be(project, optdet, option, value, message):
    ran = optdet("predict", "blue.onnx", "--images", "images", "--out", "out.csv", option, value)
    assert message in ran.error
