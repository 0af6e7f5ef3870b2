"""Maps of any program in a folder: found by name, read, placed on their image, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Stretch
from optdet.inference.map_folder import MapFolder, read_map
from optdet.inference.predict import ImageMap
from optdet.structures import Thresholds

QUADS = Thresholds(0.3, 0.5, 1.5, 1000, False, 3.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    return tmp_path / "maps"


def image(folder: Path, name: str = "page.jpg", size: tuple[int, int] = (400, 200)) -> Path:
    path = folder.parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def word_map(shape: tuple[int, int], window: tuple[slice, slice]) -> NDArray[np.float32]:
    prob_map = np.zeros(shape, np.float32)
    prob_map[window] = 0.9
    return prob_map


def only(folder: Path, path: Path, **options: Any) -> ImageMap:
    (found,) = MapFolder(folder, **options).maps([path])
    return found


# --- names and files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["page.jpg.npy", "page.npy", "page.jpg.npz", "page.NPY"])
def test_a_map_is_named_as_its_image(folder: Path, name: str) -> None:
    prob_map = word_map((64, 64), np.s_[20:30, 10:50])
    if name.endswith("npz"):
        np.savez_compressed(folder / name, prob_map)
    else:
        with (folder / name).open("wb") as file:
            np.save(file, prob_map)
    found = only(folder, image(folder))
    np.testing.assert_array_equal(found.detector.prob_map, prob_map.astype(np.float16))


def test_names_match_in_any_unicode_form_and_a_whole_name_goes_first(folder: Path) -> None:
    np.save(folder / "re\u0301c.u.npy", np.full((64, 64), 0.25))
    np.save(folder / "r\u00e9c.u.jpg.npy", np.full((64, 64), 0.75))
    (folder / "notes.txt").write_text("not a map")
    (folder / ".hidden.npy").write_text("not a map")
    assert only(folder, image(folder, "r\u00e9c.u.jpg")).detector.prob_map[0, 0] == 0.75
    assert only(folder, image(folder, "re\u0301c.u.png")).detector.prob_map[0, 0] == 0.25


def test_maps_come_in_the_order_asked_and_are_told(folder: Path) -> None:
    paths = [image(folder, f"{name}.png") for name in "ba"]
    for path, value in zip(paths, (0.25, 0.75), strict=True):
        np.save(folder / f"{path.name}.npy", np.full((64, 64), value))
    told: list[tuple[int, int]] = []
    maps = MapFolder(folder).maps(paths, on_image=lambda *counts: told.append(counts))
    assert [found.detector.prob_map[0, 0] for found in maps] == [0.25, 0.75]
    assert told == [(1, 2), (2, 2)]


def test_no_image_has_a_map(folder: Path) -> None:
    np.save(folder / "other.npy", np.zeros((8, 8)))
    message = (
        r"none of the 1 images has a map here \(.*/page.jpg, ...\); it has 1 maps, as other.npy; name the"
    )
    with pytest.raises(OptdetError, match=message):
        only(folder, image(folder))


def test_an_empty_folder(folder: Path) -> None:
    with pytest.raises(OptdetError, match=r"it has no .npy or .npz"):
        only(folder, image(folder))


def test_some_images_have_no_map(folder: Path) -> None:
    np.save(folder / "page.npy", np.zeros((64, 64)))
    paths = [image(folder), image(folder, "second.jpg")]
    with pytest.raises(OptdetError, match=r"maps: 1 of 2 images have no map, as .*/second.jpg; add"):
        list(MapFolder(folder).maps(paths))


def test_maps_in_sub_folders_belong_to_the_images_of_such_folders(folder: Path) -> None:
    paths = [image(folder, f"images/{name}") for name in ("a/1.jpg", "b/1.jpg", "1.jpg", "b/c/2.jpg")]
    names = ("a/1.npy", "b/1.jpg.npy", "1.npy", "b/c/2.npz", "a/.1.npy", ".b/1.npy")
    for value, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        values = np.full((64, 64), value / 8)
        np.savez(folder / name, values) if name.endswith("npz") else np.save(folder / name, values)
    for order in (paths, paths[::-1]):
        found = [at.detector.prob_map[0, 0] * 8 for at in MapFolder(folder).maps(order)]
        assert found == [paths.index(path) for path in order]


def test_a_map_in_another_folder_is_not_the_image_s(folder: Path) -> None:
    (folder / "a").mkdir()
    np.save(folder / "a/1.npy", np.zeros((64, 64)))
    with pytest.raises(
        OptdetError, match=r"none of the 1 images has a map here \(b/1.jpg, ...\).* as a/1.npy"
    ):
        only(folder, image(folder, "images/b/1.jpg"))


@pytest.mark.parametrize(("first", "second"), [("a/1.jpg", "b/1.jpg"), ("a/1.jpg", "a/1.png")])
def test_a_map_that_could_be_two_images_is_refused(folder: Path, first: str, second: str) -> None:
    np.save(folder / "1.npy", np.zeros((64, 64)))
    paths = [image(folder, f"images/{name}") for name in (first, second)]
    message = f"maps: 1.npy could be the map of {first} and of {second}; keep maps in sub-folders as the"
    with pytest.raises(OptdetError, match=message):
        list(MapFolder(folder).maps(paths))
    assert only(folder, paths[1]).path == paths[1]
    assert [found.path for found in MapFolder(folder).maps([paths[0], paths[0]])] == [paths[0], paths[0]]


def test_two_maps_of_one_image(folder: Path) -> None:
    np.save(folder / "page.npy", np.zeros((64, 64)))
    np.savez(folder / "page.npz", np.zeros((64, 64)))
    with pytest.raises(OptdetError, match=r"two maps of one image: page.npy and page.npz"):
        only(folder, image(folder))


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (6, 8, 1), (1, 1, 6, 8), (1, 6, 8, 1)])
def test_any_float_and_axes_of_one(folder: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape).astype(dtype)
    np.save(folder / "m.npy", values)
    found = read_map(folder / "m.npy")
    assert (found.dtype, found.shape) == (np.float16, (6, 8))
    np.testing.assert_array_equal(found, values.reshape(6, 8).astype(np.float16))


def test_bytes_are_parts_of_255(folder: Path) -> None:
    np.save(folder / "m.npy", np.array([[0, 51, 255]], np.uint8))
    np.testing.assert_array_equal(read_map(folder / "m.npy"), np.array([[0, 0.2, 1]], np.float16))


def test_the_array_of_a_name_among_several(folder: Path) -> None:
    np.savez(folder / "m.npz", thresh_map=np.zeros((4, 4)), prob_map=np.ones((4, 4)))
    assert read_map(folder / "m.npz").all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([[0.5, 1.2]], r"values of 0.5 to 1.2, outside 0..1; divide it by 255"),
        ([[-4.0, 3.0]], r"values of -4 to 3, outside 0..1; apply the sigmoid first"),
        ([[0.5, np.nan]], r"values that are no numbers"),
        ([[np.inf, 0.5]], r"values that are no numbers"),
        ([[1, 2]], r"an array of int64; keep maps as float16, float32 or uint8"),
        ([0.5, 0.5], r"an array of the shape \(2,\) is no map"),
        (np.zeros((3, 4, 5)), r"an array of the shape \(3, 4, 5\) is no map"),
        (np.zeros((0, 4)), r"an array of the shape \(0, 4\) is no map"),
    ],
)
def test_what_is_no_map(folder: Path, array: Any, message: str) -> None:
    np.save(folder / "m.npy", np.asarray(array))
    with pytest.raises(OptdetError, match=r"m\.npy: .*" + message):
        read_map(folder / "m.npy")


def pickled(path: Path) -> None:
    np.save(path, np.array([{}]), allow_pickle=True)


def cut_off(path: Path) -> None:
    np.save(path, np.zeros((64, 64)))
    path.write_bytes(path.read_bytes()[:1000])


def two_arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((4, 4)), b=np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), r"not a NumPy array that can be read"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no archive"), r"not a NumPy array that can be read"),
        (cut_off, r"not a NumPy array that can be read"),
        (pickled, r"not a NumPy array that can be read"),
        (two_arrays, r"the archive has 2 arrays \(a, b\); keep one alone, or name the map 'prob_map'"),
    ],
)
def test_files_that_hold_no_array(folder: Path, write: Callable[[Path], None], message: str) -> None:
    write(folder / "m.npy")
    with pytest.raises(OptdetError, match=message) as caught:
        read_map(folder / "m.npy")
    assert "\n" not in str(caught.value)


# --- placement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pad", "top"), [("center", 16), ("topleft", 0)])
def test_squares_are_letterboxed_canvases(folder: Path, pad: Any, top: int) -> None:
    np.save(folder / "page.npy", word_map((64, 64), np.s_[top + 8 : top + 16, 16:48]))
    found = only(folder, image(folder), pad=pad)
    assert found.detector.letterbox == Letterbox(400, 200, 64, pad)
    (polygon,) = found.detector.detect(QUADS).polygons
    assert np.abs(polygon.mean(axis=0) - [197, 72]).max() < 4  # the window's centre, times 400 / 64


def test_another_shape_covers_its_image(folder: Path) -> None:
    np.save(folder / "page.npy", word_map((96, 192), np.s_[24:48, 48:144]))
    found = only(folder, image(folder))
    assert found.detector.letterbox == Stretch(400, 200, canvas_width=192, canvas_height=96)
    (polygon,) = found.detector.detect(QUADS).polygons
    assert np.abs(polygon.mean(axis=0) - [199, 74]).max() < 4


def test_a_map_of_the_images_own_resolution(folder: Path) -> None:
    np.save(folder / "page.npy", np.zeros((200, 400)))
    box = only(folder, image(folder)).detector.letterbox
    assert np.array_equal(box.to_image([[17, 3]]), [[17, 3]])


def test_one_map_that_is_no_square_says_that_all_cover_their_images(folder: Path) -> None:
    """PaddleOCR rounds each side to a multiple of 32: a page that is nearly square may become one."""
    np.save(folder / "page.npy", np.zeros((96, 192)))
    np.save(folder / "nearly.npy", np.zeros((96, 96)))
    paths = [image(folder), image(folder, "nearly.png", (110, 100))]
    placements = [found.detector.letterbox for found in MapFolder(folder).maps(paths)]
    assert placements == [Stretch(400, 200, 192, 96), Stretch(110, 100, 96, 96)]


def test_a_shape_that_fits_no_placement(folder: Path) -> None:
    np.save(folder / "page.npy", np.zeros((192, 96)))
    message = r"page.npy: a map of 96 x 192 fits its image of 400 x 200 in no known way; if it covers"
    with pytest.raises(OptdetError, match=message):
        only(folder, image(folder))
    assert only(folder, image(folder), placement="stretch").detector.letterbox == Stretch(400, 200, 96, 192)


def test_a_placement_that_is_asked_for(folder: Path) -> None:
    np.save(folder / "page.npy", np.zeros((64, 64)))
    path = image(folder)
    assert only(folder, path, placement="stretch").detector.letterbox == Stretch(400, 200, 64, 64)
    np.save(folder / "page.npy", np.zeros((64, 128)))
    with pytest.raises(OptdetError, match=r"a letterboxed canvas is square; give --placement stretch"):
        only(folder, path, placement="letterbox")
