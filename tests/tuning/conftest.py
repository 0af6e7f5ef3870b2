"""Databases, study definitions, and one small study that was really run: seconds on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, func, select

from optdet.store.engine import close_storage
from optdet.study_config import StudyConfig
from optdet.tuning.progress import Progress, TrialOutcome
from optdet.tuning.run import run_study
from optdet.tuning.study import Database, OpenStudy, load_study, open_database
from optdet.tuning.study_creation import create_study
from optdet.validation import validate

SMALL: dict[str, Any] = {
    "device": "cpu",
    "data": {
        "synthetic": {"train": 4, "val": 3, "image_size": 192, "difficulty": 0.0},
        "size": 64,
        "workers": 0,
    },
    "augment": {"geometry_prob": 0.0},
    "model": {
        "backbone": "test_efficientnet",
        "pretrained": False,
        "inner_channels": 16,
        "thresh_branch": False,
    },
    "loss": {"negative_ratio": 1.0},
    "optimizer": {"lr": 0.02},
    "train": {"epochs": 2, "batch_size": 1},
}
SPACE: dict[str, Any] = {
    "optimizer.lr": {"type": "float", "low": 0.003, "high": 0.03, "log": True},
    "train.batch_size": {"type": "int", "low": 1, "high": 2},
    "loss.negative_ratio": {"type": "categorical", "choices": [1.0, 2.0]},
}
INNER = {"method": "random", "trials": 6}

Define = Callable[..., StudyConfig]


class Recorder(Progress):
    """Remembers what a run said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.outcomes: list[TrialOutcome] = []
        self.started: list[tuple[int, bool]] = []
        self.epochs: list[tuple[int, int]] = []
        self.resumed_after: list[int] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def trial_started(self, number: int, params: Any, epochs: int, *, taken_over: bool) -> None:
        self.started.append((number, taken_over))

    def resumed(self, record: Any) -> None:
        self.resumed_after.append(record.epoch)

    def epoch(self, record: Any) -> None:
        self.epochs.append((self.started[-1][0], record.epoch))

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(scope="package")
def define() -> Define:
    """A study's definition: a small one, with what is given replaced."""

    def defined(name: str, **changes: Any) -> StudyConfig:
        tree = {"name": name, "config": SMALL, "space": SPACE, "postprocess": INNER, "trials": 3}
        tree |= {"pruner": {"name": "none"}, "keep": {"inner_studies": 0, "overlays": 0}}
        return validate(StudyConfig, tree | changes, name)

    return defined


@pytest.fixture(scope="package")
def recorder() -> type[Recorder]:
    return Recorder


def opened(folder: Path) -> Iterator[Database]:
    database = open_database(str(folder / "studies" / "optdet.db"), create=True)
    yield database
    close_storage(database.storage)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new database, for tests in which what else is in it matters."""
    yield from opened(tmp_path)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that tests share, each with studies of its own name; its receipts are made once."""
    yield from opened(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="package")
def make(shared: Database, define: Define) -> Callable[..., OpenStudy]:
    """A study created in the shared database."""

    def made(name: str, **changes: Any) -> OpenStudy:
        create_study(shared, define(name, **changes))
        return load_study(shared, name)

    return made


@pytest.fixture(scope="package")
def finished(make: Callable[..., OpenStudy]) -> OpenStudy:
    """A study of three complete trials. Tests must leave it as it is."""
    keep = {"maps": 1, "inner_studies": 1, "overlays": 2}
    study = make("finished", keep=keep, queue=({"optimizer.lr": 0.02, "loss.negative_ratio": 1.0},))
    assert run_study(study, Recorder()).reason == "full"
    return study


@pytest.fixture(scope="package")
def n_rows() -> Callable[[Database], dict[str, int]]:
    """Rows of every table there is, Optuna's and ours, but for those that say a version."""

    def counted(database: Database) -> dict[str, int]:
        tables = MetaData()
        tables.reflect(database.storage.engine)
        with database.storage.engine.connect() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in tables.sorted_tables
                if "version" not in table.name
            }

    return counted
