"""Run a study in this process: the worker, its signals, and what to say at the end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from optdet.inference.device import choose_device
from optdet.tuning.progress import Progress
from optdet.tuning.study import OpenStudy
from optdet.tuning.worker import RunResult, Stopped, Worker


def run_study(
    study: OpenStudy,
    progress: Progress,
    *,
    total: int | None = None,
    timeout_s: float | None = None,
    device: str | None = None,
) -> RunResult:
    """Work on a study until it has ``total`` finished trials (default: the file's) or time is up.

    ``device`` takes the place of the config's: another machine may go on with a study.

    KeyboardInterrupt (also for SIGTERM) leaves the trial in work to be resumed.
    """
    config = study.config.base_config()
    worker = Worker(
        study=study,
        device=choose_device(device or config.device),
        progress=progress,
        total=total if total is not None else study.config.trials,
        deadline=None if timeout_s is None else time.monotonic() + timeout_s,
    )
    with terminate_as_interrupt():
        try:
            return worker.run()
        except Stopped:
            return RunResult("timeout", worker.n_finished(), worker.total)


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """While the block runs, SIGTERM is a Ctrl-C: the slot is released on the way out."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        # A query that is cut short here would be logged with a traceback, which says nothing to a user.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
