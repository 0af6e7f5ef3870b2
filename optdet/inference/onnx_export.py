"""One of our detectors as an ONNX model: RGB pixels of 0..255 to the probability map, checked against torch.

The input is (batch, 3, height, width) float32 and not normalised: mean and deviation are inside the model.
Six numbers that every user would have to copy are six numbers that can be wrong without any error, and
OpenCV's ``setInputParams`` has one scale for all channels. The output is (batch, 1, height, width), as in the
models of others. The branch of the threshold map, which training alone needs, is left out.

``cv2.dnn.TextDetectionModel_DB`` takes another output: (height, width) and nothing else, in OpenCV 4.9 to
5.0. OpenCV 4 also wants shapes that are known: it does not run an HRNet whose axes are free. So a model for
OpenCV is of one image of the canvas's side.

Tracing (torch's TorchScript exporter) needs ``onnx`` alone; torch's newer exporter needs onnxscript beside
it. What a trace takes for constant is found out by running the model on other sides and batches: axes are
free where it then gives torch's maps, else fixed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optdet.errors import OptdetError
from optdet.inference.detector import Detector
from optdet.inference.onnx_detector import INSTALL, open_session
from optdet.model.dbnet import DBNet
from optdet.structures import OnImage

TOLERANCE = 1e-4
"""By how much a probability of onnxruntime may differ from torch's."""
OPSET = 17
INPUT, OUTPUT = "image", "prob_map"

_AXES = {"batch": 0, "height": 2, "width": 3}
_TRACED_SIDE = 96
_OTHER_SIDES = (160, 96)  # width, height: neither square nor as traced
_N_STEPS = 3


@dataclass(frozen=True, slots=True)
class ExportedNetwork:
    """``model`` is an ``onnx.ModelProto``; ``free_axes`` those of batch, height and width that may be of any
    size (sides multiples of 32); ``max_difference`` the largest between a probability of onnxruntime and
    torch's, ``opencv_difference`` between OpenCV's and torch's, of a model for OpenCV."""

    model: Any
    free_axes: tuple[str, ...]
    max_difference: float
    opencv_difference: float | None


def require_onnx(where: str) -> Any:
    """The package onnx, where onnxruntime is there too; OptdetError says how to install them."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise OptdetError(f"{error.name} is not installed", where=where, fix=INSTALL) from None
    return onnx


def export_network(
    detector: Detector,
    canvas: NDArray[np.uint8],
    *,
    for_opencv: bool = False,
    on_step: OnImage = lambda done, total: None,
) -> ExportedNetwork:
    """The detector as a model whose map of ``canvas`` (S, S, 3) is torch's to ``TOLERANCE``.

    ``for_opencv``: for one image of the canvas's side, its map (S, S) the output. The detector must be on the
    CPU. OptdetError for a network that cannot be traced, gives other maps, or is for OpenCV, which cannot
    run it.
    """
    require_onnx(detector.model.backbone.name)
    refusal: OptdetError | None = None
    for free_axes in [()] if for_opencv else _attempts(detector):
        try:
            return _export(detector, canvas, free_axes, for_opencv, on_step)
        except OptdetError as error:
            refusal = error
    assert refusal is not None  # there is one attempt at least
    raise refusal


def _attempts(detector: Detector) -> Sequence[tuple[str, ...]]:
    any_side = [] if detector.model.backbone.only_side else [("batch", "height", "width")]
    return [*any_side, ("batch",), ()]


def _export(
    detector: Detector,
    canvas: NDArray[np.uint8],
    free_axes: tuple[str, ...],
    for_opencv: bool,
    on_step: OnImage,
) -> ExportedNetwork:
    name = detector.model.backbone.name
    network = _FromPixels(detector, bare=for_opencv).eval()
    side = _TRACED_SIDE if "height" in free_axes else detector.preprocessing.size
    content = _trace(network, side, free_axes, name)
    on_step(1, _N_STEPS)
    batches = [_pixels([canvas])]
    if free_axes:
        shape = _OTHER_SIDES if "height" in free_axes else (side, side)
        other = np.asarray(cv2.resize(canvas, shape, interpolation=cv2.INTER_AREA), np.uint8)
        batches.append(_pixels([other, other[:, ::-1]]))
    on_canvas = detector.unrounded_map(canvas)
    expected = [on_canvas if for_opencv else on_canvas[None, None]]
    expected += [_run(network, batch) for batch in batches[1:]]
    on_step(2, _N_STEPS)
    difference = _largest_difference(content, batches, expected, name)
    opencv_difference = _opencv_difference(content, batches[0], on_canvas, name) if for_opencv else None
    on_step(_N_STEPS, _N_STEPS)
    return ExportedNetwork(_parsed(content, name), free_axes, difference, opencv_difference)


class _FromPixels(nn.Module):
    """Pixels (B, 3, H, W) of 0..255 to maps (B, 1, H, W), or ``bare`` (1, 3, H, W) to (H, W); normalised as
    :class:`optdet.inference.detector.Normalizer` does."""

    def __init__(self, detector: Detector, *, bare: bool) -> None:
        super().__init__()
        self._bare = bare
        pre = detector.preprocessing
        self._model: DBNet = detector.model
        self._mean = nn.Buffer((torch.tensor(pre.mean) * 255).reshape(1, 3, 1, 1))
        self._std = nn.Buffer((torch.tensor(pre.std) * 255).reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self._model.prob_maps((pixels - self._mean) / self._std)
        return maps[0] if self._bare else maps[:, None]


def _trace(network: nn.Module, side: int, free_axes: Sequence[str], name: str) -> bytes:
    """The model file's bytes; OptdetError for a network that torch cannot trace."""
    axes = {_AXES[axis]: axis for axis in free_axes}
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # That the exporter is the older one, and that shapes in Python become constants: which is checked.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, side, side),),
                content,  # type: ignore[arg-type]  # a file will do, as the exporter's documentation says
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: axes, OUTPUT: axes} if axes else None,
            )
        except Exception as error:  # each operator fails in its own way
            raise OptdetError(
                f"torch cannot write this network as ONNX: {str(error).strip().partition(chr(10))[0]}",
                where=name,
                fix="train with another backbone, such as resnet50 or efficientnet_b4",
            ) from error
    return content.getvalue()


def _pixels(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Images (H, W, 3) as a batch (B, 3, H, W)."""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), dtype=np.float32)


def _run(network: nn.Module, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(batch)).numpy())


def _largest_difference(
    content: bytes, batches: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]], name: str
) -> float:
    session = open_session(content, where=name)
    largest = 0.0
    for batch, maps in zip(batches, expected, strict=True):
        try:
            (found,) = session.run([OUTPUT], {INPUT: batch})
        except Exception as error:  # onnxruntime's own classes derive from nothing more special
            raise OptdetError(
                f"onnxruntime cannot run the exported network: {' '.join(str(error).split())}", where=name
            ) from error
        largest = max(largest, _difference(found, maps))
    if not largest <= TOLERANCE:
        raise OptdetError(
            f"maps of onnxruntime differ from torch's by up to {largest:.2g}, "
            f"more than {TOLERANCE:g}: nothing was written",
            where=name,
            fix="try other versions of torch and onnxruntime, or another backbone",
        )
    return largest


def _difference(found: NDArray[Any], expected: NDArray[np.float32]) -> float:
    """The largest of any two values, infinite for other shapes and values that are no numbers."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max())


def _opencv_difference(
    content: bytes, batch: NDArray[np.float32], expected: NDArray[np.float32], name: str
) -> float:
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4, or 5
    level = set_level(0)  # what fails is said by us, once
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
        network.setInput(batch)
        return _difference(np.asarray(network.forward()), expected)
    except cv2.error as error:
        raise OptdetError(
            f"OpenCV {cv2.__version__} cannot run this network: {' '.join(str(error).split())}",
            where=name,
            fix="export it without --opencv, for onnxruntime; or install OpenCV 5",
        ) from error
    finally:
        set_level(level)


def _parsed(content: bytes, name: str) -> Any:
    onnx = require_onnx(name)
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model)
    return model
