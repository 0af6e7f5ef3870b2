"""What came of a study, as rows, JSON and a config that trains again."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState, create_trial

from optdet.config import DataConfig, SourceConfig
from optdet.config_io import load_config
from optdet.data.labels import read_labels
from optdet.errors import OptdetError
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.export import export_text
from optdet.tuning.results import (
    best_json,
    best_trial,
    checkpoint_path,
    config_of,
    find_trial,
    relocated,
    study_json,
    thresholds_of,
    trial_rows,
    write_best,
)

THRESHOLDS = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "use_polygon", "min_side"}


@pytest.fixture(scope="module")
def mixed(make):
    """A trial of every state; none of them was really run."""
    study = make("mixed", queue=({"optimizer.lr": 0.25},), trials=7)
    study.study.add_trials(
        [
            create_trial(value=0.5, user_attrs={attr.CROSSFIT: 0.45}, intermediate_values={1: 0.1, 2: 0.4}),
            create_trial(state=TrialState.PRUNED, value=0.9, intermediate_values={1: 0.9}),
            create_trial(state=TrialState.FAIL, user_attrs={attr.FAILURE: "no, really"}),
        ]
    )
    return study


def test_rows_of_every_state(mixed):
    waiting, complete, pruned, failed = trial_rows(mixed)
    assert (waiting.state, waiting.value, waiting.params) == ("waiting", None, {"optimizer.lr": 0.25})
    assert (complete.state, complete.value, complete.hmean_crossfit, complete.epochs) == (
        "complete",
        0.5,
        0.45,
        2,
    )
    assert (pruned.state, pruned.value, pruned.thresholds) == ("pruned", 0.9, None)
    assert (failed.state, failed.value, failed.failure) == ("fail", None, "no, really")


def test_the_best_is_a_complete_trial(mixed, make):
    assert best_trial(mixed).number == 1
    with pytest.raises(OptdetError, match=r"no trial is complete yet; run it: optdet study run nothing"):
        best_trial(make("nothing"))


def test_trials_by_number(mixed):
    assert find_trial(mixed, 2).state == TrialState.PRUNED
    with pytest.raises(OptdetError, match=r"there is no trial 9.*optdet study show mixed"):
        find_trial(mixed, 9)


def test_trials_without_a_config_or_a_checkpoint(mixed):
    with pytest.raises(OptdetError, match="trial 0 has not begun"):
        config_of(find_trial(mixed, 0), mixed)
    for number in (0, 2, 3):
        with pytest.raises(OptdetError, match=f"trial {number} has no checkpoint"):
            checkpoint_path(mixed, find_trial(mixed, number))
    assert thresholds_of(find_trial(mixed, 2)) is None


def test_study_json(mixed):
    shown = json.loads(json.dumps(study_json(mixed)))
    assert (shown["study"], shown["finished"], shown["trials_wanted"], shown["best"]) == ("mixed", 2, 7, 1)
    assert shown["trials"] == [row.as_json() for row in trial_rows(mixed)]
    assert shown["space"]["optimizer.lr"]["high"] == 0.03
    assert shown["workers"] == []


def test_best_json_is_a_contract(finished):
    best = json.loads(json.dumps(best_json(finished)))
    trial = best_trial(finished)
    assert best["study"] == "finished"
    assert best["number"] == trial.number
    assert best["value"] == trial.value == max(other.value for other in finished.study.trials)
    assert best["hmean_crossfit"] == trial.user_attrs[attr.CROSSFIT]
    assert best["params"] == trial.params
    assert set(best["thresholds"]) == THRESHOLDS
    assert best["thresholds"] == Thresholds.from_dict(best["thresholds"]).as_dict()
    assert set(best["scores"]) == {"competition", "official", "iou"}
    for kinds in best["scores"].values():
        assert set(kinds) == {"macro", "global"}
    assert len(best["interval"]) == 2
    assert Path(best["checkpoint"]).is_file()


def test_val_of_best_json_is_taken_by_other_commands_as_it_stands(finished):
    val = best_json(finished)["val"]
    labelled = read_labels(Path(val["labels"]), format=val["format"])
    assert len(labelled.words) == 3
    assert all((Path(val["images"]) / name).is_file() for name in labelled.words)


def test_export_as_json_is_what_show_prints(mixed):
    assert json.loads(export_text(mixed, as_json=True)) == study_json(mixed)["trials"]


def test_export_as_csv_has_a_column_for_everything(finished):
    rows = list(csv.DictReader(io.StringIO(export_text(finished, as_json=False))))
    assert len(rows) == 3
    for row, trial in zip(rows, trial_rows(finished), strict=True):
        assert (int(row["number"]), row["state"], float(row["value"])) == (
            trial.number,
            "complete",
            trial.value,
        )
        assert float(row["param.optimizer.lr"]) == trial.params["optimizer.lr"]
        assert float(row["threshold.box_thresh"]) == trial.thresholds["box_thresh"]
        assert float(row["competition.macro.hmean"]) == trial.value
        assert float(row["hmean_crossfit"]) == trial.hmean_crossfit


def test_export_of_trials_that_have_little(mixed, make):
    rows = list(csv.DictReader(io.StringIO(export_text(mixed, as_json=False))))
    assert [row["state"] for row in rows] == ["waiting", "complete", "pruned", "fail"]
    assert [row["value"] for row in rows] == ["", "0.5", "0.9", ""]
    assert [row["failure"] for row in rows] == ["", "", "", "no, really"]
    assert export_text(make("empty"), as_json=False) == "number\n"


def test_write_best_writes_the_config_of_the_trial(finished, tmp_path):
    """Read again it is the trial's whole config, seed and inner loop included."""
    path = tmp_path / "configs" / "best.yaml"
    write_best(finished, path)
    trial = best_trial(finished)
    assert load_config(path, []) == config_of(trial, finished)
    head = path.read_text().splitlines()[:2]
    assert head[0] == (
        f"# Trial {trial.number} of study finished: H-mean {trial.value:.6f} (competition, macro)"
    )
    assert f"box_thresh {trial.user_attrs[attr.THRESHOLDS]['box_thresh']}" in head[1]
    assert set(yaml.safe_load(path.read_text())) <= set(type(config_of(trial, finished)).model_fields)


def test_write_best_replaces_a_file_only_if_told(finished, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text("mine")
    with pytest.raises(OptdetError, match="the file exists"):
        write_best(finished, path)
    assert path.read_text() == "mine"
    write_best(finished, path, force=True)
    assert path.read_text().startswith("# Trial")


def test_data_paths_are_made_relative_to_the_working_directory(define, tmp_path, monkeypatch):
    source = SourceConfig(images="photos", labels="labels.json", weight=2.0)
    config = define("x").config.model_copy(update={"data": DataConfig(train=(source,), val=source)})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    moved = relocated(config, tmp_path / "data")
    for own in (*moved.data.train, moved.data.val):
        assert own == source.model_copy(
            update={"images": "../data/photos", "labels": os.path.join("..", "data", "labels.json")}
        )
    assert config.data.val == source
    assert relocated(define("x").config, tmp_path) == define("x").config
