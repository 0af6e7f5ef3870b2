"""The command line, run in this process as the program runs it, and a study small enough to train."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from optdet.cli.app import main

TINY = """\
data:
  synthetic: {train: 6, val: 4, image_size: 192}
  size: 96
  workers: 0
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16}
train: {epochs: 2, batch_size: 3}
"""

STUDY = """\
name: tiny
config: ../configs/tiny.yaml
space:
  optimizer.lr: {type: float, low: 0.001, high: 0.02, log: true}
queue:
  - {optimizer.lr: 0.005}
postprocess: {trials: 5}
trials: 2
"""


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and its streams."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The one line that says what is wrong: the last on stderr, and the only one of its kind."""
        *before, last = self.err.splitlines()
        assert self.code == 1, self.err
        assert last.startswith("error: "), self.err
        assert not any(line.startswith("error") or "Traceback" in line for line in before), self.err
        return last


def run_optdet(*arguments, cwd):
    """``optdet ARGUMENTS`` in a folder, through the program's own entry point, on one thread."""
    out, err = io.StringIO(), io.StringIO()
    n_threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["optdet", *map(str, arguments)])
        for name in ("OPTDET_STORAGE", "OPTDET_DEBUG"):
            patch.setenv(name, "")
        torch.set_num_threads(1)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            torch.set_num_threads(n_threads)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture
def optdet(tmp_path):
    """Runs a command in the test's own folder."""
    return lambda *arguments, cwd=tmp_path: run_optdet(*arguments, cwd=cwd)


def write_tiny(folder):
    for kind, text in (("configs", TINY), ("studies", STUDY)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / "tiny.yaml").write_text(text)


@pytest.fixture
def tiny(tmp_path):
    """A project folder with a config and a study that train in seconds."""
    write_tiny(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def studied(tmp_path_factory):
    """A project folder in which the tiny study has run; to be read, not changed."""
    folder = tmp_path_factory.mktemp("studied")
    write_tiny(folder)
    assert run_optdet("study", "create", "studies/tiny.yaml", cwd=folder).code == 0
    ran = run_optdet("study", "run", cwd=folder)
    assert ran.code == 0, ran.err
    return folder, ran


@pytest.fixture(scope="session")
def run_in():
    """A way to run commands in a folder that outlives a test."""
    return lambda folder: partial(run_optdet, cwd=folder)
