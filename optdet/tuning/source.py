"""A SOURCE, as commands take it: ``STUDY``, ``STUDY:TRIAL`` or a checkpoint file.

Finding one needs no torch; opening it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial

from optdet.errors import OptdetError
from optdet.inference.map_cache import MapCache
from optdet.structures import Thresholds
from optdet.tuning.results import best_trial, checkpoint_path, find_trial, thresholds_of
from optdet.tuning.study import OpenStudy, find_study, load_study, open_database

if TYPE_CHECKING:
    import torch

    from optdet.inference.detector import TrainedDetector


@dataclass(frozen=True, slots=True)
class StudyTrial:
    """The trial that a source names, and its study."""

    study: OpenStudy
    trial: FrozenTrial

    @property
    def title(self) -> str:
        return f"{self.study.name}:{self.trial.number}"


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A detector ready to run, its thresholds, its cached maps, and what to call it."""

    title: str
    trained: TrainedDetector
    thresholds: Thresholds
    cache: MapCache | None


def find_source(source: str, *, storage: str | None = None, root: str | None = None) -> Path | StudyTrial:
    """A file if there is one of that name, else a study's best trial or the trial named."""
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix == ".pt" or "/" in source:
        raise OptdetError("no such checkpoint file", where=source)
    name, colon, number = source.partition(":")
    if colon and not re.fullmatch(r"[0-9]+", number):
        raise OptdetError(
            f"{number!r} is not a trial number", where=source, fix="write STUDY:TRIAL, as quickstart:7"
        )
    database = open_database(storage, root)
    study = load_study(database, find_study(database, name or None))
    return StudyTrial(study, find_trial(study, int(number)) if colon else best_trial(study))


def open_source(
    source: str, device: torch.device, *, storage: str | None = None, root: str | None = None
) -> OpenSource:
    """What ``find_source`` finds, ready to run."""
    from optdet.inference.detector import open_checkpoint

    found = find_source(source, storage=storage, root=root)
    if isinstance(found, Path):
        trained = open_checkpoint(found, device)
        return OpenSource(found.name, trained, trained.thresholds, None)
    trained = open_checkpoint(checkpoint_path(found.study, found.trial), device)
    return OpenSource(
        title=found.title,
        trained=trained,
        thresholds=thresholds_of(found.trial) or trained.thresholds,
        cache=MapCache.of(found.study.places.cache_dir, trained.detector.key()),
    )
