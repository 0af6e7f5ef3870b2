"""A study as one report: its trials, its detector, and what belongs to it, gathered for the page."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from optdet.errors import OptdetError
from optdet.inference.device import choose_device
from optdet.phrases import short_names
from optdet.report.answer import answer_section, environment_section
from optdet.report.detector import Look, Seen, found_by, look, open_compared, see, why_not
from optdet.report.detector_sections import errors_section, images_section, thresholds_section
from optdet.report.gallery import Found
from optdet.report.importance import importances
from optdet.report.markup import Markup, Section, element, section
from optdet.report.related import board_rows, ensembles, related_to
from optdet.report.sections import (
    board_section,
    folds_section,
    playbook_section,
    progress_section,
    search_section,
)
from optdet.report.trial_columns import axes, curves, threshold_columns, trial_columns
from optdet.structures import Bar
from optdet.tuning.fold_members import fold_members, fold_numbers, is_fold_study, varies_fold
from optdet.tuning.fold_scores import stored_scores
from optdet.tuning.ranking import best_trials
from optdet.tuning.source import SourceOptions
from optdet.tuning.study import OpenStudy

N_IMAGES = 24


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`optdet.report.page.write_page` writes: ``sections`` to read, ``data`` for the script."""

    title: str
    description: str
    made: str
    answer: Markup
    sections: tuple[Section, ...]
    data: dict[str, Any]
    notes: tuple[str, ...]
    """What is missing on the page, and why: also for the terminal."""


def study_report(
    study: OpenStudy,
    options: SourceOptions,
    *,
    n_images: int = N_IMAGES,
    against: str | None = None,
    playbook: Path | None = None,
    bar: Bar,
) -> Report:
    """Gather everything. ``n_images`` 0 leaves the detector out, and with it whatever needs its maps.

    OptdetError where ``against`` or ``playbook`` cannot be opened; where the study's own images or weights
    are gone, the report says so and has the rest.
    """
    # What was asked for and cannot be had is said before any map is made.
    if options.device != "auto":
        choose_device(options.device)
    if against is not None:
        open_compared(against, options)
    trials = study.study.get_trials(deepcopy=False)
    best = _best(study)
    related = related_to(study, options, playbook)
    seen, why = _look(study, best, options, n_images, against, bar)
    search = _searched(study, trials)
    n_reporting = sum(bool(trial.intermediate_values) for trial in trials)
    boards = board_rows(related.submissions)
    own_folds = next((each for each in related.folds if each.study == study.name), None)
    parts = [
        progress_section(len(trials), len(search["curves"]), n_reporting),
        search_section(
            len(search["axes"]), search["trials"]["state"].count("complete"), len(search["importances"])
        ),
        thresholds_section([each["title"] for each in seen.sweeps] if seen else [], why),
        None if seen is None else errors_section(seen.errors),
        _images(seen, why),
        folds_section(related.folds, ensembles(related.submissions)),
        board_section(related.submissions, len(boards)),
        playbook_section(related.playbook),
        _table_section(),
        environment_section(study, best or (trials[-1] if trials else None)),
    ]
    return Report(
        title=study.name,
        description=study.config.description or "",
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        answer=answer_section(study, best, own_folds, options),
        sections=tuple(part for part in parts if part is not None),
        data={"study": study.name, **search, "board": boards, **_looked(seen)},
        notes=(*([] if why is None else [why]), *related.notes),
    )


def _searched(study: OpenStudy, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The trials for the page's script: columns, axes, importances, curves."""
    columns = trial_columns(trials)
    searched = axes(trials, study.config.space)
    names = short_names(axis.name for axis in searched)
    complete = [
        value if state == "complete" else None
        for value, state in zip(columns["value"], columns["state"], strict=True)
    ]
    return {
        "trials": columns,
        "thresholds": threshold_columns(trials),
        "axes": [axis.as_json(names[axis.name]) for axis in searched],
        "importances": [] if varies_fold(study) else importances(complete, searched),
        "curves": curves(trials),
        "running_best": not varies_fold(study),
    }


def _looked(seen: Look | None) -> dict[str, Any]:
    """The detector for the page's script."""
    return {
        "sweeps": [] if seen is None else seen.sweeps,
        "properties": [] if seen is None else [each.as_json() for each in seen.errors.properties],
        "costs": [] if seen is None else [kind.as_json() for kind in seen.errors.kinds],
        "images": [] if seen is None else seen.images,
        "before": None if seen is None else seen.before,
    }


def _best(study: OpenStudy) -> FrozenTrial | None:
    if varies_fold(study):
        return None
    return next(iter(best_trials(study, 1)), None)


def _look(
    study: OpenStudy,
    best: FrozenTrial | None,
    options: SourceOptions,
    n_images: int,
    against: str | None,
    bar: Bar,
) -> tuple[Look | None, str | None]:
    """The detector on its images; or why it is not shown. OptdetError for what ``against`` cannot do."""
    if n_images == 0:
        return None, "left out, as it was asked for (--images 0)"
    source, why = _shown_source(study, best)
    if source is None:
        return None, why
    try:
        seen = see(source, options, bar)
    except OptdetError as error:
        return None, why_not(error)
    before = _before(study, seen, options, against, bar)
    try:
        return look(seen, before, n_shown=n_images, bar=bar), None
    except OptdetError as error:
        return None, why_not(error)


def _shown_source(study: OpenStudy, best: FrozenTrial | None) -> tuple[str | None, str | None]:
    """The SOURCE whose images are shown; or why there is none."""
    if best is not None:
        return f"{study.name}:{best.number}", None
    if not varies_fold(study):
        return None, "no trial is complete yet"
    if not is_fold_study(study):
        return None, "its trials hold out different images: none is the best"
    members = fold_members(study)
    if set(fold_numbers(study)) - set(members):
        return None, "not every fold is complete yet"
    if stored_scores(study, members) is None:
        return None, f"no thresholds were tuned on all folds yet: optdet study folds {study.name}"
    return f"{study.name}:oof", None


def _before(
    study: OpenStudy, seen: Seen, options: SourceOptions, against: str | None, bar: Bar
) -> Found | None:
    """What the images are compared with: ``against``; else the second best trial, where its maps are there;
    else the same maps at the thresholds that tuning began with."""
    if against is not None:
        return found_by(against, seen.samples, options, bar)
    runner_up = _runner_up(study)
    if runner_up is not None:
        with contextlib.suppress(OptdetError):  # nobody asked for it
            return found_by(runner_up, seen.samples, options, bar)
    return None if seen.began_with is None else seen.at(seen.began_with)


def _runner_up(study: OpenStudy) -> str | None:
    """The second best trial, where its maps are kept with those of the best: nothing is computed anew."""
    ranked = [] if varies_fold(study) else best_trials(study, 2)
    if len(ranked) < 2 or study.config.keep.maps < 2:
        return None
    return f"{study.name}:{ranked[1].number}"


def _images(seen: Look | None, why: str | None) -> Section:
    if seen is None:
        return images_section(0, 0, None, "", why)
    return images_section(len(seen.images), seen.n_images, seen.before, seen.title, None)


def _table_section() -> Section:
    return section(
        "trials",
        "Trials",
        element("p", class_="controls", id="table-controls"),
        element("div", element("table", id="trial-table"), class_="scroll long"),
        element("p", id="table-more"),
    )
