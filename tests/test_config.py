"""Defaults are sound, and settings that contradict each other are refused."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from optdet import config, study_config
from optdet.config import AugmentConfig, Config, DataConfig, PostprocessConfig, SyntheticConfig, TargetConfig
from optdet.search_space import Choice, FloatRange, IntRange, ThresholdSpace
from optdet.setting_names import setting_names
from optdet.structures import Thresholds
from optdet.study_config import StudyConfig

SOURCE = {"images": "images", "labels": "labels.json"}


def test_every_default_passes_its_own_validation():
    # Pydantic takes defaults as they are, so one outside its bounds would surface in somebody's study.
    assert Config.model_validate(Config().model_dump(mode="json")) == Config()
    study = StudyConfig(name="s", config=Config())
    assert StudyConfig.model_validate(study.model_dump(mode="json")) == study


@pytest.mark.parametrize("module", [config, study_config])
def test_every_section_is_frozen_and_refuses_unknown_names(module):
    sections = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseModel)
    ]
    assert len(sections) > 4
    for section in sections:
        if section is not BaseModel:
            assert section.model_config["frozen"] is True
            assert section.model_config["extra"] == "forbid"


def test_setting_names_are_dotted_and_unique():
    names = list(setting_names(Config))
    assert {"optimizer.lr", "data.train.weight", "postprocess.tune.space.thresh.low"} <= set(names)
    # A dimension is a float range, an integer range or a choice: their settings are named by each.
    other = [name for name in names if ".space." not in name]
    assert len(other) == len(set(other)) > 50


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (AugmentConfig, {"scale_min": 1.5}, "scale_min 1.5 is above scale_max 1.25"),
        (TargetConfig, {"thresh_min": 0.7}, "thresh_min 0.7 is not below thresh_max 0.7"),
        (DataConfig, {"train": SOURCE}, "data.train and data.val go together"),
        (DataConfig, {"val": SOURCE}, "data.train and data.val go together"),
        (DataConfig, {"train": SOURCE, "val": SOURCE, "synthetic": {}}, "not both"),
        (FloatRange, {"type": "float", "low": 2, "high": 1}, "low 2.0 is above high 1.0"),
        (FloatRange, {"type": "float", "low": 0, "high": 1, "log": True}, "needs low > 0"),
        (
            FloatRange,
            {"type": "float", "low": 1, "high": 2, "log": True, "step": 0.1},
            "log and step cannot be combined",
        ),
        (
            IntRange,
            {"type": "int", "low": 1, "high": 9, "log": True, "step": 2},
            "log and step cannot be combined",
        ),
        (FloatRange, {"type": "float", "low": 0.2, "high": 0.4, "step": 0.5}, "step 0.5 is wider than"),
        (IntRange, {"type": "int", "low": 1, "high": 3, "step": 4}, "step 4 is wider than"),
        (Choice, {"type": "categorical", "choices": []}, "at least 1 item"),
    ],
)
def test_contradictions_are_refused(section, values, message):
    with pytest.raises(ValidationError, match=message):
        section.model_validate(values)


def _between(low, high, kind="float"):
    return {"type": kind, "low": low, "high": high}


def _one_of(*choices):
    return {"type": "categorical", "choices": choices}


@pytest.mark.parametrize(
    ("axis", "dimension", "message"),
    [
        (
            "thresh",
            _between(0.3, 0.3),
            r"0.3 to 0.3 has no width; write {type: categorical, choices: \[0.3\]}",
        ),
        ("thresh", _between(-0.1, 0.4), "-0.1 is not a number in 0..1"),
        ("thresh", _one_of(0.3, "high"), "'high' is not a number in 0..1"),
        ("box_thresh", _between(0.3, 1.3), "1.3 is not a number in 0..1"),
        ("box_thresh", _one_of(True), "True is not a number in 0..1"),
        ("unclip_ratio", _between(0, 2), "0.0 is not a number above 0"),
        ("unclip_ratio", _one_of(-1), "-1 is not a number above 0"),
        ("max_candidates", _one_of(0), "0 is not a whole number above 0"),
        ("max_candidates", _one_of("abc"), "'abc' is not a whole number above 0"),
        ("max_candidates", _between(500, 1000), "500.0 is not a whole number above 0"),
        ("max_candidates", _between(500, 500, "int"), "500 to 500 has no width"),
        ("use_polygon", _one_of("yes"), "'yes' is not true or false"),
        ("use_polygon", _between(0, 1, "int"), "0 is not true or false"),
    ],
)
def test_what_cannot_be_searched(axis, dimension, message):
    with pytest.raises(ValidationError, match=message):
        ThresholdSpace.model_validate({axis: dimension})


def test_what_can_be_searched():
    ends = {"thresh": _between(0, 1), "box_thresh": _one_of(0, 1), "unclip_ratio": _between(1, 3, "int")}
    space = ThresholdSpace.model_validate({**ends, "max_candidates": _between(1, 9, "int")})
    assert (space.thresh.high, space.max_candidates.low) == (1, 1)
    step = {"type": "float", "low": 0.9, "high": 0.95, "step": 0.05}  # as wide as the range, but for dust
    assert FloatRange.model_validate(step).step == 0.05


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(ValidationError, match="finite"):
        Config.model_validate({"loss": {"prob_weight": value}})
    with pytest.raises(ValidationError, match="finite"):
        Choice.model_validate({"type": "categorical", "choices": [value]})


def test_one_source_may_stand_without_a_list():
    data = DataConfig.model_validate({"train": SOURCE, "val": SOURCE})
    assert data == DataConfig.model_validate({"train": [SOURCE], "val": SOURCE})


def test_choices_keep_their_types():
    choices = (True, 1, 1.0, "1", None)
    kept = Choice.model_validate({"type": "categorical", "choices": choices}).choices
    assert [(type(value), value) for value in kept] == [(type(value), value) for value in choices]


def test_quads_and_polygons_have_an_unclip_ratio_each():
    post = PostprocessConfig()
    assert post.thresholds() == Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)
    polygons = post.model_copy(update={"use_polygon": True})
    assert polygons.thresholds() == Thresholds(0.3, 0.6, 2.0, 1000, True, 3.0)


@pytest.mark.parametrize("use_polygon", [False, True])
def test_thresholds_in_use_can_be_replaced(use_polygon):
    tuned = Thresholds(0.25, 0.4, 1.7, 600, use_polygon, 2.0)
    before = PostprocessConfig()
    after = before.with_thresholds(tuned)
    assert after.thresholds() == tuned
    assert before == PostprocessConfig()
    other = "unclip_ratio" if use_polygon else "polygon_unclip_ratio"
    assert getattr(after, other) == getattr(before, other)
    assert type(after).model_validate(after.model_dump(mode="json")) == after


def test_a_study_puts_its_inner_loop_into_the_config():
    plain = StudyConfig(name="s", config=Config())
    assert plain.base_config() == plain.config
    tuned = StudyConfig.model_validate(
        {"name": "s", "config": Config(), "postprocess": {"method": "random", "trials": 7}}
    )
    assert tuned.base_config().postprocess.tune == tuned.postprocess
    assert tuned.config == Config()


@pytest.mark.parametrize("name", ["", ".hidden", "-v", "a b", "a/b", "..", "ä", "x" * 101, "a\n"])
def test_study_names_are_safe_as_folders(name):
    with pytest.raises(ValidationError):
        StudyConfig(name=name, config=Config())


def test_synthetic_images_are_at_least_one():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        SyntheticConfig(val=0)
