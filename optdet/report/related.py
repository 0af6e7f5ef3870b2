"""What belongs to a study beside its trials: folds, submissions and leaderboards, the playbook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.errors import OptdetError
from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.graph import load_playbook
from optdet.playbook.opened import status
from optdet.playbook.status import Status
from optdet.store.playbook_steps import steps_of
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import fold_members, is_of_folds
from optdet.tuning.fold_report import FoldReport, fold_report
from optdet.tuning.fold_scores import stored_scores
from optdet.tuning.fold_source import open_out_of_fold
from optdet.tuning.source import SourceOptions
from optdet.tuning.study import Database, OpenStudy, load_study, outer_studies
from optdet.tuning.submission_list import SubmissionList, submission_rows


@dataclass(frozen=True, slots=True)
class Related:
    """``folds`` are of the study itself, or of studies that took its settings; ``notes`` say what of it could
    not be read."""

    folds: tuple[FoldReport, ...]
    submissions: SubmissionList
    playbook: Status | None
    notes: tuple[str, ...]


def related_to(study: OpenStudy, options: SourceOptions, playbook: Path | None) -> Related:
    """OptdetError for a ``playbook`` file that cannot be read; one that is not named is looked for beside
    the database."""
    notes: list[str] = []
    folds = []
    for row in outer_studies(study.database):
        if not is_of_folds(row.attributes.get(attr.DEFINITION)):
            continue
        try:
            other = study if row.name == study.name else load_study(study.database, row.name)
            if other is study or _is_of(study, other):
                folds.append(_folds(other, options))
        except OptdetError as error:
            notes.append(f"folds of {row.name}: {error}")
    return Related(
        tuple(folds), submission_rows(study.database), _playbook(study.database, playbook), tuple(notes)
    )


def _is_of(study: OpenStudy, folds: OpenStudy) -> bool:
    """Whether a study of folds trains the settings of a trial of ``study``. One that was made before that was
    kept says it in its description alone."""
    made_of = folds.study.user_attrs.get(attr.SETTINGS_FROM)
    if made_of is not None:
        return bool(made_of["uuid"] == study.uuid)
    return f" folds as {study.name}:" in (folds.config.description or "")


def _folds(study: OpenStudy, options: SourceOptions) -> FoldReport:
    """As it was tuned last: nothing is tuned for a report."""
    opened = open_out_of_fold(study, options)
    return fold_report(opened, stored_scores(study, fold_members(study)), None, 0)


def _playbook(database: Database, given: Path | None) -> Status | None:
    """The named file's, else that of the file beside the database which has most steps there."""
    if given is not None:
        return _status(load_playbook(given), database)
    found: list[tuple[int, PlaybookConfig]] = []
    for path in sorted(database.places.root.glob("*.yaml")):
        try:
            playbook = load_playbook(path)
        except OptdetError:
            continue  # configs, studies, ensembles lie there too
        found.append((len(steps_of(database.storage, playbook.name)), playbook))
    begun = [each for each in found if each[0]]
    return _status(max(begun, key=lambda each: each[0])[1], database) if begun else None


def _status(playbook: PlaybookConfig, database: Database) -> Status:
    return status(playbook, database.url, str(database.places.root))


def board_rows(submissions: SubmissionList) -> list[dict[str, Any]]:
    """For the page's chart: submissions that have a local score and a leaderboard's, on either board."""
    return [
        {
            "file": row.record.name,
            "board": board,
            "local": row.value,
            "score": score.hmean,
            "crossfit": row.is_crossfit,
        }
        for row in submissions.rows
        for board, score in row.boards.items()
        if row.value is not None
    ]


def ensembles(submissions: SubmissionList) -> Sequence[Any]:
    """Files that several detectors made together, or the file of an ensemble did."""
    return [row for row in submissions.rows if _is_ensemble([each.source for each in row.record.sources])]


def _is_ensemble(sources: Sequence[str]) -> bool:
    return len(sources) > 1 or any(source.endswith((".yaml", ".yml")) for source in sources)
