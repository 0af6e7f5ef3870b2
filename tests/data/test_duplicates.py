"""Images that are there twice, in one source or in two, and which of that is said first."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from optdet.data.check import read_files, read_folder
from optdet.data.duplicates import Overlap, Role, SourceImages, find_duplicates


def picture(seed: int) -> Image.Image:
    """Blocks of noise, of which no two seeds look alike."""
    blocks = np.random.default_rng(seed).integers(0, 256, (30, 20), dtype=np.uint8)
    return Image.fromarray(blocks).resize((200, 300), Image.Resampling.NEAREST).convert("RGB")


def source(folder: Path, *, role: Role = "train", decode: bool = True, **images: int | Path) -> SourceImages:
    folder.mkdir(exist_ok=True)
    for name, given in images.items():
        if isinstance(given, int):
            picture(given).save(folder / f"{name}.png")
        else:
            shutil.copy(given, folder / f"{name}{given.suffix}")
    paths = sorted(folder.iterdir())
    return read_files(paths, folder.name, role, decode=decode, on_image=None).images


def shown(overlap: Overlap) -> list[tuple[str, str, str]]:
    return [(pair.kind, Path(pair.first).name, Path(pair.second).name) for pair in overlap.pairs]


def test_distinct_images_share_nothing(tmp_path: Path) -> None:
    one, two = source(tmp_path / "one", a=1, b=2), source(tmp_path / "two", role="val", a=3, b=4)
    assert find_duplicates([one, two]) == []
    assert find_duplicates([]) == []


def test_each_kind_within_and_across_sources_and_leaks_first(tmp_path: Path) -> None:
    train = source(tmp_path / "train", a=1, b=2, c=3, d=4)
    a, b, c = (tmp_path / "train" / f"{name}.png" for name in "abc")
    val = source(tmp_path / "val", role="val", same_bytes=a, other=9)
    picture(2).save(tmp_path / "val" / "same_pixels.bmp")
    picture(3).save(tmp_path / "val" / "near.jpg", quality=60)
    val = source(tmp_path / "val", role="val")
    more = source(tmp_path / "more", d=tmp_path / "train" / "d.png", twice=a, other=9)
    overlaps = find_duplicates([train, more, val])
    assert [(o.first, o.second, o.leak) for o in overlaps] == [
        ("train", "val", True),
        ("more", "val", True),
        ("train", "more", False),
    ]
    leak, other, _ = overlaps
    assert shown(leak) == [
        ("same bytes", "a.png", "same_bytes.png"),
        ("same pixels", "b.png", "same_pixels.bmp"),
        ("near copy", "c.png", "near.jpg"),
    ]
    assert leak.n_images == 3
    assert str(leak) == (
        "train and val share 3 images (1 same bytes, 1 same pixels, 1 near copy): "
        "the score on val is too good"
    )
    assert {kind for kind, *_ in shown(other)} == {"same bytes"}
    assert leak.as_json()["pairs"][2]["likeness"] == pytest.approx(0.95, abs=0.06)
    assert b.exists()
    assert c.exists()


def test_copies_in_different_folds_come_first(tmp_path: Path) -> None:
    one = source(tmp_path / "one", a=1, b=1, c=1, d=2)
    two = source(tmp_path / "two", a=2, e=5)
    one, two = replace(one, folds=(0, 0, 1, 2)), replace(two, folds=(2, 0))
    apart, across, within = find_duplicates([one, two])
    assert shown(apart) == [("same bytes", "a.png", "c.png")]
    assert str(apart) == "one: 1 image in more than one fold (1 same bytes): the scores of folds are too good"
    assert apart.leak
    assert apart.as_json()["leak"] is True
    assert (str(across), across.leak) == ("one and two share 1 image (1 same bytes)", False)
    assert (shown(within), within.leak) == ([("same bytes", "a.png", "b.png")], False)
    judge = replace(two, role="val", folds=None)
    assert [found.leak for found in find_duplicates([one, judge])] == [True, True, False]


def test_one_source_that_holds_an_image_three_times(tmp_path: Path) -> None:
    one = source(tmp_path / "one", a=1, b=1, c=1, d=2)
    (overlap,) = find_duplicates([one])
    assert shown(overlap) == [("same bytes", "a.png", "b.png"), ("same bytes", "a.png", "c.png")]
    assert str(overlap) == "one holds 2 images more than once (2 same bytes)"
    assert not overlap.leak


def test_two_sources_that_read_the_same_files(tmp_path: Path) -> None:
    train = source(tmp_path / "one", a=1, b=2)
    val = SourceImages("val", "val", train.paths[:1], train.looks and train.looks[:1])
    (overlap,) = find_duplicates([train, val])
    assert shown(overlap) == [("same file", "a.png", "a.png")]


def test_copies_of_copies_count_each_image_of_the_second_source_once(tmp_path: Path) -> None:
    train = source(tmp_path / "train", a=1, b=1)
    val = source(tmp_path / "val", role="val", c=1, d=1)
    leak, *within = find_duplicates([train, val])
    assert leak.n_images == 2
    assert shown(leak) == [("same bytes", "a.png", "c.png"), ("same bytes", "a.png", "d.png")]
    assert [str(overlap).split()[0] for overlap in within] == ["train", "val"]


def test_pixels_are_compared_upright(tmp_path: Path) -> None:
    train = source(tmp_path / "train", a=1)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "val").mkdir()
    picture(1).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "val" / "turned.png", exif=exif)
    (overlap,) = find_duplicates([train, source(tmp_path / "val", role="val")])
    assert shown(overlap) == [("same pixels", "a.png", "turned.png")]


def test_without_pixels_bytes_alone_are_compared(tmp_path: Path) -> None:
    train = source(tmp_path / "train", decode=False, a=1, b=2)
    val = source(tmp_path / "val", role="val", decode=False, a=tmp_path / "train" / "a.png")
    picture(2).save(tmp_path / "val" / "near.jpg")
    (overlap,) = find_duplicates([train, source(tmp_path / "val", role="val", decode=False)])
    assert val.looks is None
    assert shown(overlap) == [("same bytes", "a.png", "a.png")]


def test_a_folder_without_labels(tmp_path: Path) -> None:
    train = source(tmp_path / "train", a=1)
    source(tmp_path / "test", b=tmp_path / "train" / "a.png")
    (tmp_path / "test" / "damaged.png").write_bytes(b"nothing")
    told: list[tuple[int, int]] = []
    folder = read_folder(tmp_path / "test", on_image=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    (overlap,) = find_duplicates([train, folder])
    assert shown(overlap) == [("same bytes", "a.png", "b.png")]
    assert str(overlap) == f"train and {tmp_path / 'test'} share 1 image (1 same bytes)"


def test_progress_counts_the_pairs_that_are_compared(tmp_path: Path) -> None:
    train = source(tmp_path / "train", a=1, b=2)
    picture(2).save(tmp_path / "train" / "c.jpg", quality=70)
    told: list[tuple[int, int]] = []
    find_duplicates([source(tmp_path / "train")], on_pair=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1][0] == told[-1][1]
    assert train.role == "train"
