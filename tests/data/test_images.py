import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from optdet.data import images
from optdet.data.images import exif_orientation, image_size, list_images, read_image
from optdet.errors import OptdetError

WIDTH, HEIGHT = 40, 24


def picture() -> np.ndarray:
    """Four quarters of different colours, so that each of the eight orientations is another picture."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (250, 10, 10), (10, 250, 10), (10, 10, 250)
    return pixels


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The stored pixels of an upright picture, by the table of EXIF."""
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: pixels.transpose(1, 0, 2)[::-1],
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],
        8: pixels.transpose(1, 0, 2)[:, ::-1],
    }
    return np.ascontiguousarray(turned[orientation])


def save(path: Path, pixels: np.ndarray, orientation: int = 1, **options: object) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_orientation_is_applied_to_pixels_and_size(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    lossless = {"webp": {"lossless": True}, "jpg": {"quality": 95, "subsampling": 0}}.get(suffix, {})
    save(path, as_stored(picture(), orientation), orientation, **lossless)
    pixels = read_image(path)
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert np.abs(pixels.astype(int) - picture()).mean() < 5
    assert image_size(path) == (WIDTH, HEIGHT)
    assert exif_orientation(path) == orientation


def test_a_png_may_carry_its_orientation_behind_the_pixels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", as_stored(picture(), 6), 6)
    raw = path.read_bytes()
    start = raw.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(raw[start : start + 4])
    tail = raw.index(b"IEND") - 4
    path.write_bytes(raw[:start] + raw[end:tail] + raw[start:end] + raw[tail:])
    np.testing.assert_array_equal(read_image(path), picture())
    assert image_size(path) == (WIDTH, HEIGHT)
    assert exif_orientation(path) == 6


def test_an_invalid_orientation_is_upright(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture(), 9)
    assert exif_orientation(path) == 1
    np.testing.assert_array_equal(read_image(path), picture())


def test_modes_become_rgb(tmp_path: Path) -> None:
    grey = np.full((4, 5), 200, np.uint8)
    clear = np.zeros((4, 5, 4), np.uint8)
    deep = np.full((4, 5), 200 * 257, np.uint16)
    for name, array, expected in [("l", grey, 200), ("rgba", clear, 255), ("deep", deep, 200)]:
        path = tmp_path / f"{name}.png"
        Image.fromarray(array).save(path)
        np.testing.assert_array_equal(read_image(path), np.full((4, 5, 3), expected))
    for name, highest in [("unit", 1.0), ("bytes", 255.0), ("deep", 65535.0)]:
        path = tmp_path / f"{name}.tif"
        values = np.full((4, 5), highest * 200 / 255, np.float32)
        values[0, 0] = highest
        Image.fromarray(values).save(path)
        np.testing.assert_array_equal(read_image(path)[1:], np.full((3, 5, 3), 200))
    for mode in ("1", "P", "LA", "CMYK"):
        path = tmp_path / f"{mode}.tiff"
        Image.new("RGB", (5, 4), "white").convert(mode).save(path)
        np.testing.assert_array_equal(read_image(path), np.full((4, 5, 3), 255))


def test_an_image_of_one_pixel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture()[:1, :1])
    assert (read_image(path).shape, image_size(path)) == ((1, 1, 3), (1, 1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_image_is_an_error(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format={"jpg": "jpeg"}.get(suffix, suffix))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * kept)])
    with pytest.raises(OptdetError, match=rf"a\.{suffix}: the image cannot be read"):
        read_image(path)


def test_a_text_file_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    with pytest.raises(OptdetError, match="not an image, or damaged"):
        image_size(tmp_path / "a.jpg")
    with pytest.raises(OptdetError, match=r"does not exist; did you mean .*a\.jpg"):
        read_image(tmp_path / "aa.jpg")
    with pytest.raises(OptdetError, match="cannot be read"):
        read_image(tmp_path)


def test_a_decompression_bomb_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    path = save(tmp_path / "a.png", picture())
    monkeypatch.setattr(images, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(OptdetError, match=r"too large .40x24"):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(OptdetError, match=r"too large .40x24"):
        image_size(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(OptdetError, match="too large"):
        image_size(path)
    assert not recwarn.list


def test_listing_is_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.webp", "é.png", "e\u0301a.png", ".c.jpg", "d.txt", "f.tif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == [
        "a.webp",
        "b.JPG",
        "f.tif",
        "é.png",
        "e\u0301a.png",
    ]
    with pytest.raises(OptdetError, match="is a file, not a folder"):
        list_images(tmp_path / "d.txt")
