"""The overlay says at a glance what was found, missed, ignored and false."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from optdet.drawing.flags import MatchFlags
from optdet.drawing.overlay import draw_overlay
from optdet.drawing.palette import BLUE, BLUISH_GREEN, GREY, SKY_BLUE, VERMILLION, WHITE, Rgb
from optdet.structures import Detections, Word

HEIGHT, WIDTH = 600, 440


def rectangle(left: float, top: float, width: float = 120, height: float = 40) -> NDArray[np.float64]:
    return np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])


def detected(*polygons: NDArray[np.float64]) -> Detections:
    return Detections(tuple(p.astype(np.int32) for p in polygons), np.linspace(0.9, 0.5, len(polygons)))


def paper(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 255, dtype=np.uint8)


FOUND, MISSED, IGNORED, FALSE = (rectangle(40, top) for top in (40, 160, 280, 400))
WORDS = (Word(FOUND), Word(MISSED), Word(IGNORED, ignored=True))
DETECTIONS = detected(FOUND, FALSE)


def patch(picture: NDArray[np.uint8], polygon: NDArray[np.float64], margin: int = 8) -> NDArray[np.uint8]:
    """The pixels of the left panel about a rectangle; the images of these tests are not scaled."""
    left, top = np.maximum(polygon.min(axis=0).astype(int) - margin, 0)
    right, bottom = polygon.max(axis=0).astype(int) + margin
    return picture[top:bottom, left:right]


def inside(picture: NDArray[np.uint8], polygon: NDArray[np.float64]) -> NDArray[np.uint8]:
    return patch(picture, polygon, margin=-8)


def near(pixels: NDArray[np.uint8], colour: Rgb) -> NDArray[np.bool_]:
    """A smoothed thin line has its full colour nowhere."""
    return (np.abs(pixels.astype(int) - colour) <= 25).all(axis=-1)


def has(picture: NDArray[np.uint8], colour: Rgb) -> bool:
    return bool(near(picture, colour).any())


def drawn(words: Sequence[Word], detections: Detections | None, **others: Any) -> NDArray[np.uint8]:
    """An overlay without a map, in which the image is not scaled."""
    settings: dict[str, Any] = {"prob_map": None, "title": "", "longest_side": 900, **others}
    return draw_overlay(paper(), words=words, detections=detections, **settings)


@pytest.fixture(scope="module")
def overlay() -> NDArray[np.uint8]:
    image = paper()
    return draw_overlay(
        image, words=WORDS, detections=DETECTIONS, prob_map=None, title="a.jpg", longest_side=900
    )


def test_a_missed_word_is_filled_and_a_found_one_is_not(overlay: NDArray[np.uint8]) -> None:
    assert (inside(overlay, FOUND) == WHITE).all()
    filled = inside(overlay, MISSED)
    assert (filled != WHITE).any(axis=2).all()
    assert (filled == filled[0, 0]).all()
    assert has(patch(overlay, MISSED), VERMILLION)
    assert not has(patch(overlay, FOUND), VERMILLION)


def test_a_false_detection_is_striped(overlay: NDArray[np.uint8]) -> None:
    stripes = inside(overlay, FALSE)
    tinted = (stripes != WHITE).any(axis=2)
    assert 0.2 < tinted.mean() < 0.6
    assert has(patch(overlay, FALSE), BLUE)


def test_a_found_word_is_a_thin_line_on_the_broad_one_of_its_detection(overlay: NDArray[np.uint8]) -> None:
    edge = overlay[round(FOUND[0, 1]) - 3 : round(FOUND[0, 1]) + 4, 100]
    assert near(edge, BLUISH_GREEN).sum() == 1
    assert near(edge, SKY_BLUE).sum() >= 1


def test_an_ignored_word_is_dashed_and_never_missed(overlay: NDArray[np.uint8]) -> None:
    assert (inside(overlay, IGNORED) == WHITE).all()
    assert not has(patch(overlay, IGNORED), VERMILLION)
    top = round(IGNORED[0, 1])
    dashes = near(overlay[top - 1 : top + 2, 42:158], GREY).any(axis=0)
    assert 0.2 < dashes.mean() < 0.8
    # On and off again, several times along one side.
    assert np.count_nonzero(np.diff(dashes.astype(int))) >= 8


def test_labels_alone_are_neither_found_nor_missed() -> None:
    picture = drawn(WORDS, None)
    assert has(patch(picture, MISSED), BLUISH_GREEN)
    assert not has(picture, VERMILLION)
    assert not has(picture, BLUE)


def test_given_flags_are_taken() -> None:
    matched = MatchFlags(found=np.array([False, True, False]), false=np.array([True, False]))
    picture = draw_overlay(
        paper(),
        words=WORDS,
        detections=DETECTIONS,
        prob_map=None,
        title="",
        matched=matched,
        longest_side=900,
    )
    assert has(patch(picture, FOUND), VERMILLION)
    assert not has(patch(picture, MISSED), VERMILLION)


def test_flags_of_another_image_are_refused() -> None:
    matched = MatchFlags(found=np.array([True]), false=np.array([True, False]))
    with pytest.raises(ValueError, match="zip"):
        draw_overlay(paper(), words=WORDS, detections=DETECTIONS, prob_map=None, title="", matched=matched)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_map_lies_to_the_right_and_is_bright_where_probable(dtype: type) -> None:
    prob_map = np.zeros((HEIGHT, WIDTH), dtype=dtype)
    prob_map[100:200, 100:300] = 0.95
    picture = draw_overlay(paper(), words=[], detections=None, prob_map=prob_map, title="", longest_side=1200)
    panel = picture[:HEIGHT, -WIDTH:]
    assert panel[150, 200].sum() > panel[400, 200].sum()
    assert np.ptp(panel[400, 200]) == 0
    assert np.ptp(panel[150, 200]) > 60


def test_errors_are_outlined_on_the_map_too() -> None:
    prob_map = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    picture = draw_overlay(
        paper(), words=WORDS, detections=DETECTIONS, prob_map=prob_map, title="", longest_side=1200
    )
    panel = picture[:HEIGHT, -WIDTH:]
    assert has(patch(panel, MISSED), VERMILLION)
    assert has(patch(panel, FALSE), SKY_BLUE)
    assert not has(patch(panel, FOUND), BLUISH_GREEN)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (3000, 40), (40, 3000), (2000, 1500), (1500, 2000), (1280, 905)],
)
@pytest.mark.parametrize(("with_map", "longest_side"), [(False, 320), (True, 320), (True, 1200)])
def test_no_side_is_longer_than_asked(height: int, width: int, with_map: bool, longest_side: int) -> None:
    picture = draw_overlay(
        paper(height, width),
        words=WORDS,
        detections=DETECTIONS,
        prob_map=np.zeros((height, width), dtype=np.float32) if with_map else None,
        title="a long name of a file " * 20,
        longest_side=longest_side,
    )
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert max(picture.shape) <= longest_side


def test_a_large_image_fills_the_picture() -> None:
    picture = draw_overlay(paper(3000, 1500), words=[], detections=None, prob_map=None, title="x")
    assert picture.shape[0] > 1580


def test_a_wide_image_has_its_map_below() -> None:
    prob_map = np.ones((200, 500), dtype=np.float32)
    picture = draw_overlay(paper(200, 500), words=[], detections=None, prob_map=prob_map, title="")
    middle = picture.shape[1] // 2
    assert tuple(picture[100, middle]) == WHITE
    assert np.ptp(picture[320, middle]) > 60


def test_lines_grow_with_the_picture() -> None:
    def broadest(longest_side: int) -> int:
        words = [Word(rectangle(300, 300, 1000, 500))]
        picture = draw_overlay(
            paper(1600, 1600),
            words=words,
            detections=None,
            prob_map=None,
            title="",
            longest_side=longest_side,
        )
        column = picture[: longest_side // 4, longest_side // 2]
        return int((column != WHITE).any(axis=1).sum())

    assert broadest(1700) > broadest(400)


def test_inputs_stay_as_they_are() -> None:
    image, prob_map = paper(), np.full((HEIGHT, WIDTH), 0.5, dtype=np.float16)
    polygons = [word.polygon.copy() for word in WORDS]
    detections = [polygon.copy() for polygon in DETECTIONS.polygons]
    image.setflags(write=False)
    prob_map.setflags(write=False)
    draw_overlay(image, words=WORDS, detections=DETECTIONS, prob_map=prob_map, title="a")
    for word, polygon in zip(WORDS, polygons, strict=True):
        np.testing.assert_array_equal(word.polygon, polygon)
    for now, before in zip(DETECTIONS.polygons, detections, strict=True):
        np.testing.assert_array_equal(now, before)


def test_the_same_bytes_again() -> None:
    prob_map = np.random.default_rng(0).random((HEIGHT, WIDTH))
    first, second = (
        draw_overlay(paper(), words=WORDS, detections=DETECTIONS, prob_map=prob_map, title="a")
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_a_hangul_title_is_drawn_alike_in_both_normal_forms() -> None:
    name = "영수증_003.jpg"
    composed, decomposed = (
        draw_overlay(
            paper(), words=[], detections=None, prob_map=None, title=unicodedata.normalize(form, name)
        )
        for form in ("NFC", "NFD")
    )
    np.testing.assert_array_equal(composed, decomposed)
    untitled = draw_overlay(paper(), words=[], detections=None, prob_map=None, title="")
    assert (composed != untitled).any()


@pytest.mark.parametrize("title", ["", "😀\n\t\x00", "م", "x" * 2000])
def test_no_title_breaks_the_picture(title: str) -> None:
    picture = draw_overlay(
        paper(50, 50), words=[], detections=None, prob_map=None, title=title, longest_side=320
    )
    assert max(picture.shape) == 320


def test_nothing_at_all_is_a_picture() -> None:
    nothing = Detections((), np.zeros(0))
    picture = draw_overlay(paper(), words=[], detections=nothing, prob_map=None, title="")
    assert picture.shape[0] > HEIGHT  # the image, and the legend below it


def test_polygons_outside_the_image_are_cut_off() -> None:
    outside = [Word(rectangle(-500, -500, 2000, 2000)), Word(rectangle(1e7, 1e7))]
    picture = draw_overlay(paper(), words=outside, detections=DETECTIONS, prob_map=None, title="")
    assert picture.shape[0] > HEIGHT


@pytest.mark.parametrize(
    ("image", "prob_map", "longest_side", "message"),
    [
        (paper().astype(np.float32), None, 900, r"uint8 image .* got float32"),
        (paper()[:, :, 0], None, 900, r"shape \(H, W, 3\)"),
        (paper()[:0], None, 900, r"got uint8 \(0, 440, 3\)"),
        (paper(), np.zeros((10, 10)), 900, r"shape \(600, 440\), got \(10, 10\)"),
        (paper(), np.full((HEIGHT, WIDTH), np.nan), 900, "finite"),
        (paper(), None, 100, "320 pixels or more"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    image: NDArray[np.uint8], prob_map: NDArray[np.float64] | None, longest_side: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_overlay(image, words=[], detections=None, prob_map=prob_map, title="", longest_side=longest_side)
