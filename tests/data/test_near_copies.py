"""Near copies of synthetic receipts are found, and receipts that differ in a few characters are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from optdet.config import SyntheticConfig
from optdet.data.alignment import MIN_TILES, covered, match_tiles, refine
from optdet.data.images import list_images, read_image
from optdet.data.located import synthesize
from optdet.data.near_copies import LEAST_LIKENESS, find_near_copies, likeness, propose, thumbnail

N = 8


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    settings = SyntheticConfig(train=N, val=1, image_size=640, seed=5)
    made = synthesize(settings, tmp_path_factory.mktemp("receipts") / "made", None)
    return [read_image(path) for path in list_images(Path(made.train_images))]


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def cropped(image: np.ndarray, ratio: float) -> np.ndarray:
    y, x = (int(side * ratio) for side in image.shape[:2])
    return image[y : len(image) - y, x : image.shape[1] - x]


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


CHANGES = {
    "recompressed": lambda image: jpeg(image, 30),
    "resized": lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "darker": lambda image: (image * 0.6).astype(np.uint8),
    "brighter": lambda image: np.clip(image * 0.8 + 50, 0, 255).astype(np.uint8),
    "cropped": lambda image: cropped(image, 0.02),
    "turned": lambda image: turned(image, 1),
    "all": lambda image: jpeg(cropped((turned(image, 0.7) * 0.8).astype(np.uint8), 0.02), 60),
}


def found(images: list[np.ndarray], folder: Path) -> list[tuple[int, int]]:
    paths = [folder / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), np.ascontiguousarray(image[:, :, ::-1]))
    return [(c.first, c.second) for c in find_near_copies(paths, [thumbnail(image) for image in images])]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_other_receipts(
    receipts: list[np.ndarray], tmp_path: Path, change: str
) -> None:
    copies = [CHANGES[change](image) for image in receipts[:2]]
    assert found([*receipts, *copies], tmp_path) == [(0, N), (1, N + 1)]


def test_copies_in_an_images_own_set_do_not_hide_those_in_another(receipts: list[np.ndarray]) -> None:
    """Six recompressed here and six cropped there: the nearest of each are those beside it."""
    here = [jpeg(receipts[0], quality) for quality in (90, 80, 70, 60, 50, 40)]
    there = [cropped(image, 0.03) for image in here]
    thumbnails = [thumbnail(image) for image in (*here, *there)]
    homes = ["train"] * 6 + ["val"] * 6
    across = [(first, second) for first, second in propose(thumbnails, homes) if first < 6 <= second]
    assert {first for first, _ in across} == set(range(6))
    assert {second for _, second in across} == set(range(6, 12))
    assert not [pair for pair in propose(thumbnails) if pair[0] < 6 <= pair[1]], "none was hidden"


def test_receipts_of_one_layout_are_no_copies(receipts: list[np.ndarray], tmp_path: Path) -> None:
    """The same receipt with some of its words replaced, as two purchases in a shop."""
    other = receipts[0].copy()
    height = len(other)
    line = other[int(0.5 * height) : int(0.56 * height)].copy()
    other[int(0.5 * height) : int(0.56 * height)] = line[:, ::-1]
    assert propose([thumbnail(receipts[0]), thumbnail(other)]) == [(0, 1)], "they look alike from afar"
    assert found([receipts[0], other], tmp_path) == []


def test_blank_pages_and_images_without_others_are_no_near_copies(tmp_path: Path) -> None:
    white = np.full((300, 200, 3), 255, np.uint8)
    grey = np.full((300, 200, 3), 200, np.uint8)
    assert found([white, grey], tmp_path) == []
    assert found([white], tmp_path) == []
    assert found([], tmp_path) == []
    assert found([np.zeros((1, 1, 3), np.uint8), np.zeros((1, 900, 3), np.uint8)], tmp_path) == []


def test_other_shapes_are_not_compared(receipts: list[np.ndarray]) -> None:
    half = receipts[0][: len(receipts[0]) // 2]
    assert propose([thumbnail(receipts[0]), thumbnail(half)]) == []


def test_likeness_is_symmetric_enough_and_leaves_its_pictures_alone(receipts: list[np.ndarray]) -> None:
    one = cv2.cvtColor(receipts[0], cv2.COLOR_RGB2GRAY)
    other = cv2.cvtColor(cropped(receipts[0], 0.01), cv2.COLOR_RGB2GRAY)
    before = one.copy(), other.copy()
    assert likeness(one, one) == pytest.approx(1, abs=1e-3)
    assert min(likeness(one, other), likeness(other, one)) >= LEAST_LIKENESS
    assert likeness(one, cv2.cvtColor(receipts[1], cv2.COLOR_RGB2GRAY)) < LEAST_LIKENESS
    np.testing.assert_array_equal(one, before[0])
    np.testing.assert_array_equal(other, before[1])


def test_a_map_is_recovered(receipts: list[np.ndarray]) -> None:
    one = cv2.cvtColor(receipts[0], cv2.COLOR_RGB2GRAY)
    true = np.array([[1.01, 0.004, -3.0], [-0.004, 0.99, 2.0]])
    other = cv2.warpAffine(one, true, one.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    first = refine(np.eye(2, 3), one, other, tile=40, reach=8)
    assert first is not None
    map_ = refine(first, one, other, tile=40, reach=3)
    corners = np.array([[0, 0, 1], [one.shape[1], 0, 1], [0, len(one), 1], [one.shape[1], len(one), 1.0]])
    np.testing.assert_allclose(corners @ map_.T, corners @ true.T, atol=1.5)
    inside = covered(true, one.shape)
    assert 0.9 < inside.mean() < 1
    blank = np.full_like(one, 255)
    assert refine(np.eye(2, 3), blank, blank, tile=40, reach=3) is None
    assert len(match_tiles(blank, blank, tile=40, reach=3)) == 0 < MIN_TILES
