"""A picture is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.drawing.png import write_png
from optdet.errors import OptdetError


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "영수증.png"
    write_png(path, picture())
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_picture_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    write_png(path, picture())
    with Image.open(path) as image:
        assert image.size == (30, 20)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OptdetError, match=r"a\.png: .*No space left on device; check") as caught:
        write_png(path, picture())
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OptdetError, match="cannot be written"):
        write_png(tmp_path / "file" / "a.png", picture())


@pytest.mark.parametrize("array", [np.zeros((2, 2, 3)), np.zeros((2, 2), dtype=np.uint8)])
def test_only_rgb_bytes_are_pictures(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 array of shape"):
        write_png(tmp_path / "a.png", array)
