"""Submissions: what is stored comes back, the same bytes are one row, and what was known better stays."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace

import pytest

from optdet.store.submissions import (
    BoardScore,
    LocalScores,
    SubmissionRecord,
    kept_content,
    kept_files,
    list_board_scores,
    list_submissions,
    move_submission,
    record_board_score,
    save_submission,
    set_sources,
    submission_of,
)
from optdet.structures import SubmissionSource

MACRO = {"precision": 0.9627, "recall": 0.9598, "hmean": 0.96}
SCORES = {"competition": {"macro": MACRO, "global": MACRO}, "official": {}, "iou": {}}


@pytest.fixture
def record():
    """One of bytes that no other test has."""
    return SubmissionRecord(
        sha256=f"{random.getrandbits(256):064x}",
        paths=("../a é.csv",),
        command="predict",
        created=time.time(),
        written=time.time(),
        n_images=60,
        n_polygons=3112,
        n_bytes=10**6,
        image_set="i" * 64,
        sources=(SubmissionSource("mine:7", "uuid"), SubmissionSource("maps")),
        settings={"thresholds": {"thresh": 0.1 + 0.2}},
        local=LocalScores(SCORES, 1 / 3, {2**64 - 1: 0.1 + 0.2, 0: 1.0, 7: 0.0}),
    )


def test_a_record_comes_back_to_the_last_digit(storage, record):
    save_submission(storage, record)
    assert submission_of(storage, record.sha256) == record
    assert record in list_submissions(storage)
    assert submission_of(storage, "0" * 64) is None
    bare = replace(record, sha256=f"{random.getrandbits(256):064x}", sources=(), local=None, origin="o" * 64)
    save_submission(storage, bare)
    assert submission_of(storage, bare.sha256) == bare


def test_the_same_bytes_are_one_row_that_was_written_again(storage, record):
    save_submission(storage, record)
    again = replace(record, paths=("b.csv",), created=record.created + 9, written=record.written + 9)
    saved = save_submission(storage, again)
    assert saved == replace(again, paths=("b.csv", "../a é.csv"), created=record.created)
    assert [each for each in list_submissions(storage) if each.sha256 == record.sha256] == [saved]


@pytest.mark.parametrize(
    "less",
    [
        {"local": None},
        {"local": LocalScores(SCORES, 1 / 3)},
        {"local": LocalScores(SCORES, None, {2**64 - 1: 0.3, 0: 1.0, 7: 0.0})},
        {"local": None, "sources": (), "command": "adopt"},
    ],
)
def test_who_knows_less_changes_only_where_the_file_is(storage, record, less):
    save_submission(storage, record)
    poorer = replace(record, paths=("c.csv",), written=record.written + 9, settings={}, **less)
    assert save_submission(storage, poorer) == replace(
        record, paths=("c.csv", "../a é.csv"), written=poorer.written
    )
    other = replace(poorer, sha256=f"{random.getrandbits(256):064x}")
    save_submission(storage, other)
    richer = replace(record, sha256=other.sha256, settings={"new": 1})
    assert save_submission(storage, richer).settings == {"new": 1}


def test_a_place_and_sources_can_be_said_anew(storage, record):
    save_submission(storage, record)
    move_submission(storage, record.sha256, "elsewhere.csv")
    set_sources(storage, record.sha256, [SubmissionSource("theirs:7", "other")])
    found = submission_of(storage, record.sha256)
    assert found.paths == ("elsewhere.csv", "../a é.csv")
    assert found.sources == (SubmissionSource("theirs:7", "other"),)
    move_submission(storage, "0" * 64, "nobody.csv")  # which is no row


def test_a_board_score_replaces_that_of_the_same_board_alone(storage, record):
    first = BoardScore(0.96, 0.9627, 0.9598, "the first é", 1.5)
    assert record_board_score(storage, record.sha256, "public", first) is None
    assert record_board_score(storage, record.sha256, "private", BoardScore(0.95)) is None
    second = BoardScore(0.9601, recorded=2.5)
    assert record_board_score(storage, record.sha256, "public", second) == first
    assert list_board_scores(storage)[record.sha256] == {"public": second, "private": BoardScore(0.95)}


def test_bytes_are_kept_with_the_score(storage, record):
    content = b"filename,polygons\n\xff\x00" * 10_000
    assert kept_content(storage, record.sha256) is None
    record_board_score(storage, record.sha256, "public", BoardScore(0.96))
    assert record.sha256 not in kept_files(storage)
    for board in ("public", "private"):
        record_board_score(storage, record.sha256, board, BoardScore(0.96), content=content)
    assert kept_content(storage, record.sha256) == content
    assert record.sha256 in kept_files(storage)


def test_many_writers_of_one_file(storage, record):
    errors = []

    def write(number):
        try:
            save_submission(storage, replace(record, paths=(f"{number}.csv",)))
            record_board_score(storage, record.sha256, "public", BoardScore(number / 10), content=b"bytes")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = submission_of(storage, record.sha256)
    assert sorted(found.paths) == [f"{number}.csv" for number in range(8)]
    assert kept_content(storage, record.sha256) == b"bytes"


def test_a_file_that_a_leaderboard_has_scored_is_called_as_it_was(storage, record):
    """Whatever else is written with the same bytes later."""
    save_submission(storage, record)
    save_submission(storage, replace(record, paths=("second.csv",)))
    assert submission_of(storage, record.sha256).paths[0] == "second.csv"
    record_board_score(storage, record.sha256, "public", BoardScore(0.9))
    saved = save_submission(storage, replace(record, paths=("third.csv",)))
    assert saved.paths[:2] == ("second.csv", "third.csv")
