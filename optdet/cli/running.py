"""Running a study from the command line: in this process, as one of several workers, or with several."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from optdet.cli.again import Given
from optdet.errors import OptdetError
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.tuning.progress import Progress
    from optdet.tuning.study import OpenStudy
    from optdet.tuning.worker import RunResult


def run_here(study: OpenStudy, given: Given, *, timeout_s: float | None = None) -> None:
    """Run a study as it was asked for; where that is in the background, this is the run that was started."""
    from optdet.tuning.background import recorded

    recording = nullcontext() if given.log_to is None else recorded(Path(given.log_to), study.uuid)
    with recording:
        if given.workers is None:
            run_and_report(study, given, timeout_s=timeout_s)
        else:
            run_with_workers(study, given.workers, given)


def run_and_report(study: OpenStudy, given: Given, *, timeout_s: float | None = None) -> None:
    """Run a study and say what came of it; exit 1 after too many failures, 130 when interrupted."""
    from optdet.cli.live import shown_progress, watch
    from optdet.cli.tables import run_summary

    run = watch(study, given.trials or study.config.trials)
    try:
        with shown_progress(run, _best_of(study, "this run"), _on_begun(given)) as progress:
            result = _run(study, progress, given, timeout_s)
        run_summary(study, result, given)
    except KeyboardInterrupt:
        raise _interrupted(study, given) from None
    _check(study, result, given)


def run_as_worker(study: OpenStudy, given: Given, *, timeout_s: float | None = None) -> None:
    """The same for one of several workers: whoever started it says what came of all of them."""
    from optdet.cli.progress import PlainProgress
    from optdet.inference.device import CardLost
    from optdet.tuning.progress import Together
    from optdet.tuning.progress_events import EventWriter
    from optdet.tuning.workers import INTERRUPTED, START_AGAIN, end_with_starter

    end_with_starter()
    try:
        lines = PlainProgress(_best_of(study, "this worker"), _on_begun(given))
        result = _run(study, Together(lines, EventWriter(sys.stdout.fileno())), given, timeout_s)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except CardLost as lost:
        typer.echo(str(lost), err=True)
        raise typer.Exit(START_AGAIN) from None
    _check(study, result, given)


def run_with_workers(study: OpenStudy, workers: str, given: Given) -> None:
    """Run a study in processes of their own, and say what came of it; exits as ``run_and_report`` does."""
    from optdet.cli.live import shown_workers, watch
    from optdet.cli.tables import run_summary
    from optdet.tuning.worker import RunResult
    from optdet.tuning.workers import environments, n_workers, run_workers, visible_gpus

    on_gpus = (given.device or study.config.base_config().device) in ("auto", "cuda")
    gpus = visible_gpus() if on_gpus else []
    n = n_workers(workers, len(gpus))
    environs = environments(n, gpus, given=os.environ, n_processors=os.cpu_count() or 1)
    on = f" on {counted(len(gpus), 'GPU')}" if gpus else ""
    typer.echo(f"study {study.name}: {counted(n, 'worker')}{on}", err=True)
    command = [sys.executable, "-m", "optdet", *given.run_words(study.name)]
    total = given.trials or study.config.trials
    with shown_workers(watch(study, total, n_workers=n)) as (say, hear):
        ended = run_workers(command, environs, say, hear)
    if ended.interrupted:
        raise _interrupted(study, given)
    finished = study.n_finished()
    if finished < total and ended.errors:
        raise OptdetError("; ".join(ended.errors))
    run_summary(study, RunResult("full" if finished >= total else "timeout", finished, total), given)


def _on_begun(given: Given) -> Callable[[], None] | None:
    """Of a run in the background: whoever started it waits to hear that its trials begin."""
    from optdet.tuning.background import mark_begun

    return None if given.log_to is None else partial(mark_begun, Path(given.log_to))


def _run(study: OpenStudy, progress: Progress, given: Given, timeout_s: float | None) -> RunResult:
    from optdet.tuning.run import run_study

    return run_study(
        study,
        progress,
        total=given.trials,
        timeout_s=timeout_s,
        device=given.device,
        accept_changed_data=given.accept_changed_data,
    )


def _best_of(study: OpenStudy, whose: str) -> str | None:
    """Whose best trial is named; None where folds are varied, and trials scored on different images."""
    from optdet.tuning.fold_members import varies_fold

    return None if varies_fold(study) else whose


def _interrupted(study: OpenStudy, given: Given) -> typer.Exit:
    from optdet.cli.text_table import print_line

    print_line(f"interrupted; go on with: {given.run_again(study.name)}", after="; ", to=sys.stderr)
    return typer.Exit(130)


def _check(study: OpenStudy, result: RunResult, given: Given) -> None:
    if result.reason == "failures":
        raise OptdetError(
            f"{study.config.max_failures} trials failed in a row, the last: {result.last_failure}",
            where=f"study {study.name}",
            fix=f"mend it, then: {given.run_again(study.name)}",
        )
