"""Ctrl-C and SIGTERM while a study runs: heard at once, raised where nothing is left half done.

Raised inside SQLAlchemy or SQLite, an interrupt loses a connection between BEGIN and the note that it has
begun: it keeps the write lock, and releasing the slot then waits for this process itself. So the handler sets
``stop`` and looks where the program stands; inside the database, or while a slot changes hands, it comes back
a moment later. It comes back, too, where the exception was swallowed, as Python does in finalizers.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

_RETRY_S = 0.05
_ONE_PRESS_S = 1.0  # signals this close to the first are one; a later one does not wait for clean-up
_RACE = "ignored due to race condition"  # Python's words for a signal whose handler was changed meanwhile
_DATABASE = ("sqlalchemy", "sqlite3", "optuna.storages", "optdet.store.")
"""Modules that are on the stack as long as a transaction is open; their names begin so."""
_WAITING = "optdet.store.name_lock"
"""Of these the one that waits for others, for as long as they like."""


class Stopped(Exception):
    """The run was asked to stop; the trial in work goes on later from its checkpoint."""


class Interrupts:
    """``stop`` asks a worker to end; a signal sets it, and raises KeyboardInterrupt within ``allowed()``."""

    def __init__(self) -> None:
        self.stop = Event()
        self._received_at: float | None = None
        self._insisted = False
        self._allowed = False

    @property
    def received(self) -> bool:
        return self._received_at is not None

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Work that may be left anywhere outside of the database."""
        try:
            self._allowed = True
            yield
        finally:
            self._allowed = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """While the block runs, SIGTERM is a Ctrl-C too. Beside the main thread nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return
        own_pid, unraisable = os.getpid(), sys.unraisablehook

        def received(number: int, frame: FrameType | None) -> None:
            if os.getpid() != own_pid:
                raise KeyboardInterrupt  # a forked loader of images: it has neither a slot nor a timer
            now = time.monotonic()
            self._received_at = self._received_at or now
            self._insisted = now - self._received_at > _ONE_PRESS_S
            self.stop.set()
            deliver(number, frame)

        def deliver(_number: int, frame: FrameType | None) -> None:
            # Before anything else: an exception that nobody catches must find its next chance set up.
            signal.setitimer(signal.ITIMER_REAL, _RETRY_S)
            if in_database(frame):
                return
            if self._insisted or (self._allowed and not _is_leaving()):
                self._insisted = False  # once: what it cuts short may have clean-up of its own
                raise KeyboardInterrupt

        def quietly(lost: sys.UnraisableHookArgs) -> None:
            comes_back = lost.exc_type is KeyboardInterrupt
            late = lost.exc_type is OSError and _RACE in str(lost.exc_value)
            if not (comes_back or late):
                unraisable(lost)

        before = {number: signal.signal(number, received) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, deliver)
        sys.unraisablehook = quietly
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, _ignore)  # one that is due now must not end the process
            if self.received:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
            sys.unraisablehook = unraisable


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Not SIG_IGN: Python writes a traceback where a signal came before it and is handled after."""


def in_database(frame: FrameType | None) -> bool:
    """Whether a transaction may be open where the program stands."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(_DATABASE) and name != _WAITING:
            return True
        frame = frame.f_back
    return False


def _is_leaving() -> bool:
    """Whether the run is being left already: clean-up must not be cut short by a repetition."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Stopped):
            return True
        error = error.__context__
    return False
