"""Runs optdet's command line in processes of their own, which can be killed at a named moment.

Run as a script, it imports everything once and then forks a child for each command: what a command costs is
its work, not the imports. Each line of JSON on its standard input is an order. {"argv", "cwd", "out", "err",
"kill"} starts ``optdet ARGV`` there and answers with its process id; {"wait": pid} answers with its exit
code, negative for a signal. ``kill`` is a list of moments: {"at": "module:name", "call": n, "after": bool,
"ending": signal, "swallowed": bool, "shell": null, "commit": null}: the process sends itself that signal
before (or after) the n-th call. With ``shell`` it runs that command there instead; with ``commit`` it does so
"before" or "after" the first transaction of the call (or that comes after it) is committed, which then fails.
"clock_s" puts the wall clock of the process that many seconds ahead, and "host" puts it on another machine.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from optdet.cli.app import main as optdet

IMPORTED_LATE = (
    "cli.progress",
    "cli.tables",
    "data.prediction_scores",
    "store.engine",
    "tuning.export",
    "tuning.overview",
    "tuning.queue",
    "tuning.run",
    "tuning.smoke",
    "tuning.source",
)


def warm_up() -> None:
    for name in IMPORTED_LATE:
        importlib.import_module(f"optdet.{name}")
    from optdet.store.engine import close_storage, open_storage

    with tempfile.TemporaryDirectory() as folder:
        close_storage(open_storage(Path(folder) / "warm.db"))  # Optuna imports much of itself late


class Finalized:
    """Sends the signal when it goes: whatever a handler raises then, Python drops."""

    def __init__(self, ending: int) -> None:
        self.ending = ending

    def __del__(self) -> None:
        os.kill(os.getpid(), self.ending)


def break_next_commit(stop_server: Callable[[], None], *, answer_lost: bool) -> Callable[[], None]:
    """The next commit of this thread fails: undone, or done with nobody to say so. Returns what mends it."""
    commit, thread = DefaultDialect.do_commit, threading.get_ident()

    def mend() -> None:
        DefaultDialect.do_commit = commit  # type: ignore[method-assign]

    def broken(dialect: DefaultDialect, connection: Any) -> None:
        if threading.get_ident() != thread:  # the heartbeat's
            commit(dialect, connection)
            return
        mend()
        if answer_lost:
            commit(dialect, connection)
            stop_server()
            connection.execute("SELECT 1")
        stop_server()
        commit(dialect, connection)

    DefaultDialect.do_commit = broken  # type: ignore[method-assign]
    return mend


def arm(
    at: str, call: int, after: bool, ending: int, swallowed: bool, shell: str | None, commit: str | None
) -> None:
    """Put a wrapper that sends this process a signal in the place of a function or method."""
    module, _, path = at.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    function: Callable[..., Any] = getattr(holder, name)
    n_calls = 0

    def send() -> None:
        if shell is not None:
            print(f"outage {commit or 'outside'} of {at} {call}", file=sys.stderr, flush=True)
            subprocess.run(["sh", "-c", shell], check=True)
        elif swallowed:
            Finalized(ending)
        else:
            os.kill(os.getpid(), ending)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        n_call = n_calls  # others may come meanwhile
        if n_call == call and commit is not None:
            return breaking(*args, **kwargs)
        if n_call == call and not after:
            send()
        result = function(*args, **kwargs)
        if n_call == call and after:
            send()
        return result

    def breaking(*args: Any, **kwargs: Any) -> Any:
        if after:
            result = function(*args, **kwargs)
            break_next_commit(send, answer_lost=commit == "after")
            return result
        mend = break_next_commit(send, answer_lost=commit == "after")
        try:
            return function(*args, **kwargs)
        finally:
            mend()

    setattr(holder, name, deadly)


def set_clock(ahead_s: float) -> None:
    """For optdet's Python and for Optuna's times of trials; the kernel goes on dating files by its own."""
    wall = time.time

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=ahead_s)

    time.time = lambda: wall() + ahead_s
    importlib.import_module("optuna.storages._rdb.storage").datetime = Clock  # type: ignore[attr-defined]


def child(order: dict[str, Any]) -> int:
    os.chdir(order["cwd"])
    for number, path in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    set_clock(order["clock_s"])
    if order["host"] is not None:
        owners = importlib.import_module("optdet.store.owners")
        owners._host = lambda: order["host"]  # type: ignore[attr-defined]
    for moment in order["kill"]:
        arm(**moment)
    sys.argv = ["optdet", *order["argv"]]
    try:
        optdet()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def main() -> None:
    warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                code = child(order)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
