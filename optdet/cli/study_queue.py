"""``optdet study enqueue`` and ``dequeue``, and what ``study create --warm-start`` queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from optdet.cli import completion, options
from optdet.cli.again import Given
from optdet.cli.opening import open_study
from optdet.cli.overrides import in_our_names
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.tuning.study import Database, OpenStudy
    from optdet.tuning.warm_start import WarmStart

WarmStartOption = Annotated[
    str | None,
    typer.Option(
        "--warm-start",
        metavar="STUDY",
        autocompletion=completion.studies,
        help="Queue the parameters of this study's best trials, behind the file's own queue.",
        show_default=False,
    ),
]
WarmStartTop = Annotated[
    int, typer.Option("--warm-start-top", min=1, help="How many of its trials, with different parameters.")
]
WarmStartStorage = Annotated[
    str | None,
    typer.Option(
        "--warm-start-storage",
        help="The database of that study. Default: that of the new one.",
        show_default=False,
    ),
]


def warm_start_wish(database: Database, study: str | None, top: int, storage: str | None) -> WarmStart | None:
    """What the three options ask for."""
    from optdet.tuning.study import open_database
    from optdet.tuning.warm_start import WarmStart

    if study is None:
        return None
    return WarmStart(database if storage is None else open_database(storage), study, top)


def say_warm_start(study: OpenStudy, given: Given) -> None:
    """What was queued of another study when this one was made, a line a trial; nothing for most studies."""
    from optdet.cli.tables import pairs
    from optdet.tuning.warm_start import warm_start_of

    warmed = warm_start_of(study)
    if warmed is None:
        return
    for entry in warmed["queued"]:
        typer.echo(f"queued {_of(warmed, entry)}: {pairs(entry['params'])}")
        if entry["outside"]:
            typer.echo(f"  outside of the space here: {', '.join(entry['outside'])}")
        for left, value in entry["left_out"].items():
            typer.echo(f"  left out, as no choice here: {pairs({left: value})}")
        if entry["sampled"]:
            typer.echo(f"  sampled: {', '.join(entry['sampled'])}")
    for entry in warmed["passed"]:
        typer.echo(f"not queued {_of(warmed, entry)}: {entry['reason']}")
    _say_room(study, given, "all of them")


def _say_room(study: OpenStudy, given: Given, what: str) -> None:
    """Where the study is full before what was queued is run."""
    from optdet.tuning.queue import trials_needed

    needed = trials_needed(study)
    if needed > study.config.trials:
        again = given.run_again(study.name, trials=needed)
        trials, leave = (
            counted(study.config.trials, "trial"),
            "leaves" if study.config.trials == 1 else "leave",
        )
        typer.echo(f"its {trials} {leave} no room for {what}; run it with: {again}")


def _of(warmed: dict[str, Any], entry: dict[str, Any]) -> str:
    return f"trial {entry['trial']} of {warmed['study']} ({entry['value']:.4f})"


def enqueue(
    name: options.OneStudy,
    params: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Values of the study's space.")
    ],
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Queue a trial with fixed values; what is left out is sampled. It runs before sampled trials.

    Example:

      optdet study enqueue mine optimizer.lr=0.00025
    """
    from optdet.search_space import is_within
    from optdet.tuning.queue import enqueue_trial

    study = open_study(name, storage, root, None)
    values = enqueue_trial(study, in_our_names(params))
    shown = ", ".join(f"{key}={value}" for key, value in values.items())
    typer.echo(f"queued in {study.name}: {shown}")
    outside = [key for key, value in values.items() if not is_within(study.config.space, {key: value})]
    if outside:
        typer.echo(f"outside of the study's space: {', '.join(outside)}", err=True)
    _say_room(study, Given(storage=storage, root=root), "it")


def dequeue(
    name: options.OneStudy,
    trial: Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="A trial that is queued.")],
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Take a queued trial back, before a worker begins it. It stays in the study as a failed one.

    Example:

      optdet study dequeue mine 7
    """
    from optdet.tuning.queue import withdraw_trial

    study = open_study(name, storage, root, None)
    withdraw_trial(study, trial)
    typer.echo(f"trial {trial} of {study.name} is not queued any more")
