"""A detector as an ONNX model: run by onnxruntime and by OpenCV it gives torch's maps, or it is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.inference.detector import Detector, new_model
from optdet.inference.onnx_detector import open_session
from optdet.inference.onnx_export import OPSET, TOLERANCE, ExportedNetwork, export_network, require_onnx
from optdet.inference.preprocessing import Preprocessing

SIZE = 64


@pytest.fixture(scope="module")
def canvas() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 8, axis=0).repeat(SIZE // 8, axis=1)


def run(exported: ExportedNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images (B, H, W, 3), as they are."""
    session = open_session(exported.model.SerializeToString(), where="test")
    batch = images.transpose(0, 3, 1, 2).astype(np.float32)
    (maps,) = session.run(["prob_map"], {"image": batch})
    return np.asarray(maps)


def sides(exported: ExportedNetwork) -> list[list[Any]]:
    graph = exported.model.graph
    return [
        [side.dim_param or side.dim_value for side in end.type.tensor_type.shape.dim]
        for end in (*graph.input, *graph.output)
    ]


def test_pixels_go_in_and_torchs_map_comes_out(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    steps: list[tuple[int, int]] = []
    exported = export_network(detector, canvas, on_step=lambda *step: steps.append(step))
    expected = detector.unrounded_map(canvas)
    assert expected.std() > 0.01  # a map of something
    difference = np.abs(run(exported, canvas[None])[0, 0] - expected).max()
    assert difference <= exported.max_difference <= TOLERANCE
    assert exported.opencv_difference is None
    assert [opset.version for opset in exported.model.opset_import] == [OPSET]
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_mean_and_deviation_are_inside(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    other = replace(detector.preprocessing, mean=(0.1, 0.5, 0.9), std=(0.3, 0.4, 0.5))
    moved = Detector(detector.model, other, detector.device)
    maps = [run(export_network(each, canvas), canvas[None])[0, 0] for each in (detector, moved)]
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    np.testing.assert_allclose(maps[1], moved.unrounded_map(canvas), atol=TOLERANCE)


def test_batch_and_sides_are_free(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    exported = export_network(detector, canvas)
    assert exported.free_axes == ("batch", "height", "width")
    assert sides(exported) == [["batch", 3, "height", "width"], ["batch", 1, "height", "width"]]
    wide = np.concatenate([canvas, canvas[::-1]], axis=1)
    images = np.stack([wide, wide[:, ::-1], 255 - wide])
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    mean, std = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in (detector.preprocessing.mean, detector.preprocessing.std)
    )
    with torch.inference_mode():
        expected = detector.model.prob_maps((pixels - mean) / std)
    np.testing.assert_allclose(run(exported, images)[:, 0], expected, atol=TOLERANCE)


def test_for_opencv_a_map_alone(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    exported = export_network(detector, canvas, for_opencv=True)
    assert exported.free_axes == ()
    assert sides(exported) == [[1, 3, SIZE, SIZE], [SIZE, SIZE]]
    assert exported.opencv_difference is not None
    assert exported.opencv_difference <= TOLERANCE
    np.testing.assert_allclose(run(exported, canvas[None]), detector.unrounded_map(canvas), atol=TOLERANCE)
    content = np.frombuffer(exported.model.SerializeToString(), np.uint8)
    text = cv2.dnn.TextDetectionModel_DB(cv2.dnn.readNetFromONNX(content))
    text.setInputParams(scale=1.0, size=(SIZE, SIZE), mean=(0, 0, 0), swapRB=True)
    text.setBinaryThreshold(float(np.median(detector.unrounded_map(canvas))))
    text.setPolygonThreshold(0.0)
    quads, _ = text.detect(canvas)
    assert len(quads) > 0


def detector_of(backbone: str, size: int) -> Detector:
    config = Config.model_validate(
        {
            "data": {"size": size},
            "model": {"backbone": backbone, "pretrained": False, "inner_channels": 16},
        }
    )
    torch.manual_seed(0)
    return Detector(
        new_model(config, for_training=False), Preprocessing.of(config), torch.device("cpu"), amp=False
    )


def test_a_network_of_one_size_keeps_it() -> None:
    detector = detector_of("test_maxvit", 192)
    canvas = np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8)
    exported = export_network(detector, canvas)
    assert exported.free_axes == ("batch",)
    assert sides(exported)[0] == ["batch", 3, 192, 192]


class Neck(nn.Module):
    """A detector's neck, followed by something."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.neck = detector.model.neck
        detector.model.neck = self  # type: ignore[assignment]

    def forward(self, levels: Any) -> Tensor:
        return self.changed(self.neck(levels))

    def changed(self, features: Tensor) -> Tensor:
        raise NotImplementedError


class KnowsItsSide(Neck):
    def changed(self, features: Tensor) -> Tensor:
        return features * float(features.shape[-1] / 10)


class KnowsItsBatch(Neck):
    def changed(self, features: Tensor) -> Tensor:
        return features * float(len(features) * features.shape[-1] / 10)


class KeepsItsSide(Neck):
    """Traced, it gives maps of one size, whatever comes."""

    def changed(self, features: Tensor) -> Tensor:
        height, width = (int(side) for side in features.shape[-2:])
        return nn.functional.interpolate(features, size=(height, width))


@pytest.mark.parametrize(
    ("neck", "free"), [(KnowsItsSide, ("batch",)), (KeepsItsSide, ("batch",)), (KnowsItsBatch, ())]
)
def test_what_a_trace_takes_for_constant_is_fixed(
    detector: Detector, canvas: NDArray[np.uint8], neck: type[Neck], free: tuple[str, ...]
) -> None:
    neck(detector)
    exported = export_network(detector, canvas)
    assert exported.free_axes == free
    np.testing.assert_allclose(
        run(exported, canvas[None])[0, 0], detector.unrounded_map(canvas), atol=TOLERANCE
    )


class OtherWhenTraced(Neck):
    def changed(self, features: Tensor) -> Tensor:
        return features * 1.01 if torch.jit.is_tracing() else features


class Unknown(Neck):
    def changed(self, features: Tensor) -> Tensor:
        return torch.special.bessel_j0(features)


@pytest.mark.parametrize("for_opencv", [False, True])
def test_other_maps_are_refused(detector: Detector, canvas: NDArray[np.uint8], for_opencv: bool) -> None:
    OtherWhenTraced(detector)
    with pytest.raises(OptdetError, match=r"differ from torch's by up to .+ more than 0.0001: nothing was"):
        export_network(detector, canvas, for_opencv=for_opencv)


def test_an_operator_that_onnx_does_not_have(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    Unknown(detector)
    with pytest.raises(OptdetError, match=r"test_efficientnet: torch cannot write this network as ONNX: .+"):
        export_network(detector, canvas)


class UnknownToOpenCV(Neck):
    def changed(self, features: Tensor) -> Tensor:
        return features + torch.bernoulli(features.sigmoid()) * 0


def test_a_network_that_opencv_cannot_run(
    detector: Detector, canvas: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    UnknownToOpenCV(detector)
    assert export_network(detector, canvas).max_difference <= TOLERANCE
    with pytest.raises(
        OptdetError, match=r"OpenCV .+ cannot run this network: .+; export it without --opencv"
    ):
        export_network(detector, canvas, for_opencv=True)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptdetError) as refused:
        require_onnx("detector.onnx")
    assert str(refused.value) == f'detector.onnx: {package} is not installed; pip install "optdet[onnx]"'


def test_the_detector_stays_as_it_is(detector: Detector, canvas: NDArray[np.uint8]) -> None:
    before = detector.key()
    kept = canvas.copy()
    export_network(detector, canvas)
    assert detector.key() == before
    assert not detector.model.training
    np.testing.assert_array_equal(canvas, kept)
