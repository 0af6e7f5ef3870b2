"""``optdet study create --from-wandb``, and settings in the baseline's names."""

from __future__ import annotations

import pytest

SWEEP = """\
method: random
parameters:
  models.optimizer.lr: {distribution: log_uniform_values, min: 0.001, max: 0.02}
  models.head.thresh: {min: 0.2, max: 0.3}
  unknown.setting: {value: 3}
"""


@pytest.fixture
def sweep(tiny):
    (tiny / "sweep.yaml").write_text(SWEEP)
    return tiny


CREATE = ("study", "create", "--from-wandb", "sweep.yaml", "configs/tiny.yaml")


def test_unknown_names_stop_it_and_the_table_is_shown(sweep, optdet):
    ran = optdet(*CREATE)
    assert "sweep.yaml: 1 parameter without a setting here: unknown.setting; leave them out with" in ran.error
    assert "models.optimizer.lr" in ran.err
    assert "no setting of optdet is known by this name" in ran.err
    assert ran.out == ""
    assert not (sweep / "studies/optdet.db").exists()


def test_dry_run_prints_a_study_file_and_creates_nothing(sweep, optdet):
    ran = optdet(*CREATE, "--ignore-unknown", "--dry-run", "--name", "dry")
    assert ran.code == 0, ran.err
    assert not (sweep / "studies/optdet.db").exists()
    (sweep / "dry.yaml").write_text(ran.out)
    created = optdet("study", "create", "dry.yaml")
    assert "created: study dry, 20 trials" in created.out


def test_write_then_create_again_is_the_same_study(sweep, optdet):
    options = ("--ignore-unknown", "--write", "studies/swept.yaml")
    ran = optdet(*CREATE, *options, "models.optimizer.weight_decay=0.001", "trials=3")
    assert ran.code == 0, ran.err
    assert "models.optimizer.weight_decay -> optimizer.weight_decay" in ran.err
    assert "created: study sweep, 3 trials" in ran.out
    assert "exists: study sweep" in optdet("study", "create", "studies/swept.yaml").out
    assert "studies/swept.yaml: the file exists" in optdet(*CREATE, *options).error
    queued = optdet("study", "enqueue", "sweep", "models.optimizer.lr=0.002")
    assert "queued in sweep: optimizer.lr=0.002" in queued.out
    assert "models.optimizer.lr -> optimizer.lr" in queued.err


def test_without_images_it_is_not_created(sweep, optdet):
    ran = optdet("study", "create", "--from-wandb", "sweep.yaml", "--ignore-unknown")
    assert "the study has no images" in ran.error
    assert not (sweep / "studies/optdet.db").exists()


def test_options_of_a_sweep_need_one(tiny, optdet):
    ran = optdet("study", "create", "configs/tiny.yaml", "--dry-run")
    assert ran.code == 2
    assert "--dry-run" in ran.err


def test_names_of_the_baseline_in_overrides(tiny, optdet):
    ran = optdet("study", "create", "configs/tiny.yaml", "models.optimizer.lr=0.0004", "trainer.max_epochs=7")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[:2] == [
        "models.optimizer.lr -> optimizer.lr",
        "trainer.max_epochs -> train.epochs",
    ]
    unknown = optdet("study", "create", "configs/tiny.yaml", "models.optimizer.momentum=0.9")
    assert "override models.optimizer.momentum=0.9: unknown setting" in unknown.error
