"""The training and validation images of a config: found or made, checked, letterboxed.

Paths in a config are relative to the data root. Synthetic receipts are made once below ``data_dir`` as
ordinary image and label files, in a folder named by a hash of their settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optdet.config import DataConfig, SourceConfig, SyntheticConfig
from optdet.config_io import fingerprint as settings_fingerprint
from optdet.data.image_cache import CanvasReader, open_canvases
from optdet.data.images import image_size
from optdet.data.source import Source, load_source
from optdet.data.source import fingerprint as samples_fingerprint
from optdet.data.synthetic import SyntheticDataset, make_dataset
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.structures import FloatArray, Sample

OnImage = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Samples with their place on the canvas; ``weights`` are those of their sources."""

    samples: tuple[Sample, ...]
    letterboxes: tuple[Letterbox, ...]
    canvases: CanvasReader
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def canvas_polygons(self, index: int) -> tuple[FloatArray, ...]:
        letterbox = self.letterboxes[index]
        return tuple(letterbox.to_canvas(word.polygon) for word in self.samples[index].words)


@dataclass(frozen=True, slots=True)
class DataSets:
    """Both sets, where validation came from, what was skipped, and a fingerprint of all of it."""

    train: ImageSet
    val: ImageSet
    val_source: SourceConfig
    fingerprint: str
    notes: tuple[str, ...]


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
    digest = samples_fingerprint((*train.samples, *val.samples))
    notes = tuple(note for source in (*train_sources, val_source) for note in _notes(source))
    return DataSets(train, val, located.val, digest, notes)


@dataclass(frozen=True, slots=True)
class Located:
    """Sources as paths that can be opened from here."""

    train: tuple[SourceConfig, ...]
    val: SourceConfig


def locate(data: DataConfig, *, data_root: Path, data_dir: Path, on_image: OnImage | None = None) -> Located:
    """The sources of a config with their paths resolved; synthetic ones are made where they are missing."""
    if data.synthetic is not None:
        return _synthetic(data.synthetic, data_dir, on_image)
    if data.val is None:
        raise OptdetError(
            "no data: the config names neither data.train and data.val nor data.synthetic",
            fix="`optdet init --data DIR` writes a config for a folder",
        )
    return Located(
        tuple(_resolved(source, data_root) for source in data.train), _resolved(data.val, data_root)
    )


def _resolved(source: SourceConfig, data_root: Path) -> SourceConfig:
    places = {"images": str(data_root / source.images), "labels": str(data_root / source.labels)}
    return source.model_copy(update=places)


def synthesize(settings: SyntheticConfig, folder: Path, on_image: OnImage | None = None) -> SyntheticDataset:
    """Synthetic receipts in ``folder``, made unless they are there already."""
    return make_dataset(
        folder,
        n_train=settings.train,
        n_val=settings.val,
        seed=settings.seed,
        image_size=settings.image_size,
        difficulty=settings.difficulty,
        on_image=on_image,
    )


def _synthetic(settings: SyntheticConfig, data_dir: Path, on_image: OnImage | None) -> Located:
    folder = data_dir / f"quickstart-{settings_fingerprint(settings)[:10]}"
    made = synthesize(settings, folder, on_image)
    return Located(
        (SourceConfig(images=str(made.train_images), labels=str(made.train_labels)),),
        SourceConfig(images=str(made.val_images), labels=str(made.val_labels)),
    )


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
    weights = tuple(
        config.weight for source, config in zip(sources, configs, strict=True) for _ in source.samples
    )
    letterboxes = tuple(
        Letterbox(*image_size(sample.image_path), size=data.size, pad=data.pad) for sample in samples
    )
    canvases = open_canvases(samples, letterboxes, cache_dir, max_gb=max_cache_gb, on_image=on_image)
    return ImageSet(samples, letterboxes, canvases, weights)
