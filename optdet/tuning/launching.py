"""Starting a run that outlives its terminal, and waiting until it is known how that went."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.tuning.background import has_begun, log_in
from optdet.tuning.run_log import LogReader

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Launched:
    """A run that began, or has ended already: then with its exit code, negative for a signal."""

    pid: int
    code: int | None


def launch(command: Sequence[str], folder: Path, say: Callable[[str], None]) -> Launched:
    """Start a command in a session of its own, its output in the folder's log; back once its trials begin.

    What it says until then is passed on. An interrupt here leaves it alone.
    """
    pid = _start(command, log_in(folder))
    reader = LogReader(log_in(folder))
    rest = ""
    while True:
        begun, code = has_begun(folder), _exit_code(pid)  # asked before reading: then nothing is missed
        while text := reader.new_text():
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                say(line)
        if begun or code is not None:
            if rest:
                say(rest)
            return Launched(pid, code)
        time.sleep(_POLL_S)


def _start(command: Sequence[str], log: Path) -> int:
    """Not subprocess, which takes a child that goes on when its parent ends for a mistake."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], list(command), environment, file_actions=actions, setsid=True)


def _exit_code(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None
