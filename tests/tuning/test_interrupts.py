"""Where an interrupt is heard: not in a transaction, but while somebody waits for another's lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from optdet.store.engine import close_storage, open_storage
from optdet.store.name_lock import named_lock
from optdet.tuning.interrupts import Interrupts


@pytest.fixture
def held_elsewhere(tmp_path):
    """The lock of all names beside a database, in another process."""
    file = tmp_path / "optdet.db.names.lock"
    program = (
        "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print(flush=True)\n    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        yield
        holder.communicate(b"\n")


def test_whoever_waits_for_a_name_that_another_holds_can_be_interrupted(tmp_path, held_elsewhere):
    storage = open_storage(tmp_path / "optdet.db")
    interrupts = Interrupts()
    timers = [
        threading.Timer(seconds, os.kill, (os.getpid(), number))
        for seconds, number in ((0.3, signal.SIGINT), (20, signal.SIGKILL))
    ]
    for timer in timers:
        timer.start()
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            interrupts.handled(),
            interrupts.allowed(),
            named_lock(storage, "a name"),
        ):
            pass
    finally:
        for timer in timers:
            timer.cancel()
    close_storage(storage)
