"""Checkpoints and inner results: what is stored comes back, and replaces what was there."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from optdet.digest import file_sha256
from optdet.metrics.scores import PRH
from optdet.store.leases import Leases
from optdet.store.registry import (
    InnerTrial,
    checkpoint_of,
    forget_study,
    load_inner_trials,
    record_checkpoint,
    save_inner_trials,
)
from optdet.structures import Thresholds


def inner_trial(number: int, hmean: float = 1 / 3) -> InnerTrial:
    return InnerTrial(
        number=number,
        thresholds=Thresholds(0.22, 0.1 + 0.2, 1.5, 600, number % 2 == 0, 3.0),
        scores=PRH(precision=0.1, recall=0.7, hmean=hmean),
    )


def test_file_sha256_is_the_digest_of_the_bytes(tmp_path):
    file = tmp_path / "best.pt"
    file.write_bytes(b"weights" * 100_000)
    assert file_sha256(file) == hashlib.sha256(b"weights" * 100_000).hexdigest()


def test_a_checkpoint_replaces_the_one_before_it_of_its_kind(storage, stored):
    before = time.time()
    for epoch in (3, 4):
        record_checkpoint(
            storage, stored.uuid, 7, "last", path="runs/s/t0007/last.pt", sha256=f"{epoch}" * 64, epoch=epoch
        )
    best = record_checkpoint(storage, stored.uuid, 7, "best", path="best.pt", sha256="b" * 64, epoch=2)
    found = checkpoint_of(storage, stored.uuid, 7, "last")
    assert (found.epoch, found.sha256, found.path) == (4, "4" * 64, "runs/s/t0007/last.pt")
    assert before <= found.created <= time.time()
    assert checkpoint_of(storage, stored.uuid, 7, "best") == best
    assert checkpoint_of(storage, stored.uuid, 8, "best") is None


def test_inner_trials_come_back_to_the_last_digit_and_in_order(storage, stored):
    trials = [inner_trial(number) for number in (2, 0, 1)]
    save_inner_trials(storage, stored.uuid, 0, trials)
    save_inner_trials(storage, stored.uuid, 1, [inner_trial(9)])
    assert load_inner_trials(storage, stored.uuid, 0) == sorted(trials, key=lambda trial: trial.number)
    assert load_inner_trials(storage, stored.uuid, 2) == []


def test_saving_again_replaces_all_or_nothing(storage, stored):
    save_inner_trials(storage, stored.uuid, 0, [inner_trial(0), inner_trial(1)])
    save_inner_trials(storage, stored.uuid, 0, [inner_trial(0, hmean=0.9)])
    kept = [inner_trial(0, hmean=0.9)]
    assert load_inner_trials(storage, stored.uuid, 0) == kept
    unknown = replace(inner_trial(5), scores=PRH(0.1, 0.2, None))
    with pytest.raises(IntegrityError):
        save_inner_trials(storage, stored.uuid, 0, [inner_trial(4), unknown])
    assert load_inner_trials(storage, stored.uuid, 0) == kept
    save_inner_trials(storage, stored.uuid, 0, [])
    assert load_inner_trials(storage, stored.uuid, 0) == []


def test_forgetting_a_study_leaves_the_others_alone(storage, stored):
    leases = Leases(storage, stored.study_id, stored.uuid)
    for uuid in (stored.uuid, "another"):
        record_checkpoint(storage, uuid, 0, "best", path="best.pt", sha256="b" * 64, epoch=2)
        save_inner_trials(storage, uuid, 0, [inner_trial(0)])
    leases.reserve(1)
    forget_study(storage, stored.uuid)
    assert checkpoint_of(storage, stored.uuid, 0, "best") is None
    assert load_inner_trials(storage, stored.uuid, 0) == []
    assert leases.live() == []
    assert checkpoint_of(storage, "another", 0, "best") is not None
    assert load_inner_trials(storage, "another", 0) == [inner_trial(0)]
