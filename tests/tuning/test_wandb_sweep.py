"""W&B sweeps of the baseline: what becomes of each line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optdet.config_io import fingerprint
from optdet.errors import OptdetError
from optdet.settings_yaml import parse_yaml
from optdet.study_io import load_study
from optdet.tuning.wandb_study import SweepStudy, require_images, study_of_sweep
from optdet.tuning.wandb_sweep import Sweep, read_sweep, require_mapped

BAYES = """\
program: train.py
method: bayes
metric: {name: val/hmean, goal: maximize}
run_cap: 15
parameters:
  preset: {value: some_config}
  trainer.max_epochs: {value: 20}
  models.head.thresh: {min: 0.20, max: 0.28}
  models.head.use_polygon: {value: true}
  models.optimizer.lr: {distribution: log_uniform_values, min: 0.0002, max: 0.0006}
  models.optimizer._target_: {values: [torch.optim.Adam, torch.optim.AdamW]}
  models.scheduler.T_max: {values: [18, 20, 22]}
early_terminate: {type: hyperband, min_iter: 8, eta: 2, s: 2}
"""
NESTED = """\
method: random
parameters:
  models:
    parameters:
      optimizer: {parameters: {lr: {min: 0.001, max: 0.1}}}
      head:
        parameters:
          postprocess: {parameters: {box_thresh: {distribution: normal, mu: 0.95, sigma: 0.1}}}
early_terminate: {type: hyperband, max_iter: 27, s: 3}
"""
UNKNOWN = """\
method: grid
parameters:
  models.optimizer.lr: {values: [0.0003, 0.0004, 0.00025]}
  models.loss.negative_ratio: {distribution: q_uniform, min: 1, max: 3, q: 1}
  unknown.setting: {value: 3}
  other: {values: [1, 2]}
command: [python, train.py]
"""
CONFIG = """\
data: {synthetic: {train: 4}}
model: {backbone: resnet18, pretrained: false}
postprocess: {tune: {select: best, space: {unclip_ratio: {type: categorical, choices: [1.5]}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mine.yaml").write_text(CONFIG)
    return tmp_path


def swept(text: str, name: str = "sweep.yaml") -> tuple[Sweep, Path]:
    Path(name).write_text(text)
    return read_sweep(Path(name)), Path(name)


def study(text: str, *overrides: str, place: Path | None = None, **named: Any) -> SweepStudy:
    sweep, path = swept(text)
    return study_of_sweep(sweep, path, Path("configs/mine.yaml"), overrides, place=place, **named)


def line(sweep: Sweep, theirs: str) -> tuple[str, str, tuple[str, ...]]:
    (found,) = [each for each in sweep.lines if each.theirs == theirs]
    return found.ours, found.value, found.notes


def test_bayes_with_hyperband(folder: Path) -> None:
    found = study(BAYES).study
    assert (found.name, found.trials, found.sampler.name) == ("sweep", 15, "tpe")
    assert (found.pruner.name, found.pruner.min_epochs, found.pruner.eta) == ("hyperband", 8, 2)
    assert found.config.train.epochs == 20
    assert list(found.space) == ["optimizer.lr", "optimizer.name", "scheduler.t_max"]
    assert found.space["optimizer.name"].model_dump()["choices"] == ("adam", "adamw")
    assert found.postprocess is not None
    space = found.postprocess.space
    assert (space.thresh.low, space.thresh.high) == (0.2, 0.28)
    assert space.use_polygon.model_dump()["choices"] == (True,)
    # What the config says of the inner loop stays where the sweep says nothing.
    assert (found.postprocess.select, space.unclip_ratio.model_dump()["choices"]) == ("best", (1.5,))


def test_every_line_is_said(folder: Path) -> None:
    sweep, _ = swept(BAYES)
    tree = parse_yaml(BAYES, "")
    said = {each.theirs for each in sweep.lines}
    assert {*tree["parameters"], *tree} - {"parameters"} <= said
    assert line(sweep, "models.optimizer.lr") == ("optimizer.lr", "0.0002 to 0.0006, log", ())
    inner = "tuned in the inner loop, on each trial's maps"
    assert line(sweep, "models.head.thresh") == ("postprocess.space.thresh", "0.2 to 0.28", (inner,))
    kept = "kept: the inner loop tunes the others"
    assert line(sweep, "models.head.use_polygon") == ("postprocess.space.use_polygon", "True", (kept,))
    assert line(sweep, "preset")[0] == ""
    ours, value, notes = line(sweep, "early_terminate")
    assert (ours, value) == ("pruner", "min_iter 8, eta 2, s 2 -> min_epochs 8, eta 2")
    assert notes[:2] == ("W&B compares at 8, 16, 32, ...", "s and max_iter say nothing beside min_iter")
    require_mapped(sweep, Path("sweep.yaml"))


def test_nested_parameters_and_hyperband_from_its_end(folder: Path) -> None:
    found = study(NESTED).study
    assert list(found.space) == ["optimizer.lr"]
    assert found.postprocess is not None
    assert (found.postprocess.space.box_thresh.low, found.postprocess.space.box_thresh.high) == (0.75, 1)
    assert (found.pruner.min_epochs, found.pruner.eta) == (1, 3)
    sweep, _ = swept(NESTED)
    assert "cut to 0..1" in line(sweep, "models.head.postprocess.box_thresh")[2]
    assert "W&B compares at 1, 3, 9, counted from max_iter 27" in line(sweep, "early_terminate")[2]
    assert line(sweep, "run_cap") == ("trials", "20", ("not said: W&B goes on until it is stopped",))


def test_unknown_names_are_listed_and_refused(folder: Path) -> None:
    sweep, path = swept(UNKNOWN)
    assert sweep.unmapped == ("unknown.setting", "other")
    with pytest.raises(OptdetError, match=r"2 parameters without a setting here: unknown\.setting, other;"):
        require_mapped(sweep, path)
    assert line(sweep, "unknown.setting")[2][0].startswith("not mapped: ")
    assert line(sweep, "command")[2] == ("W&B's own: a study runs optdet's training",)


def test_a_grid_has_all_its_points(folder: Path) -> None:
    found = study(UNKNOWN).study
    assert (found.sampler.name, found.trials, found.pruner.name) == ("grid", 9, "none")
    assert study(UNKNOWN.replace("method: grid", "method: grid\nrun_cap: 4")).study.trials == 4
    with pytest.raises(OptdetError, match="a grid needs"):
        swept("method: grid\nparameters: {models.optimizer.lr: {min: 0.1, max: 0.2}}")


def test_thresholds_alone_make_one_trial(folder: Path) -> None:
    sweep, _ = swept("method: bayes\nparameters: {models.head.thresh: {min: 0.2, max: 0.3}}")
    assert sweep.settings["trials"] == 1
    assert "space" not in sweep.settings


def test_two_names_of_one_setting(folder: Path) -> None:
    names = ("models.head.thresh", "models.head.postprocess.thresh", "models.optimizer.lr", "optimizer.lr")
    sweep, _ = swept(
        "method: random\nparameters:\n" + "".join(f"  {name}: {{value: 0.1}}\n" for name in names)
    )
    assert sweep.unmapped == ("models.head.postprocess.thresh", "optimizer.lr")
    assert "another name gives thresh already" in line(sweep, "models.head.postprocess.thresh")[2][0]


@pytest.mark.parametrize("place", ["studies/x.yaml", "x.yaml"])
def test_the_file_that_is_written_is_the_study(folder: Path, place: str) -> None:
    overrides = ("optimizer.weight_decay=0.001", "trials=4", "pruner.name=none", "seed=7")
    found = study(BAYES, *overrides, "postprocess.tune.select=robust", place=folder / place, name="mine")
    assert (found.study.trials, found.study.config.optimizer.weight_decay, found.study.seed) == (4, 0.001, 7)
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text(found.text)
    again = load_study(folder / place)
    assert again == found.study
    assert fingerprint(again) == fingerprint(found.study)
    assert "# models.optimizer.lr -> optimizer.lr: 0.0002 to 0.0006, log" in found.text


def test_without_a_config_there_are_no_images(folder: Path) -> None:
    sweep, path = swept(BAYES)
    found = study_of_sweep(sweep, path, None)
    with pytest.raises(OptdetError, match="the study has no images: a sweep names none"):
        require_images(found.study)
    require_images(study(BAYES).study)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "not a W&B sweep file"),
        ("method: hill\nparameters: {x: {value: 1}}", "not a W&B sweep file"),
        ("method: [1]\nparameters: {x: {value: 1}}", "not a W&B sweep file"),
        ("method: random\nparameters: {}", "none of its 0 parameters"),
        (
            "method: random\nparameters: {x: {value: 1}}",
            "none of its 1 parameter is a setting of optdet, as x",
        ),
        ("method: random\nparameters: {x: 1}", "parameters?: x|x: a parameter is a mapping"),
        ("method: random\nrun_cap: 0\nparameters: {seed: {value: 1}}", "run_cap is 0"),
        (
            "method: random\nearly_terminate: {type: median}\nparameters: {seed: {value: 1}}",
            "only {type: hyperband",
        ),
        (
            "method: random\nearly_terminate: {type: hyperband}\nparameters: {seed: {value: 1}}",
            "needs min_iter, or",
        ),
        (
            "method: random\nearly_terminate: {type: hyperband, min_iter: x}\nparameters: {seed: {value: 1}}",
            "min_iter is 'x'",
        ),
        ("method: random\nparameters: {models.head.thresh: {min: 3.0, max: 4.0}}", "thresh"),
        (
            "method: random\nparameters: {models.optimizer._target_: {value: SGD}}",
            "SGD is none of Adam, AdamW",
        ),
    ],
)
def test_what_is_no_sweep_of_ours(folder: Path, text: str, message: str) -> None:
    with pytest.raises(OptdetError, match=message):
        swept(text)


def test_values_that_a_setting_does_not_take(folder: Path) -> None:
    with pytest.raises(OptdetError, match=r"train\.epochs"):
        study("method: random\nparameters: {trainer.max_epochs: {min: 1.5, max: 3.5}}")
    with pytest.raises(OptdetError, match=r"optimizer\.lr"):
        study("method: random\nparameters: {models.optimizer.lr: {distribution: normal, mu: 0, sigma: 1}}")
    fine = "{distribution: q_uniform, min: 1, max: 2, q: 0.001}"
    with pytest.raises(OptdetError, match="values of unclip_ratio, at most 100"):
        study(f"method: random\nparameters: {{models.head.unclip_ratio: {fine}}}")
