"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optdet.atomic import atomic_file, remove_unfinished


def test_a_file_takes_its_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with atomic_file(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.write("not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_removed_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    remove_unfinished(tmp_path / "missing")
    folder = tmp_path / "run" / "artifacts"
    folder.mkdir(parents=True)
    kept = [folder / "curve.png", folder / "mine.tmp", folder / ".hidden"]
    for path in kept:
        path.write_bytes(b"whole")
    if (child := os.fork()) == 0:
        with atomic_file(folder / "curve.png") as file:
            file.write(b"half")
            os._exit(0)
    os.waitpid(child, 0)
    assert len(list(folder.iterdir())) == 4
    remove_unfinished(tmp_path)
    assert sorted(folder.iterdir()) == sorted(kept)
