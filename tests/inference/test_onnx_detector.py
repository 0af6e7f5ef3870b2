"""Somebody else's detector in an ONNX file: small real models, each run by onnxruntime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from optdet.errors import OptdetError
from optdet.inference.onnx_detector import OnnxDetector
from optdet.inference.onnx_options import OnnxOptions, n_threads

SIZE = 64
PLAIN = OnnxOptions(mean=(0.0,), std=(1.0,), size=SIZE)
"""The model sees pixels / 255."""

Ends = Sequence[tuple[str, int, Sequence[Any]]]
FLOAT = TensorProto.FLOAT
NCHW = ("x", FLOAT, (1, 3, "h", "w"))


def canvas(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def saved(
        nodes: Sequence[onnx.NodeProto],
        *outputs: tuple[str, int, Sequence[Any]],
        inputs: Ends = (NCHW,),
        constants: dict[str, Any] | None = None,
    ) -> Path:
        ends = [[helper.make_tensor_value_info(*end) for end in group] for group in (inputs, outputs)]
        stored = [numpy_helper.from_array(np.asarray(value), key) for key, value in (constants or {}).items()]
        graph = helper.make_graph(list(nodes), "detector", *ends, stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        path = tmp_path / "detector.onnx"
        onnx.save(model, path)
        return path

    return saved


def mean_of(axis: int, source: str = "x", to: str = "maps") -> onnx.NodeProto:
    return helper.make_node("ReduceMean", [source], [to], axes=[axis], keepdims=1)


MAPS = ("maps", FLOAT, (1, 1, "h", "w"))


@pytest.fixture
def grey(save: Callable[..., Path]) -> Path:
    return save([mean_of(1)], MAPS)


def expected_grey(image: NDArray[np.uint8]) -> NDArray[np.float16]:
    return (image.astype(np.float32) / 255).mean(axis=2).astype(np.float16)


def assert_close(actual: NDArray[np.float16], expected: NDArray[Any]) -> None:
    assert (actual.dtype, actual.shape) == (np.float16, (SIZE, SIZE))
    np.testing.assert_allclose(actual.astype(float), expected.astype(float), atol=1e-3)


# --- maps --------------------------------------------------------------------------------------------------


def test_a_map_is_half_precision_and_depends_on_its_image_alone(grey: Path) -> None:
    detector = OnnxDetector(grey, PLAIN)
    first = detector.prob_map(canvas(0))
    assert_close(first, expected_grey(canvas(0)))
    assert (detector.prob_map(canvas(1)) != first).any()
    np.testing.assert_array_equal(detector.prob_map(canvas(0)), first)
    np.testing.assert_array_equal(OnnxDetector(grey, PLAIN).prob_map(canvas(0)), first)


def test_mean_and_deviation(grey: Path) -> None:
    options = replace(PLAIN, mean=(0.1, 0.2, 0.0), std=(0.9, 1.0, 1.0), activation="sigmoid")
    logits = ((canvas() / 255 - [0.1, 0.2, 0.0]) / [0.9, 1.0, 1.0]).mean(axis=2)
    assert_close(OnnxDetector(grey, options).prob_map(canvas()), 1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize(("channels", "plane"), [("rgb", 0), ("bgr", 2)])
def test_the_first_channel_of_several_and_their_order(
    save: Callable[..., Path], channels: Any, plane: int
) -> None:
    path = save([helper.make_node("Identity", ["x"], ["maps"])], ("maps", FLOAT, (1, 3, "h", "w")))
    detector = OnnxDetector(path, replace(PLAIN, channels=channels))
    assert_close(detector.prob_map(canvas()), canvas()[..., plane] / 255)


def test_mean_is_in_the_order_of_the_channels(save: Callable[..., Path]) -> None:
    path = save([helper.make_node("Identity", ["x"], ["maps"])], ("maps", FLOAT, (1, 3, "h", "w")))
    options = replace(PLAIN, channels="bgr", mean=(0.0, 0.5, 0.5))
    assert_close(OnnxDetector(path, options).prob_map(canvas()), canvas()[..., 2] / 255)


@pytest.mark.parametrize("layout", ["channels first", "channels last", "no channels", "bare"])
def test_layouts_of_input_and_output(save: Callable[..., Path], layout: str) -> None:
    if layout == "channels last":
        path = save(
            [mean_of(3)], ("maps", FLOAT, (1, "h", "w", 1)), inputs=[("x", FLOAT, ("n", "h", "w", 3))]
        )
    elif layout == "channels first":
        path = save([mean_of(1)], MAPS, inputs=[("x", FLOAT, (None, 3, None, None))])
    else:
        axes = [1] if layout == "no channels" else [0, 1]
        squeeze = helper.make_node("Squeeze", ["mean", "axes"], ["maps"])
        shape = (1, "h", "w") if layout == "no channels" else ("h", "w")
        path = save(
            [mean_of(1, to="mean"), squeeze],
            ("maps", FLOAT, shape),
            constants={"axes": np.array(axes, np.int64)},
        )
    assert_close(OnnxDetector(path, PLAIN).prob_map(canvas()), expected_grey(canvas()))


def test_half_precision_models(save: Callable[..., Path]) -> None:
    path = save(
        [mean_of(1)],
        ("maps", TensorProto.FLOAT16, (1, 1, "h", "w")),
        inputs=[("x", TensorProto.FLOAT16, (1, 3, "h", "w"))],
    )
    assert_close(OnnxDetector(path, PLAIN).prob_map(canvas()), expected_grey(canvas()))


def test_the_map_is_found_among_several_outputs(save: Callable[..., Path]) -> None:
    pool = helper.make_node("AveragePool", ["x"], ["features"], kernel_shape=[4, 4], strides=[4, 4])
    path = save(
        [pool, helper.make_node("Identity", ["x"], ["three"]), mean_of(1)],
        ("features", FLOAT, (1, 3, "a", "b")),
        ("three", FLOAT, (1, 3, "h", "w")),
        MAPS,
    )
    assert_close(OnnxDetector(path, PLAIN).prob_map(canvas()), expected_grey(canvas()))


@pytest.mark.parametrize("step", [2, 4])
def test_a_smaller_map_is_scaled_up_and_said(save: Callable[..., Path], step: int) -> None:
    pool = helper.make_node("AveragePool", ["x"], ["maps"], kernel_shape=[step] * 2, strides=[step] * 2)
    path = save([pool], ("maps", FLOAT, (1, 3, "h", "w")))
    said: list[str] = []
    image = np.full((SIZE, SIZE, 3), 102, np.uint8)
    image[:, SIZE // 2 :] = 204
    prob_map = OnnxDetector(path, PLAIN, say=said.append).prob_map(image)
    assert_close(prob_map[:, :24].repeat(8, axis=1)[:, :SIZE], np.full((SIZE, SIZE), 0.4))
    assert prob_map[0, -1] == pytest.approx(0.8, abs=1e-3)
    side = SIZE // step
    assert said == [f"detector.onnx: maps of {side} x {side}, scaled up to 64 x 64"]


# --- activation --------------------------------------------------------------------------------------------


@pytest.fixture
def logits(save: Callable[..., Path]) -> Path:
    """8 (mean of channels - 0.5)."""
    nodes = [
        mean_of(1, to="mean"),
        helper.make_node("Sub", ["mean", "half"], ["low"]),
        helper.make_node("Mul", ["low", "eight"], ["maps"]),
    ]
    return save(nodes, MAPS, constants={"half": np.float32(0.5), "eight": np.float32(8)})


def test_logits_are_noticed_once_and_said(logits: Path) -> None:
    said: list[str] = []
    detector = OnnxDetector(logits, PLAIN, say=said.append)
    for seed in (0, 1):
        values = 8 * ((canvas(seed) / 255).mean(axis=2) - 0.5)
        assert_close(detector.prob_map(canvas(seed)), 1 / (1 + np.exp(-values)))
    assert len(said) == 1
    assert "so the sigmoid is taken" in said[0]


def test_the_first_image_decides(logits: Path) -> None:
    """A later image must not be read another way than those before it."""
    detector = OnnxDetector(logits, PLAIN)
    detector.prob_map(np.full((SIZE, SIZE, 3), 140, np.uint8))  # 0.39: within 0..1
    with pytest.raises(OptdetError, match=r"values of .* outside 0..1; give --activation sigmoid"):
        detector.prob_map(canvas())


def test_probabilities_are_left_alone_and_the_sigmoid_can_be_asked_for(grey: Path) -> None:
    said: list[str] = []
    assert_close(OnnxDetector(grey, PLAIN, say=said.append).prob_map(canvas()), expected_grey(canvas()))
    assert said == []
    asked = OnnxDetector(grey, replace(PLAIN, activation="sigmoid")).prob_map(canvas())
    assert_close(asked, 1 / (1 + np.exp(-expected_grey(canvas()).astype(float))))


def test_none_refuses_logits(logits: Path) -> None:
    with pytest.raises(OptdetError, match=r"detector.onnx: the map has values of -.*, outside 0..1"):
        OnnxDetector(logits, replace(PLAIN, activation="none")).prob_map(canvas())


def test_values_that_are_no_numbers(save: Callable[..., Path]) -> None:
    path = save(
        [
            mean_of(1, to="mean"),
            helper.make_node("Log", ["below"], ["nan"]),
            helper.make_node("Add", ["mean", "nan"], ["maps"]),
        ],
        MAPS,
        constants={"below": np.float32(-1)},
    )
    with pytest.raises(OptdetError, match=r"values that are no numbers"):
        OnnxDetector(path, PLAIN).prob_map(canvas())


# --- refusals ----------------------------------------------------------------------------------------------


def test_no_map_like_output(save: Callable[..., Path]) -> None:
    pool = helper.make_node("GlobalAveragePool", ["x"], ["classes"])
    path = save([pool], ("classes", FLOAT, (1, 3, 1, 1)))
    message = r"detector.onnx: no output looks like a probability map of 64 x 64: \(1, 3, 1, 1\); give a DB"
    with pytest.raises(OptdetError, match=message):
        OnnxDetector(path, PLAIN).prob_map(canvas())


def test_features_are_no_map(save: Callable[..., Path]) -> None:
    path = save(
        [
            helper.make_node("Concat", ["x", "x"], ["six"], axis=1),
            helper.make_node("AveragePool", ["six"], ["features"], kernel_shape=[4, 4], strides=[4, 4]),
        ],
        ("features", FLOAT, (1, 6, "h", "w")),
    )
    with pytest.raises(OptdetError, match=r"no output looks like"):
        OnnxDetector(path, PLAIN).prob_map(canvas())


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08" + bytes(100)])
def test_not_an_onnx_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(content)
    with pytest.raises(
        OptdetError, match=r"detector.onnx: not an ONNX model that can be run \(.+\); "
    ) as caught:
        OnnxDetector(path, PLAIN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ((96, 96), r"the model takes images of 96 x 96, not 64 x 64; give --size 96"),
        ((64, 96), r"the model takes images of 64 x 96, not 64 x 64; export it with a free or a square"),
        ((48, "w"), r"images of 48 x any, not 64 x 64; .* a recogniser of single lines is no detector"),
    ],
)
def test_a_fixed_input_asks_for_its_size(save: Callable[..., Path], side: Any, message: str) -> None:
    path = save([mean_of(1)], ("maps", FLOAT, (1, 1, *side)), inputs=[("x", FLOAT, (1, 3, *side))])
    with pytest.raises(OptdetError, match=message):
        OnnxDetector(path, PLAIN)


def test_a_fixed_input_of_the_right_size(save: Callable[..., Path]) -> None:
    path = save([mean_of(1)], ("maps", FLOAT, (1, 1, 64, 64)), inputs=[("x", FLOAT, (1, 3, 64, 64))])
    assert_close(OnnxDetector(path, PLAIN).prob_map(canvas()), expected_grey(canvas()))


@pytest.mark.parametrize(
    "inputs",
    [
        [NCHW, ("y", FLOAT, (1,))],
        [("x", FLOAT, (1, 1, "h", "w"))],
        [("x", FLOAT, (4, 3, "h", "w"))],
        [("x", TensorProto.DOUBLE, (1, 3, "h", "w"))],
    ],
)
def test_an_input_that_is_no_image(save: Callable[..., Path], inputs: Ends) -> None:
    path = save([mean_of(1)], ("maps", inputs[0][1], (None, 1, "h", "w")), inputs=inputs)
    with pytest.raises(OptdetError, match=r"expected one input of float images.*got x \["):
        OnnxDetector(path, PLAIN)


def test_a_model_that_fails_while_it_runs(save: Callable[..., Path]) -> None:
    path = save(
        [helper.make_node("Add", ["x", "wide"], ["sum"]), mean_of(1, "sum")],
        MAPS,
        constants={"wide": np.zeros((1, 3, 5, 5), np.float32)},
    )
    with pytest.raises(
        OptdetError, match=r"the model cannot take \(1, 3, 64, 64\): .+; give the --size .* no detector"
    ) as caught:
        OnnxDetector(path, PLAIN).prob_map(canvas())
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_it_says_what_to_install(grey: Path) -> None:
    probe = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from optdet.inference.onnx_detector import OnnxDetector\n"
        "from optdet.inference.onnx_options import OnnxOptions\n"
        "OnnxDetector(Path(sys.argv[1]), OnnxOptions())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe, str(grey)], capture_output=True, text=True, check=False
    )
    expected = f'OptdetError: {grey}: onnxruntime is not installed; pip install "optdet[onnx]"'
    assert ran.stderr.strip().splitlines()[-1].endswith(expected)


# --- options -----------------------------------------------------------------------------------------------


def test_the_key_names_file_options_and_threads(grey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        replace(PLAIN, **change).key(grey)
        for change in (
            {},
            {"mean": (0.5,)},
            {"std": (0.5,)},
            {"size": 96},
            {"channels": "bgr"},
            {"pad": "topleft"},
            {"activation": "none"},
        )
    ]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    keys.append(PLAIN.key(grey))
    monkeypatch.undo()
    assert replace(PLAIN, mean=(0.0, 0.0, 0.0)).key(grey) == PLAIN.key(grey) == keys[0]
    with grey.open("ab") as file:
        file.write(b"\0")
    keys.append(PLAIN.key(grey))
    assert len(set(keys)) == len(keys) == 9


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("4,2", 4)])
def test_threads_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert n_threads() == expected


@pytest.mark.parametrize("value", ["", "0", "many"])
def test_threads_without_a_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert n_threads() >= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": (0.5, 0.5)}, r"--mean: 2 numbers; give one, or one a channel: three"),
        ({"mean": (123.675,)}, r"--mean: 123.675 is outside its range, 0..1; divide values of 0..255 by 255"),
        ({"std": (0.0,)}, r"--std: 0 is outside its range, above 0"),
        ({"std": (float("nan"),)}, r"--std: nan is outside"),
        ({"size": 100}, r"--size: 100 is not a multiple of 32; as 96"),
        ({"size": 0}, r"--size: 0 is not a multiple"),
        ({"channels": "grey"}, r"--channels: unknown value 'grey'; use rgb or bgr"),
        ({"pad": "left"}, r"--pad: unknown value 'left'; use center or topleft"),
        ({"activation": "relu"}, r"--activation: unknown value 'relu'; use auto or none or sigmoid"),
    ],
)
def test_options_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptdetError, match=message):
        replace(PLAIN, **change)
