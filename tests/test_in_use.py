"""What is held is not removed, by this process or another; what is not held goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optdet.in_use import hold, remove_unused


@pytest.fixture(params=["file", "folder"])
def thing(request, tmp_path):
    path = tmp_path / "thing"
    if request.param == "folder":
        path.mkdir()
        (path / "inside").write_bytes(b"1")
    else:
        path.write_bytes(b"1")
    return path


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_what_is_held_stays_until_the_last_lets_go(thing):
    first, second = hold(thing), hold(thing)
    assert not remove_unused(thing, remove)
    first.release()
    assert not remove_unused(thing, remove)
    assert thing.exists()
    del second  # forgotten: as good as released
    assert remove_unused(thing, remove)
    assert not thing.exists()


def test_what_is_not_there(tmp_path):
    assert hold(tmp_path / "none") is None
    assert remove_unused(tmp_path / "none", remove)


def test_a_process_holds_as_long_as_it_lives(thing):
    script = (
        "import sys, pathlib, optdet.in_use as u; h = u.hold(pathlib.Path(sys.argv[1])); print(1, flush=True)"
    )
    script += "; input()"
    held = subprocess.Popen(
        [sys.executable, "-c", script, str(thing)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    held.stdout.readline()
    assert not remove_unused(thing, remove)
    held.send_signal(signal.SIGKILL)
    held.communicate()
    assert remove_unused(thing, remove)


def test_what_was_removed_while_one_waited_for_it_is_not_held(thing, monkeypatch):
    """Opened, then removed and made anew before the lock: it would be that of the removed one."""
    opened = os.open

    def slow(path, flags):
        descriptor = opened(path, flags)
        monkeypatch.undo()
        remove(thing)
        thing.mkdir()
        return descriptor

    monkeypatch.setattr("optdet.in_use.os.open", slow)
    assert hold(thing) is None
    assert hold(thing) is not None
