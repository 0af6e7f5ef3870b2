"""The checkpoint file: round trip, damage, and saves that fail."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

from optdet.errors import OptdetError
from optdet.model.checkpoint_file import FORMAT_VERSION, load_checkpoint, save_checkpoint

SmallDisk = Callable[[int], AbstractContextManager[None]]

PAYLOAD = {
    "model": OrderedDict(weight=torch.arange(6.0).reshape(2, 3), counter=torch.tensor(3)),
    "optimizer": {"state": {0: {"step": 3.0}}, "param_groups": [{"lr": 3e-4, "betas": (0.9, 0.999)}]},
    "epoch": 4,
    "note": None,
    "done": True,
    "name": "é",
    "random_state": torch.get_rng_state(),
}


def _assert_same(one: object, other: object) -> None:
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert list(one) == list(other)
        for key, value in one.items():
            _assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert type(one) is type(other)
        for mine, theirs in zip(one, other, strict=True):
            _assert_same(mine, theirs)
    else:
        assert one == other
        assert type(one) is type(other)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    _assert_same(PAYLOAD, load_checkpoint(path, sha256=digest))
    _assert_same(PAYLOAD, load_checkpoint(path))
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_what_was_loaded_can_be_saved_again_to_the_same_bytes(tmp_path: Path) -> None:
    one = save_checkpoint(tmp_path / "one.pt", PAYLOAD)
    assert save_checkpoint(tmp_path / "two.pt", load_checkpoint(tmp_path / "one.pt")) == one


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    with path.open("rb") as reader:
        save_checkpoint(path, {"epoch": 5})
        assert hashlib.file_digest(reader, "sha256").hexdigest() == digest


def test_any_program_can_read_it_without_trusting_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", PAYLOAD)
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    assert content["format_version"] == FORMAT_VERSION


def test_a_model_and_its_optimizer(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters(), fused=False)
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "m.pt", {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    content = load_checkpoint(tmp_path / "m.pt")
    _assert_same(dict(model.state_dict()), dict(content["model"]))
    step = content["optimizer"]["state"][0]
    torch.testing.assert_close(step["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    optimizer.load_state_dict(content["optimizer"])


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"a": {"b": [1, np.float64(2.0)]}}, r"a\.b\[1\] is a float64"),
        ({"a": np.zeros(3)}, "a is a ndarray"),
        ({"path": Path("x")}, "path is a PosixPath"),
        ({"a": {"model": torch.nn.Linear(1, 1)}}, r"a\.model is a Linear"),
        ({"a": {(1, 2): 3}}, r"a has \(1, 2\)"),
        ({"a": {1, 2}}, "a is a set"),
    ],
)
def test_what_is_not_plain_is_named_before_anything_is_written(
    tmp_path: Path, payload: dict, named: str
) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    with pytest.raises(TypeError, match=named):
        save_checkpoint(path, payload)
    load_checkpoint(path, sha256=digest)


def test_the_version_key_is_the_files_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format_version"):
        save_checkpoint(tmp_path / "last.pt", {"format_version": 7})


def test_a_flipped_byte_anywhere_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    content = path.read_bytes()
    for position in (0, len(content) // 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(OptdetError, match=r"last\.pt: the checkpoint is damaged: its SHA-256"):
            load_checkpoint(path, sha256=digest)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_seen_without_a_hash_too(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(OptdetError, match="damaged or no checkpoint"):
        load_checkpoint(path)
    with pytest.raises(OptdetError, match="SHA-256"):
        load_checkpoint(path, sha256=digest)


class _Payload:
    """A class that only a pickle could bring back."""


@pytest.mark.parametrize("content", [{"epoch": 1}, [1, 2], {"format_version": "1"}, {"format_version": True}])
def test_another_programs_file(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    with pytest.raises(OptdetError, match=r"other\.ckpt: the file is not a checkpoint of optdet"):
        load_checkpoint(path)


def test_objects_in_a_file_are_never_brought_to_life(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"format_version": 1, "x": _Payload()}, path)
    with pytest.raises(OptdetError, match="damaged or no checkpoint"):
        load_checkpoint(path)


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "new.pt"
    torch.save({"format_version": FORMAT_VERSION + 1}, path)
    with pytest.raises(
        OptdetError, match=rf"has format {FORMAT_VERSION + 1}; this optdet reads up to .*upgrade"
    ):
        load_checkpoint(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match=r"nowhere\.pt: the checkpoint cannot be read \(No such file"):
        load_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(OptdetError, match="cannot be read"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("n_tensors", [1, 50])
def test_a_full_disk_leaves_the_file_before(tmp_path: Path, small_disk: SmallDisk, n_tensors: int) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)
    big = {f"t{i}": torch.zeros(400_000 // n_tensors) for i in range(n_tensors)}
    message = r"last\.pt: the checkpoint cannot be written \(File too large\)"
    with small_disk(200_000), pytest.raises(OptdetError, match=message):
        save_checkpoint(path, big)
    _assert_same(PAYLOAD, load_checkpoint(path, sha256=digest))
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match="cannot be written"):
        save_checkpoint(tmp_path / "gone" / "last.pt", PAYLOAD)


def test_an_interrupted_save_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    digest = save_checkpoint(path, PAYLOAD)

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"epoch": 5})
    load_checkpoint(path, sha256=digest)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_file_and_folder_reach_the_disk_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "last.pt", [], os.fsync

    def record(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    save_checkpoint(path, PAYLOAD)
    assert [exists for _, exists in synced] == [False, True]
    assert Path(synced[0][0]).parent == tmp_path
    assert synced[1][0] == str(tmp_path)
