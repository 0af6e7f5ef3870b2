"""A packed trial is one file with all that a detector is, and nothing of the machine it was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.inference.detector import open_checkpoint
from optdet.model.checkpoint_file import load_checkpoint
from optdet.tuning import attributes as attr
from optdet.tuning.pack import pack_trial, portable
from optdet.tuning.results import best_trial, checkpoint_path, find_trial, thresholds_of


def strings(value):
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from (*strings(key), *strings(inside))
    elif isinstance(value, list | tuple):
        for inside in value:
            yield from strings(inside)
    elif isinstance(value, str):
        yield value


def test_a_pack_holds_what_the_trial_is(finished, tmp_path):
    trial = best_trial(finished)
    out = pack_trial(finished, trial, tmp_path / "new" / "detector.pt")
    packed, best = load_checkpoint(out), load_checkpoint(checkpoint_path(finished, trial))
    assert torch.load(out, weights_only=True)
    origin = packed.pop("trial")
    for name, tensor in best.pop("model").items():
        assert torch.equal(packed["model"][name], tensor)
    assert {name: packed[name] for name in best} == best
    assert set(packed) - set(best) == {"model"}
    assert (origin["study"], origin["number"], origin["value"]) == ("finished", trial.number, trial.value)
    assert origin["params"] == trial.params
    for name in (attr.DATA_FINGERPRINT, attr.VERSIONS, attr.SCORES, attr.SEED):
        assert origin[name] == trial.user_attrs[name]
    opened = open_checkpoint(out, torch.device("cpu"))
    assert opened.thresholds == thresholds_of(trial)
    assert opened.detector.key() == trial.user_attrs[attr.MAP_KEY]
    assert not [text for text in strings({**packed, "model": None, "trial": origin}) if text.startswith("/")]


def test_the_same_trial_gives_the_same_bytes(finished, tmp_path):
    first, second = (pack_trial(finished, best_trial(finished), tmp_path / name) for name in ("a.pt", "b.pt"))
    assert first.read_bytes() == second.read_bytes()


def test_absolute_paths_become_relative(tmp_path):
    config = Config.model_validate(
        {
            "data": {
                "train": [
                    {"images": str(tmp_path / "train/images"), "labels": "/elsewhere/train.json"},
                    {"images": "more/images", "labels": "../more.json"},
                ],
                "val": {"images": str(tmp_path / "val"), "labels": "val.json"},
            },
            "model": {"weights": "/home/me/b4.safetensors"},
            "train": {"start": str(tmp_path / "models/b4.pt")},
        }
    )
    moved = portable(config, tmp_path)
    places = [(source.images, source.labels) for source in (*moved.data.train, moved.data.val)]
    assert places == [("train/images", "train.json"), ("more/images", "../more.json"), ("val", "val.json")]
    assert (moved.model.weights, moved.train.start) == ("b4.safetensors", "models/b4.pt")
    assert portable(Config(), tmp_path) == Config()


def test_a_pruned_trial_has_the_thresholds_of_its_best_epoch(make, recorder, tmp_path, monkeypatch):
    import optuna

    from optdet.tuning.run import run_study

    study = make("packed-pruned", trials=1)
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: True)
    run_study(study, recorder())
    trial = find_trial(study, 0)
    packed = load_checkpoint(pack_trial(study, trial, tmp_path / "pruned.pt"))
    assert packed["thresholds"] == trial.user_attrs[attr.EPOCH_THRESHOLDS]
    assert packed["trial"]["value"] is None


def test_what_is_refused(finished, make, tmp_path):
    trial, out = best_trial(finished), tmp_path / "detector.pt"
    out.write_bytes(b"mine")
    with pytest.raises(OptdetError, match="the file exists; give another name, or --force"):
        pack_trial(finished, trial, out)
    assert out.read_bytes() == b"mine"
    pack_trial(finished, trial, out, force=True)
    assert open_checkpoint(out, torch.device("cpu")).thresholds == thresholds_of(trial)
    study = make("never-run")
    study.study.ask()
    with pytest.raises(OptdetError, match="trial 0 is running; wait until it has ended"):
        pack_trial(study, find_trial(study, 0), tmp_path / "running.pt")
    assert not (tmp_path / "running.pt").exists()


def test_a_damaged_checkpoint_is_not_packed(make, recorder, tmp_path):
    from optdet.tuning.run import run_study

    study = make("damaged", trials=1)
    run_study(study, recorder())
    path = Path(checkpoint_path(study, best_trial(study)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OptdetError, match="the checkpoint is damaged"):
        pack_trial(study, best_trial(study), tmp_path / "out.pt")
    path.unlink()
    with pytest.raises(OptdetError, match="the checkpoint is gone"):
        pack_trial(study, best_trial(study), tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()
