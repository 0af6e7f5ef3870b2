"""A SOURCE as one side of a comparison: all that ``optdet compare`` knows of studies and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from optdet.config import Config, SourceConfig
from optdet.data.images import image_size
from optdet.detection.postprocess import MapDetector
from optdet.digest import file_sha256
from optdet.geometry.letterbox import Letterbox
from optdet.inference.map_cache import MapCache
from optdet.structures import Thresholds

if TYPE_CHECKING:
    from optdet.tuning.source import StudyTrial

OnImage = Callable[[int, int], None]
Maps = Callable[[Sequence[Path], OnImage | None], Iterator[MapDetector]]


@dataclass(frozen=True, slots=True)
class ComparedSource:
    """``val`` are the validation images where they are known, ``maps`` gives the map of each image file."""

    title: str
    thresholds: Thresholds
    config: Config | None
    val: SourceConfig | None
    maps: Maps

    def at(self, changes: Sequence[str]) -> Thresholds:
        """The thresholds with ``name=value`` texts applied; OptdetError for an unknown name."""
        from optdet.tuning.thresholds import replace_thresholds

        return replace_thresholds(self.thresholds, changes)


def open_compared(source: str, *, device: str, storage: str | None, root: str | None) -> ComparedSource:
    """A study's trial with the maps that it kept, else a detector that makes them (with torch)."""
    # Not above: two prediction files are compared without Optuna.
    from optdet.tuning.source import OpenSource, find_source, open_source

    @cache
    def opened() -> OpenSource:
        from optdet.inference.device import choose_device

        return open_source(source, choose_device(device), storage=storage, root=root)

    def made(paths: Sequence[Path], on_image: OnImage | None) -> Iterator[MapDetector]:
        from optdet.inference.predict import prob_maps

        maps = prob_maps(opened().trained.detector, paths, cache=opened().cache, on_image=on_image)
        return (image.detector for image in maps)

    found = find_source(source, storage=storage, root=root)
    if isinstance(found, Path):
        return ComparedSource(opened().title, opened().thresholds, opened().trained.config, None, made)
    return _of_trial(found, made)


def _of_trial(found: StudyTrial, made: Maps) -> ComparedSource:
    from optdet.data.sets import locate
    from optdet.tuning import attributes as attr
    from optdet.tuning.results import config_of, thresholds_of

    study, trial = found.study, found.trial
    config = config_of(trial, study)
    val = locate(config.data, data_root=study.data_root, data_dir=study.places.data_dir).val
    map_key = trial.user_attrs.get(attr.MAP_KEY)

    def maps(paths: Sequence[Path], on_image: OnImage | None) -> Iterator[MapDetector]:
        if map_key is not None:
            kept = MapCache.of(study.places.cache_dir, map_key)
            keys = [file_sha256(path)[:32] for path in paths]
            if all(kept.has(key) for key in keys):
                return _kept_maps(kept, config, list(zip(paths, keys, strict=True)), made)
        return made(paths, on_image)

    thresholds = thresholds_of(trial) or config.postprocess.thresholds()
    return ComparedSource(found.title, thresholds, config, val, maps)


def _kept_maps(
    kept: MapCache, config: Config, images: Sequence[tuple[Path, str]], made: Maps
) -> Iterator[MapDetector]:
    """Maps read without torch; one that turns out damaged is made again."""
    size, pad = config.data.size, config.data.pad
    for path, key in images:
        prob_map = kept.load(key, size)
        if prob_map is None:
            yield from made([path], None)
        else:
            yield MapDetector(prob_map, Letterbox(*image_size(path), size=size, pad=pad))
