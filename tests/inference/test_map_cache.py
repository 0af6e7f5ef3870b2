"""Kept maps: what was saved comes back, and nothing else ever does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.inference.map_cache import MapCache, read_note

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


def test_zeros_are_no_map(cache: MapCache) -> None:
    """A file that a power cut left without its content: the checksum of nothing is 0."""
    cache.folder.mkdir(parents=True)
    for length in (1, 4, 5, 128, 3000):
        (cache.folder / "a.npy").write_bytes(bytes(length))
        assert cache.load("a", SIZE) is None


def test_a_map_is_read_through_a_memory_map_and_cannot_be_changed(
    cache: MapCache, prob_map: NDArray[np.float16]
) -> None:
    cache.save("a", prob_map)
    loaded = cache.load("a", SIZE)
    assert isinstance(loaded, np.memmap)
    assert not loaded.flags.writeable


def test_sixty_maps_are_checked_well_within_a_second(cache: MapCache) -> None:
    """0.1 s where nothing else runs; SHA-256 took 0.2 s for the checksum alone."""
    big = np.random.default_rng(0).random((1024, 1024), dtype=np.float32).astype(np.float16)
    for number in range(60):
        cache.save(str(number), big)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        assert all(cache.load(str(number), 1024) is not None for number in range(60))
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.6


# --- the note ----------------------------------------------------------------------------------------------


@pytest.fixture
def noted(tmp_path: Path) -> MapCache:
    return MapCache.of(tmp_path, "abc", title="study:3", preprocessing={"size": SIZE})


def test_the_note_says_whose_maps_they_are(noted: MapCache, prob_map: NDArray[np.float16]) -> None:
    assert read_note(noted.folder) is None
    noted.save("a", prob_map)
    note = read_note(noted.folder)
    assert note is not None
    assert (note.key, note.title, note.preprocessing) == ("abc", "study:3", {"size": SIZE})
    written = (noted.folder / "note.json").read_bytes()
    assert b"\n" in written  # for people too
    noted.save("b", prob_map)
    assert (noted.folder / "note.json").read_bytes() == written


def test_using_a_cache_is_remembered(noted: MapCache, prob_map: NDArray[np.float16]) -> None:
    noted.begin_use()  # nothing is there yet
    noted.save("a", prob_map)
    note = noted.folder / "note.json"
    os.utime(note, (1, 1))
    noted.begin_use()
    assert note.stat().st_mtime > 1


def test_maps_of_another_source_are_refused(noted: MapCache, prob_map: NDArray[np.float16]) -> None:
    noted.save("a", prob_map)
    moved = MapCache.of(noted.folder.parent.parent, "def")
    noted.folder.rename(moved.folder)
    message = r"def: the maps there are those of study:3 \(abc\); delete the folder: its maps are made again"
    with pytest.raises(OptdetError, match=message):
        moved.begin_use()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": "def"}', "\xff"])
def test_a_damaged_note_is_no_note(noted: MapCache, prob_map: NDArray[np.float16], content: str) -> None:
    noted.save("a", prob_map)
    (noted.folder / "note.json").write_bytes(content.encode("latin-1"))
    assert read_note(noted.folder) is None
    noted.begin_use()
    assert noted.load("a", SIZE) is not None


MANY = """
import resource, sys
from pathlib import Path
import numpy as np
from optdet.inference.map_cache import MapCache

hard = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
cache = MapCache.of(Path(sys.argv[1]), "key")
cache.save("image", np.zeros((8, 8), np.float16))
maps = [cache.load("image", 8) for _ in range(100)]
print(sum(prob_map is not None for prob_map in maps))
"""


def test_more_maps_are_held_than_files_may_be_open_at_first(tmp_path):
    """Each keeps a file open: those of an ensemble's members are more than the usual limit of 1024."""
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    ran = subprocess.run([*command, "500"], capture_output=True, text=True, check=False)
    assert ran.stdout == "100\n", ran.stderr
    ran = subprocess.run([*command, "60"], capture_output=True, text=True, check=False)
    assert "more maps than this process may have open files; raise the limit" in ran.stderr
