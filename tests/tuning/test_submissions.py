"""The registry of submissions through its functions: what a later caller uses, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import optuna
import pytest
from PIL import Image

from optdet.errors import OptdetError
from optdet.inference.folder import write_checked
from optdet.store.engine import close_storage
from optdet.store.registry import record_checkpoint
from optdet.store.submissions import BoardScore, LocalScores, list_submissions
from optdet.structures import SubmissionSource
from optdet.tuning.cleaning import clean
from optdet.tuning.deletion import delete_study
from optdet.tuning.study import load_study, open_database
from optdet.tuning.study_creation import create_study
from optdet.tuning.submission_list import submission_rows
from optdet.tuning.submission_next import next_tries
from optdet.tuning.submissions import (
    About,
    adopt_file,
    board_score,
    find_submission,
    record_score,
    register,
    reissue,
    try_to_register,
)

MACRO = {"precision": 0.9, "recall": 0.9, "hmean": 0.9}
SCORES = {name: {"macro": MACRO, "global": MACRO} for name in ("competition", "official", "iou")}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def registry(request, tmp_path):
    url = tmp_path / "root/all.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = open_database(str(url), str(tmp_path / "root"), create=True)
    yield database
    close_storage(database.storage)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (200, 100)).save(path)
    return path


@pytest.fixture
def write(tmp_path, image):
    """Writes a file of one image with a word of a width of its own."""

    def written(name, width=50):
        quad = np.array([[0, 0], [width, 0], [width, 20], [0, 20]])
        return write_checked({"a.png": [quad]}, {"a.png": image}, tmp_path / name)

    return written


def scored(hmean, n_images=8, *, value=0.9):
    """Cross-fitted; ``value`` is the plain H-mean."""
    macro = {"macro": {**MACRO, "hmean": value}, "global": MACRO}
    hmeans = {number: hmean + number / 100 for number in range(n_images)}
    return LocalScores({**SCORES, "competition": macro}, hmean, hmeans)


def test_a_recorded_submission_is_issued_again_after_its_file_is_gone(registry, write, tmp_path):
    written = write("a.csv")
    content = written.path.read_bytes()
    record = register(registry, written, About("predict", [SubmissionSource("mine:0")], local=scored(0.9)))
    assert find_submission(registry, str(tmp_path / "a.csv")) == record
    assert board_score(registry, record.sha256) is None
    assert record_score(registry, record, BoardScore(0.9628, 0.9731, 0.9558)).is_kept
    assert board_score(registry, record.sha256).hmean == 0.9628
    assert board_score(registry, record.sha256, "private") is None
    written.path.write_text("overwritten")
    assert reissue(registry, record, tmp_path / "new/final.csv")
    assert (tmp_path / "new/final.csv").read_bytes() == content
    (row,) = submission_rows(registry).rows
    assert (row.state, row.is_kept, row.record.name) == ("there", True, "final.csv")
    assert row.gap("public") == pytest.approx(0.0628)


def test_a_study_that_is_deleted_leaves_its_submissions(registry, write, define):
    create_study(registry, define("mine"))
    study = load_study(registry, "mine")
    record_checkpoint(study.storage, study.uuid, 0, "best", path="x", sha256="b" * 64, epoch=1)
    record = register(registry, write("a.csv"), About("predict", [SubmissionSource("mine:0", study.uuid)]))
    record_score(registry, record, BoardScore(0.96))
    delete_study(registry, "mine")
    clean(registry, unknown=True)
    assert optuna.get_all_study_names(registry.storage) == []
    assert list_submissions(registry.storage) == [record]
    assert board_score(registry, record.sha256).hmean == 0.96


def test_writers_at_once(registry, write):
    files = [write(f"{number}.csv", width=10 + number % 2) for number in range(8)]
    notes = []

    def one(written):
        notes.append(try_to_register(registry.url, str(registry.places.root), written, About("predict")))

    threads = [threading.Thread(target=one, args=(written,)) for written in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes == [None] * 8
    assert sorted(len(record.paths) for record in list_submissions(registry.storage)) == [4, 4]


def test_scores_of_unlike_kinds_are_not_put_in_an_order(registry, write):
    """One file's H-mean is of thresholds that were chosen on the very images."""
    for name, width, hmean, crossfit in (
        ("fair", 100, 0.8, 0.78),
        ("fair-too", 20, 0.7, 0.7),
        ("own", 60, 0.9, None),
    ):
        local = replace(scored(hmean, value=hmean), crossfit=crossfit)
        register(registry, write(f"{name}.csv", width), About("predict", local=local))
    found = next_tries(registry, 9, same=0.98)
    names = [[group.row.record.name for group in tier] for tier in found.tiers]
    assert names == [["fair.csv", "own.csv"], ["fair-too.csv"]]
    assert found.tier_lines[0] == (
        "1 of these 2 cross-fitted, 1 not: scores of the two kinds cannot be ordered"
    )
    assert [proposal.reason for proposal in found.proposals] == [
        "tier 1: cross-fitted H-mean 0.7800, not comparable with 1 that is not cross-fitted",
        "tier 1: H-mean 0.9000, not comparable with 1 that is cross-fitted",
        "tier 2: cross-fitted H-mean 0.7000, alone in its tier",
    ]
    local = replace(scored(0.9, value=0.9), crossfit=None)
    register(registry, write("own-too.csv", 40), About("predict", local=local))
    lines = next_tries(registry, 9, same=0.98).tier_lines
    assert "those of a kind cannot be told apart on 8 images" in lines[0]
    for name, board in (("fair", 0.8), ("fair-too", 0.7), ("own", 0.6)):
        record_score(registry, find_submission(registry, name), BoardScore(board))
    rows = submission_rows(registry)
    assert [row.record.name for row in rows.comparable("public")] == ["fair.csv", "fair-too.csv"]
    assert rows.as_json()["correlation"]["public"] == {
        "n": 2,
        "spearman": None,
        "kendall": None,
        "left_out": 1,
    }


def test_next_tries(registry, write, tmp_path):
    with pytest.raises(OptdetError, match="no submission there yet"):
        next_tries(registry, 3, same=0.98)
    for name, width, hmean in (("a", 100, 0.9), ("a-twin", 101, 0.8995), ("b", 60, 0.8), ("c", 40, 0.7)):
        register(registry, write(f"{name}.csv", width), About("predict", local=scored(hmean)))
    found = next_tries(registry, 2, same=0.98)
    assert [proposal.group.row.record.name for proposal in found.proposals] == ["a.csv", "a-twin.csv"]
    assert [len(groups) for groups in found.tiers] == [1, 1, 1, 1], (
        "alike, and yet surely worse on each image"
    )
    register(registry, write("a-brother.csv", 102), About("predict", local=scored(0.9)))
    (first, *_) = next_tries(registry, 2, same=0.98).proposals
    assert [row.record.name for row in first.group.members] == ["a.csv", "a-brother.csv"]
    record_score(registry, find_submission(registry, "b"), BoardScore(0.8))
    (tmp_path / "c.csv").unlink()
    (tmp_path / "line.csv").write_text("filename,polygons\na.png,1 1 9 9\n")
    adopt_file(registry, tmp_path / "line.csv")
    last = next_tries(registry, 9, same=0.98)
    assert [(row.record.name, reason) for row, reason in last.unranked] == [
        ("c.csv", "the file is gone"),
        ("line.csv", "no local score is known"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptdetError, match="no submission is of these images"):
        next_tries(registry, 1, images=tmp_path / "empty", same=0.98)
