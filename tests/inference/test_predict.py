"""Files to detections: with and without a cache the very same, and each image computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.config import Config
from optdet.data.image_cache import open_canvases
from optdet.data.images import image_size
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.inference.detector import Detector
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import detect, prob_maps
from optdet.structures import Detections, Sample, Thresholds

SIZE = 64


@pytest.fixture
def counted(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each map that the network makes."""
    made: list[int] = []
    make = detector.prob_map

    def count(self: Detector, canvas: NDArray[np.uint8]) -> NDArray[np.float16]:
        made.append(len(made))
        return make(canvas)

    monkeypatch.setattr(Detector, "prob_map", count)
    return made


@pytest.fixture
def thresholds(detector: Detector, image_paths: list[Path]) -> Thresholds:
    """Such that there are detections: an untrained network's maps lie around one half."""
    middle = float(np.median([image.detector.prob_map for image in prob_maps(detector, image_paths)]))
    return Thresholds(middle, 0.0, 1.5, 1000, False, 2.0)


def as_lists(detections: dict[str, Detections]) -> dict[str, tuple[list[object], list[float]]]:
    return {
        name: ([polygon.tolist() for polygon in found.polygons], found.scores.tolist())
        for name, found in detections.items()
    }


def test_with_and_without_a_cache_the_same(
    detector: Detector, image_paths: list[Path], thresholds: Thresholds, counted: list[int], tmp_path: Path
) -> None:
    cache = MapCache.of(tmp_path / "cache", detector.key())
    bare = detect(prob_maps(detector, image_paths), thresholds)
    assert sum(len(found) for found in bare.values()) > 0
    assert len(counted) == 3
    filling = detect(prob_maps(detector, image_paths, cache=cache), thresholds)
    assert len(counted) == 6
    hitting = detect(prob_maps(detector, image_paths, cache=cache), thresholds)
    assert len(counted) == 6
    assert as_lists(bare) == as_lists(filling) == as_lists(hitting)
    assert list(bare) == ["0.png", "1.png", "2.png"]


def test_canvases_that_were_read_before_give_the_same(
    detector: Detector, image_paths: list[Path], tmp_path: Path
) -> None:
    samples = [Sample(path.name, path, ()) for path in image_paths]
    letterboxes = [Letterbox(*image_size(path), size=SIZE) for path in image_paths]
    canvases = open_canvases(samples, letterboxes, tmp_path / "cache", max_gb=1)
    one, other = prob_maps(detector, image_paths), prob_maps(detector, image_paths, canvases=canvases)
    for alone, given in zip(one, other, strict=True):
        np.testing.assert_array_equal(alone.detector.prob_map, given.detector.prob_map)
        assert alone.detector.letterbox == given.detector.letterbox


def test_padding_follows_the_detector(detector: Detector, config: Config, image_paths: list[Path]) -> None:
    topleft = Detector(
        detector.model,
        type(detector.preprocessing)(SIZE, "topleft", config.data.mean, config.data.std),
        detector.device,
    )
    boxes = [image.detector.letterbox for image in prob_maps(topleft, image_paths[:1])]
    assert [(box.pad, box.top) for box in boxes] == [("topleft", 0)]
    (centred,) = prob_maps(detector, image_paths[:1])
    assert (centred.detector.letterbox.pad, centred.detector.letterbox.top) == ("center", 11)


def test_a_damaged_map_is_made_again(
    detector: Detector, image_paths: list[Path], counted: list[int], tmp_path: Path
) -> None:
    cache = MapCache.of(tmp_path, detector.key())
    whole = [image.detector.prob_map for image in prob_maps(detector, image_paths, cache=cache)]
    damaged = sorted(cache.folder.iterdir())[0]
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    again = [image.detector.prob_map for image in prob_maps(detector, image_paths, cache=cache)]
    assert len(counted) == 4
    np.testing.assert_array_equal(whole, again)
    assert damaged.read_bytes() == content


def test_a_changed_image_is_another_map(
    detector: Detector, image_paths: list[Path], counted: list[int], tmp_path: Path
) -> None:
    cache = MapCache.of(tmp_path, detector.key())
    list(prob_maps(detector, image_paths[:1], cache=cache))
    image_paths[1].write_bytes(image_paths[0].read_bytes())
    list(prob_maps(detector, image_paths[1:2], cache=cache))
    assert len(counted) == 1
    Image.new("RGB", (90, 60), "red").save(image_paths[0])
    list(prob_maps(detector, image_paths[:1], cache=cache))
    assert len(counted) == 2


def test_maps_are_made_one_at_a_time_and_told(
    detector: Detector, image_paths: list[Path], counted: list[int]
) -> None:
    told: list[tuple[int, int]] = []
    maps = prob_maps(detector, image_paths, on_image=lambda done, total: told.append((done, total)))
    assert next(maps).path == image_paths[0]
    assert (told, len(counted)) == ([(1, 3)], 1)
    assert [image.path for image in maps] == image_paths[1:]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_image_that_cannot_be_read(detector: Detector, image_paths: list[Path]) -> None:
    content = image_paths[1].read_bytes()
    image_paths[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(OptdetError, match=r"1\.png: the image cannot be read"):
        list(prob_maps(detector, image_paths))
