"""A SOURCE: a study, one of its trials, or a checkpoint file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from optdet.errors import OptdetError
from optdet.tuning import attributes as attr
from optdet.tuning.results import best_trial, checkpoint_path
from optdet.tuning.source import open_source

CPU = torch.device("cpu")


def weights(source):
    return np.concatenate(
        [each.detach().numpy().ravel() for each in source.trained.detector.model.parameters()]
    )


def test_a_study_is_its_best_trial(finished, tmp_path):
    best = best_trial(finished)
    file = tmp_path / "model.pt"
    shutil.copyfile(checkpoint_path(finished, best), file)
    url = finished.database.url
    study, trial = (open_source(name, CPU, storage=url) for name in ("finished", f"finished:{best.number}"))
    alone = open_source(str(file), CPU)
    assert study.title == trial.title == f"finished:{best.number}"
    assert alone.title == "model.pt"
    for source in (study, trial, alone):
        assert source.thresholds.as_dict() == best.user_attrs[attr.THRESHOLDS]
        assert np.array_equal(weights(source), weights(study))
    assert study.cache.folder.is_dir()
    assert alone.cache is None


def test_another_trial_is_another_source(finished):
    best = best_trial(finished).number
    number = (best + 1) % 3
    source = open_source(f"finished:{number}", CPU, storage=finished.database.url)
    assert source.title == f"finished:{number}"
    assert source.thresholds.as_dict() == finished.study.trials[number].user_attrs[attr.THRESHOLDS]
    other = open_source("finished", CPU, storage=finished.database.url)
    assert not np.array_equal(weights(source), weights(other))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.pt", r"missing.pt: no such checkpoint file"),
        ("some/where", "no such checkpoint file"),
        ("finished:best", r"'best' is not a trial number; write STUDY:TRIAL"),
        ("finished:9", "there is no trial 9"),
        ("finish", r"no study named 'finish'.*did you mean finished"),
    ],
)
def test_errors(finished, source, message):
    with pytest.raises(OptdetError, match=message):
        open_source(source, CPU, storage=finished.database.url)
