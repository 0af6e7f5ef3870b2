"""The weighted mean of several sources' maps."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from optdet.detection.postprocess import MapDetector
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.inference.map_folder import MapFolder
from optdet.inference.map_mean import MeanMaps, WeightedMaps, mean_map, whole_weights

IMAGE = (90, 60)


def detector(seed, size=64, pad="center"):
    values = np.random.default_rng(seed).random((size, size)).astype(np.float16)
    return MapDetector(values, Letterbox(*IMAGE, size=size, pad=pad))


def bits(found):
    return found.given_map.tobytes()


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (0, 3, 1)])
def test_equal_canvases_have_the_plain_weighted_mean(weights):
    three = [detector(seed) for seed in range(3)]
    maps = [each.given_map.astype(np.float64) for each in three]
    expected = np.average(maps, axis=0, weights=weights).astype(np.float16)
    assert bits(mean_map(three, weights)) == expected.tobytes()
    assert mean_map(three, weights).letterbox == three[0].letterbox


def test_one_source_alone_and_copies_of_it_are_the_source():
    one = detector(0)
    for weights in ((1,), (7,), (3, 1), (1, 0), (2, 3, 5, 7)):
        assert bits(mean_map([one] * len(weights), weights)) == bits(one)


def test_the_order_of_the_sources_moves_no_bit():
    """Sums of floats depend on their order; these do not."""
    sources = [(detector(0), 1), (detector(1, 96), 1000), (detector(2, 96, "topleft"), 3), (detector(3), 333)]
    found = set()
    for order in permutations(sources):
        mean = mean_map([each for each, _ in order], [weight for _, weight in order])
        assert mean.letterbox.canvas_width == 96
        found.add((bits(mean), mean.letterbox.pad))
    assert len(found) == 1


def test_members_whose_images_were_drawn_by_other_filters_are_not_resampled():
    one, other = detector(0), detector(1)
    other = MapDetector(other.given_map, replace(other.letterbox, interpolation="bilinear"))
    expected = (one.given_map.astype(float) + other.given_map.astype(float)) / 2
    assert bits(mean_map([one, other], [1, 1])) == expected.astype(np.float16).tobytes()


def test_a_view_at_another_scale_does_not_set_the_canvas():
    plain, scaled = detector(0, 64), detector(1, 96)
    assert mean_map([plain, scaled], [1, 1], [True, False]).letterbox == plain.letterbox
    assert mean_map([plain, scaled], [1, 1]).letterbox == scaled.letterbox
    assert mean_map([scaled], [1], [False]).letterbox == scaled.letterbox  # alone it is the source


def test_a_mean_of_folders(tmp_path, image_paths):
    folders = []
    rng = np.random.default_rng(0)
    for number in range(2):
        folder = tmp_path / f"maps{number}"
        folder.mkdir()
        for path in image_paths:
            np.save(folder / f"{path.name}.npy", rng.random((64, 64)).astype(np.float16))
        folders.append(MapFolder(folder))
    mean = MeanMaps("both", (WeightedMaps(folders[0], 1), WeightedMaps(folders[1], 3)))
    done = []
    found = list(mean.maps(image_paths, on_image=lambda *counts: done.append(counts)))
    assert [image.path for image in found] == image_paths
    assert done == [(1, 3), (2, 3), (3, 3)]
    one, three = (next(folder.maps(image_paths)).detector.given_map.astype(float) for folder in folders)
    np.testing.assert_array_equal(found[0].detector.given_map, ((one + 3 * three) / 4).astype(np.float16))
    alone = MeanMaps("one", (WeightedMaps(folders[0], 0.3), WeightedMaps(MapFolder(tmp_path / "none"), 0)))
    assert [bits(image.detector) for image in alone.maps(image_paths)] == [
        bits(image.detector) for image in folders[0].maps(image_paths)
    ]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, 1, 2), (1, 1, 2)),
        ((0.3, 0.7), (3, 7)),
        ((0.5, 0.25, 0), (2, 1, 0)),
        ((10, 20), (1, 2)),
        ((1e-3,), (1,)),
    ],
)
def test_weights_as_whole_numbers(weights, expected):
    assert whole_weights(weights) == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1, -1), "-1 is no weight; give numbers of 0 or more"),
        ((1, float("nan")), "nan is no weight"),
        ((0, 0), "no weight is above 0"),
        ((1, 1 / 3), r"weights 1, 0.333333 are in no simple proportion; round them"),
        ((1,) * 257, "257 members, at most 256"),
    ],
)
def test_weights_that_are_none(weights, message):
    with pytest.raises(OptdetError, match=message):
        whole_weights(weights)
