"""Any DB-style detector in an ONNX file (of PaddleOCR, RapidOCR, docTR, our own): canvas to probability map.

The model has one input of three channels, (1, 3, S, S) or (1, S, S, 3). Of its outputs the one is taken that
looks like a map of the canvas: (1, 1, S, S), (1, S, S, 1), (1, S, S) or (S, S); of several channels the
first, where no output has one alone. A map of half or a quarter of the side is scaled up bilinearly.

One image at a time, by a fixed number of threads, so that results repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.inference.onnx_options import OnnxOptions, n_threads

if TYPE_CHECKING:
    from optdet.inference.preprocessing import Preprocessing

INSTALL = 'pip install "optdet[onnx]"'
_TOLERANCE = 1e-3
"""By how much a probability may leave 0..1 through rounding."""
_MAX_REDUCED_CHANNELS = 3  # more, at a part of the side, are features and not maps
_REDUCTIONS = (2, 4)
_INPUT_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

_NO_PAGES = "export it with a free or a square input; a recogniser of single lines is no detector"


@dataclass(frozen=True, slots=True)
class _Input:
    """The model's one input."""

    name: str
    dtype: type[np.floating[Any]]
    channels_last: bool


@dataclass(frozen=True, slots=True)
class _Output:
    """Which output is the map, and on which axis its channels lie (None where it has none)."""

    index: int
    channel_axis: int | None
    n_channels: int
    reduction: int


class OnnxDetector:
    """A model file, opened. What is decided on the first image (output, activation) is told to ``say``."""

    def __init__(
        self, path: Path, options: OnnxOptions, *, say: Callable[[str], None] = lambda message: None
    ) -> None:
        self.preprocessing: Preprocessing = options.preprocessing
        self._path = path
        self._options = options
        self._say = say
        self._session = open_session(path, where=str(path))
        self._input = _find_input(self._session, path, options.size)
        self._output: _Output | None = None
        self._sigmoid = {"none": False, "sigmoid": True}.get(options.activation)

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]:
        """The map (S, S) of one canvas (S, S, 3), RGB."""
        outputs = self._run(self._normalized(canvas))
        if self._output is None:
            self._output = self._choose_output([np.shape(output) for output in outputs])
        values = _channel(outputs[self._output.index], self._output)
        values = self._activated(values)
        if self._output.reduction > 1:
            size = self._options.size
            values = np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        return np.clip(values, 0, 1).astype(np.float16)

    def at_size(self, size: int) -> OnnxDetector:
        """The same model for canvases of another side; OptdetError where it was exported for one alone."""
        try:
            return OnnxDetector(self._path, replace(self._options, size=size), say=self._say)
        except OptdetError as error:
            raise OptdetError(error.what, where=error.where, fix="leave that view out") from error

    def _normalized(self, canvas: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        pre = self.preprocessing
        image = canvas[..., ::-1] if self._options.channels == "bgr" else canvas
        scaled: NDArray[np.floating[Any]] = image.astype(np.float32)
        if not self._options.raw_pixels:
            mean, std = (np.array(values, dtype=np.float32) for values in (pre.mean, pre.std))
            scaled = (scaled / 255 - mean) / std
        batch = scaled[None] if self._input.channels_last else scaled.transpose(2, 0, 1)[None]
        return np.ascontiguousarray(batch, dtype=self._input.dtype)

    def _run(self, batch: NDArray[np.floating[Any]]) -> Sequence[NDArray[Any]]:
        try:
            outputs: Sequence[NDArray[Any]] = self._session.run(None, {self._input.name: batch})
        except Exception as error:  # onnxruntime's own classes derive from nothing more special
            raise OptdetError(
                f"the model cannot take {tuple(batch.shape)}: {_first_line(error)}",
                where=str(self._path),
                fix="give the --size that it was exported for; a recogniser of single lines is no detector",
            ) from error
        return outputs

    def _choose_output(self, shapes: Sequence[tuple[int, ...]]) -> _Output:
        size = self._options.size
        found = [
            output
            for index, shape in enumerate(shapes)
            for output in [_as_map(index, shape, size)]
            if output is not None
        ]
        if not found:
            given = ", ".join(str(shape) for shape in shapes)
            raise OptdetError(
                f"no output looks like a probability map of {size} x {size}: {given}",
                where=str(self._path),
                fix="give a DB-style text detector",
            )
        chosen = min(found, key=lambda output: (output.reduction, output.n_channels))
        if chosen.reduction > 1:
            side = size // chosen.reduction
            self._say(f"{self._path.name}: maps of {side} x {side}, scaled up to {size} x {size}")
        return chosen

    def _activated(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(values).all():
            raise OptdetError(
                "the map has values that are no numbers", where=str(self._path), fix="check mean and std"
            )
        low, high = float(values.min()), float(values.max())
        outside = low < -_TOLERANCE or high > 1 + _TOLERANCE
        if self._sigmoid is None:
            self._sigmoid = outside
            if outside:
                self._say(f"{self._path.name}: outputs of {low:.3g} to {high:.3g}, so the sigmoid is taken")
        if self._sigmoid:
            return (1 / (1 + np.exp(-np.clip(values, -80, 80)))).astype(np.float32)
        if outside:
            raise OptdetError(
                f"the map has values of {low:.3g} to {high:.3g}, outside 0..1",
                where=str(self._path),
                fix="give --activation sigmoid",
            )
        return values


def open_session(model: Path | bytes, *, where: str) -> Any:
    """onnxruntime's session of a model file or of its bytes, on the CPU, repeatable; OptdetError without
    onnxruntime, and for what it cannot run."""
    try:
        import onnxruntime
    except ImportError:
        raise OptdetError("onnxruntime is not installed", where=where, fix=INSTALL) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what fails is said by us, once
    try:
        content = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see _run
        raise OptdetError(
            f"not an ONNX model that can be run ({_first_line(error)})",
            where=where,
            fix="export it again, or check that the download is whole",
        ) from error


def _find_input(session: Any, path: Path, size: int) -> _Input:
    inputs = session.get_inputs()
    shapes = ", ".join(f"{entry.name} {entry.shape} {entry.type}" for entry in inputs)
    shape = inputs[0].shape if len(inputs) == 1 else []
    channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
    fits = len(shape) == 4 and _is(shape[0], 1) and _is(shape[3 if channels_last else 1], 3)
    if not fits or inputs[0].type not in _INPUT_TYPES:
        raise OptdetError(
            f"expected one input of float images, (1, 3, H, W) or (1, H, W, 3), got {shapes}", where=str(path)
        )
    fixed = [side for side in _sides(shape, channels_last) if isinstance(side, int)]
    if any(side != size for side in fixed):
        square = len(fixed) == 2 and len(set(fixed)) == 1
        sides = [str(side) if isinstance(side, int) else "any" for side in _sides(shape, channels_last)]
        raise OptdetError(
            f"the model takes images of {' x '.join(sides)}, not {size} x {size}",
            where=str(path),
            fix=f"give --size {fixed[0]}" if square else _NO_PAGES,
        )
    return _Input(inputs[0].name, _INPUT_TYPES[inputs[0].type], channels_last)


def _sides(shape: Sequence[object], channels_last: bool) -> Sequence[object]:
    """Height and width."""
    return shape[1:3] if channels_last else shape[2:]


def _is(side: object, expected: int) -> bool:
    """A free side is a name or None."""
    return not isinstance(side, int) or side == expected


def _as_map(index: int, shape: tuple[int, ...], size: int) -> _Output | None:
    """How an output of this shape is a map of the canvas, or None."""
    for axis, sides in ((1, shape[2:]), (3, shape[1:3])):
        if len(shape) == 4 and shape[0] == 1:
            reduction = _reduction(sides, size)
            if reduction == 1 or (reduction and shape[axis] <= _MAX_REDUCED_CHANNELS):
                return _Output(index, axis, shape[axis], reduction)
    if len(shape) == 2 or (len(shape) == 3 and shape[0] == 1):
        reduction = _reduction(shape[-2:], size)
        if reduction:
            return _Output(index, None, 1, reduction)
    return None


def _reduction(sides: Sequence[int], size: int) -> int:
    """1, 2 or 4 where the sides are that part of the canvas; else 0."""
    for reduction in (1, *_REDUCTIONS):
        if tuple(sides) == (size // reduction,) * 2:
            return reduction
    return 0


def _channel(output: NDArray[Any], chosen: _Output) -> NDArray[np.float32]:
    plane = output if chosen.channel_axis is None else np.take(output, 0, axis=chosen.channel_axis)
    return np.ascontiguousarray(plane.reshape(plane.shape[-2:]), dtype=np.float32)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    # "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from ... failed:..."
    return text[0].rpartition("] : ")[2][:160] if text else type(error).__name__
