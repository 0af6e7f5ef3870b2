"""The training and validation images of a config: found or made, checked, letterboxed.

``located`` says where the images of a config are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from optdet.config import DataConfig, SourceConfig
from optdet.data.fingerprints import DataState, data_state
from optdet.data.image_cache import CanvasReader, open_canvases
from optdet.data.images import image_size
from optdet.data.located import OnImage, locate
from optdet.data.sampling import SourcePart
from optdet.data.source import Source, load_source
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.structures import FloatArray, Sample


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Samples with their place on the canvas; ``parts`` are those of their sources, in the same order."""

    samples: tuple[Sample, ...]
    letterboxes: tuple[Letterbox, ...]
    canvases: CanvasReader
    parts: tuple[SourcePart, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def canvas_polygons(self, index: int) -> tuple[FloatArray, ...]:
        letterbox = self.letterboxes[index]
        return tuple(letterbox.to_canvas(word.polygon) for word in self.samples[index].words)


@dataclass(frozen=True, slots=True)
class DataSets:
    """Both sets, where validation came from, what was skipped, and by which a change of them is noticed."""

    train: ImageSet
    val: ImageSet
    val_source: SourceConfig
    state: DataState
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        return self.state.fingerprint


def open_sets(
    data: DataConfig,
    *,
    data_root: Path,
    data_dir: Path,
    cache_dir: Path,
    max_cache_gb: float,
    on_image: OnImage | None = None,
) -> DataSets:
    """Everything that training and validation read; OptdetError for what cannot be used.

    ``on_image(done, total)`` is called while synthetic images or a cache are written.
    """
    located = locate(data, data_root=data_root, data_dir=data_dir, on_image=on_image)
    train_sources = [_load(source, "data.train") for source in located.train]
    val_source = _load(located.val, "data.val")
    place = partial(_image_set, data=data, cache_dir=cache_dir, max_cache_gb=max_cache_gb, on_image=on_image)
    train, val = place(train_sources, located.train), place([val_source], [located.val])
    state = data_state(train.samples, val.samples)
    notes = tuple(note for source in (*train_sources, val_source) for note in _notes(source))
    return DataSets(train, val, located.val, state, notes)


def _load(source: SourceConfig, setting: str) -> Source:
    loaded = load_source(Path(source.images), Path(source.labels), format=source.format)
    if not any(not word.ignored for sample in loaded.samples for word in sample.words):
        raise OptdetError(
            f"{setting} has no word to {'score' if setting == 'data.val' else 'learn'}: "
            f"{len(loaded.samples)} images, all of them empty or ignored",
            where=source.labels,
            fix="check the label file with `optdet data check`",
        )
    if setting == "data.val":
        loaded.require_complete()
    return loaded


def _notes(source: Source) -> list[str]:
    """What was left out of a source, a line each."""
    notes = []
    if source.problems:
        notes.append(f"{len(source.problems)} label rows skipped, the first: {source.problems[0]}")
    if source.missing:
        notes.append(f"{source.n_missing} labelled images are not in {source.images}, as {source.missing[0]}")
    return notes


def _image_set(
    sources: Sequence[Source],
    configs: Sequence[SourceConfig],
    *,
    data: DataConfig,
    cache_dir: Path,
    max_cache_gb: float,
    on_image: OnImage | None,
) -> ImageSet:
    samples = tuple(sample for source in sources for sample in source.samples)
    parts = tuple(
        SourcePart(name, len(source.samples), config.weight)
        for name, source, config in zip(_names(configs), sources, configs, strict=True)
    )
    letterboxes = tuple(
        Letterbox(*image_size(sample.image_path), size=data.size, pad=data.pad) for sample in samples
    )
    canvases = open_canvases(samples, letterboxes, cache_dir, max_gb=max_cache_gb, on_image=on_image)
    return ImageSet(samples, letterboxes, canvases, parts)


def _names(configs: Sequence[SourceConfig]) -> list[str]:
    """The sources' image folders, told apart by as many of their last parts as that takes."""
    paths = [PurePath(config.images).parts for config in configs]
    for n_parts in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-n_parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({Path(config.labels).name})" for name, config in zip(names, configs, strict=True)]
