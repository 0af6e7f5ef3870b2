"""Study files: the config that they name, their space and queue, and overrides of both."""

from __future__ import annotations

import json

import pytest

from optdet.config import Config
from optdet.config_io import fingerprint
from optdet.errors import OptdetError
from optdet.study_io import load_study, one_trial_study

LR = "optimizer.lr: {type: float, low: 2e-4, high: 6e-4, log: true}"
EPOCHS = "train.epochs: {type: int, low: 2, high: 8}"
NAMES = "optimizer.name: {type: categorical, choices: [adam, adamw]}"


@pytest.fixture
def study_file(tmp_path):
    def write(text, name="study.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_the_config_lies_beside_the_file_or_below_the_working_directory(study_file, tmp_path, monkeypatch):
    path = study_file("config: base.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "base.yaml").write_text("seed: 2")
    assert load_study(path).config.seed == 2
    (tmp_path / "base.yaml").write_text("seed: 1")
    assert load_study(path).config.seed == 1
    (tmp_path / "base.yaml").unlink()
    (tmp_path / "elsewhere" / "base.yaml").unlink()
    with pytest.raises(OptdetError, match=r"study.yaml: config 'base.yaml' is neither beside this file"):
        load_study(path)


def test_an_error_names_the_file_that_has_it(study_file, tmp_path):
    path = study_file("config: base.yaml")
    (tmp_path / "base.yaml").write_text("train: {epoch: 1}")
    with pytest.raises(OptdetError, match=r"^base.yaml: unknown setting 'train.epoch'"):
        load_study(path)
    path = study_file("config: {train: {epoch: 1}}")
    with pytest.raises(OptdetError, match=r"study.yaml: unknown setting 'train.epoch'"):
        load_study(path)
    path = study_file("config: {}\npruner: {nmae: none}")
    with pytest.raises(
        OptdetError, match=r"study.yaml: unknown setting 'pruner.nmae'; did you mean pruner.name"
    ):
        load_study(path)


def test_a_study_file_changes_the_config_that_it_names(study_file, tmp_path):
    (tmp_path / "base.yaml").write_text("train: {epochs: 22, batch_size: 4}")
    path = study_file("config: base.yaml\noverrides: {train.epochs: 20}")
    study = load_study(path)
    assert (study.config.train.epochs, study.config.train.batch_size) == (20, 4)
    assert load_study(path, ["train.epochs=3"]).config.train.epochs == 3
    with pytest.raises(OptdetError, match=r"overrides: train.epoch: unknown setting 'train.epoch'"):
        load_study(study_file("config: base.yaml\noverrides: {train.epoch: 20}"))
    with pytest.raises(OptdetError, match=r"`overrides:` is a mapping"):
        load_study(study_file("config: base.yaml\noverrides: [train.epochs=20]"))
    (tmp_path / "base.yaml").write_text("train: {epochs: 0}")
    with pytest.raises(OptdetError, match=r"^base.yaml: train.epochs"):
        load_study(path)


def test_settings_that_go_in_pairs_can_be_changed_together(study_file):
    folds = {"data.folds": "f.json", "data.train": [], "data.val": None}
    written = "{train: {images: a, labels: b}, val: {images: c, labels: d}}"
    path = study_file(f"config: {{data: {written}}}")
    overrides = ["data.folds=f.json", "data.train=[]", "data.val=null"]
    assert load_study(path, overrides).config.data.folds == "f.json"
    with pytest.raises(OptdetError, match=r"^override data.folds=f.json: data"):
        load_study(path, overrides[:1])
    with pytest.raises(OptdetError, match=r"^override trials=-1: trials"):
        load_study(path, [overrides[0], "trials=-1", *overrides[1:]])
    changed = load_study(study_file(f"config: {{data: {written}}}\noverrides: {json.dumps(folds)}"))
    assert changed.config.data.folds == "f.json"


@pytest.mark.parametrize("config", ["", "config: 3\n", "config: [a]\n"])
def test_a_study_needs_a_config(study_file, config):
    with pytest.raises(OptdetError, match=r"a study needs `config:`, a path or the settings themselves"):
        load_study(study_file(f"{config}space: {{}}"))


def test_names(study_file):
    assert load_study(study_file("config: {}", "b4 focused!.yaml")).name == "b4-focused-"
    assert load_study(study_file("config: {}\nname: mine", "x.yaml")).name == "mine"
    assert load_study(study_file("config: {}\nname: 2024-01-01", "x.yaml")).name == "2024-01-01"
    assert load_study(study_file("config: {}\nname: mine", "x.yaml"), name="given").name == "given"
    assert load_study(study_file("config: {}", "....yaml")).name == "study"
    with pytest.raises(OptdetError, match=r"x.yaml: name: a name begins"):
        load_study(study_file("config: {}", "x.yaml"), name="a/b")


def test_a_config_is_a_study_of_one_trial(study_file):
    study = load_study(study_file("train: {epochs: 3}\nseed: 5", "mine.yaml"), ["optimizer.lr=0.2"])
    assert (study.name, study.trials, study.vary_seed, study.seed) == ("mine", 1, False, 5)
    assert (study.config.train.epochs, study.config.optimizer.lr) == (3, 0.2)
    assert load_study(study_file("seed: 5"), name="given").name == "given"
    with pytest.raises(OptdetError, match=r"^study 'a b': name: a name begins"):
        one_trial_study(Config(), "a b")


def test_overrides_reach_the_config_or_else_the_study(study_file):
    path = study_file("config: {}\ntrials: 20\npostprocess: {trials: 50, method: random}")
    overrides = ["trials=3", "pruner.name=none", "optimizer.lr=2e-3", "postprocess.trials=9"]
    study = load_study(path, [*overrides, "postprocess.thresh=0.22", "objective=crossfit", "name=other"])
    assert (study.trials, study.pruner.name, study.objective, study.name) == (3, "none", "crossfit", "other")
    assert study.config.optimizer.lr == 2e-3
    assert study.config.postprocess.thresh == 0.22
    assert study.postprocess is not None
    assert (study.postprocess.trials, study.postprocess.method) == (9, "random")


def test_the_inner_loop_that_counts_is_the_one_overridden(study_file):
    own = study_file("config: {}\npostprocess: {trials: 50}")
    inherited = study_file("config: {postprocess: {tune: {trials: 50, method: random}}}", "other.yaml")
    for name in ("postprocess.trials", "postprocess.tune.trials"):
        assert load_study(own, [f"{name}=9"]).base_config().postprocess.tune.trials == 9
        tune = load_study(inherited, [f"{name}=9"]).base_config().postprocess.tune
        assert (tune.trials, tune.method) == (9, "random")
    whole = load_study(own, ["postprocess.tune={method: none}"])
    assert whole.base_config().postprocess.tune.method == "none"


def test_a_seed_is_the_study_s_and_its_config_s(study_file):
    study = load_study(study_file("config: {seed: 1}\nseed: 2"), ["seed=7"])
    assert (study.seed, study.config.seed) == (7, 7)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trails=3", r"^override trails=3: unknown setting 'trails'; did you mean trials\b"),
        ("tune.trials=3", r"unknown setting 'tune.trials'; did you mean"),
        ("config.optimizer.lr=1", r"unknown setting 'config.optimizer.lr'; did you mean optimizer.lr"),
        ("trials=0", r"^override trials=0: trials: .*greater than or equal to 1"),
        ("train.epochs=0", r"^override train.epochs=0: train.epochs"),
        ("postprocess.trials=5000", r"^override postprocess.trials=5000: postprocess.*trials: .*2000"),
    ],
)
def test_bad_overrides(study_file, override, message):
    with pytest.raises(OptdetError, match=message):
        load_study(study_file("config: {}"), [override])


def test_queue(study_file):
    queue = "queue: [{optimizer.lr: 0.01}, {train.epochs: 30, optimizer.name: adam}]"
    study = load_study(study_file(f"config: {{}}\nspace: {{{LR}, {EPOCHS}, {NAMES}}}\n{queue}"))
    assert study.queue == ({"optimizer.lr": 0.01}, {"train.epochs": 30, "optimizer.name": "adam"})


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("{train.epochs: 3}", r"queue\[0\]: 'train.epochs' is not in the space; add it to `space:`"),
        ("{optimizer.lr: -1}", r"queue\[0\]: optimizer.lr: .*greater than 0"),
        ("{optimizer.lr: fast}", r"queue\[0\]: optimizer.lr: 'fast' is no number"),
        ("{optimizer.name: sgd}", r"queue\[0\]: optimizer.name has no choice 'sgd'; choose among 'adam'"),
        ("{optimizer.lr: .nan}", r"queue.*finite"),
    ],
)
def test_bad_queues(study_file, queue, message):
    with pytest.raises(OptdetError, match=message):
        load_study(study_file(f"config: {{}}\nspace: {{{LR}, {NAMES}}}\nqueue: [{queue}]"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("optimizer.rate: {type: float, low: 0, high: 1}", r"space: unknown setting 'optimizer.rate'"),
        ("optimizer.lr: {type: float, low: 0, high: 1}", r"space: optimizer.lr: .*greater than 0"),
        ("train.ema_decay: {type: float, low: 0, high: 1}", r"space: train.ema_decay: .*less than 1"),
        ("train.epochs: {type: float, low: 2, high: 4}", r"space: train.epochs: .* is no whole number"),
        (
            "optimizer.name: {type: categorical, choices: [adam, sgd]}",
            r"space: optimizer.name: .*\(it is 'sgd'\)",
        ),
        ("optimizer: {type: categorical, choices: [1]}", r"space: optimizer: .*valid dictionary"),
    ],
)
def test_bad_spaces(study_file, space, message):
    with pytest.raises(OptdetError, match=message):
        load_study(study_file(f"config: {{}}\nspace: {{{space}}}"))


def test_a_range_with_a_whole_step_may_be_of_a_whole_number(study_file):
    space = "{train.epochs: {type: float, low: 2, high: 8, step: 2}}"
    assert "train.epochs" in load_study(study_file(f"config: {{}}\nspace: {space}")).space


@pytest.mark.parametrize(
    "text",
    [
        "config: {}\npostprocess: {space: {thresh: {type: float, low: 0, high: 5}}}",
        "postprocess: {tune: {space: {thresh: {type: float, low: 0, high: 5}}}}",
    ],
)
def test_thresholds_that_cannot_be_are_not_searched(study_file, text):
    with pytest.raises(OptdetError, match=r"space.thresh: 5.0 is not a number in 0..1$"):
        load_study(study_file(text))


def test_a_study_is_the_same_whatever_the_order_of_its_space(study_file):
    first = load_study(study_file(f"config: {{}}\nspace: {{{LR}, {EPOCHS}}}"))
    second = load_study(study_file(f"space: {{{EPOCHS}, {LR}}}\nconfig: {{}}"))
    assert list(first.space) != list(second.space)
    assert fingerprint(first) == fingerprint(second)


def test_one_value_for_what_the_space_varies_is_refused(study_file):
    path = study_file("config: {}\nspace: {optimizer.lr: {type: float, low: 0.001, high: 0.01}}")
    with pytest.raises(OptdetError, match=r"optimizer.lr is varied by the study's space.*enqueue"):
        load_study(path, ["optimizer.lr=0.002"])
    assert load_study(path, ["optimizer.weight_decay=0.002"]).config.optimizer.weight_decay == 0.002
