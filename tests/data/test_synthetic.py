"""Synthetic receipts: quads are exact, the same seed gives the same bytes, a data set is whole or absent."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optdet.data.labels import read_labels
from optdet.data.synthetic import receipts
from optdet.data.synthetic.camera import View, aim, photograph, project
from optdet.data.synthetic.dataset import SyntheticDataset, make_dataset
from optdet.data.synthetic.fonts import FACES, Face, TypeStyle, word_mask
from optdet.data.synthetic.layout import PRINT_SCALE, Page, PrintedWord, lay_out_page
from optdet.data.synthetic.paper import draw_ink
from optdet.data.synthetic.receipts import Receipt, picture, render_receipt
from optdet.errors import OptdetError
from optdet.structures import FloatArray

SMALL: dict[str, Any] = {"n_train": 2, "n_val": 1, "seed": 5, "image_size": 192, "difficulty": 0.5}


def straight_view(page: Page) -> View:
    """From right above, filling the picture: a flat scan."""
    scale = 1.0 / PRINT_SCALE
    return View(np.diag([scale, scale, 1.0]), int(page.width * scale), int(page.height * scale))


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _page(seed: int, size: int = 384, difficulty: float = 0.6) -> Page:
    return lay_out_page(_rng(seed), size, difficulty)


def _digest(receipt: Receipt) -> str:
    polygons = np.concatenate([word.polygon for word in receipt.words])
    return hashlib.sha256(receipt.image.tobytes() + polygons.tobytes()).hexdigest()


def _make(folder: Path, **changes: Any) -> SyntheticDataset:
    return make_dataset(folder, **{**SMALL, **changes})


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- one picture -------------------------------------------------------------------------------------------


def test_the_same_numbers_give_the_same_picture_in_any_order() -> None:
    forward = [_digest(render_receipt(7, i, size=192)) for i in range(4)]
    backward = [_digest(render_receipt(7, i, size=192)) for i in reversed(range(4))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 4


@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"index": 4}, {"split": "val"}, {"difficulty": 0.6}, {"size": 200}]
)
def test_another_number_gives_another_picture(other: dict[str, Any]) -> None:
    numbers: dict[str, Any] = {"seed": 7, "index": 3, "split": "train", "difficulty": 0.5, "size": 192}
    first = render_receipt(**numbers)
    second = render_receipt(**{**numbers, **other})
    assert _digest(first) != _digest(second)


@pytest.mark.parametrize(("size", "difficulty"), [(192, 1.0), (256, 0.7), (512, 0.0), (512, 0.5), (512, 1.0)])
def test_words_lie_in_the_picture_and_can_be_read(size: int, difficulty: float) -> None:
    heights = []
    for index in range(8):
        receipt = render_receipt(11, index, size=size, difficulty=difficulty)
        height, width, channels = receipt.image.shape
        assert receipt.image.dtype == np.uint8
        assert channels == 3
        assert size - 1 <= max(height, width) <= size
        assert len(receipt.words) >= 10
        for word in receipt.words:
            assert word.text is not None
            assert word.text.strip() == word.text != ""
            assert " " not in word.text
            assert not word.ignored
            assert word.polygon.shape == (4, 2)
            assert word.polygon.dtype == np.float64
            assert (word.polygon >= 2).all()
            assert (word.polygon <= (width - 2, height - 2)).all()
            heights.append(float(np.linalg.norm(word.polygon[3] - word.polygon[0])))
    assert np.median(heights) >= (9.5 if size >= 256 else 8.0)
    assert np.quantile(heights, 0.1) >= 7.0


def test_quads_turn_clockwise_from_the_top_left() -> None:
    for word in render_receipt(2, 0, size=512, difficulty=1.0).words:
        x, y = word.polygon.T
        doubled_area = float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
        assert doubled_area > 0  # clockwise on the screen, where y grows downwards
        assert word.polygon[0].sum() == word.polygon.sum(axis=1).min()


def test_words_of_a_receipt_do_not_overlap() -> None:
    for seed in range(6):
        covered = np.zeros((4096, 4096), np.uint8)
        for word in _page(seed, size=512, difficulty=1.0).words:
            height, width = word.stamp.mask.shape
            place = covered[word.stamp.y : word.stamp.y + height, word.stamp.x : word.stamp.x + width]
            assert np.count_nonzero(place) <= 0.1 * place.size, (
                word.text
            )  # slanted letters and tails may touch
            place[...] = 1


def test_a_harder_picture_has_less_contrast() -> None:
    def contrast(difficulty: float) -> float:
        values = []
        for index in range(10):
            receipt = render_receipt(4, index, size=256, difficulty=difficulty)
            grey = cv2.cvtColor(receipt.image, cv2.COLOR_RGB2GRAY)
            for word in receipt.words:
                x, y, w, h = cv2.boundingRect(word.polygon.astype(np.float32))
                values.append(float(grey[y : y + h, x : x + w].std()))
        return float(np.quantile(values, 0.2))

    assert contrast(1.0) < 0.7 * contrast(0.0)


def test_faces_of_both_kinds_are_used() -> None:
    faces = {_page(seed).style.face for seed in range(20)}
    assert {face.monospaced for face in faces} == {True, False}
    assert len(faces) >= 4


@pytest.mark.parametrize(
    "wrong", [{"size": 100}, {"size": 9000}, {"difficulty": 1.5}, {"difficulty": -0.1}, {"seed": -1}]
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptdetError, match="give"):
        render_receipt(**{"seed": 1, "index": 0, "size": 256, **wrong})


# --- exact quads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
def test_a_words_mask_is_cut_to_its_ink(face: Face) -> None:
    for stretch in (1.0, 0.8):
        ink = word_mask(TypeStyle(face, size=26, stretch=stretch), "Aj12,")
        assert ink is not None
        for edge in (ink.mask[0], ink.mask[-1], ink.mask[:, 0], ink.mask[:, -1]):
            assert edge.max() >= 24
        assert ink.top < 0 < ink.top + ink.mask.shape[0]  # the comma reaches below the baseline
        assert abs(ink.left) < 5
    assert word_mask(TypeStyle(face, size=26), "  ") is None


def test_printed_ink_fills_exactly_the_words_quads() -> None:
    page = _page(3)
    ink = draw_ink(Page(page.width, page.height, page.style, page.words, marks=()))
    plain = [word for word in page.words if not word.inverse]
    for word in plain:
        (left, top), (right, bottom) = word.quad[0].astype(int), word.quad[2].astype(int)
        inside = ink[top:bottom, left:right]
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()
        ink[top:bottom, left:right] = 0
    assert not ink.any()


def test_quads_go_through_the_very_same_homography_as_the_picture() -> None:
    page = _page(5)
    straight, tilted = straight_view(page), aim(page, _rng(6), 384, 1.0)
    flat = picture(page, straight, _rng(0), 0.5)
    warped = picture(page, tilted, _rng(0), 0.5)
    between = tilted.homography @ np.linalg.inv(straight.homography)
    assert [word.text for word in flat.words] == [word.text for word in warped.words]
    for before, after in zip(flat.words, warped.words, strict=True):
        np.testing.assert_allclose(project(between, before.polygon), after.polygon, rtol=0, atol=1e-9)


def test_opencv_agrees_with_the_projection() -> None:
    page = _page(5)
    view = aim(page, _rng(6), 384, 1.0)
    points = page.words[0].quad
    reference = cv2.perspectiveTransform(points[None], view.homography)[0]
    np.testing.assert_allclose(project(view.homography, points), reference, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_photographed_ink_lies_in_its_quad_and_reaches_its_edges(seed: int) -> None:
    """Each word alone on white paper, photographed through a strong warp: dark pixels against the quad."""
    page = _page(seed, difficulty=1.0)
    view = aim(page, _rng(seed), 384, 1.0)
    for word in page.words[::5]:
        darkness = _photographed_alone(page, word, view)
        rows, columns = np.nonzero(darkness > 0.5 * darkness.max())
        centres = np.stack([columns, rows], axis=1) + 0.5
        quad = project(view.homography, word.quad)
        distance = _signed_distances(quad, centres)
        assert distance.min() > -1.0  # nothing dark is further than a pixel outside any edge
        assert distance.min(axis=1).max() < 2.0  # and the ink comes near every one of them
        shift = centres.mean(axis=0) - quad.mean(axis=0)
        assert np.abs(shift).max() < 0.2 * np.ptp(quad, axis=0).max()


def _photographed_alone(page: Page, word: PrintedWord, view: View) -> FloatArray:
    alone = PrintedWord(word.text, word.stamp, inverse=False, strength=1.0)
    ink = draw_ink(Page(page.width, page.height, page.style, (alone,), marks=()))
    sheets = [cv2.merge([255 - mask] * 3) for mask in (ink, np.zeros_like(ink))]
    printed, blank = (photograph(sheet, view, _rng(1), 0.0).astype(float).mean(axis=2) for sheet in sheets)
    return blank - printed


def _signed_distances(quad: FloatArray, points: FloatArray) -> FloatArray:
    """Distance of each point from each edge (4, n), positive inside."""
    along = np.roll(quad, -1, axis=0) - quad
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    return np.einsum("ek,enk->en", normal, points[None] - quad[:, None])


def test_making_a_picture_leaves_the_page_unchanged() -> None:
    page = _page(9)
    masks = [word.stamp.mask.copy() for word in page.words]
    picture(page, straight_view(page), _rng(0), 1.0)
    assert all(np.array_equal(word.stamp.mask, mask) for word, mask in zip(page.words, masks, strict=True))


# --- data set ----------------------------------------------------------------------------------------------


def test_a_data_set_has_images_and_labels_of_both_splits(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    made = _make(tmp_path / "set", on_image=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    for images, labels, n in (
        (made.train_images, made.train_labels, 2),
        (made.val_images, made.val_labels, 1),
    ):
        names = sorted(path.name for path in images.iterdir())
        file = read_labels(labels)
        assert len(names) == n
        assert sorted(file.words) == names
        assert not file.problems
    expected = render_receipt(5, 1, size=192, difficulty=0.5)
    written = read_labels(made.train_labels).words["receipt_00001.jpg"]
    assert [word.text for word in written] == [word.text for word in expected.words]
    for mine, theirs in zip(expected.words, written, strict=True):
        np.testing.assert_array_equal(mine.polygon, theirs.polygon)
    photo = cv2.imread(str(made.train_images / "receipt_00001.jpg"))[:, :, ::-1]
    assert photo.shape == expected.image.shape
    assert np.abs(photo.astype(int) - expected.image).mean() < 8  # JPEG, and red has stayed red


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    _make(tmp_path / "a")
    _make(tmp_path / "b")
    _make(tmp_path / "c", seed=6)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    assert _bytes(tmp_path / "a") != _bytes(tmp_path / "c")


def test_splits_share_no_picture(tmp_path: Path) -> None:
    made = _make(tmp_path / "set", n_train=3, n_val=3)
    contents = [
        path.read_bytes() for folder in (made.train_images, made.val_images) for path in folder.iterdir()
    ]
    assert len(set(contents)) == 6


def test_more_pictures_do_not_change_the_first_ones(tmp_path: Path) -> None:
    few, more = _make(tmp_path / "few"), _make(tmp_path / "more", n_train=3)
    for path in few.train_images.iterdir():
        assert path.read_bytes() == (more.train_images / path.name).read_bytes()


def test_a_complete_data_set_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _make(tmp_path / "set")
    monkeypatch.setattr(receipts, "render_receipt", None)  # a call would fail
    assert _make(tmp_path / "set") == first


def test_a_data_set_of_other_numbers_is_not_taken_for_it(tmp_path: Path) -> None:
    _make(tmp_path / "set")
    with pytest.raises(OptdetError, match=r"made with seed=5, difficulty=0\.5; ask for the same"):
        _make(tmp_path / "set", seed=6, difficulty=0.7)


@pytest.mark.parametrize("recipe", [None, "", "[1]", "{}"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, recipe: str | None) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    if recipe is not None:
        (tmp_path / "mine" / "recipe.json").write_text(recipe)
    with pytest.raises(OptdetError, match="move this one away"):
        _make(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_one_cut_off_half_way_is_not_there(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _make(tmp_path / "set", on_image=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_behind_is_ignored(tmp_path: Path) -> None:
    left = tmp_path / ".set.abc123.making" / "train" / "images"
    left.mkdir(parents=True)
    (left / "receipt_00000.jpg").write_bytes(b"half")
    made = _make(tmp_path / "set")
    _make(tmp_path / "other")
    assert _bytes(tmp_path / "set") == _bytes(tmp_path / "other")
    assert made.train_images == tmp_path / "set" / "train" / "images"
    assert (left / "receipt_00000.jpg").read_bytes() == b"half"


def test_of_two_that_make_it_at_once_the_later_takes_the_earlier(tmp_path: Path) -> None:
    def overtake(done: int, total: int) -> None:
        if done == 1:
            _make(tmp_path / "set")

    assert _make(tmp_path / "set", on_image=overtake) == _make(tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_recipe_is_written_beside_the_pictures(tmp_path: Path) -> None:
    _make(tmp_path / "set")
    recipe = json.loads((tmp_path / "set" / "recipe.json").read_text())
    assert {key: recipe[key] for key in SMALL} == SMALL


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match="at least one of each"):
        _make(tmp_path / "set", n_val=0)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptdetError, match="cannot be written"):
        _make(tmp_path / "file" / "set")
