"""What is wrong with settings, in one line."""

from __future__ import annotations

import pytest

from optdet.config_io import config_from
from optdet.errors import OptdetError
from optdet.study_config import StudyConfig
from optdet.validation import validate

SOURCE = {"images": "a", "labels": "b"}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"optimizer": {"lrr": 1}}, r"unknown setting 'optimizer.lrr'; did you mean optimizer.lr\b"),
        ({"optimiser": {"lr": 1}}, r"unknown setting 'optimiser'; did you mean optimizer\b"),
        ({"lr": 1}, r"unknown setting 'lr'; did you mean optimizer.lr\?"),
        ({"zzzzzz": 1}, r"unknown setting 'zzzzzz'; there are seed, .*data, .*`optdet init`"),
        ({"train": {"zzzzzz": 1}}, r"unknown setting 'train.zzzzzz'; train has epochs, .*batch_size"),
        ({"optimizer": {"lr": "fast"}}, r"optimizer.lr: 'fast' is no number$"),
        ({"train": {"epochs": "x"}}, r"^f: train.epochs: 'x' is no whole number$"),
        ({"train": {"epochs": 2.5}}, r"^f: train.epochs: 2.5 is no whole number$"),
        ({"train": {"epochs": [3]}}, r"^f: train.epochs: a list is no whole number$"),
        ({"optimizer": {"lr": {}}}, r"^f: optimizer.lr: a section is no number$"),
        ({"optimizer": {"lr": None}}, r"^f: optimizer.lr: nothing is no number$"),
        ({"model": {"pretrained": "perhaps"}}, r"^f: model.pretrained: 'perhaps' is neither true nor false$"),
        ({"optimizer": {"lr": float("nan")}}, r"optimizer.lr: .*finite number \(it is nan\)"),
        ({"optimizer": 3}, r"optimizer: "),
        ({"data": {"size": 100}}, r"data.size: .*multiple of 32 \(it is 100\)"),
        ({"data": {"workers": -1}}, r"^f: data.workers: .*greater than or equal to 0 \(it is -1\)"),
        ({"data": {"mean": [1, 2]}}, r"data.mean.2: Field required"),
        (
            {"data": {"train": [SOURCE, {**SOURCE, "wieght": 2}]}},
            r"'data.train.1.wieght'.* data.train.weight",
        ),
        ({"data": {"train": {"images": "a"}}}, r"data.train.labels: Field required"),
        ({"augment": {"scale_min": 2}}, r"augment: scale_min 2.0 is above scale_max 1.25$"),
        (
            {"postprocess": {"tune": {"space": {"thresh": {"type": "categorical", "choices": []}}}}},
            r"^f: postprocess.tune.space.thresh.choices: it needs 1 value or more$",
        ),
        (
            {"postprocess": {"tune": {"space": {"thresh": {"type": "float", "low": 0.1}}}}},
            r"^f: postprocess.tune.space.thresh.high: Field required",
        ),
        (
            {"postprocess": {"tune": {"space": {"thresh": {"low": 0.1, "high": 0.2}}}}},
            r"^f: postprocess.tune.space.thresh: it needs 'type', which says of what kind it is$",
        ),
        (
            {"postprocess": {"tune": {"space": {"thresh": {"type": "flot"}}}}},
            r"^f: postprocess.tune.space.thresh: 'type' is one of 'float', 'int', 'categorical', not 'flot'$",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tree, message):
    with pytest.raises(OptdetError, match=message) as caught:
        config_from(tree, where="f")
    assert "\n" not in str(caught.value)


def test_a_name_says_what_it_may_have():
    with pytest.raises(
        OptdetError, match=r"^s: name: a name begins with a letter .* but - and \. \(it is 'my 1'\)$"
    ):
        validate(StudyConfig, {"name": "my 1", "config": {}}, "s")
