"""Storages and studies for the store's tests: on SQLite always, on PostgreSQL with `-m postgres`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage

from optdet.store.engine import close_storage, open_storage
from optdet.store.owners import process_started
from optdet.store.url import storage_url

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class StoredStudy:
    """A new study in the module's database, with its UUID in its user attributes and as its name."""

    study: optuna.Study
    study_id: int
    uuid: str


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield storage_url(tmp_path_factory.mktemp("store") / "studies" / "optdet.db")
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture(scope="module")
def storage(url: str) -> Iterator[RDBStorage]:
    opened = open_storage(url)
    yield opened
    close_storage(opened)


@pytest.fixture
def stored(storage: RDBStorage) -> StoredStudy:
    study_uuid = str(uuid.uuid4())
    study = optuna.create_study(storage=storage, study_name=study_uuid, direction="maximize")
    study.set_user_attr("uuid", study_uuid)
    return StoredStudy(study, storage.get_study_id_from_name(study_uuid), study_uuid)


@dataclass(frozen=True)
class Done:
    """What one worker process did; it still lives, asleep."""

    pid: int
    outcome: Any


class Workers:
    """Real processes that hold slots and can be killed; see worker_process.py."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("worker_process.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, url: str, role: str, study: str = "", *, total: int = 0, n: int = 1) -> list[Done]:
        """The outcomes of n processes that start together, as they come."""
        self._order({"url": url, "role": role, "study": study, "total": total, "n": n})
        assert self._process.stdout
        return [Done(**json.loads(self._process.stdout.readline())) for _ in range(n)]

    def kill(self, pid: int, *, reap: bool = True) -> None:
        """SIGKILL; not reaped, it stays a zombie as under a launcher that is busy elsewhere."""
        os.kill(pid, signal.SIGKILL)
        if reap:
            self._order({"reap": pid})
        while process_started(pid) is not None:
            time.sleep(0.001)

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.end()
