"""A SOURCE, as commands take it: ``STUDY``, ``STUDY:TRIAL`` or a checkpoint file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from optdet.errors import OptdetError
from optdet.inference.detector import TrainedDetector, open_checkpoint
from optdet.inference.map_cache import MapCache
from optdet.structures import Thresholds
from optdet.tuning.results import best_trial, checkpoint_path, find_trial, thresholds_of
from optdet.tuning.study import find_study, load_study, open_database


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A detector ready to run, its thresholds, its cached maps, and what to call it."""

    title: str
    trained: TrainedDetector
    thresholds: Thresholds
    cache: MapCache | None


def open_source(
    source: str, device: torch.device, *, storage: str | None = None, root: str | None = None
) -> OpenSource:
    """A file if there is one of that name, else a study's best trial or the trial named."""
    path = Path(source)
    if path.is_file():
        trained = open_checkpoint(path, device)
        return OpenSource(path.name, trained, trained.thresholds, None)
    if path.suffix == ".pt" or "/" in source:
        raise OptdetError("no such checkpoint file", where=source)
    name, colon, number = source.partition(":")
    if colon and not re.fullmatch(r"[0-9]+", number):
        raise OptdetError(
            f"{number!r} is not a trial number", where=source, fix="write STUDY:TRIAL, as quickstart:7"
        )
    database = open_database(storage, root)
    study = load_study(database, find_study(database, name or None))
    trial = find_trial(study, int(number)) if colon else best_trial(study)
    trained = open_checkpoint(checkpoint_path(study, trial), device)
    return OpenSource(
        title=f"{study.name}:{trial.number}",
        trained=trained,
        thresholds=thresholds_of(trial) or trained.thresholds,
        cache=MapCache.of(study.places.cache_dir, trained.detector.key()),
    )
