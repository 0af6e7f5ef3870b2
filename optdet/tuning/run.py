"""Run a study in this process: the worker, its signals, and how it ended."""

from __future__ import annotations

import time

from optdet.inference.device import choose_device
from optdet.store.root_users import note_database
from optdet.tuning.interrupts import Stopped
from optdet.tuning.progress import Progress
from optdet.tuning.study import OpenStudy
from optdet.tuning.worker import RunResult, Worker


def run_study(
    study: OpenStudy,
    progress: Progress,
    *,
    total: int | None = None,
    timeout_s: float | None = None,
    device: str | None = None,
    accept_changed_data: bool = False,
) -> RunResult:
    """Work on a study until it has ``total`` finished trials (default: the file's) or time is up.

    ``device`` takes the place of the config's: another machine may go on with a study. DataChanged
    where images or labels changed since its trials, unless that is accepted.

    KeyboardInterrupt (also for SIGTERM) leaves the trial in work to be resumed.
    """
    note_database(study.places.root, study.storage)
    config = study.config.base_config()
    worker = Worker(
        study=study,
        device=choose_device(device or config.device),
        progress=progress,
        total=total if total is not None else study.config.trials,
        deadline=None if timeout_s is None else time.monotonic() + timeout_s,
        accept_changed_data=accept_changed_data,
    )
    with worker.interrupts.handled():
        try:
            result: RunResult | None = worker.run()
        except Stopped:
            result = None
    if worker.interrupts.received:  # also where the study became full before anybody looked
        raise KeyboardInterrupt
    return result or RunResult("timeout", study.n_finished(), worker.total)
