"""The ``optdet`` command: its groups, and how errors are shown.

Exit codes: 0 done; 1 an error that the user can mend, one line on stderr; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from typing import Annotated, NoReturn

import typer

from optdet import __version__
from optdet.cli import (
    analyze,
    cache,
    compare,
    dashboard,
    data,
    data_split,
    ensemble,
    evaluate,
    export,
    import_checkpoint,
    init,
    playbook,
    postprocess,
    predict,
    report,
    study,
    study_background,
    study_folds,
    study_life,
    study_queue,
    submission,
    train,
    trial,
)
from optdet.cli.completion import complete_in_bash, in_bash
from optdet.disk import disk_fault
from optdet.errors import OptdetError

_PROGRAM = "optdet"
"""However it was started: also ``python -m optdet``, which no shell completes, and no help is to name."""

# albumentations would ask a package index for its newest version whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

app = typer.Typer(
    name=_PROGRAM,
    help="Optuna studies of DB-style text detectors: train, tune thresholds, resume, browse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: optdet study create; optdet study run; optdet dashboard",
)
study.app.command("backup")(study_life.backup)
study.app.command("clean")(study_life.clean)
study.app.command("delete")(study_life.delete)
study.app.command("enqueue")(study_queue.enqueue)
study.app.command("dequeue")(study_queue.dequeue)
study.app.command("log")(study_background.log)
study.app.command("stop")(study_background.stop)
study.app.command("extend")(study_life.extend)
study.app.command("folds")(study_folds.folds)
data.app.command("split")(data_split.split)
app.add_typer(study.app, name="study", help="Create, run and look at studies.")
app.add_typer(trial.app, name="trial", help="Take one trial out of its study.")
app.add_typer(data.app, name="data", help="Check data, part it into folds, make synthetic receipts.")
app.add_typer(postprocess.app, name="postprocess", help="Tune the thresholds of a frozen detector.")
app.add_typer(playbook.app, name="playbook", help="Run a strategy of stages and gates.")
app.add_typer(submission.app, name="submission", help="Files for a leaderboard, and what it said of them.")
app.add_typer(cache.app, name="cache", help="See and clear what can be made again.")
app.command("init")(init.init)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("analyze")(analyze.analyze)
app.command("ensemble")(ensemble.ensemble)
app.command("export")(export.export)
app.command("import")(import_checkpoint.import_)
app.command("report")(report.report)
app.command("dashboard")(dashboard.dashboard)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"optdet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["OPTDET_DEBUG"] = "1"


def main() -> None:
    """Run the command line; what the user can mend becomes one line and exit code 1."""
    _open_closed_streams()
    try:
        program = partial(app, prog_name=_PROGRAM)
        complete_in_bash(program) if in_bash() else program()
    except OptdetError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        # Before the command has begun, which would have said how to go on.
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader, as `head`, has seen enough; Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        fault = disk_fault(error)
        if fault is not None:
            _fail(str(fault))
        if not isinstance(error, OSError) or error.filename is None:
            raise  # neither about a file nor the disk: nobody could tell from its one line what to do
        _fail(f"{error.filename}: {error.strerror}; check the path, its rights and the space on the disk")


def _open_closed_streams() -> None:
    """The null device in the place of a standard stream that was closed: the next file to be opened, as a
    checkpoint, would get its number, and with it what libraries write to the stream."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _fail(message: str) -> NoReturn:
    """The error in hand as one line, below its traceback with --debug."""
    if os.environ.get("OPTDET_DEBUG"):
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
