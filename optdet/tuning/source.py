"""A SOURCE, as commands take it: ``STUDY``, ``STUDY:TRIAL``, a checkpoint, an ONNX file, a folder of maps, or
the file of an ensemble; ``STUDY:oof`` of a study of folds, whose maps are each made by the detector that held
the image out.

Most have probability maps. An ensemble by votes has detections alone: :func:`open_source` refuses it,
:func:`open_detections` takes it.

Opening one, but for a checkpoint, imports neither torch nor onnxruntime: a detector is opened when the first
map must be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import get_args

from optdet.config import CacheConfig, PostprocessConfig
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.scorer import ImageScorer
from optdet.inference.map_folder import MapFolder, MapPlacement
from optdet.inference.map_names import has_maps
from optdet.inference.map_source import DetectorMaps, OpenedDetector, require_content
from optdet.inference.onnx_metadata import exported_reading
from optdet.inference.onnx_options import OnnxOptions
from optdet.inference.preprocessing import Preprocessing
from optdet.structures import OnImage, Sample, Thresholds
from optdet.tuning.detection_source import DetectionSource, OpenSource

_DEVICE = r"auto|cpu|cuda(:[0-9]+)?"
_FILE_ENDING = r"\.[A-Za-z]{1,5}$"
_KINDS = {".onnx": "ONNX", ".pt": "checkpoint", ".yaml": "ensemble", ".yml": "ensemble"}
_ONNX = tuple(field.name for field in fields(OnnxOptions))


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to open a source: ``onnx`` is for ONNX files, its ``pad`` and ``placement`` for folders of maps.

    ``storage`` and ``root`` say where studies and caches are. ``say`` is told what a detector decides.
    ``depth`` counts the ensembles that a member is opened within.
    """

    device: str = "auto"
    storage: str | None = None
    root: str | None = None
    onnx: OnnxOptions = field(default_factory=OnnxOptions)
    placement: MapPlacement = "auto"
    say: Callable[[str], None] = lambda message: None
    depth: int = 0


def open_source(source: str, options: SourceOptions | None = None) -> OpenSource:
    """As :func:`open_detections`; OptdetError for a source without maps."""
    opened = open_detections(source, options)
    if isinstance(opened, OpenSource):
        return opened
    raise OptdetError(
        "an ensemble by votes has no probability maps",
        where=source,
        fix="give one of its members, or make one with --method maps",
    )


def open_detections(source: str, options: SourceOptions | None = None) -> DetectionSource:
    """A file or folder of maps if there is one of that name, else a study's best trial or the trial named."""
    options = options or SourceOptions()
    if options.placement not in get_args(MapPlacement):
        raise OptdetError(
            f"unknown value {options.placement!r}", where="--placement", fix="use auto, letterbox or stretch"
        )
    if not re.fullmatch(_DEVICE, options.device):
        raise OptdetError(
            f"{options.device!r} is not a device", where="device", fix="give auto, cpu, cuda or cuda:1"
        )
    path = Path(source)
    if path.is_dir() and (not _could_be_study(source) or has_maps(path)):
        _say_unused(options, f"{source} is a folder of maps", used=("pad", "placement"))
        folder = MapFolder(path, options.placement, options.onnx.pad)
        return OpenSource(folder.title, folder, _default())
    if path.is_file():
        return _open_file(path, source, options)
    if path.suffix in _KINDS:
        raise OptdetError(f"no such {_KINDS[path.suffix]} file", where=source)
    if not _could_be_study(source):
        raise OptdetError("no such file or folder", where=source, fix="check the path")
    return _open_study(path, source, options)


def _open_file(path: Path, source: str, options: SourceOptions) -> DetectionSource:
    if path.suffix.lower() == ".onnx":
        exported = exported_reading(path)
        if exported is None:
            _say_unused(options, f"{source} is an ONNX file, which runs on the CPU", used=_ONNX)
            return _open_onnx(path, options, options.onnx, _default())
        _say_unused(options, f"{source} is an export of optdet, with settings of its own", used=())
        return _open_onnx(path, options, exported.options, exported.thresholds)
    if path.suffix.lower() in (".yaml", ".yml"):
        # Not above: its members are sources again.
        from optdet.tuning.ensemble_source import open_ensemble

        return open_ensemble(path, options)
    _say_unused(options, f"{source} is a checkpoint, with settings of its own", used=("device",))
    return _open_checkpoint(path, options)


def _open_study(path: Path, source: str, options: SourceOptions) -> OpenSource:
    # Not above: the other sources need neither Optuna nor a database.
    from optdet.tuning.study_source import open_study_source

    try:
        opened = open_study_source(source, options)
    except OptdetError as error:
        if path.is_dir():
            what, fix = "a folder without maps", "name a folder with .npy or .npz files"
        elif re.search(_FILE_ENDING, source) and not path.exists():
            what, fix = "no such file", "check the path"
        else:
            raise
        raise OptdetError(f"{what}; and as a study: {error.what}", where=source, fix=fix) from None
    _say_unused(options, f"{source} is a study, with settings of its own", used=("device",))
    return opened


def labelled_samples(source: DetectionSource, images: Path | None, labels: Path | None) -> tuple[Sample, ...]:
    """The images to score: those of ``labels`` in ``images``, else the validation images of a trial."""
    if images is not None and labels is not None:
        return load_source(images, labels).samples
    if (images is None) != (labels is None):
        raise OptdetError("--images and --labels go together", where=source.title, fix="give both")
    if source.labelled is None:
        raise OptdetError(
            "this source has no labelled images of its own",
            where=source.title,
            fix="give --images and --labels",
        )
    return source.labelled()


def scorers_of(
    source: OpenSource, samples: Sequence[Sample], *, on_image: OnImage | None = None
) -> list[ImageScorer]:
    """The source's maps of labelled images, ready to be scored; OptdetError where all of them are empty."""
    maps = list(source.maps.maps([sample.image_path for sample in samples], on_image=on_image))
    require_content(source.title, maps)
    return [
        ImageScorer(sample.name, image.detector, sample.words)
        for sample, image in zip(samples, maps, strict=True)
    ]


def checkpoint_maps(
    path: Path,
    *,
    title: str,
    preprocessing: Preprocessing,
    device: str,
    cache_dir: Path,
    key: str | None,
    max_gb: float,
) -> DetectorMaps:
    """The maps of one of our checkpoints. ``key`` is that of maps kept on whatever device was chosen then;
    naming a device asks for that one's.
    """

    def open_detector() -> OpenedDetector:
        from optdet.inference.detector import open_checkpoint
        from optdet.inference.device import choose_device

        detector = open_checkpoint(path, choose_device(device)).detector
        return OpenedDetector(detector, detector.key())

    return DetectorMaps(
        title=title,
        preprocessing=preprocessing,
        open_detector=open_detector,
        cache_dir=cache_dir,
        key=key if device == "auto" else None,
        max_gb=max_gb,
    )


def _open_checkpoint(path: Path, options: SourceOptions) -> OpenSource:
    # Its settings and the key of its maps are inside: there is no way around loading it.
    from optdet.inference.detector import open_checkpoint
    from optdet.inference.device import choose_device

    trained = open_checkpoint(path, choose_device(options.device))
    opened = OpenedDetector(trained.detector, trained.detector.key())
    maps = DetectorMaps(
        title=path.name,
        preprocessing=trained.detector.preprocessing,
        open_detector=lambda: opened,
        cache_dir=_cache_dir(options),
        key=opened.key,
        max_gb=trained.config.cache.max_gb,
    )
    return OpenSource(path.name, maps, trained.thresholds, trained.config)


def _open_onnx(path: Path, options: SourceOptions, onnx: OnnxOptions, thresholds: Thresholds) -> OpenSource:
    key = onnx.key(path)

    def open_detector() -> OpenedDetector:
        from optdet.inference.onnx_detector import OnnxDetector

        return OpenedDetector(OnnxDetector(path, onnx, say=options.say), key)

    maps = DetectorMaps(
        title=path.name,
        preprocessing=onnx.preprocessing,
        open_detector=open_detector,
        cache_dir=_cache_dir(options),
        key=key,
        max_gb=CacheConfig().max_gb,
    )
    return OpenSource(path.name, maps, thresholds)


def _cache_dir(options: SourceOptions) -> Path:
    from optdet.store.places import Places
    from optdet.store.url import root_of, storage_url

    return Places(root_of(storage_url(options.storage), options.root)).cache_dir


def _default() -> Thresholds:
    return PostprocessConfig().thresholds()


def _say_unused(options: SourceOptions, source: str, used: Sequence[str]) -> None:
    """What is given, and says nothing about a source of this kind."""
    usual = OnnxOptions()
    given = [name for name in _ONNX if getattr(options.onnx, name) != getattr(usual, name)]
    given += ["placement"] if options.placement != "auto" else []
    given += ["device"] if options.device not in ("auto", "cpu") else []
    unused = [f"--{name}" for name in given if name not in used]
    if unused:
        options.say(f"{source}: {', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not used")


def _could_be_study(source: str) -> bool:
    return "/" not in source
