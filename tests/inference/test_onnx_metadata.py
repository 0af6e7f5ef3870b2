"""What an ONNX file says of itself is read from its bytes, as the package onnx wrote them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optdet.errors import OptdetError
from optdet.inference.onnx_metadata import exported_reading, read_properties
from optdet.inference.onnx_options import OnnxOptions

PROPERTIES: dict[str, str] = {
    "optdet": "0.1.0",
    "optdet_format": "1",
    "preprocessing": json.dumps({"size": 96, "pad": "topleft", "interpolation": "bilinear"}),
    "thresholds": json.dumps(
        {
            "thresh": 0.24,
            "box_thresh": 0.3,
            "unclip_ratio": 1.8,
            "max_candidates": 700,
            "use_polygon": True,
            "min_side": 2.0,
        }
    ),
}
Save = Callable[[dict[str, str]], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """A model with weights, doc string and properties."""

    def saved(properties: dict[str, str]) -> Path:
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in "xy"]
        weights = numpy_helper.from_array(np.full((3, 1, 1), 0.5, np.float32), "w")
        nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], doc_string="any")
        model.model_version = -1  # ten bytes
        helper.set_model_props(model, properties)
        onnx.save(model, tmp_path / "detector.onnx")
        return tmp_path / "detector.onnx"

    return saved


def changed(name: str, **values: Any) -> dict[str, str]:
    return PROPERTIES | {name: json.dumps(json.loads(PROPERTIES[name]) | values)}


@pytest.mark.parametrize("properties", [{}, {"source": "영수증:3", "empty": "", "long": "x" * 70_000}])
def test_properties_are_those_that_were_written(save: Save, properties: dict[str, str]) -> None:
    assert read_properties(save(properties)) == properties


def test_how_an_export_is_read(save: Save) -> None:
    reading = exported_reading(save(PROPERTIES))
    assert reading is not None
    expected = OnnxOptions((0.0,), (1.0,), 96, "rgb", "topleft", "none", "bilinear", raw_pixels=True)
    assert reading.options == expected
    assert reading.options.preprocessing.interpolation == "bilinear"
    assert reading.thresholds.as_dict() == json.loads(PROPERTIES["thresholds"])


def test_another_programs_model_is_read_as_the_options_say(save: Save) -> None:
    assert exported_reading(save({"preprocessing": "mine", "thresholds": "{}"})) is None


@pytest.mark.parametrize("content", [b"", b"no model", b"\x89PNG\r\n\x1a\n" + bytes(99), b"\xff" * 99])
def test_a_file_of_anything_else_has_no_properties(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(content)
    assert read_properties(path) == {}


def test_a_model_that_is_cut_off_has_none(save: Save) -> None:
    path = save(PROPERTIES)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_properties(path) == {}


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (PROPERTIES | {"optdet_format": "2"}, "format 2; this optdet reads format 1; upgrade optdet"),
        (PROPERTIES | {"thresholds": "[0.3]"}, "metadata were changed"),
        (PROPERTIES | {"thresholds": "3"}, "metadata were changed"),
        (PROPERTIES | {"preprocessing": "{"}, "preprocessing cannot be read; export the detector again"),
        (PROPERTIES | {"preprocessing": '{"size": 96}'}, "metadata were changed"),
        (changed("preprocessing", size=100), "size"),
        (changed("preprocessing", pad="left"), "pad"),
        (changed("thresholds", thresh=1.5), "thresh"),
        (changed("thresholds", thresh=None), "thresh"),
        ({"optdet": "0.1.0"}, "optdet_format cannot be read"),
    ],
)
def test_metadata_that_cannot_be(save: Save, properties: dict[str, str], message: str) -> None:
    path = save(properties)
    with pytest.raises(OptdetError, match=message) as refused:
        exported_reading(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_needs_neither_onnx_nor_onnxruntime(save: Save) -> None:
    probe = (
        "import sys; from pathlib import Path\n"
        "from optdet.inference.onnx_metadata import exported_reading\n"
        "assert exported_reading(Path(sys.argv[1])) is not None\n"
        "sys.exit(bool({'onnx', 'onnxruntime', 'torch'} & set(sys.modules)))\n"
    )
    path = save(PROPERTIES)
    assert subprocess.run([sys.executable, "-c", probe, str(path)], check=False).returncode == 0
