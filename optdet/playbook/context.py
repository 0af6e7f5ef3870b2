"""What every stage works with: the playbook, the database, where files lie, whom to tell.

A stage names detectors by what they are to the playbook (``previous``, ``best``, another stage); here these
become a SOURCE and its thresholds.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from optdet.config import DataConfig
from optdet.config_io import apply_params, load_config
from optdet.errors import OptdetError
from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.result import StageResult
from optdet.playbook.score import LOCAL, Reader
from optdet.structures import OnImage, Thresholds
from optdet.tuning.detection_source import DetectionSource, OpenSource
from optdet.tuning.progress import Progress
from optdet.tuning.source import SourceOptions, open_detections, open_source
from optdet.tuning.study import Database, OpenStudy

START = "start"
REFERENCE = "reference"


class Display(Protocol):
    """What shows how far a stage is."""

    def say(self, line: str) -> None: ...

    def progress(self, study: OpenStudy) -> AbstractContextManager[Progress]:
        """For a study that is run, until it is full."""
        ...

    def bar(self, what: str) -> AbstractContextManager[OnImage]:
        """For images, or configurations, that are counted."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that is done, as later stages see it."""

    stage: str
    result: StageResult


@dataclass(frozen=True, slots=True)
class Named:
    """A detector that a stage names: a SOURCE, at thresholds (None: its own)."""

    source: str
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """``folder`` is that of the playbook file, ``taken`` are the steps so far, ``reader`` reads a score."""

    playbook: PlaybookConfig
    folder: Path
    database: Database
    storage: str | None
    root: str | None
    device: str
    display: Display
    taken: tuple[Taken, ...] = ()
    reader: Reader = LOCAL

    @property
    def options(self) -> SourceOptions:
        return SourceOptions(device=self.device, storage=self.storage, root=self.root, say=self.display.say)

    def own_dir(self) -> Path:
        """Where the playbook keeps files of its own."""
        return own_dir(self.database, self.playbook)

    def study_name(self, stage: str, part: str = "") -> str:
        """The study of a stage that begins now, another one each time that the stage is entered."""
        n_before = sum(taken.stage == stage for taken in self.taken)
        visit = f"-{n_before + 1}" if n_before else ""
        return f"{self.playbook.name}-{stage}{visit}{f'-{part}' if part else ''}"

    def file(self, name: str) -> Path:
        """A file that the playbook names: beside it, else below the working directory."""
        for folder in (self.folder, Path()):
            if (folder / name).is_file():
                return folder / name
        raise OptdetError(
            f"{name!r} is neither beside the playbook nor below the working directory",
            where=f"playbook {self.playbook.name}",
            fix="check the path; `optdet init` writes the shipped configs and studies",
        )

    def start_data(self) -> DataConfig | None:
        """The images that the start's config names; None without one."""
        start = self.playbook.start
        if start.config is None:
            return None
        config = apply_params(load_config(self.file(start.config)), start.overrides, "start.overrides")
        return config.data

    def scored(self, name: str) -> Taken | None:
        """The step that a stage's ``source`` names, with the scores that it has; None for a SOURCE."""
        if name == "best":
            return self.best()
        return next((taken for taken in reversed(self.taken) if taken.stage == name), None)

    def named(self, name: str) -> Named:
        """What a stage calls ``name``; OptdetError for a stage that was not taken yet."""
        if name == "previous":  # a reference is made in between
            return self.of([taken for taken in self.taken if taken.stage != REFERENCE][-1].result)
        if name == "best":
            return self.of(self.best().result)
        if name in self.playbook.stages or name in (START, REFERENCE):
            found = [taken.result for taken in self.taken if taken.stage == name]
            if not found and name == REFERENCE and self.playbook.reference is not None:
                return Named(self.playbook.reference.source)
            if not found:
                raise OptdetError(
                    f"the stage {name} was not run on this path",
                    where=f"playbook {self.playbook.name}",
                    fix="name one that was, or best",
                )
            return self.of(found[-1])
        return Named(name)

    def members_of(self, name: str) -> tuple[str, ...]:
        """The sources of an ensemble that a stage gave; of a single detector its own."""
        found = [taken.result for taken in self.taken if taken.stage == name]
        result = self.best().result if name == "best" else found[-1] if found else None
        if result is not None and result.members:
            return result.members
        return (self.named(name).source,)

    def best(self, *, alone: bool = False) -> Taken:
        """The step with the best score that gates could read, the first of equals; the start without any.

        ``alone``: of single detectors, and not of the reference, which is another line of work.
        """
        asked = [
            taken
            for taken in self.taken
            if not alone or (taken.result.n_members == 1 and taken.stage != REFERENCE)
        ]
        readings = [(self.reader.read(taken.result), taken) for taken in asked]
        known = [(reading.hmean, taken) for reading, taken in readings if reading is not None]
        return max(known, key=lambda entry: entry[0])[1] if known else self.taken[0]

    def open(self, named: Named) -> DetectionSource:
        """The source, at the thresholds that the playbook has for it."""
        return _at(open_detections(named.source, self.options), named.thresholds)

    def open_maps(self, named: Named) -> OpenSource:
        """The same; OptdetError for one without probability maps, as a vote."""
        opened = _at(open_source(named.source, self.options), named.thresholds)
        assert isinstance(opened, OpenSource)
        return opened

    def of(self, result: StageResult) -> Named:
        reading = self.reader.read(result)
        thresholds = result.thresholds if reading is None else reading.thresholds
        return Named(result.source, thresholds)


def own_dir(database: Database, playbook: PlaybookConfig) -> Path:
    """Where a playbook keeps files of its own."""
    return database.places.root / "playbooks" / playbook.name


def _at(opened: DetectionSource, thresholds: Thresholds | None) -> DetectionSource:
    if thresholds is None or not isinstance(opened, OpenSource):
        return opened
    return replace(opened, thresholds=thresholds)


def stage_path(path: Path) -> str:
    """A path as results hold it: relative to the working directory, where it lies below it."""
    relative = os.path.relpath(path)
    return Path(path).as_posix() if relative.startswith("..") else Path(relative).as_posix()
