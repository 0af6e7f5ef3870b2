"""The cache keeps to its bound: the oldest used go, never what is in use or was just made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.data.image_cache import open_canvases
from optdet.geometry.letterbox import Letterbox
from optdet.in_use import hold
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.map_cache import MapCache
from optdet.inference.map_source import DetectorMaps, OpenedDetector
from optdet.inference.predict import prob_maps
from optdet.inference.preprocessing import Preprocessing
from optdet.structures import Sample

SIZE = 64
PRE = Preprocessing(size=SIZE, pad="center", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class Counting:
    """A detector that counts the maps it makes."""

    preprocessing = PRE

    def __init__(self):
        self.n_made = 0

    def prob_map(self, canvas):
        self.n_made += 1
        return np.full((SIZE, SIZE), 0.5, np.float16)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def cache_dir(tmp_path):
    """Maps of three sources and a set of images, used one after the other."""
    folder = tmp_path / "cache"
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    for age, key in ((300, "old"), (200, "middle"), (100, "new")):
        cache = MapCache.of(folder, key, title=key)
        cache.save("a", prob_map)
        used(cache.folder / "note.json", age)
    return folder


def used(path, seconds_ago):
    now = path.stat().st_mtime
    os.utime(path, (now - seconds_ago, now - seconds_ago))


def keys(folder):
    return {entry.key for entry in list_cache(folder)}


def gb(folder, *names):
    return sum(entry.n_bytes for entry in list_cache(folder) if entry.key in names) / 1e9


def test_what_was_used_longest_ago_goes_first_and_no_more_than_must(cache_dir):
    room = gb(cache_dir, "middle", "new")
    assert evict(list_cache(cache_dir), room + 1, only_say=False) == []
    (gone,) = evict(list_cache(cache_dir), room, only_say=True)
    assert gone.key == "old"
    assert keys(cache_dir) == {"old", "middle", "new"}
    (gone,) = evict(list_cache(cache_dir), room)
    assert gone.key == "old"
    assert keys(cache_dir) == {"middle", "new"}
    evict(list_cache(cache_dir), 0)
    assert keys(cache_dir) == set()


def test_what_was_used_before_the_clock_was_set_back_grows_old_too(cache_dir):
    used(cache_dir / "maps" / "old" / "note.json", -86400)
    assert [entry.key for entry in list_cache(cache_dir)] == ["old", "new", "middle"]
    time.sleep(0.01)
    MapCache.of(cache_dir, "middle").begin_use()
    assert [entry.key for entry in list_cache(cache_dir)] == ["middle", "old", "new"]
    assert all(entry.last_used <= time.time() for entry in list_cache(cache_dir))


def test_what_is_kept_or_held_stays_and_another_goes_in_its_place(cache_dir):
    held = hold(MapCache.of(cache_dir, "old").folder)
    evict(list_cache(cache_dir), gb(cache_dir, "middle", "new"))
    assert keys(cache_dir) == {"old", "new"}
    evict(list_cache(cache_dir), 0, keep="new")
    assert keys(cache_dir) == {"old", "new"}
    held.release()
    evict(list_cache(cache_dir), 0, keep="new")
    assert keys(cache_dir) == {"new"}


def test_images_count_and_go_too_but_not_while_a_reader_has_them(cache_dir, images):
    samples = [Sample(path.name, path, ()) for path in images]
    boxes = [Letterbox(40, 50, size=SIZE, pad="center") for _ in images]
    reader = open_canvases(samples, boxes, cache_dir, max_gb=1)
    used(reader.path, 1000)
    evict(list_cache(cache_dir), 0)
    assert [entry.kind for entry in list_cache(cache_dir)] == ["images"]
    canvas = np.array(reader[0])
    del reader
    evict(list_cache(cache_dir), 0)
    assert list_cache(cache_dir) == []
    again = open_canvases(samples, boxes, cache_dir, max_gb=1)
    assert np.array_equal(again[0], canvas)


def test_a_set_that_is_evicted_between_its_making_and_its_use_is_made_again(cache_dir, images, monkeypatch):
    samples = [Sample(path.name, path, ()) for path in images]
    boxes = [Letterbox(40, 50, size=SIZE, pad="center") for _ in images]
    n_evicted = []

    def first_evicted(path):
        if not n_evicted and path.exists():
            n_evicted.append(1)
            path.unlink()
        return hold(path)

    monkeypatch.setattr("optdet.data.image_cache.hold", first_evicted)
    reader = open_canvases(samples, boxes, cache_dir, max_gb=1)
    assert n_evicted
    assert reader[1].shape == (SIZE, SIZE, 3)


def test_maps_are_not_evicted_while_they_are_made_and_can_be_read_after(cache_dir, images):
    detector = Counting()
    making = prob_maps(detector, images, cache=MapCache.of(cache_dir, "mine", title="mine"))
    first = next(making)
    evict(list_cache(cache_dir), 0)
    assert keys(cache_dir) == {"mine"}
    second = next(making)
    assert next(making, None) is None
    evict(list_cache(cache_dir), 0)
    assert keys(cache_dir) == set()
    assert first.detector.prob_map.max() == second.detector.prob_map.max() == 0.5
    list(prob_maps(detector, images, cache=MapCache.of(cache_dir, "mine", title="mine")))
    assert detector.n_made == 2 * len(images)  # evicted maps are made again


def test_a_source_keeps_the_cache_to_its_bound_and_its_own_maps_in_it(cache_dir, images):
    def maps_of(key, max_gb):
        detector = Counting()
        source = DetectorMaps(
            title=key,
            preprocessing=PRE,
            open_detector=lambda: OpenedDetector(detector, key),
            cache_dir=cache_dir,
            key=key,
            max_gb=max_gb,
        )
        assert len(list(source.maps(images))) == len(images)
        return detector

    maps_of("first", 1)
    assert keys(cache_dir) == {"old", "middle", "new", "first"}
    maps_of("other", gb(cache_dir, "first") * 2)
    assert keys(cache_dir) == {"first", "other"}
    assert maps_of("third", 0).n_made == len(images)
    assert keys(cache_dir) == {"third"}
    assert maps_of("third", 0).n_made == 0


def test_no_empty_folder_is_left_by_a_source_that_fails(cache_dir, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(Exception, match=r"broken\.png"):
        list(prob_maps(Counting(), [Path(tmp_path / "broken.png")], cache=MapCache.of(cache_dir, "fails")))
    assert "fails" not in keys(cache_dir)


def test_an_entry_that_goes_while_it_is_listed_is_left_out(cache_dir, monkeypatch):
    from optdet.inference import cache_listing

    original = cache_listing.read_note

    def gone(folder):
        if folder.name == "old":
            raise FileNotFoundError(folder)
        return original(folder)

    monkeypatch.setattr(cache_listing, "read_note", gone)
    assert keys(cache_dir) == {"middle", "new"}
