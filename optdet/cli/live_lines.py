"""The lines of the live view: what a run is at, in as many columns as there are.

A width is a number of columns, of which a Hangul character takes two. Where there is no place for all fields,
those that say least are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from optdet.cli.tables import short_value
from optdet.cli.text_table import flowed
from optdet.phrases import duration, out_of, short_names
from optdet.tuning.run_watch import RunWatch, WorkerWatch

_GAP = "  "
_BAR = 20
_UNKNOWN = "--"


def view_lines(run: RunWatch, width: int, *, bar: tuple[str, str] = ("#", "-")) -> list[str]:
    """The study, then the running trial, or a line for each of several workers; each narrower than ``width``,
    so that no terminal wraps it. ``bar`` are the characters of what is done and what is not."""
    width -= 1
    if width < 1:
        return []
    lines = _flowed(_study_fields(run), width)
    if len(run.workers) == 1:
        return [*lines, *_trial_lines(run.workers[0], width, bar)]
    n_digits = len(str(len(run.workers)))
    for number, worker in enumerate(run.workers, start=1):
        lines.append(fitting(_worker_fields(f"[{number:>{n_digits}}]", worker), width))
    return lines


def fitting(fields: Sequence[tuple[int, str]], width: int) -> str:
    """One line of at most ``width`` columns: of (rank, field), those of the lowest ranks that fit."""
    left = width
    kept: set[int] = set()
    for place, (_, field) in sorted(enumerate(fields), key=lambda each: each[1][0]):
        needed = cell_len(field) + (len(_GAP) if kept else 0)
        if not field:
            continue
        if needed > left:
            break
        left -= needed
        kept.add(place)
    return _GAP.join(field for place, (_, field) in enumerate(fields) if place in kept)


def _flowed(fields: Sequence[str], width: int, gap: str = _GAP) -> list[str]:
    return flowed([_cut(field, width) for field in fields if field], width, gap)


def _cut(field: str, width: int) -> str:
    return field if cell_len(field) <= width else f"{set_cell_size(field, max(0, width - 2))}.."[:width]


def _study_fields(run: RunWatch) -> list[str]:
    standing = run.standing
    states = (("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed"))
    counts = [f"{standing.n_trials[key]} {name}" for key, name in states if standing.n_trials.get(key)]
    by_state = f"({', '.join(counts)})" if counts else ""
    fields = [run.study, f"{out_of(run.n_finished, run.total)} finished", by_state]
    if run.names_best:
        best = (
            _UNKNOWN
            if standing.best_value is None
            else f"{standing.best_value:.4f} (trial {standing.best_number})"
        )
        fields.append(f"best {best}")
    # Where trials are ending in a time that nobody knows, their lines say what is done.
    ending = run.n_finished >= run.total or any(worker.is_finishing for worker in run.workers)
    about = "about " if run.knows_a_whole_trial else "at least "
    return [*fields, "" if ending and run.seconds_left is None else _left(run.seconds_left, about=about)]


def _trial_lines(worker: WorkerWatch, width: int, bar: tuple[str, str]) -> list[str]:
    if worker.number is None:
        return _flowed([_stage(worker)], width)
    params = [
        f"{short} {short_value(worker.params[name])}" for name, short in short_names(worker.params).items()
    ]
    fields = [
        f"epoch {_epoch(worker)}",
        _bar(worker, bar),
        _stage(worker),
        _loss(worker),
        _hmean(worker),
        _speed(worker),
        _trial_left(worker),
    ]
    first = f"trial {worker.number}"
    named = _flowed([f"{first}: {params[0]}", *params[1:]], width, gap=", ") if params else [first]
    return [*named, *_flowed(fields, width)]


def _worker_fields(mark: str, worker: WorkerWatch) -> list[tuple[int, str]]:
    """With ranks, by which those go that a narrow terminal has no place for."""
    if worker.number is None:
        return [(0, f"{mark} {_stage(worker)}")]
    return [
        (0, f"{mark} trial {worker.number}"),
        (6 if worker.is_finishing else 1, f"epoch {_epoch(worker)}"),
        (1 if worker.is_finishing else 6, _stage(worker)),
        (3, _loss(worker)),
        (2, _hmean(worker, "H")),
        (4, _speed(worker)),
        (5, _trial_left(worker, about="")),
    ]


def _epoch(worker: WorkerWatch) -> str:
    """The one in work, of those that there are."""
    return f"{min(worker.epoch_done + 1, worker.epochs)}/{worker.epochs}"


def _stage(worker: WorkerWatch) -> str:
    return f"{worker.stage} {worker.done}/{worker.n_steps}" if worker.n_steps else worker.stage


def _loss(worker: WorkerWatch) -> str:
    # What is not known yet has the width that it will have: else a line would break anew with every epoch.
    return f"loss {_UNKNOWN if worker.loss is None else f'{worker.loss:.3f}':>5}"


def _hmean(worker: WorkerWatch, name: str = "H-mean") -> str:
    return f"{name} {_UNKNOWN if worker.hmean is None else f'{worker.hmean:.4f}':>6}"


def _speed(worker: WorkerWatch) -> str:
    speed = _UNKNOWN if worker.images_per_s is None else f"{worker.images_per_s:.1f}"
    return f"{speed:>4} images/s"


def _left(seconds: float | None, *, about: str = "about ") -> str:
    return f"{_UNKNOWN} left" if seconds is None else f"{about}{duration(seconds)} left"


def _trial_left(worker: WorkerWatch, *, about: str = "about ") -> str:
    """Of the time that a first trial's end takes nothing is known but what it does."""
    seconds = worker.seconds_left
    return "" if worker.is_finishing and seconds is None else _left(seconds, about=about)


def _bar(worker: WorkerWatch, characters: tuple[str, str]) -> str:
    """Of the trial's epochs, the running one by its batches."""
    part = worker.done / worker.n_steps if worker.stage == "training" and worker.n_steps else 0.0
    share = min(1.0, (worker.epoch_done + part) / worker.epochs) if worker.epochs else 0.0
    n_done = int(_BAR * share)
    return characters[0] * n_done + characters[1] * (_BAR - n_done)
