"""A study's submissions, taken along when it is copied into another database: they are its results too.

What the other database knows of the same bytes already stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from optdet.store.places import Places
from optdet.store.submissions import (
    SubmissionRecord,
    kept_content,
    list_board_scores,
    list_submissions,
    record_board_score,
    save_submission,
    set_sources,
    submission_of,
)
from optdet.structures import SubmissionSource
from optdet.tuning.study import Database, OpenStudy
from optdet.tuning.submission_places import file_at, stored_path


def copy_submissions(
    study: OpenStudy, target: Database, *, name: str, uuid: str, known_uuids: Collection[str]
) -> int:
    """Copy the records, leaderboard scores and kept files of a study that is called ``name`` there; how many.

    ``known_uuids`` are those of the studies there: a source that names another one is of a study that was not
    copied yet, or is what a copy that was cut short has left.
    """
    boards, there = list_board_scores(study.storage), list_board_scores(target.storage)
    n_copied = 0
    for record in list_submissions(study.storage):
        if study.uuid not in {source.study_uuid for source in record.sources}:
            continue
        sources = tuple(
            _moved_source(_renamed(source, study, name, uuid), study.places, target.places)
            for source in record.sources
        )
        found = submission_of(target.storage, record.sha256)
        if found is None:
            save_submission(target.storage, _moved(record, sources, study.places, target.places))
            n_copied += 1
        elif any(source.study_uuid not in {None, *known_uuids} for source in found.sources):
            set_sources(target.storage, record.sha256, _settled(found.sources, sources, known_uuids))
        for board, score in boards.get(record.sha256, {}).items():
            if board not in there.get(record.sha256, {}):
                content = kept_content(study.storage, record.sha256)
                record_board_score(target.storage, record.sha256, board, score, content=content)
    return n_copied


def _renamed(source: SubmissionSource, study: OpenStudy, name: str, uuid: str) -> SubmissionSource:
    if source.study_uuid != study.uuid:
        return source
    return SubmissionSource(f"{name}:{source.source.rpartition(':')[2]}", uuid)


def _settled(
    there: Sequence[SubmissionSource], ours: Sequence[SubmissionSource], known_uuids: Collection[str]
) -> Sequence[SubmissionSource]:
    """Of an ensemble's sources those whose study is there stay as they are."""
    if len(there) != len(ours):
        return ours
    return [known if known.study_uuid in known_uuids else own for known, own in zip(there, ours, strict=True)]


def _moved_source(source: SubmissionSource, places: Places, target: Places) -> SubmissionSource:
    """With a file's path as the other root stores it."""
    path = file_at(places, source.source)
    if source.study_uuid is not None or not path.exists():
        return source
    return SubmissionSource(stored_path(target, path))


def _moved(
    record: SubmissionRecord, sources: tuple[SubmissionSource, ...], places: Places, target: Places
) -> SubmissionRecord:
    paths = tuple(stored_path(target, file_at(places, path)) for path in record.paths)
    return replace(record, paths=paths, sources=sources)
