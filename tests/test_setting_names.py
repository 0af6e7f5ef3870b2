"""What is offered in place of a setting that there is not."""

from __future__ import annotations

import pytest

from optdet.config import Config
from optdet.setting_names import setting_names, unknown_setting
from optdet.study_config import StudyConfig

SETTINGS = list(setting_names(Config))
OF_STUDIES = sorted({*SETTINGS, *(name for name in setting_names(StudyConfig) if "config." not in name)})


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("lr", "did you mean optimizer.lr?"),
        ("train.lr", "did you mean optimizer.lr?"),
        ("Optimizer", "did you mean optimizer?"),
        ("modle", "did you mean model?"),
        ("batch", "did you mean train.batch_size or cache?"),
        ("train.epoch", "did you mean train.epochs?"),
        ("optimizer.Weight-Decay", "did you mean optimizer.weight_decay?"),
        ("data.train.0.image", "did you mean data.train.images?"),
        ("optimizer.learning_rate", "optimizer has name, lr, weight_decay, beta1, beta2"),
    ],
)
def test_the_nearest_setting_is_offered(name, offered):
    assert unknown_setting(name, SETTINGS, "here").fix == offered


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("prunner.name", "did you mean pruner.name or sampler.name?"),
        ("trails", "did you mean trials or train?"),
    ],
)
def test_of_settings_that_end_alike_the_one_with_the_nearest_group_comes_first(name, offered):
    assert unknown_setting(name, OF_STUDIES, "here").fix == offered


@pytest.mark.parametrize("name", ["learning_rate", "foo", "x"])
def test_what_resembles_none_gets_the_groups(name):
    assert str(unknown_setting(name, SETTINGS, "here").fix).startswith("there are seed, device, data")
