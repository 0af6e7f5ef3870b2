"""A trial that has ended goes on as a new one: from its weights, at its place in the schedule."""

from __future__ import annotations

import optuna
import pytest
import torch

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.training.checkpoints import CheckpointFolder
from optdet.training.optimizer import learning_rate
from optdet.tuning import attributes as attr
from optdet.tuning.export import export_text
from optdet.tuning.extension import extend_trial
from optdet.tuning.results import config_of, find_trial, trial_row, write_best
from optdet.tuning.run import run_study

QUEUE = ({"optimizer.lr": 0.02, "loss.negative_ratio": 1.0, "train.batch_size": 2},)


@pytest.fixture(scope="module")
def prunable(make):
    """A study's definition whose trials have four epochs."""

    def made(name, **config):
        opened = make("smallest-of-" + name)
        tree = opened.config.config.model_dump(mode="json")
        tree["train"] |= {"epochs": 4, "patience": 0}
        for section, values in config.items():
            tree[section] |= values
        return make(name, config=tree, queue=QUEUE, trials=1)

    return made


@pytest.fixture(scope="module")
def pruned(prunable, recorder):
    """Its one trial was pruned after its second epoch, of which either may be the best."""
    study = prunable("pruned-early")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Trial, "should_prune", lambda trial: last_epoch(trial) >= 2)
        run_study(study, recorder())
    assert [trial.state.name for trial in study.study.trials] == ["PRUNED"]
    return study


def last_epoch(trial):
    return trial.storage.get_trial(trial._trial_id).last_step


def best(study, number):
    folder = CheckpointFolder(study.places.run_dir(study.name, number) / "checkpoints")
    (found,) = folder.found("best")
    assert folder.found("last") == []
    return found


@pytest.fixture(scope="module")
def extended(pruned, recorder):
    """The rest of the pruned trial, in a run in which the pruner would stop everything at once."""
    queued = extend_trial(pruned, find_trial(pruned, 0))
    progress = recorder()
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Trial, "should_prune", lambda trial: True)
        patch.setattr(
            "optdet.training.loop.learning_rate", lambda *args: seen.append(args) or learning_rate(*args)
        )
        run_study(pruned, progress, total=queued.total)
    return queued, progress, seen


def test_one_checkpoint_is_left_of_a_pruned_trial(pruned):
    assert best(pruned, 0).epoch in (1, 2)


def test_a_pruned_trial_gets_the_rest_of_its_epochs_and_is_not_pruned_again(pruned, extended):
    queued, progress, seen = extended
    after = best(pruned, 0).epoch
    assert (queued.number, queued.after_epoch, queued.epochs, queued.total) == (1, after, 4, 2)
    trial = find_trial(pruned, 1)
    assert trial.state.name == "COMPLETE"
    assert list(trial.intermediate_values) == list(range(after, 5))
    assert [epoch for _, epoch in progress.epochs] == list(range(after, 5))
    assert trial.intermediate_values[after] == find_trial(pruned, 0).intermediate_values[after]
    assert trial.user_attrs[attr.EPOCHS] == 4
    # Everything as the old one's, and the schedule where it was.
    assert config_of(trial, pruned) == config_of(find_trial(pruned, 0), pruned)
    assert trial.params == find_trial(pruned, 0).params
    assert min(args[2] for args in seen) == after
    assert {args[3] for args in seen} == {4}


def test_it_is_linked_and_shown(pruned, extended, tmp_path):
    row = trial_row(find_trial(pruned, 1))
    assert (row.extended_from, row.epochs) == (0, 4)
    assert trial_row(find_trial(pruned, 0)).extended_from is None
    assert "extended_from" in export_text(pruned, as_json=False).splitlines()[0]
    write_best(pruned, tmp_path / "best.yaml")
    assert "# It began with the weights of trial 0:" in (tmp_path / "best.yaml").read_text()


@pytest.mark.slow
def test_a_complete_trial_gets_so_many_epochs_more(prunable, recorder, monkeypatch):
    """The cosine ends with the last of them; a best of before stays the best where nothing better comes."""
    study = prunable("complete", scheduler={"t_max": 3})
    run_study(study, recorder())
    with pytest.raises(OptdetError, match=r"its training has ended, .* of 4; .*--epochs 5"):
        extend_trial(study, find_trial(study, 0))
    after = best(study, 0).epoch
    queued = extend_trial(study, find_trial(study, 0), ["optimizer.lr=1e-9", "data.pad=topleft"], epochs=2)
    assert (queued.after_epoch, queued.epochs) == (after, after + 2)
    config = Config.model_validate(find_trial(study, 1).user_attrs[attr.CONFIG])
    assert (config.train.epochs, config.scheduler.t_max) == (after + 2, after + 2)
    assert (config.optimizer.lr, config.data.pad) == (1e-9, "topleft")
    run_study(study, recorder(), total=queued.total)
    trial = find_trial(study, 1)
    assert trial.params["optimizer.lr"] == 1e-9
    assert trial.params["loss.negative_ratio"] == 1.0
    assert len(trial.intermediate_values) == 3
    # Scored anew, for the images lie elsewhere on their canvas.
    assert trial.intermediate_values[after] != find_trial(study, 0).intermediate_values[after]
    weights = [best(study, number).load()["model"] for number in (0, 1)]
    first = next(name for name in weights[0] if name.endswith(".weight"))
    assert torch.allclose(weights[0][first], weights[1][first], atol=1e-6)


def test_weights_come_from_the_checkpoint(pruned, extended):
    """Of the new trial's best the weights are near the old one's, and those of a fresh start are not."""
    old, new = (best(pruned, number).load()["model"] for number in (0, 1))
    torch.manual_seed(config_of(find_trial(pruned, 0), pruned).seed)
    from optdet.inference.detector import new_model

    fresh = new_model(config_of(find_trial(pruned, 0), pruned), for_training=True).state_dict()
    name = next(name for name in old if name.endswith("weight") and old[name].ndim == 4)
    assert (new[name] - old[name]).norm() < (new[name] - fresh[name]).norm()


def test_what_cannot_be_extended(pruned, extended, make):
    trial = find_trial(pruned, 0)
    with pytest.raises(OptdetError, match=r"train\.epochs would count .*--epochs"):
        extend_trial(pruned, trial, ["train.epochs=9"])
    with pytest.raises(OptdetError, match=r"model\.backbone cannot change"):
        extend_trial(pruned, trial, ["model.backbone=resnet18"])
    with pytest.raises(OptdetError, match=r"unknown setting 'optimizer\.rate'"):
        extend_trial(pruned, trial, ["optimizer.rate=1"])
    with pytest.raises(OptdetError, match="has no choice"):
        extend_trial(pruned, trial, ["loss.negative_ratio=1.5"])
    study = make("unfinished")
    study.study.ask()
    with pytest.raises(OptdetError, match=r"trial 0 is running; only trials that are complete or pruned"):
        extend_trial(study, find_trial(study, 0))
    assert len(pruned.study.trials) == 2


@pytest.mark.slow
def test_a_checkpoint_that_is_gone(prunable, recorder):
    study = prunable("gone")
    run_study(study, recorder())
    queued = extend_trial(study, find_trial(study, 0), epochs=1)
    best(study, 0).path.unlink()
    with pytest.raises(OptdetError, match="its checkpoint is gone"):
        extend_trial(study, find_trial(study, 0), epochs=1)
    progress = recorder()
    run_study(study, progress, total=queued.total)
    assert progress.outcomes[0].reason == "the checkpoint of trial 0, from which it starts, is gone"


def test_a_worker_that_takes_the_new_trial_at_once_changes_nothing(pruned, monkeypatch):
    enqueue = optuna.Study.enqueue_trial

    def taken(study, *given, **more):
        enqueue(study, *given, **more)
        study.ask()

    monkeypatch.setattr(optuna.Study, "enqueue_trial", taken)
    before = len(pruned.study.trials)
    assert extend_trial(pruned, find_trial(pruned, 0)).number == before
    pruned.study.tell(before, state=optuna.trial.TrialState.FAIL)
