"""A source's network as an ONNX file that says of itself how it is used: preprocessing and thresholds in use,
where it is from and what it scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet import __version__
from optdet.atomic import atomic_file
from optdet.config import Config
from optdet.data.images import read_image
from optdet.data.synthetic.receipts import LARGEST_SIZE, LEAST_SIZE, render_receipt
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.inference.detector import Detector
from optdet.inference.map_folder import MapFolder
from optdet.inference.map_source import DetectorMaps
from optdet.inference.onnx_export import (
    INPUT,
    OUTPUT,
    TOLERANCE,
    ExportedNetwork,
    export_network,
    require_onnx,
)
from optdet.inference.onnx_metadata import FORMAT
from optdet.inference.preprocessing import Preprocessing
from optdet.model.checkpoint_file import load_checkpoint
from optdet.structures import OnImage, Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.detection_source import DetectionSource, OpenSource, in_use
from optdet.tuning.fold_source import FoldMaps
from optdet.tuning.pack import trial_origin
from optdet.tuning.postprocess_places import require_writable
from optdet.tuning.source import SourceOptions, open_detections
from optdet.tuning.study import open_database
from optdet.tuning.study_source import find_source

_OF_THE_THRESHOLDS = ("value", attr.SCORES, attr.CROSSFIT, attr.INTERVAL)
"""What a trial says that is true at its own thresholds alone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where to write, and what differs from the source: thresholds of a config, ``name=value`` changes to
    them. ``for_opencv``: as OpenCV's own detector takes it."""

    out: Path
    changes: Sequence[str] = ()
    config: Thresholds | None = None
    for_opencv: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class DetectorExport:
    """What was written. ``checked_on`` is the image that the maps were compared on."""

    out: Path
    n_bytes: int
    source: str
    preprocessing: Preprocessing
    thresholds: Thresholds
    free_axes: tuple[str, ...]
    properties: dict[str, str]
    checked_on: str
    max_difference: float
    opencv_difference: float | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The contract of ``export --json``; ``metadata`` are the file's own, as texts."""
        return {
            "file": str(self.out),
            "bytes": self.n_bytes,
            "source": self.source,
            "input": INPUT,
            "output": OUTPUT,
            "free_axes": list(self.free_axes),
            "metadata": self.properties,
            "check": {
                "image": self.checked_on,
                "max_difference": self.max_difference,
                "tolerance": TOLERANCE,
                "opencv_difference": self.opencv_difference,
            },
            "notes": list(self.notes),
        }


def export_detector(
    source: str,
    wanted: Wanted,
    options: SourceOptions,
    *,
    on_step: OnImage = lambda done, total: None,
) -> DetectorExport:
    """Write the network of a study's trial or of a checkpoint; ``on_step`` is told how far it is.

    Nothing is written where onnxruntime's map of a validation image (without one, a synthetic receipt) is not
    torch's. OptdetError for that, for a source that is no network of ours, and where the file exists.
    """
    _require_free(wanted)
    require_onnx(str(wanted.out))
    opened = open_detections(source, replace(options, device="cpu"))
    detector, config = _network(opened)
    thresholds = in_use(opened, wanted.changes, config=wanted.config) or opened.thresholds
    assert thresholds is not None  # an open source has some
    canvas, checked_on, notes = _canvas(opened, detector.preprocessing)
    network = export_network(detector, canvas, for_opencv=wanted.for_opencv, on_step=on_step)
    notes += _notes(network, detector, thresholds, wanted)
    origin = _origin(opened, source, options)
    if thresholds != opened.thresholds:
        origin = {name: value for name, value in origin.items() if name not in _OF_THE_THRESHOLDS}
    properties = _properties(opened.title, detector, config, thresholds, origin)
    return DetectorExport(
        out=wanted.out,
        n_bytes=_write(network, properties, wanted.out),
        source=opened.title,
        preprocessing=detector.preprocessing,
        thresholds=thresholds,
        free_axes=network.free_axes,
        properties=properties,
        checked_on=checked_on,
        max_difference=network.max_difference,
        opencv_difference=network.opencv_difference,
        notes=tuple(notes),
    )


def _write(network: ExportedNetwork, properties: dict[str, str], out: Path) -> int:
    """The bytes written."""
    model = network.model
    require_onnx(str(out)).helper.set_model_props(model, properties)
    model.producer_name, model.producer_version = "optdet", __version__
    content: bytes = model.SerializeToString(deterministic=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as file:
        file.write(content)
    return len(content)


def _notes(
    network: ExportedNetwork, detector: Detector, thresholds: Thresholds, wanted: Wanted
) -> Iterator[str]:
    backbone, side = detector.model.backbone, detector.preprocessing.size
    if not wanted.for_opencv and "height" not in network.free_axes and backbone.only_side is None:
        yield f"traced, {backbone.name} gives other maps on other sides: fixed to {side} x {side}"
    if wanted.for_opencv and thresholds.use_polygon:
        yield (
            "OpenCV gives quads, and these thresholds are of polygons: tune some for it "
            "(optdet postprocess tune SOURCE --quads --write FILE), and give them as --config FILE"
        )
    if network.opencv_difference is not None and network.opencv_difference > TOLERANCE:
        yield f"OpenCV's map differs from torch's by up to {network.opencv_difference:.1e}"


def _require_free(wanted: Wanted) -> None:
    out = wanted.out
    require_writable(out.parent, "--onnx")
    if out.suffix.lower() != ".onnx":
        raise OptdetError("an ONNX file is known by its ending", where=str(out), fix="name it .onnx")
    if out.exists() and not (wanted.force and out.is_file()):
        raise OptdetError("the file exists", where=str(out), fix="give another name, or --force")


def _network(opened: DetectionSource) -> tuple[Detector, Config]:
    """The one network behind a source; OptdetError says what to give in place of one that has none."""
    maps = opened.maps if isinstance(opened, OpenSource) else None
    if isinstance(maps, DetectorMaps) and opened.config is not None:
        detector = maps.open().detector
        assert isinstance(detector, Detector)  # what has a config is a checkpoint
        return detector, opened.config
    if isinstance(maps, DetectorMaps):
        what, fix = "an ONNX file already", "give the study, trial or checkpoint that it came from"
    elif isinstance(maps, MapFolder):
        what, fix = "a folder of maps has no network", "give the study or checkpoint that made them"
    elif isinstance(maps, FoldMaps):
        what = "a study of folds is as many networks as it has folds"
        fix = f"give one of them, as {opened.title.partition(':')[0]}:0"
    else:
        what, fix = "an ensemble is several networks", "export its members, each to a file of its own"
    raise OptdetError(what, where=opened.title, fix=fix)


def _canvas(opened: DetectionSource, pre: Preprocessing) -> tuple[NDArray[np.uint8], str, list[str]]:
    """What to compare maps on, its name, and what to say: a validation image, or else a made-up receipt."""
    notes: list[str] = []
    if opened.labelled is not None:
        try:
            path = opened.labelled()[0].image_path
            return pre.letterbox(path).draw(read_image(path)), path.name, notes
        except (OptdetError, OSError) as error:
            notes.append(f"no validation image can be read ({error}): checked on a synthetic receipt")
    size = min(max(pre.size, LEAST_SIZE), LARGEST_SIZE)
    image = render_receipt(0, 0, size=size, split="val").image
    height, width = image.shape[:2]
    letterbox = Letterbox(width, height, size=pre.size, pad=pre.pad, interpolation=pre.interpolation)
    return letterbox.draw(image), "a synthetic receipt", notes


def _origin(opened: DetectionSource, source: str, options: SourceOptions) -> dict[str, Any]:
    """What is known of the trial: by its study, or by the file that it was packed into; else nothing."""
    if opened.origins:
        return trial_origin(*find_source(open_database(options.storage, options.root), opened.title))
    packed = load_checkpoint(Path(source)).get("trial")
    return dict(packed) if isinstance(packed, dict) else {}


def _properties(
    title: str, detector: Detector, config: Config, thresholds: Thresholds, origin: dict[str, Any]
) -> dict[str, str]:
    """Texts, JSON but for the plain ones. What the reader has to do is in ``preprocessing`` and
    ``thresholds``; ``normalization`` is done by the model."""
    pre = detector.preprocessing.as_json()
    normalization = {name: pre.pop(name) for name in ("mean", "std")}
    scores = origin.get(attr.SCORES)
    values = {
        "optdet": __version__,
        "optdet_format": FORMAT,
        "source": title,
        "backbone": config.model.backbone,
        "preprocessing": pre | {"channels": "rgb", "pixels": [0, 255]},
        "normalization": normalization,
        "thresholds": thresholds.as_dict(),
        "shrink_ratio": config.target.shrink_ratio,
        "hmean": scores["competition"]["macro"]["hmean"] if scores else None,
        "hmean_crossfit": origin.get(attr.CROSSFIT),
        "trial": origin or None,
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        for name, value in values.items()
        if value is not None
    }
