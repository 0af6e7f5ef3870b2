"""Which data a study's trials had: kept by source, first come first kept, and never two at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from optdet.config import DataConfig, SourceConfig
from optdet.data.fingerprints import DataState, SetState
from optdet.data.located import locate
from optdet.tuning import attributes as attr
from optdet.tuning.data_state import (
    DataChanged,
    require_newest_data,
    require_same_data,
    trials_of_other_data,
)
from optdet.tuning.ensemble_scores import no_bar
from optdet.tuning.run import run_study
from optdet.tuning.source import SourceOptions, open_source
from optdet.tuning.study import load_study
from optdet.tuning.study_creation import create_study
from optdet.tuning.submission_predict import Wanted, predict_submission

SET = SetState(n_images=5, n_words=61, images="a", labels="b")
FIRST = DataState("first", train=SET, val=SET)
SECOND = DataState("second", train=SET, val=replace(SET, n_images=6, images="c", labels="d"))


def fold(number: int) -> DataConfig:
    source = SourceConfig(images="images", labels=f"fold-{number}.json")
    return DataConfig(train=(source,), val=source)


def add_trial(study, data: DataConfig, state: DataState) -> None:
    config = study.config.base_config().model_copy(update={"data": data})
    attributes = {attr.CONFIG: config.model_dump(mode="json"), attr.DATA_FINGERPRINT: state.fingerprint}
    study.study.add_trial(optuna.create_trial(value=0.5, user_attrs=attributes))


def test_each_source_has_a_state_of_its_own_whatever_is_done_with_its_images(make):
    study = make("sources")
    require_same_data(study, fold(0), FIRST, accept=False)
    add_trial(study, fold(0), FIRST)
    assert require_same_data(study, fold(1), SECOND, accept=False) is None
    add_trial(study, fold(1), SECOND)
    larger = fold(0).model_copy(update={"size": 960})
    assert require_same_data(study, larger, FIRST, accept=False) is None
    with pytest.raises(
        DataChanged, match=r"the validation images \(5 images then, 6 now\) and the validation la"
    ):
        require_same_data(study, larger, SECOND, accept=False)
    assert trials_of_other_data(study) == []


def test_data_may_change_before_the_first_trial(make):
    study = make("early")
    require_same_data(study, fold(0), FIRST, accept=False)
    assert require_same_data(study, fold(0), SECOND, accept=False) is None
    with pytest.raises(DataChanged, match="another worker goes on with other images or labels"):
        require_newest_data(study, fold(0), FIRST)
    add_trial(study, fold(0), SECOND)
    with pytest.raises(DataChanged, match="since trial 0"):
        require_same_data(study, fold(0), FIRST, accept=False)


def test_trials_of_an_earlier_version_count(make):
    study = make("earlier")
    for state in (FIRST, SECOND):
        add_trial(study, fold(0), state)
    assert trials_of_other_data(study) == [0]
    with pytest.raises(DataChanged, match="the images or labels changed since trial 1:"):
        require_same_data(study, fold(0), FIRST, accept=False)
    assert require_same_data(study, fold(0), SECOND, accept=False) is None
    said = require_same_data(study, fold(0), FIRST, accept=True)
    assert "the validation images" in said
    assert "trial 1 had others" in said
    assert trials_of_other_data(study) == [1]


def test_a_worker_whose_data_are_no_longer_the_newest_stops_at_its_next_trial(make, define, recorder):
    """Another one has accepted a change, while this one still trains on what it has opened."""

    class Overtaken(recorder):
        def trial_finished(self, outcome, n_finished, total):
            super().trial_finished(outcome, n_finished, total)
            said = require_same_data(study, study.config.base_config().data, SECOND, accept=True)
            assert "trial 0 had others" in said

    study = make("overtaken", trials=2)
    heard = Overtaken()
    with pytest.raises(DataChanged, match="another worker goes on"):
        run_study(study, heard)
    assert [(outcome.number, outcome.state) for outcome in heard.outcomes] == [(0, "complete")]
    assert [trial.state.name for trial in study.study.trials] == ["COMPLETE", "RUNNING"]
    assert attr.DATA_FINGERPRINT not in study.study.trials[1].user_attrs


def test_labels_that_changed_since_a_trial_was_scored_are_said_and_no_stored_score_stands_beside_them(
    database, define, recorder, tmp_path
):
    create_study(database, define("relabelled", trials=1))
    study = load_study(database, "relabelled")
    run_study(study, recorder())
    located = locate(study.config.config.data, data_root=study.data_root, data_dir=study.places.data_dir)
    labels = Path(located.val.labels)
    tree = json.loads(labels.read_text())
    said = []
    options = SourceOptions(storage=database.url, root=str(database.places.root), say=said.append)

    def crossfit(name):
        opened = open_source("relabelled:0", options)
        wanted = Wanted(Path(located.val.images), tmp_path / name)
        predicted = predict_submission(opened, "relabelled:0", opened.thresholds, wanted, options, bar=no_bar)
        assert len(predicted.local.hmeans) == 3
        return predicted.local.crossfit

    stored = study.study.trials[0].user_attrs[attr.CROSSFIT]
    assert stored is not None
    assert crossfit("before.csv") == stored
    assert said == []
    next(iter(tree["images"].values()))["words"].popitem()
    labels.write_text(json.dumps(tree))
    assert crossfit("after.csv") is None
    [note] = said
    assert note.startswith("the validation labels have changed since relabelled:0 was scored")
