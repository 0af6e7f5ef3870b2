"""A study of seconds that the real command ran, and a way to run more commands, cheaply or to their death."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from killing import contents

STUDY_FILE = """
name: tiny
config:
  device: cpu
  data: {synthetic: {train: 10, val: 5, image_size: 192, difficulty: 0.0}, size: 128, workers: 0}
  augment: {geometry_prob: 0.0}
  model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16, thresh_branch: false}
  loss: {negative_ratio: 1.0}
  train: {epochs: 3, batch_size: 1}
space:
  optimizer.lr: {type: float, low: 0.003, high: 0.03, log: true}
  optimizer.weight_decay: {type: float, low: 1.0e-5, high: 1.0e-2, log: true}
  loss.negative_ratio: {type: categorical, choices: [1, 2]}
postprocess: {method: tpe, trials: 8}
sampler: {name: tpe, n_startup_trials: 2}
pruner: {name: median, n_startup_trials: 1, n_warmup_epochs: 1}
queue: [{optimizer.lr: 0.04, loss.negative_ratio: 1}]
trials: 4
keep: {maps: 1, inner_studies: 1, overlays: 2}
"""


@dataclass(frozen=True)
class Completed:
    """A command that ended; a negative ``code`` is the signal that ended it."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Running:
    """A command at work; ``folder`` takes its output."""

    pid: int
    folder: Path


@dataclass(frozen=True)
class Moment:
    """Where a process is sent a signal: before, or ``after``, the n-th call of a function, ``module:name``.

    ``swallowed``: in a finalizer, where Python drops what a handler raises. ``shell``: a command that it runs
    there instead; ``commit``: "before" or "after" the first commit in that call, which fails.
    """

    at: str
    call: int = 1
    after: bool = False
    ending: int = signal.SIGKILL
    swallowed: bool = False
    shell: str | None = None
    commit: str | None = None


class Commands:
    """Commands in real processes, forked by command_process.py from one that has imported everything."""

    def __init__(self, folder: Path, *, within: Sequence[str] = ()) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [*within, sys.executable, str(Path(__file__).with_name("command_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=one_thread(),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, *argv: object, cwd: Path, **how: Any) -> Completed:
        return self.wait(self.start(*argv, cwd=cwd, **how))

    def start(
        self,
        *argv: object,
        cwd: Path,
        kill: Moment | Sequence[Moment] = (),
        clock_s: float = 0.0,
        host: str | None = None,
    ) -> Running:
        """``clock_s`` puts its wall clock ahead, ``host`` puts it on another machine."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        for name in ("out", "err"):
            (folder / name).touch()
        order: dict[str, Any] = {"argv": [str(word) for word in argv], "cwd": str(cwd)}
        order |= {"clock_s": clock_s, "host": host}
        order |= {"out": str(folder / "out"), "err": str(folder / "err")}
        order["kill"] = [asdict(moment) for moment in ([kill] if isinstance(kill, Moment) else kill)]
        return Running(self._order(order), folder)

    def wait(self, running: Running) -> Completed:
        code = self._order({"wait": running.pid})
        return Completed(code, (running.folder / "out").read_text(), (running.folder / "err").read_text())

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _order(self, order: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def one_thread() -> dict[str, str]:
    """One thread: equal bits are promised for equal thread counts, and small networks are no slower."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPTDET_")}
    return kept | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    started = Commands(tmp_path_factory.mktemp("output"))
    yield started
    started.end()


@pytest.fixture(scope="session")
def never_killed(finished: FinishedStudy) -> dict[str, Any]:
    """All that the finished study is, for comparison with one that met something."""
    assert finished.ran.returncode == 0, finished.ran.stderr
    return contents(finished.folder / "studies")


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return one_thread()


@pytest.fixture(scope="session")
def moment() -> type[Moment]:
    return Moment


@pytest.fixture(scope="session")
def study_file() -> str:
    return STUDY_FILE


@pytest.fixture
def new_study(tmp_path: Path, commands: Commands) -> Path:
    """A working directory with the study created in it, and nothing run."""
    (tmp_path / "tiny.yaml").write_text(STUDY_FILE)
    assert commands.run("study", "create", "tiny.yaml", cwd=tmp_path).code == 0
    return tmp_path


@dataclass(frozen=True)
class FinishedStudy:
    """A working directory whose study was created and run by ``python -m optdet``, in one go."""

    folder: Path
    created: subprocess.CompletedProcess[str]
    ran: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Made by the first process of the tests that wants it, for all of them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "finished.pickle"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            made.write_bytes(pickle.dumps(_finish(shared / "finished")))
    study: FinishedStudy = pickle.loads(made.read_bytes())
    return study


def _finish(folder: Path) -> FinishedStudy:
    folder.mkdir()
    (folder / "tiny.yaml").write_text(STUDY_FILE)
    created, ran = (
        subprocess.run(
            [sys.executable, "-m", "optdet", *words],
            cwd=folder,
            env=one_thread(),
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (["study", "create", "tiny.yaml"], ["study", "run"])
    )
    return FinishedStudy(folder, created, ran)
