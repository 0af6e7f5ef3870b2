"""The training and validation images of a config: found or made, checked, letterboxed.

``located`` says where the images of a config are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optdet.config import DataConfig, SourceConfig
from optdet.data.fingerprints import DataState, data_state, file_digests
from optdet.data.image_cache import CanvasReader, PartReader, open_canvases
from optdet.data.images import image_size
from optdet.data.located import Located, locate
from optdet.data.pool import load_sources, open_pool
from optdet.data.sampling import SourcePart, parts_of, source_parts
from optdet.data.source import Source, load_source
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.structures import FloatArray, OnImage, Sample


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Samples with their place on the canvas; ``parts`` are those of their sources, in the same order."""

    samples: tuple[Sample, ...]
    letterboxes: tuple[Letterbox, ...]
    canvases: CanvasReader
    parts: tuple[SourcePart, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def part(self, indices: Sequence[int]) -> ImageSet:
        """Some of the images, whose indices ascend, sharing the canvases."""
        return ImageSet(
            tuple(self.samples[index] for index in indices),
            tuple(self.letterboxes[index] for index in indices),
            PartReader(self.canvases, tuple(indices)),
            parts_of(self.parts, indices),
        )

    def canvas_polygons(self, index: int) -> tuple[FloatArray, ...]:
        letterbox = self.letterboxes[index]
        return tuple(letterbox.to_canvas(word.polygon) for word in self.samples[index].words)


@dataclass(frozen=True, slots=True)
class DataSets:
    """Both sets, by which a change of them is noticed, and what was skipped."""

    train: ImageSet
    val: ImageSet
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
    place = partial(_image_set, data=data, cache_dir=cache_dir, max_cache_gb=max_cache_gb, on_image=on_image)
    if located.in_folds is not None:
        return _open_fold(located, place)
    train_sources = [_load(source, "data.train") for source in located.train]
    val_source = _load(located.val, "data.val")
    train = place(
        [sample for source in train_sources for sample in source.samples],
        source_parts(located.train, [len(source.samples) for source in train_sources]),
    )
    val = place(val_source.samples, source_parts([located.val], [len(val_source.samples)]))
    state = data_state(train.samples, val.samples)
    notes = tuple(note for source in (*train_sources, val_source) for note in source.notes())
    return DataSets(train, val, state, notes)


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


def _open_fold(located: Located, place: Callable[..., ImageSet]) -> DataSets:
    """Letterboxed once for all folds; training and validation are parts of that."""
    assert located.in_folds is not None
    pool, fold = open_pool(located), located.in_folds.fold
    digests = file_digests(pool.samples)
    pool.require_same_files(range(len(pool.samples)), digests)
    every = place(pool.samples, pool.parts)
    train, val = every.part(pool.learnt(fold)), every.part(pool.held_out(fold))
    state = data_state(train.samples, val.samples, digests)
    return DataSets(train, val, state, pool.notes)


def validation_samples(located: Located) -> tuple[Sample, ...]:
    """The labelled images that are validated on; OptdetError where they are not all there, or others."""
    if located.in_folds is None:
        val = located.val
        source = load_source(Path(val.images), Path(val.labels), format=val.format)
        source.require_complete()
        return source.samples
    pool = open_pool(located)
    held_out = pool.held_out(located.in_folds.fold)
    pool.require_same_files(held_out)
    return tuple(pool.samples[index] for index in held_out)


def training_paths(located: Located) -> tuple[Path, ...]:
    """The image files that are learnt from."""
    if located.in_folds is None:
        return tuple(sample.image_path for source in load_sources(located.train) for sample in source.samples)
    pool = open_pool(located)
    return tuple(pool.samples[index].image_path for index in pool.learnt(located.in_folds.fold))


def samples_kept_apart(located: Located) -> tuple[Sample, ...]:
    """The labelled images that no fold learns from, as a judge of them all; none where there are none."""
    judge = None if located.in_folds is None else located.in_folds.judge
    if judge is None:
        return ()
    source = load_source(Path(judge.images), Path(judge.labels), format=judge.format)
    source.require_complete()
    return source.samples


def _image_set(
    samples: Sequence[Sample],
    parts: Sequence[SourcePart],
    *,
    data: DataConfig,
    cache_dir: Path,
    max_cache_gb: float,
    on_image: OnImage | None,
) -> ImageSet:
    letterboxes = tuple(
        Letterbox(
            *image_size(sample.image_path), size=data.size, pad=data.pad, interpolation=data.interpolation
        )
        for sample in samples
    )
    canvases = open_canvases(samples, letterboxes, cache_dir, max_gb=max_cache_gb, on_image=on_image)
    return ImageSet(tuple(samples), letterboxes, canvases, tuple(parts))
