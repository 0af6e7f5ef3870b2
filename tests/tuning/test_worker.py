"""A worker's trials: told once each, failed with their reason, taken over, and given up in the end."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from optdet.config import PostprocessConfig
from optdet.config_io import differences
from optdet.errors import OptdetError, TrialFailed
from optdet.evaluation.scorer import macro_hmean
from optdet.inference.device import CardLost
from optdet.store import engine
from optdet.store.engine import close_storage
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Leases, SlotLost
from optdet.store.outage import DatabaseAway
from optdet.store.owners import Owner
from optdet.store.registry import checkpoint_of
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning import worker
from optdet.tuning.interrupts import Stopped
from optdet.tuning.results import checkpoint_path, trial_rows, write_best
from optdet.tuning.run import run_study
from optdet.tuning.slot_trial import trial_of
from optdet.tuning.source import SourceOptions, labelled_samples, open_source, scorers_of
from optdet.tuning.study import load_study, open_database
from optdet.tuning.study_creation import create_study
from optdet.tuning.trial_config import trial_config, with_known_batch
from optdet.tuning.worker import Worker

QUADS = {"type": "categorical", "choices": [False]}
NAN = {"optimizer.lr": 1e30}
CPU = torch.device("cpu")


@pytest.fixture
def small(define):
    """The small config with some settings replaced, as a tree."""
    tree = differences(define("x").config)

    def changed(**groups):
        return tree | {name: {**tree.get(name, {}), **values} for name, values in groups.items()}

    return changed


def test_a_complete_trial_says_all_of_itself(finished):
    rows = trial_rows(finished)
    assert [(row.number, row.state) for row in rows] == [(number, "complete") for number in range(3)]
    for row, trial in zip(rows, finished.study.trials, strict=True):
        scores = row.scores
        assert row.value == scores["competition"]["macro"]["hmean"]
        assert set(scores) == {"competition", "official", "iou"}
        assert row.epochs == len(trial.intermediate_values) == trial.user_attrs[attr.EPOCHS]
        assert row.seconds > 0
        assert row.images_per_s > 0
        low, high = trial.user_attrs[attr.INTERVAL]
        assert low <= row.value <= high
        seed = trial.user_attrs[attr.SEED]
        expected = trial_config(finished.config, row.number, trial.params)
        assert trial.user_attrs[attr.CONFIG] == expected.model_dump(mode="json")
        assert seed == expected.seed
        record = checkpoint_of(finished.storage, finished.uuid, row.number, "best")
        assert record.path == trial.user_attrs[attr.CHECKPOINT]
        assert finished.places.absolute(record.path).is_file()
    assert len({trial.user_attrs[attr.SEED] for trial in finished.study.trials}) == 3


def test_a_complete_trial_says_what_it_cost_and_what_it_finds_by_height(finished):
    for row in trial_rows(finished):
        assert 0.1 < row.peak_memory_gb < 64
        assert row.batch_size == row.params["train.batch_size"]
        assert sum(each["n_words"] for each in row.by_word_height) > 0
        assert all(0 <= each["recall"] <= 1 for each in row.by_word_height)
        assert row.by_word_height[0]["low"] is None


def test_a_fitted_batch_stays_that_of_the_trial(make, small, recorder):
    """A trial that goes on trains with the batches it began with, whatever would fit now."""
    study = make("fitted", trials=1, space={}, config=small(train={"epochs": 1, "batch_size": "auto"}))
    heard = recorder()
    run_study(study, heard)
    [row] = trial_rows(study)
    config = study.study.trials[0].user_attrs[attr.CONFIG]
    assert row.state == "complete"
    assert row.batch_size == config["train"]["batch_size"] == 4  # as many as there are images
    assert any("images a batch" in message for message in heard.said)
    asked = study.config.base_config()
    known = with_known_batch(asked, {attr.CONFIG: config}, CPU, 100, heard.say)
    assert known.train.batch_size == 4
    assert with_known_batch(asked, {}, CPU, 100, heard.say).train.batch_size == 8


def test_maps_that_are_no_numbers_fail_the_trial_with_a_reason(make, small, recorder, monkeypatch):
    study = make("blown", trials=1, max_failures=1, config=small(train={"epochs": 1}))
    nothing = np.full((64, 64), np.nan, np.float16)
    monkeypatch.setattr("optdet.inference.detector.Detector.prob_map", lambda *_: nothing)
    heard = recorder()
    with contextlib.suppress(OptdetError):
        run_study(study, heard)
    [row] = trial_rows(study)
    assert row.state == "fail"
    assert re.fullmatch(r"the probability map of .+ is not a number: try a lower .*", row.failure)


def test_only_the_best_checkpoint_stays_and_without_the_optimizer(finished):
    for trial in finished.study.trials:
        folder = finished.places.run_dir("finished", trial.number) / "checkpoints"
        [path] = folder.iterdir()
        assert path == finished.places.absolute(trial.user_attrs[attr.CHECKPOINT])
        payload = CheckpointFolder(folder).found("best")[0].load()
        assert "optimizer" not in payload
        assert payload["thresholds"] == trial.user_attrs[attr.THRESHOLDS]


def test_a_full_study_stays_as_it_is(finished, recorder):
    heard = recorder()
    result = run_study(finished, heard)
    assert (result.reason, result.finished, result.total) == ("full", 3, 3)
    assert heard.started == []


def test_total_is_over_all_runs(make, small, recorder):
    study = make("totals", trials=5, config=small(train={"epochs": 1}))
    assert run_study(study, recorder(), total=1).finished == 1
    heard = recorder()
    result = run_study(study, heard, total=2)
    assert (result.reason, result.finished, result.total) == ("full", 2, 2)
    assert heard.started == [(1, False)]


def test_the_objective_can_be_the_crossfitted_score(make, small, recorder, tmp_path):
    config = small(data={"size": 96}, train={"epochs": 3})
    exhaustive = {"method": "exhaustive", "space": {"use_polygon": QUADS}}
    study = make(
        "by-crossfit", objective="crossfit", trials=1, config=config, space={}, postprocess=exhaustive
    )
    run_study(study, recorder())
    [row] = trial_rows(study)
    assert row.value == row.hmean_crossfit
    own = row.scores["competition"]["macro"]["hmean"]
    assert row.value != own
    write_best(study, tmp_path / "best.yaml")
    head = (tmp_path / "best.yaml").read_text().splitlines()[0]
    assert head.endswith(f": cross-fitted H-mean {row.value:.6f}; H-mean {own:.6f} (competition, macro)")


def test_a_nan_loss_fails_the_trial_and_the_study_goes_on(make, small, recorder):
    study = make("nan", trials=1, queue=[NAN], config=small(train={"epochs": 1}))
    heard = recorder()
    result = run_study(study, heard)
    assert (result.reason, result.finished) == ("full", 1)
    assert [outcome.state for outcome in heard.outcomes] == ["failed", "complete"]
    failed, complete = trial_rows(study)
    assert (failed.state, complete.state) == ("fail", "complete")
    assert "loss" in failed.failure
    assert failed.value is None
    assert heard.outcomes[0].reason == failed.failure


@pytest.fixture
def lockable(tmp_path, define, small, recorder, monkeypatch):
    """A study of one trial, and a recorder that has its database locked for a while after the first epoch."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.2)
    database = open_database(str(tmp_path / "optdet.db"), create=True)
    create_study(database, define("lockable", trials=1, config=small()))

    class Locking(recorder):
        def epoch(self, record):
            super().epoch(record)
            if len(self.epochs) == 1:
                writer = sqlite3.connect(
                    tmp_path / "optdet.db", isolation_level=None, check_same_thread=False
                )
                writer.execute("BEGIN IMMEDIATE")
                self.timer = threading.Timer(3, writer.close)
                self.timer.start()

    heard = Locking()
    yield load_study(database, "lockable"), heard
    heard.timer.join()
    close_storage(database.storage)


@pytest.mark.slow
def test_a_database_that_is_away_is_waited_for_and_the_trial_goes_on(lockable):
    study, heard = lockable
    assert run_study(study, heard).reason == "full"
    away, back = (line for line in heard.said if line.startswith("the database is "))
    assert away.startswith("the database is away: database is locked")
    assert away.endswith("trying on for 600 s")
    assert back == "the database is back"
    assert heard.started == [(0, False), (0, True)]
    [row] = trial_rows(study)
    assert (row.state, row.epochs) == ("complete", 2)


def test_an_outage_that_is_over_at_once_fails_no_trial(make, small, recorder, monkeypatch):
    study = make("blink", trials=1, config=small(train={"epochs": 1}))
    run_objective, outages = worker.run_objective, [DatabaseAway("the database is away: gone")]

    def blinking(*arguments, **keywords):
        if outages:
            raise outages.pop()
        return run_objective(*arguments, **keywords)

    monkeypatch.setattr(worker, "run_objective", blinking)
    heard = recorder()
    assert run_study(study, heard).reason == "full"
    assert [row.state for row in trial_rows(study)] == ["complete"]
    assert heard.started == [(0, True)]
    assert Leases(study.storage, study.study_id, study.uuid).live() == []


@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_run(lockable, monkeypatch):
    monkeypatch.setenv("OPTDET_DATABASE_WAIT", "0.5s")
    study, heard = lockable
    with pytest.raises(DatabaseAway, match="the database is away: database is locked"):
        run_study(study, heard)
    heard.timer.join()
    assert [row.state for row in trial_rows(study)] == ["running"]


@pytest.mark.slow
def test_failures_in_a_row_stop_the_run_and_the_next_run_goes_on(make, small, recorder):
    study = make("failing", trials=2, queue=[NAN] * 4, config=small(train={"epochs": 1}))
    result = run_study(study, recorder())
    assert (result.reason, result.finished) == ("failures", 0)
    assert "loss" in result.last_failure
    assert len(study.study.trials) == 4
    assert [trial.state for trial in study.study.trials] == [TrialState.FAIL] * 3 + [TrialState.WAITING]
    again = run_study(study, recorder())
    assert (again.reason, again.finished) == ("full", 2)
    assert Leases(study.storage, study.study_id, study.uuid).live() == []


def test_a_success_in_between_starts_the_count_anew(make, small, recorder):
    queue = [NAN, {"optimizer.lr": 0.01}, NAN, {"optimizer.lr": 0.01}]
    study = make("between", trials=2, max_failures=2, queue=queue, config=small(train={"epochs": 1}))
    assert run_study(study, recorder()).reason == "full"


def test_data_that_cannot_be_used_stops_the_run_before_a_trial_begins(make, small, recorder, tmp_path):
    tree = small()
    missing = {"images": str(tmp_path / "none"), "labels": str(tmp_path / "none.json")}
    tree["data"] = {"train": [missing], "val": missing, "size": 64}
    study = make("no-data", config=tree)
    with pytest.raises(OptdetError, match="none"):
        run_study(study, recorder())
    assert study.study.trials == []
    assert Leases(study.storage, study.study_id, study.uuid).live() == []


def dead_owner(pid):
    """A process that is not there any more, on this host."""
    return replace(Owner.current(), pid=pid, started=0.5)


def abandon(study, n_takeovers):
    """A running trial whose workers died one after the other, n_takeovers of them after the first."""
    leases = [
        Leases(study.storage, study.study_id, study.uuid, owner=dead_owner(2**22 + number))
        for number in range(n_takeovers + 1)
    ]
    slot = leases[0].reserve(1)
    leases[0].bind(slot, study.study.ask().number)
    for other in leases[1:]:
        assert other.reserve(1).taken_over


@pytest.mark.parametrize(("n_takeovers", "state"), [(1, "complete"), (2, "failed")])
def test_a_trial_that_kills_its_workers_is_given_up(make, small, recorder, n_takeovers, state):
    """The worker here takes it over once more than ``n_takeovers``; two are allowed."""
    study = make(f"takeovers-{n_takeovers}", trials=1, max_takeovers=2, config=small(train={"epochs": 1}))
    abandon(study, n_takeovers)
    heard = recorder()
    run_study(study, heard)
    assert heard.outcomes[0].number == 0
    assert heard.outcomes[0].state == state
    if state == "failed":
        assert heard.outcomes[0].reason == "its worker died 3 times without finishing an epoch"
        assert trial_rows(study)[0].failure == heard.outcomes[0].reason
        assert heard.outcomes[-1].state == "complete"
    else:
        assert heard.started == [(0, True)]


def test_a_gpu_that_refuses_all_work_ends_the_run_and_the_trial_goes_on(make, small, recorder, monkeypatch):
    """As after an illegal access: whatever this process asks of the card fails from then on."""
    study = make("lost-gpu", trials=2, config=small(train={"epochs": 2}))
    lost = []

    def break_down(_record):
        lost.append(True)
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(worker, "is_lost", lambda device: bool(lost))
    heard = recorder()
    heard.epoch = break_down
    text = r"trial 0: the GPU does nothing more for this process: AcceleratorError: CUDA error: an illegal .*"
    with pytest.raises(CardLost, match=text):
        run_study(study, heard)
    assert heard.outcomes == []
    [trial] = study.study.trials
    assert (trial.state, list(trial.intermediate_values)) == (TrialState.RUNNING, [1])
    leases = Leases(study.storage, study.study_id, study.uuid)
    assert [slot.trial_number for slot in leases.live()] == [0]  # counted as a death, once this process ends
    leases.release_all()
    lost.clear()
    again = recorder()
    assert run_study(study, again).reason == "full"
    assert (again.started[0], again.resumed_after) == ((0, True), [1])


class Stopping:
    """Asks the worker to stop once it has heard of an epoch."""

    def __init__(self, heard, epoch):
        self.heard, self.epoch, self.worker = heard, epoch, None
        heard.epoch = self.on_epoch

    def on_epoch(self, record):
        if record.epoch == self.epoch:
            self.worker.stop.set()


def test_a_worker_that_is_stopped_leaves_its_trial_to_the_next(make, small, recorder):
    study = make("stopped", trials=1, config=small(train={"epochs": 3}))
    stopping = Stopping(recorder(), 2)
    stopping.worker = Worker(study, torch.device("cpu"), stopping.heard, total=1)
    with pytest.raises(Stopped):
        stopping.worker.run()
    [trial] = study.study.trials
    assert trial.state == TrialState.RUNNING
    assert list(trial.intermediate_values) == [1, 2]
    assert Leases(study.storage, study.study_id, study.uuid).live() == []
    heard = recorder()
    assert run_study(study, heard).reason == "full"
    assert heard.started == [(0, True)]
    assert heard.resumed_after == [2]
    assert heard.epochs == [(0, 3)]  # what was shown when it was trained is not shown again
    assert study.study.trials[0].params == trial.params


def test_time_that_is_up(make, recorder):
    study = make("late")
    heard = recorder()
    result = run_study(study, heard, timeout_s=0.0)
    assert (result.reason, result.finished, result.total) == ("timeout", 0, 3)
    assert heard.started == []


def test_time_that_is_up_within_a_trial(make, small, recorder):
    study = make("late-inside", trials=1, config=small(train={"epochs": 50, "patience": 0}))
    heard = recorder()
    result = run_study(study, heard, timeout_s=1.0)
    assert result.reason == "timeout"
    assert study.study.trials[0].state == TrialState.RUNNING
    assert len(heard.epochs) < 50


def test_a_trial_that_another_worker_took_over_is_left_alone(make, small, recorder):
    study = make("lost", trials=1, config=small(train={"epochs": 2}))
    heard = recorder()
    leases = Leases(study.storage, study.study_id, study.uuid)

    def lose(record):
        """Another worker, for which this one was silent for too long, takes the slot."""
        if record.epoch == 1 and len(study.study.trials) == 1 and not taken:
            other = Leases(study.storage, study.study_id, study.uuid, owner=elsewhere, expiry_s=-1.0)
            taken.append(other.reserve(1))
            time.sleep(0.3)

    taken = []
    elsewhere = replace(Owner.current(), host="elsewhere")
    heard.epoch = lose
    worker = Worker(study, torch.device("cpu"), heard, total=1)
    slot = leases.reserve(1)
    with Heartbeat(leases, slot, beat_s=0.05) as heartbeat:
        trial, slot = trial_of(study.study, leases, slot)
        with pytest.raises(SlotLost):
            worker._run_trial(leases, slot, trial, heartbeat)
    assert taken[0].taken_over
    assert study.study.trials[0].state == TrialState.RUNNING
    assert list(study.study.trials[0].intermediate_values) == [1]


@pytest.mark.parametrize("ending", [OSError("a file is gone"), OptdetError("unreadable"), TrialFailed("NaN")])
def test_what_fails_after_another_worker_took_over_is_not_the_trials_failure(make, small, recorder, ending):
    """As where the other one clears the files that this one writes; the next beat is far away."""
    study = make(f"lost-{type(ending).__name__}", trials=1, config=small(train={"epochs": 2}))
    heard = recorder()
    elsewhere = Leases(
        study.storage,
        study.study_id,
        study.uuid,
        owner=replace(Owner.current(), host="elsewhere"),
        expiry_s=-1,
    )

    def lose(_record):
        assert elsewhere.reserve(1).taken_over
        raise ending

    heard.epoch = lose
    leases = Leases(study.storage, study.study_id, study.uuid)
    slot = leases.reserve(1)
    with Heartbeat(leases, slot) as heartbeat:
        trial, slot = trial_of(study.study, leases, slot)
        worker = Worker(study, torch.device("cpu"), heard, total=1)
        with pytest.raises(SlotLost):
            worker._run_trial(leases, slot, trial, heartbeat)
    assert study.study.trials[0].state == TrialState.RUNNING
    assert attr.FAILURE not in study.study.trials[0].user_attrs
    assert not (study.places.run_dir(study.name, 0) / "traceback.txt").exists()


@pytest.mark.parametrize(
    "ending", [OSError("a query was cut off"), OptdetError("unreadable"), TrialFailed("NaN")]
)
def test_what_fails_after_the_worker_was_asked_to_stop_is_not_the_trials_failure(
    make, small, recorder, ending
):
    """As where what the trial stood in was interrupted too, and says so in an error of its own."""
    study = make(f"asked-{type(ending).__name__}", trials=1, config=small(train={"epochs": 2}))
    heard = recorder()
    worker = Worker(study, torch.device("cpu"), heard, total=1)

    def interrupted(_record):
        worker.stop.set()
        raise ending

    heard.epoch = interrupted
    with pytest.raises(Stopped):
        worker.run()
    assert study.study.trials[0].state == TrialState.RUNNING
    assert attr.FAILURE not in study.study.trials[0].user_attrs
    assert not (study.places.run_dir(study.name, 0) / "traceback.txt").exists()


def test_a_pruned_trial_that_was_cut_off_before_its_end_has_one_curve(make, small, recorder, monkeypatch):
    monkeypatch.setattr("optuna.Trial.should_prune", lambda trial: True)
    study = make("cut-off", trials=1, config=small(data={"size": 96}, train={"epochs": 4}), space={})

    def cut_off(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as after_the_curve:
        after_the_curve.setattr(Worker, "_told", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run_study(study, recorder())
    assert study.study.trials[0].state == TrialState.RUNNING
    run_study(study, recorder())
    [trial] = study.study.trials
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [1]
    [curve] = get_all_artifact_meta(trial, storage=study.storage)
    assert curve.filename == "curve.png"
    assert (study.places.artifacts_dir / curve.artifact_id).stat().st_size > 0


def test_a_pruned_trial_shows_its_curve_and_is_used_at_what_its_best_epoch_was_scored_at(
    make, small, recorder, monkeypatch
):
    monkeypatch.setattr("optuna.Trial.should_prune", lambda trial: True)
    config = small(data={"size": 96}, train={"epochs": 4})
    study = make("pruned", trials=1, config=config, space={})
    run_study(study, recorder())
    [trial] = study.study.trials
    assert trial.state == TrialState.PRUNED
    attached = [meta.filename for meta in get_all_artifact_meta(trial, storage=study.storage)]
    assert attached == ["curve.png"]
    source = open_source("pruned:0", SourceOptions(storage=study.database.url))
    alone = open_source(str(checkpoint_path(study, trial)))
    assert source.thresholds == alone.thresholds
    assert source.thresholds != PostprocessConfig().thresholds()
    scorers = scorers_of(source, labelled_samples(source, None, None))
    assert macro_hmean(scorers, source.thresholds) == max(trial.intermediate_values.values())
