"""What tests of several layers share."""

from __future__ import annotations

import json
import os
import pwd
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# Before torch is imported. Small networks run no faster on more threads, and where other work has the cores,
# threads that wait for one another are many times slower.
os.environ["OMP_NUM_THREADS"] = "1"

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("optdet", deadline=None)
settings.load_profile("optdet")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is ``thin(n)`` all cases but the first n are slow: `make test-slow` has them. Those on
    PostgreSQL, which do not run by default, stay as they are."""
    n_seen: Counter[str] = Counter()
    for item in items:
        thin = item.get_closest_marker("thin")
        if thin is not None and item.get_closest_marker("postgres") is None:
            test = item.nodeid.partition("[")[0]
            n_seen[test] += 1
            if n_seen[test] > thin.args[0]:
                item.add_marker(pytest.mark.slow)


@contextmanager
def _file_size_limit(n_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """``with small_disk(n):`` no file may grow beyond n bytes, as on a disk that fills up while writing.

    Only around the write itself: pytest's own log is a file too, and may be longer.
    """
    return _file_size_limit


POSTGRES_VARIABLE = "OPTDET_TEST_POSTGRES_URL"
"""A URL of a server on which databases may be made; without it a throw-away server is started."""


@dataclass(frozen=True)
class PostgresServer:
    """A server for tests. ``folder`` is None for one that is not ours: it cannot be stopped."""

    url: str
    bin: Path | None = None
    folder: Path | None = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, dropped at the end."""
        psycopg = pytest.importorskip("psycopg")
        name = f"optdet_test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        yield re.sub(r"/[^/?]*(?=\?|$)", f"/{name}", self.url).replace(
            "postgresql:", "postgresql+psycopg:", 1
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def command(self, *words: str) -> list[str]:
        """pg_ctl of this server, as the user that runs it."""
        log = str(self.folder / "log")
        return [
            *_as_nobody(),
            str(self.bin / "pg_ctl"),
            "-s",
            "-D",
            str(self.folder / "data"),
            "-l",
            log,
            *words,
        ]

    def start(self) -> None:
        subprocess.run(self.command("-w", "start"), check=True, cwd="/")

    def stop(self) -> None:
        """As a power cut does: no connection is ended in good order."""
        subprocess.run(self.command("-m", "immediate", "stop"), check=True, cwd="/")

    def bounce(self, seconds: float) -> str:
        """A shell command that stops the server at once, and starts it again after that time."""
        stop, start = (
            shlex.join(self.command(*words)) for words in (("-m", "immediate", "stop"), ("-w", "start"))
        )
        return f"cd /; {stop}; (sleep {seconds}; exec {start}) >/dev/null 2>&1 &"


def _as_nobody() -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", f"--regid={_group_of_nobody()}", "--clear-groups"]


def _group_of_nobody() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _postgres_binaries() -> Path | None:
    """The newest of Debian's versions, else what is on the path."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The named server, or one of our own in a temporary folder, on a free port of the loopback."""
    given = os.environ.get(POSTGRES_VARIABLE)
    if given:
        yield PostgresServer(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", given))
        return
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL server is installed, and {POSTGRES_VARIABLE} names none")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("PostgreSQL does not run as root, and setpriv is missing")
    with tempfile.TemporaryDirectory(prefix="optdet-pg-", dir="/tmp") as name, socket.socket() as free:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", _group_of_nobody())
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "optdet", "-A", "trust"]
        subprocess.run(
            [*_as_nobody(), *initdb, "--no-sync", "-E", "UTF8"], check=True, cwd="/", capture_output=True
        )
        settings = ["listen_addresses='127.0.0.1'", f"port={port}", "unix_socket_directories=''", "fsync=off"]
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write("\n".join(settings) + "\n")
        server = PostgresServer(f"postgresql://optdet@127.0.0.1:{port}/postgres", binaries, folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A new database of its own."""
    with postgres.database() as url:
        yield url


PAGE = (160, 120)
N_PAGES = 10


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``images``, ``labels.json`` and the maps of three detectors, ``m0`` to ``m2``: each
    misses some words and sees others in a wrong place, the last ones more of them. The canvas of ``m1`` is
    smaller. To be read, not changed."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("images", "m0", "m1", "m2"):
        (folder / name).mkdir()
    labels = {}
    for number in range(N_PAGES):
        name = f"page_{number}.png"
        Image.fromarray(np.full((PAGE[1], PAGE[0], 3), 200, np.uint8)).save(folder / "images" / name)
        boxes = [(8 + 50 * column, 8 + 22 * row, 40, 14) for row in range(5) for column in range(3)]
        words = {
            str(index): {"points": [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]}
            for index, (x, y, w, h) in enumerate(boxes)
        }
        labels[name] = {"words": words}
        for member, size in enumerate((160, 128, 160)):
            np.save(folder / f"m{member}" / f"page_{number}.npy", _seen(boxes, member, number, size))
    (folder / "labels.json").write_text(json.dumps({"images": labels}))
    return folder


def _seen(boxes: list[tuple[int, int, int, int]], member: int, number: int, size: int) -> np.ndarray:
    """A member's map of a page, on a square canvas with the padding in the middle."""
    rng = np.random.default_rng([member, number])
    prob_map = np.zeros((size, size), np.float32)
    scale, top = size / PAGE[0], (size - PAGE[1] * size // PAGE[0]) // 2
    for x, y, width, height in boxes:
        if rng.random() < 0.04 + 0.06 * member:
            continue
        shift = rng.integers(-1, 2, 2)
        corner = np.array([x + 4, y + 4]) + shift
        start = np.round(corner * scale + (0, top)).astype(int)
        far = corner + np.array([width - 8, height - 8])
        end = np.round(far * scale + (0, top)).astype(int)
        cv2.rectangle(prob_map, start.tolist(), end.tolist(), float(rng.uniform(0.5, 1)), -1)
    for _ in range(1 + member):
        x, y = rng.integers(0, size - 24, 2).tolist()
        cv2.rectangle(prob_map, (x, y), (x + 16, y + 4), float(rng.uniform(0.3, 0.8)), -1)
    return cv2.GaussianBlur(prob_map, (3, 3), 0).astype(np.float16)
