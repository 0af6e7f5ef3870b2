"""What the cache folder holds, and removing it."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import numpy as np
import pytest

from optdet.data.image_cache import open_canvases
from optdet.data.images import image_size
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.inference.cache_listing import clear_cache, list_cache
from optdet.inference.map_cache import MapCache
from optdet.structures import Sample

SIZE = 64


@pytest.fixture
def filled(tmp_path: Path, image_paths: list[Path]) -> Path:
    """Two maps of a study's trial, one of a source without a note, and three letterboxed images."""
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    cache_dir = tmp_path / "cache"
    noted = MapCache.of(cache_dir, "abc123", title="study:3", preprocessing={"size": SIZE})
    noted.save("a", prob_map)
    noted.save("b", prob_map)
    MapCache.of(cache_dir, "abd456").save("a", prob_map)
    samples = [Sample(path.name, path, ()) for path in image_paths]
    letterboxes = [Letterbox(*image_size(path), size=SIZE) for path in image_paths]
    open_canvases(samples, letterboxes, cache_dir, max_gb=1)
    for path in noted.folder.parent.parent.rglob("*"):
        os.utime(path, (1e9, 1e9))
    os.utime(noted.folder / "note.json", (1.1e9, 1.1e9))
    return cache_dir


def test_what_is_kept_the_last_used_first(filled: Path) -> None:
    first, *others = list_cache(filled)
    assert (first.kind, first.key, first.source, first.n_images) == ("maps", "abc123", "study:3", 2)
    assert first.last_used == 1.1e9
    assert first.n_bytes == sum(path.stat().st_size for path in first.path.iterdir())
    assert first.preprocessing == {"size": SIZE}
    plain, images = sorted(others, key=lambda entry: entry.kind, reverse=True)
    assert (plain.kind, plain.key, plain.source, plain.made, plain.n_images) == (
        "maps",
        "abd456",
        None,
        None,
        1,
    )
    assert (images.kind, images.n_images, images.preprocessing) == ("images", 3, {"size": SIZE})
    assert images.n_bytes > 3 * SIZE * SIZE * 3


def test_using_letterboxed_images_is_remembered(filled: Path, image_paths: list[Path]) -> None:
    (images,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    os.utime(images.path, (1, 1))
    samples = [Sample(path.name, path, ()) for path in image_paths]
    letterboxes = [Letterbox(*image_size(path), size=SIZE) for path in image_paths]
    open_canvases(samples, letterboxes, filled, max_gb=1)
    (again,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    assert again.last_used > 1


def test_nothing_is_kept(tmp_path: Path) -> None:
    assert list_cache(tmp_path / "cache") == []
    assert clear_cache(tmp_path / "cache", None) == []


def test_a_damaged_file_of_images_is_listed_and_removed(filled: Path) -> None:
    (images,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    images.path.write_bytes(b"half")
    (damaged,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    assert (damaged.n_images, damaged.n_bytes) == (0, 4)
    clear_cache(filled, damaged.key)
    assert not images.path.exists()


def test_one_entry_is_removed_by_the_beginning_of_its_key(filled: Path) -> None:
    assert [entry.key for entry in clear_cache(filled, "abc")] == ["abc123"]
    assert {entry.key for entry in list_cache(filled)} & {"abc123", "abd456"} == {"abd456"}
    (images,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    clear_cache(filled, images.key)
    assert [path.name for path in filled.iterdir()] == ["maps"]


def test_everything_is_removed(filled: Path) -> None:
    assert len(clear_cache(filled, None)) == 3
    assert list_cache(filled) == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("ab", r"2 keys begin with 'ab'; give more of it"),
        ("abc124", r"nothing is kept under the key 'abc124'; did you mean abc123\?"),
        ("zzz", r"nothing is kept under the key 'zzz'; see `optdet cache list`"),
        ("", r"nothing is kept under the key ''"),
        ("../cache", r"nothing is kept"),
    ],
)
def test_keys_that_mean_nothing(filled: Path, key: str, message: str) -> None:
    with pytest.raises(OptdetError, match=message):
        clear_cache(filled, key)
    assert len(list_cache(filled)) == 3


def test_images_that_are_being_written_stay(filled: Path) -> None:
    (images,) = [entry for entry in list_cache(filled) if entry.kind == "images"]
    with (
        filelock.FileLock(f"{images.path}.lock"),
        pytest.raises(OptdetError, match=r"the image cache is being written; try again later"),
    ):
        clear_cache(filled, images.key)
    assert images.path.exists()
