"""Kept maps: what was saved comes back, and nothing else ever does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.inference.map_cache import MapCache

SmallDisk = Callable[[int], AbstractContextManager[None]]

SIZE = 32


@pytest.fixture
def cache(tmp_path: Path) -> MapCache:
    return MapCache.of(tmp_path, "detector")


@pytest.fixture
def prob_map() -> NDArray[np.float16]:
    return np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float16)


def test_what_was_saved_comes_back(cache: MapCache, prob_map: NDArray[np.float16], tmp_path: Path) -> None:
    assert cache.load("a", SIZE) is None
    cache.save("a", prob_map)
    loaded = cache.load("a", SIZE)
    assert loaded is not None
    assert loaded.dtype == np.float16
    np.testing.assert_array_equal(loaded, prob_map)
    assert cache.load("b", SIZE) is None
    assert MapCache.of(tmp_path, "another").load("a", SIZE) is None
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.npy")] == [Path("maps/detector/a.npy")]


def test_any_program_can_read_a_kept_map(cache: MapCache, prob_map: NDArray[np.float16]) -> None:
    cache.save("a", prob_map)
    np.testing.assert_array_equal(np.load(cache.folder / "a.npy"), prob_map)


def test_a_map_of_another_shape_or_type_counts_as_missing(
    cache: MapCache, prob_map: NDArray[np.float16]
) -> None:
    cache.save("a", prob_map)
    assert cache.load("a", SIZE * 2) is None
    cache.save("b", prob_map.astype(np.float32))  # type: ignore[arg-type]
    assert cache.load("b", SIZE) is None


def test_a_file_cut_off_anywhere_counts_as_missing(cache: MapCache, prob_map: NDArray[np.float16]) -> None:
    cache.save("a", prob_map)
    path = cache.folder / "a.npy"
    whole = path.read_bytes()
    for kept in (0, 1, 10, 31, 32, 33, 128, 200, len(whole) // 2, len(whole) - 33, len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert cache.load("a", SIZE) is None
    cache.save("a", prob_map)
    assert path.read_bytes() == whole


def test_a_flipped_bit_anywhere_counts_as_missing(cache: MapCache, prob_map: NDArray[np.float16]) -> None:
    cache.save("a", prob_map)
    path = cache.folder / "a.npy"
    whole = path.read_bytes()
    for position in [*range(130), *range(130, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert cache.load("a", SIZE) is None


def test_a_leftover_of_a_killed_save_is_harmless(cache: MapCache, prob_map: NDArray[np.float16]) -> None:
    cache.folder.mkdir(parents=True)
    (cache.folder / ".a.123.tmp").write_bytes(b"half")
    assert cache.load("a", SIZE) is None
    cache.save("a", prob_map)
    assert cache.load("a", SIZE) is not None


def test_removing_takes_the_maps_of_one_detector(
    cache: MapCache, prob_map: NDArray[np.float16], tmp_path: Path
) -> None:
    other = MapCache.of(tmp_path, "other")
    cache.save("a", prob_map)
    other.save("a", prob_map)
    cache.remove()
    cache.remove()
    assert not cache.folder.exists()
    assert other.load("a", SIZE) is not None


def test_a_full_disk_is_one_line(
    cache: MapCache, prob_map: NDArray[np.float16], small_disk: SmallDisk
) -> None:
    message = r"a\.npy: the probability map cannot be kept \(File too large\)"
    with small_disk(1000), pytest.raises(OptdetError, match=message):
        cache.save("a", prob_map)
    assert list(cache.folder.iterdir()) == []


def test_whether_a_map_is_kept(cache: MapCache, prob_map: NDArray[np.float16]) -> None:
    assert not cache.has("a")
    cache.save("a", prob_map)
    assert cache.has("a")
    assert not cache.has("b")
