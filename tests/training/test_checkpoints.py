"""The checkpoints of a run: named by their content, and never mistaken for whole when damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.model.checkpoint_file import load_checkpoint
from optdet.training.checkpoints import CheckpointFolder, Kind, SavedCheckpoint


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "run" / "checkpoints")


def save(folder: CheckpointFolder, kind: Kind, epoch: int, value: float = 0.0) -> SavedCheckpoint:
    return folder.save(kind, epoch, {"epoch": epoch, "weights": torch.full((40,), value)})


def flip(checkpoint: SavedCheckpoint) -> None:
    content = checkpoint.path.read_bytes()
    middle = len(content) // 2
    checkpoint.path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def cut_off(checkpoint: SavedCheckpoint) -> None:
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:300])


def silent(message: str) -> None:
    raise AssertionError(message)


def test_a_name_carries_kind_epoch_and_hash(folder: CheckpointFolder) -> None:
    saved = save(folder, "last", 7)
    assert saved.sha256 == file_sha256(saved.path)
    assert saved.path.name == f"last-0007-{saved.sha256[:16]}.pt"
    assert saved.path.parent == folder.folder
    assert saved.load()["epoch"] == 7
    assert [path.name for path in folder.folder.iterdir()] == [saved.path.name]


def test_found_by_kind_the_newest_first(folder: CheckpointFolder) -> None:
    assert folder.found("last") == []
    for epoch in (2, 10000, 3):
        save(folder, "last", epoch)
    save(folder, "best", 1)
    (folder.folder / "last-0099-notahash.pt").write_bytes(b"")
    (folder.folder / "notes.txt").write_text("mine")
    assert [found.epoch for found in folder.found("last")] == [10000, 3, 2]
    (best,) = folder.found("best")
    assert (best.kind, best.epoch, len(best.sha256)) == ("best", 1, 16)
    assert best.load()["epoch"] == 1


def test_an_epoch_saved_again_replaces_its_file(folder: CheckpointFolder) -> None:
    """As after a kill on CUDA, where the same epoch gives other bits: the history knows the later one."""
    save(folder, "best", 3)
    save(folder, "best", 4, 0.0)
    second = save(folder, "best", 4, 1.0)
    assert [found.path for found in folder.found("best") if found.epoch == 4] == [second.path]
    assert [found.epoch for found in folder.found("best")] == [4, 3]
    assert folder.load_best(4) is not None


def test_of_two_files_of_an_epoch_the_newer_counts(folder: CheckpointFolder) -> None:
    first = save(folder, "best", 4, 0.0)
    content = first.path.read_bytes()
    second = save(folder, "best", 4, 1.0)
    first.path.write_bytes(content)
    os.utime(first.path, ns=(1, 1))
    assert [found.path for found in folder.found("best")] == [second.path, first.path]


@pytest.mark.parametrize("damage", [flip, cut_off])
def test_a_damaged_newest_falls_back_to_the_one_before(folder: CheckpointFolder, damage: object) -> None:
    save(folder, "last", 4)
    newest = save(folder, "last", 5)
    damage(newest)  # type: ignore[operator]
    said: list[str] = []
    payload = folder.load_newest_last(said.append)
    assert payload is not None
    assert payload["epoch"] == 4
    (line,) = said
    assert newest.path.name in line
    assert "damaged; going on from the epoch before" in line
    assert not newest.path.exists()


def test_a_file_that_is_another_checkpoint_is_damaged_too(folder: CheckpointFolder) -> None:
    """Whole in itself, but not what its name says."""
    save(folder, "last", 4)
    newest, other = save(folder, "last", 5), save(folder, "last", 6)
    os.replace(newest.path, other.path)
    with pytest.raises(OptdetError, match=r"last-0006-.*damaged: its SHA-256 is not that of its name"):
        other.load()
    said: list[str] = []
    payload = folder.load_newest_last(said.append)
    assert payload is not None
    assert payload["epoch"] == 4


def test_nothing_whole_is_none(folder: CheckpointFolder) -> None:
    assert folder.load_newest_last(silent) is None
    cut_off(save(folder, "last", 1))
    said: list[str] = []
    assert folder.load_newest_last(said.append) is None
    assert said[0].endswith("the checkpoint is damaged; training again from the first epoch")


def test_one_whose_content_has_a_fault_is_passed_over_like_a_damaged_one(folder: CheckpointFolder) -> None:
    save(folder, "last", 4)
    newest = save(folder, "last", 5)
    said: list[str] = []
    payload = folder.load_newest_last(said.append, lambda found: "too new" if found["epoch"] == 5 else None)
    assert payload is not None
    assert payload["epoch"] == 4
    assert said == [f"{newest.path}: too new; going on from the epoch before"]
    assert [found.epoch for found in folder.found("last")] == [4]


def test_a_newer_format_is_an_error_and_the_file_stays(folder: CheckpointFolder) -> None:
    """Not damage: another version of the program would go on with it."""
    folder.folder.mkdir(parents=True)
    path = folder.folder / "new"
    torch.save({"format_version": 99}, path)
    named = folder.folder / f"last-0003-{file_sha256(path)[:16]}.pt"
    path.rename(named)
    with pytest.raises(OptdetError, match="upgrade optdet"):
        folder.load_newest_last(silent)
    assert named.exists()


def test_a_file_that_cannot_be_read_is_an_error_and_stays(folder: CheckpointFolder) -> None:
    saved = save(folder, "last", 3)
    saved.path.rename(saved.path.with_suffix(".moved"))
    saved.path.mkdir()
    with pytest.raises(OptdetError, match="the checkpoint cannot be read"):
        folder.load_newest_last(silent)
    assert saved.path.exists()


def test_the_best_of_an_epoch_where_it_is_whole(folder: CheckpointFolder) -> None:
    saved = save(folder, "best", 2)
    save(folder, "last", 3)
    found = folder.load_best(2)
    assert found is not None
    assert found.path == saved.path
    assert folder.load_best(3) is None
    flip(saved)
    assert folder.load_best(2) is None


def test_keeping_only_some(folder: CheckpointFolder) -> None:
    lasts = [save(folder, "last", epoch) for epoch in (1, 2, 3)]
    best = save(folder, "best", 1)
    folder.keep_only("last", [lasts[2].path])
    assert [found.path for found in folder.found("last")] == [lasts[2].path]
    assert best.path.exists()
    folder.keep_only("best", [])
    assert folder.found("best") == []


def test_a_failed_save_leaves_the_folder_as_it_was(folder: CheckpointFolder) -> None:
    saved = save(folder, "last", 1)
    with pytest.raises(TypeError, match="plain values"):
        folder.save("last", 2, {"model": torch.nn.Linear(1, 1)})
    assert list(folder.folder.iterdir()) == [saved.path]
    assert load_checkpoint(saved.path, sha256=saved.sha256)["epoch"] == 1
