"""Runs of a study that no terminal waits for: where each keeps its log, whether it works, how it is stopped.

``<root>/runs/<study>/logs/20250131-180500/`` is one run: ``output.log`` has all that it says, ``run.json``
which process it is and of which study, and ``begun`` is there once its trials begin. A process is told from
every other one that ever had its number by the time at which it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from optuna.trial import TrialState

from optdet.data.files import write_atomically
from optdet.errors import OptdetError
from optdet.store.leases import Leases
from optdet.store.owners import Owner
from optdet.store.places import Places
from optdet.tuning.study import OpenStudy

STOP_S = 60.0
"""A run gives its trial back within ten seconds, several workers and a busy machine allowed for."""
_POLL_S = 0.1
_LOG, _RECORD, _BEGUN = "output.log", "run.json", "begun"


@dataclass(frozen=True, slots=True)
class BackgroundRun:
    """One run; ``since`` and ``ended`` are seconds since the epoch. One that was killed has no ``ended``."""

    folder: Path
    study_uuid: str
    owner: Owner
    since: float
    ended: float | None = None

    @property
    def log(self) -> Path:
        return self.folder / _LOG

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, on this host, so that its process can be looked up."""
        return self.owner.host == Owner.current().host

    @property
    def works(self) -> bool:
        """Whether its process runs; on another host, whether it has not said that it ended."""
        if not self.is_here:
            return self.ended is None
        here = Owner.current()
        return self.owner.is_alive(here=here, beat_age_s=0.0, expiry_s=0.0)

    def reread(self) -> BackgroundRun:
        """As it is now: it may have said that it ended."""
        return read_run(self.folder) or replace(self, ended=time.time())

    def as_json(self) -> dict[str, Any]:
        since = datetime.fromtimestamp(self.since).astimezone().isoformat(timespec="seconds")
        place = {"host": self.owner.host, "is_here": self.is_here}
        return {"pid": self.owner.pid, **place, "since": since, "log": str(self.log)}


def new_folder(places: Places, study: str) -> Path:
    """A folder for one more run, named by the time, with an empty log in it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        folder = places.logs_of(study) / (stamp if number == 1 else f"{stamp}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            (folder / _LOG).touch()
            return folder
    raise AssertionError  # counting does not end


def log_in(folder: Path) -> Path:
    """The file of a run's folder that has what it says."""
    return folder / _LOG


@contextlib.contextmanager
def recorded(folder: Path, study_uuid: str) -> Iterator[None]:
    """While the block runs, this process is known as the study's background run, and no hang-up ends it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # workers that it starts inherit that
    run = BackgroundRun(folder, study_uuid, Owner.current(), time.time())
    _write(run)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        with contextlib.suppress(OptdetError):  # a full disk: how the run ended matters more
            _write(replace(run, ended=time.time()))


def mark_begun(folder: Path) -> None:
    (folder / _BEGUN).touch()


def has_begun(folder: Path) -> bool:
    return (folder / _BEGUN).exists()


def runs_of(study: OpenStudy) -> list[BackgroundRun]:
    """The background runs of a study, oldest first."""
    return runs_in(study.places, study.name, study.uuid)


def runs_in(places: Places, study: str, study_uuid: str) -> list[BackgroundRun]:
    """The same, by name and UUID: not those of an earlier study that had the name."""
    found = (read_run(folder) for folder in run_folders(places.logs_of(study)))
    return sorted(
        (run for run in found if run is not None and run.study_uuid == study_uuid),
        key=lambda run: (run.since, run.folder),
    )


def run_folders(logs: Path) -> list[Path]:
    """Those of a study's runs, oldest first, by the folder that they lie in."""
    return sorted(path for path in logs.iterdir() if path.is_dir()) if logs.is_dir() else []


def read_run(folder: Path) -> BackgroundRun | None:
    """The run of a folder; None for one that has not said yet who it is, or whose record is damaged."""
    try:
        stored = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        owner = Owner(**stored["owner"])
        return BackgroundRun(folder, stored["study_uuid"], owner, stored["since"], stored["ended"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def stop_runs(study: OpenStudy, runs: Sequence[BackgroundRun], *, timeout_s: float = STOP_S) -> list[int]:
    """End runs at work on this host as a Ctrl-C in their terminals would; the trials that they gave back.

    OptdetError where one has not ended in time; it was asked to, and goes on ending.
    """
    held = _trials_held(study, runs)
    for run in runs:
        _ask_to_stop(run)
    deadline = time.monotonic() + timeout_s
    while (left := [run for run in runs if run.works]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if left:
        raise OptdetError(
            f"{processes(left)} did not end within {timeout_s:g} s",
            where=f"study {study.name}",
            fix="wait, or end it with kill -9: its trial goes on with the next run all the same",
        )
    running = study.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return sorted(held & {trial.number for trial in running})


def processes(runs: Sequence[BackgroundRun]) -> str:
    """``process 12``, ``processes 12, 34``."""
    noun = "process" if len(runs) == 1 else "processes"
    return f"{noun} {', '.join(str(run.owner.pid) for run in runs)}"


def _trials_held(study: OpenStudy, runs: Sequence[BackgroundRun]) -> set[int]:
    holders = {(run.owner.host, pid) for run in runs for pid in _processes_of(run)}
    slots = Leases(study.storage, study.study_id, study.uuid).live()
    return {
        slot.trial_number
        for slot in slots
        if slot.alive and slot.trial_number is not None and (slot.host, slot.pid) in holders
    }


def _processes_of(run: BackgroundRun) -> set[int]:
    """The process ids of a run at work here, its workers' among them."""
    try:
        children = psutil.Process(run.owner.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    return {run.owner.pid, *(child.pid for child in children)}


def _ask_to_stop(run: BackgroundRun) -> None:
    if run.is_here and run.works:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.owner.pid, signal.SIGTERM)


def _write(run: BackgroundRun) -> None:
    record = {
        "study_uuid": run.study_uuid,
        "owner": asdict(run.owner),
        "since": run.since,
        "ended": run.ended,
    }
    write_atomically(run.folder / _RECORD, json.dumps(record).encode())
