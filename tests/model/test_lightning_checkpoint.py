"""Files that Lightning wrote: what is read of them, what is refused, and that nothing in them is run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import baseline_home
import pytest
import torch

from optdet.errors import OptdetError
from optdet.model.checkpoint_file import save_checkpoint
from optdet.model.lightning_checkpoint import read_lightning

STATE = {"model.a": torch.arange(3.0), "model.b": torch.zeros(2)}


class Calls:
    """Pickled as the call of a function: what an attacker's file does."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_tensors_and_plain_hyperparameters(tmp_path: Path) -> None:
    hyper = {"config": {"models": {"optimizer": {"lr": 1e-3}, "levels": [1, 2]}}, "seed": 4, "net": None}
    read = read_lightning(baseline_home.save(tmp_path / "a.ckpt", STATE, hyper_parameters=hyper))
    assert list(read.tensors) == list(STATE)
    assert torch.equal(read.tensors["model.a"], STATE["model.a"])
    assert read.hyperparameters == {
        "config.models.optimizer.lr": 1e-3,
        "config.models.levels.0": 1,
        "config.models.levels.1": 2,
        "seed": 4,
        "net": None,
    }
    assert (read.epoch, read.version, read.unread) == (8, "2.5.1", ())


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Classes of OmegaConf's names, whose state is as OmegaConf's: the package itself is not needed."""
    module = types.ModuleType("omegaconf.dictconfig")

    class DictConfig:
        def __init__(self, content):
            self._content = content

        def __setstate__(self, state):
            raise AssertionError("code of the file's own was run")

    class AnyNode:
        def __init__(self, value):
            self._val = value

    for kind in (DictConfig, AnyNode):
        kind.__module__, kind.__qualname__ = "omegaconf.dictconfig", kind.__name__
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    return module


def test_hyperparameters_in_an_omegaconf_tree_are_read_without_it(omegaconf, tmp_path: Path) -> None:
    tree = omegaconf.DictConfig({"lr": omegaconf.AnyNode(0.5), "sub": omegaconf.DictConfig({"n": 3})})
    path = baseline_home.save(
        tmp_path / "a.ckpt",
        STATE,
        hyper_parameters={"config": tree},
        hparams_type=omegaconf.DictConfig,
        at=Path("x"),
    )
    read = read_lightning(path)
    assert read.hyperparameters == {"config.lr": 0.5, "config.sub.n": 3}
    assert "omegaconf.dictconfig.DictConfig" in read.unread
    assert any(name.startswith("pathlib") for name in read.unread)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (Calls(os.system, "touch ran"), "posix.system"),
        (Calls(eval, "open('ran', 'w')"), "eval"),
        (Calls(subprocess.Popen, ["touch", "ran"]), "Popen"),
    ],
)
def test_a_file_that_names_code_is_refused_and_nothing_is_run(
    call, named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = baseline_home.save(tmp_path / "evil.ckpt", STATE, callbacks={"x": call})
    with pytest.raises(OptdetError, match=f"names code .*{named}.*nothing was run.*save its tensors alone"):
        read_lightning(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_plain_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps(Calls(os.system, "touch ran")))
    with pytest.raises(OptdetError, match="damaged, or not a checkpoint that PyTorch saved"):
        read_lightning(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_lightning_checkpoint(tmp_path: Path) -> None:
    whole = baseline_home.save(tmp_path / "whole.ckpt", STATE).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    (tmp_path / "empty.ckpt").touch()
    torch.save(STATE, tmp_path / "bare.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "nothing.ckpt")
    save_checkpoint(tmp_path / "ours.pt", {"model": STATE})
    damaged, foreign = "damaged, or not a checkpoint", "not a Lightning checkpoint; there is no `state_dict`"
    for name, message in {
        "cut.ckpt": damaged,
        "text.ckpt": damaged,
        "empty.ckpt": damaged,
        "bare.ckpt": foreign,
        "list.ckpt": foreign,
        "nothing.ckpt": foreign,
        "ours.pt": "a checkpoint of optdet: it needs no import",
        "missing.ckpt": "no such checkpoint file",
    }.items():
        with pytest.raises(OptdetError, match=message):
            read_lightning(tmp_path / name)
