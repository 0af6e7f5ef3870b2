"""Config files, overrides, and the errors that they earn."""

from __future__ import annotations

import re

import pytest

from optdet.config import Config
from optdet.config_io import (
    apply_params,
    config_from,
    differences,
    dotted,
    fingerprint,
    load_config,
    parse_override,
    set_dotted,
)
from optdet.errors import OptdetError
from optdet.settings_yaml import dump_yaml, parse_yaml

SOURCE = {"images": "a", "labels": "b"}


def test_a_file_holds_what_differs(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("optimizer: {name: adam, lr: 3e-4}\ntrain:\n  epochs: 22\n")
    config = load_config(path)
    assert (config.optimizer.name, config.optimizer.lr, config.train.epochs) == ("adam", 3e-4, 22)
    assert config.optimizer.weight_decay == Config().optimizer.weight_decay
    assert differences(config) == {"optimizer": {"name": "adam", "lr": 3e-4}, "train": {"epochs": 22}}


def test_an_override_wins_over_the_file_and_the_last_over_the_first(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("optimizer: {lr: 0.1, beta1: 0.8}\n")
    config = load_config(path, ["optimizer.lr=0.2", "train.epochs=3", "optimizer.lr=1e-4"])
    assert config.optimizer.lr == 1e-4
    assert config.optimizer.beta1 == 0.8
    assert config.train.epochs == 3


def test_a_group_can_be_overridden_whole_and_none_can_be_filled():
    config = config_from({"optimizer": {"beta1": 0.8}}, ["optimizer={lr: 0.2}", "data.synthetic.train=8"])
    assert config.optimizer.beta1 == Config().optimizer.beta1
    assert config.data.synthetic is not None
    assert config.data.synthetic.train == 8


def test_set_dotted_copies():
    tree = {"a": {"b": 1}, "c": {"d": 2}}
    assert set_dotted(tree, "a.b", 3) == {"a": {"b": 3}, "c": {"d": 2}}
    assert set_dotted(tree, "x.y.z", 3) == {**tree, "x": {"y": {"z": 3}}}
    assert set_dotted(tree, "a", 3) == {"a": 3, "c": {"d": 2}}
    assert tree == {"a": {"b": 1}, "c": {"d": 2}}


def test_overrides_are_split_at_the_first_sign():
    assert parse_override("model.weights=a=b") == ("model.weights", "a=b")
    assert parse_override(" train.epochs = 3") == ("train.epochs", 3)
    for text in ("train.epochs", "=3", " =3"):
        with pytest.raises(OptdetError, match="is not an override; write name=value"):
            parse_override(text)


def test_errors_say_whether_the_file_or_an_override_is_wrong(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {epochs: 0}\n")
    with pytest.raises(OptdetError, match=r"mine.yaml: train.epochs: .*greater than or equal to 1"):
        load_config(path, ["train.epochs=2"])
    path.write_text("train: {epochs: 2}\n")
    with pytest.raises(OptdetError, match=r"^override train.epochs=0: train.epochs"):
        load_config(path, ["train.epochs=0"])
    with pytest.raises(OptdetError, match=r"^override train.epoch=1: unknown setting 'train.epoch'; did you"):
        load_config(path, ["train.epoch=1"])
    with pytest.raises(OptdetError, match=r"^override optimizer.lr=1e999: .*finite"):
        load_config(path, ["optimizer.lr=1e999"])
    with pytest.raises(OptdetError, match=r"^override optimizer.lr:1:3: not valid YAML"):
        load_config(path, ["optimizer.lr=[1"])


@pytest.mark.parametrize(
    ("tree", "overrides"),
    [
        ({}, ["data.train={images: a, labels: b}", "data.val={images: a, labels: b}"]),
        ({}, ["augment.scale_min=1.3", "augment.scale_max=1.5"]),
        (
            {"data": {"train": SOURCE, "val": SOURCE}},
            ["data.folds=f.json", "data.train=[]", "data.val=null"],
        ),
    ],
)
def test_settings_that_go_in_pairs_can_be_changed_together(tree, overrides):
    assert config_from(tree, overrides) == config_from(tree, overrides[::-1])
    with pytest.raises(OptdetError, match=rf"^override {re.escape(overrides[0])}: "):
        config_from(tree, overrides[:1])
    with pytest.raises(OptdetError, match=r"^override train.epochs=0: train.epochs"):
        config_from(tree, [overrides[0], "train.epochs=0", *overrides[1:]])


def test_a_study_is_no_config(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("config: {}\ntrials: 3\n")
    with pytest.raises(OptdetError, match="a study, where a config was expected"):
        load_config(path)


def test_params_of_a_trial_are_validated():
    config = config_from({"data": {"train": SOURCE, "val": SOURCE}})
    changed = apply_params(config, {"optimizer.lr": 0.2, "scheduler.t_max": 18})
    assert (changed.optimizer.lr, changed.scheduler.t_max) == (0.2, 18.0)
    assert changed.data == config.data
    assert config.optimizer.lr == Config().optimizer.lr
    with pytest.raises(OptdetError, match=r"^trial: optimizer.lr: .*greater than 0 \(it is -1\)"):
        apply_params(config, {"optimizer.lr": -1})
    with pytest.raises(OptdetError, match=r"^trial: unknown setting 'optimizer.rate'"):
        apply_params(config, {"optimizer.rate": 1})


def test_a_fingerprint_is_of_the_settings_not_of_their_order():
    first = config_from({"optimizer": {"lr": 0.1, "beta1": 0.8}, "seed": 4})
    second = config_from({"seed": 4, "optimizer": {"beta1": 0.8, "lr": 1e-1}})
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(config_from({"optimizer": {"lr": 0.1}, "seed": 4}))
    # Said or left out, a default is the same setting.
    assert fingerprint(config_from({"seed": 0})) == fingerprint(Config())


def test_differences_of_a_searched_space_read_back():
    space = {"thresh": {"type": "float", "low": 0.2, "high": 0.28}}
    config = config_from({"postprocess": {"tune": {"space": space, "trials": 5}}})
    assert config_from(parse_yaml(dump_yaml(differences(config)), "text")) == config


def test_dotted_names_of_a_tree():
    tree = {"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "f": {}, "g": None}
    assert dotted(tree) == {"a.b": 1, "a.c.d": [1, {"e": 2}], "f": {}, "g": None}
