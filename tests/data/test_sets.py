"""Opening the images of a config: synthetic ones made once, files found, and what cannot be used refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optdet.config import DataConfig, SourceConfig, SyntheticConfig
from optdet.data.image_cache import CachedReader, FileReader
from optdet.data.images import read_image
from optdet.data.located import locate
from optdet.data.sampling import SourcePart
from optdet.data.sets import DataSets, open_sets
from optdet.errors import OptdetError

SIZE = 64
QUAD = [[5, 5], [50, 5], [50, 20], [5, 20]]


@dataclass
class Workplace:
    """A data root with label files and images, and the places of what is made."""

    root: Path

    def source(self, name: str, images: dict[str, list[dict[str, Any]]], **settings: Any) -> SourceConfig:
        folder = self.root / name
        folder.mkdir(parents=True)
        for number, image in enumerate(images):
            Image.new("RGB", (60 + number, 40), (200, number, len(name))).save(folder / image)
        tree = {image: {"words": dict(enumerate(words))} for image, words in images.items()}
        (self.root / f"{name}.json").write_text(json.dumps({"images": tree}))
        return SourceConfig(images=name, labels=f"{name}.json", **settings)

    def open(self, data: DataConfig, max_cache_gb: float = 1.0, **more: Any) -> DataSets:
        return open_sets(
            data,
            data_root=self.root,
            data_dir=self.root / "made",
            cache_dir=self.root / "cache",
            max_cache_gb=max_cache_gb,
            **more,
        )


WORD = {"points": QUAD, "transcription": "x"}
IGNORED = {"points": QUAD, "transcription": "###"}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_files_of_a_config(place: Workplace) -> None:
    train = place.source("train", {"a.jpg": [WORD], "b.jpg": [WORD, WORD]})
    val = place.source("val", {"c.jpg": [WORD]})
    sets = place.open(DataConfig(train=(train,), val=val, size=SIZE))
    assert [sample.name for sample in sets.train.samples] == ["a.jpg", "b.jpg"]
    assert [sample.name for sample in sets.val.samples] == ["c.jpg"]
    assert (len(sets.train), len(sets.val)) == (2, 1)
    assert sets.notes == ()


def test_words_and_pixels_lie_on_the_same_canvas(place: Workplace) -> None:
    source = place.source("train", {"a.png": [WORD]})
    for pad, top in (("center", 11), ("topleft", 0)):
        images = place.open(DataConfig(train=(source,), val=source, size=SIZE, pad=pad)).train
        letterbox = images.letterboxes[0]
        assert (letterbox.size, letterbox.pad, letterbox.top) == (SIZE, pad, top)
        np.testing.assert_array_equal(
            images.canvases[0], letterbox.draw(read_image(images.samples[0].image_path))
        )
        (polygon,) = images.canvas_polygons(0)
        np.testing.assert_allclose(letterbox.to_image(polygon), QUAD, atol=1e-9)
        np.testing.assert_array_equal(images.samples[0].words[0].polygon, QUAD)


def test_several_sources_have_their_weights(place: Workplace) -> None:
    one = place.source("one", {"a.jpg": [WORD], "b.jpg": [WORD]})
    two = place.source("two", {"a.jpg": [WORD]}, weight=0.5)
    sets = place.open(DataConfig(train=(one, two), val=one, size=SIZE))
    assert sets.train.parts == (SourcePart("one", 2, 1.0), SourcePart("two", 1, 0.5))
    assert [sample.image_path.parent.name for sample in sets.train.samples] == ["one", "one", "two"]


def test_sources_of_one_name_are_told_apart(place: Workplace) -> None:
    one = place.source("one/images", {"a.jpg": [WORD]})
    two = place.source("two/images", {"b.jpg": [WORD]})
    val = place.source("val", {"a.jpg": [WORD]})
    parts = place.open(DataConfig(train=(one, two), val=val, size=SIZE)).train.parts
    assert [part.name for part in parts] == ["one/images", "two/images"]
    twice = place.open(DataConfig(train=(one, one), val=val, size=SIZE)).train.parts
    assert len(twice) == 2
    assert [part.name for part in twice] == [f"images ({Path(one.labels).name}) {n}" for n in (1, 2)]


def test_large_sets_are_read_from_their_files(place: Workplace) -> None:
    source = place.source("train", {"a.png": [WORD]})
    data = DataConfig(train=(source,), val=source, size=SIZE)
    direct, cached = place.open(data, max_cache_gb=0.0).train, place.open(data).train
    assert isinstance(direct.canvases, FileReader)
    assert isinstance(cached.canvases, CachedReader)
    np.testing.assert_array_equal(direct.canvases[0], cached.canvases[0])


def test_the_fingerprint_is_that_of_images_and_words(place: Workplace) -> None:
    train = place.source("train", {"a.png": [WORD]})
    val = place.source("val", {"c.png": [WORD]})
    data = DataConfig(train=(train,), val=val, size=SIZE)
    first = place.open(data).fingerprint
    assert first == place.open(data.model_copy(update={"size": 96})).fingerprint
    Image.new("RGB", (60, 40), "red").save(place.root / "val" / "c.png")
    second = place.open(data).fingerprint
    text = (place.root / "train.json").read_text()
    (place.root / "train.json").write_text(text.replace("50", "51"))
    assert len({first, second, place.open(data).fingerprint}) == 3


def test_what_is_left_out_is_said(place: Workplace) -> None:
    train = place.source("train", {"a.png": [WORD, {"points": [[1, 1], [2, 2]]}], "b.png": [WORD]})
    (place.root / "train" / "b.png").unlink()
    val = place.source("val", {"c.png": [WORD]})
    first, second = place.open(DataConfig(train=(train,), val=val, size=SIZE)).notes
    assert first.startswith("1 label rows skipped, the first: ")
    assert "train.json" in first
    assert "1 labelled images are not in" in second
    assert second.endswith("as b.png")


# --- synthetic receipts ------------------------------------------------------------------------------------

SYNTHETIC = DataConfig(synthetic=SyntheticConfig(train=2, val=1, image_size=192, seed=4), size=SIZE)


def test_synthetic_receipts_are_made_once(place: Workplace) -> None:
    told: list[tuple[int, int]] = []
    sets = place.open(SYNTHETIC, on_image=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2), (1, 1)]  # made, then cached
    assert (len(sets.train), len(sets.val)) == (2, 1)
    assert sum(len(sample.words) for sample in sets.train.samples) > 10
    (folder,) = (place.root / "made").iterdir()
    assert folder.name.startswith("quickstart-")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = place.open(SYNTHETIC, on_image=lambda done, total: told.append((done, total)))
    assert len(told) == 6
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert again.fingerprint == sets.fingerprint


def test_other_synthetic_settings_are_another_folder(place: Workplace) -> None:
    other = SYNTHETIC.model_copy(
        update={"synthetic": SyntheticConfig(train=1, val=1, image_size=192, seed=5)}
    )
    places = [locate(data, data_root=place.root, data_dir=place.root / "made") for data in (SYNTHETIC, other)]
    assert places[0].val.images != places[1].val.images
    assert len(list((place.root / "made").iterdir())) == 2
    assert all(Path(located.val.labels).is_file() for located in places)


# --- what cannot be used -----------------------------------------------------------------------------------


def refusal(place: Workplace, data: DataConfig, **more: Any) -> str:
    with pytest.raises(OptdetError) as caught:
        place.open(data, **more)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nothing_configured(place: Workplace) -> None:
    text = refusal(place, DataConfig())
    assert text.startswith("no data: the config names neither data.train and data.val nor data.synthetic")
    assert "optdet init --data DIR" in text


def test_a_label_file_that_is_not_there(place: Workplace) -> None:
    train = place.source("train", {"a.png": [WORD]})
    val = SourceConfig(images="train", labels="gone.json")
    assert "gone.json" in refusal(place, DataConfig(train=(train,), val=val, size=SIZE))


def test_a_folder_of_images_that_is_not_there(place: Workplace) -> None:
    train = place.source("train", {"a.png": [WORD]})
    val = SourceConfig(images="gone", labels="train.json")
    assert "gone" in refusal(place, DataConfig(train=(train,), val=val, size=SIZE))


@pytest.mark.parametrize("words", [[], [IGNORED]], ids=["none", "ignored"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_without_a_word_to_use(place: Workplace, split: str, words: list[dict[str, Any]]) -> None:
    good, bad = place.source("good", {"a.png": [WORD]}), place.source("bad", {"b.png": words})
    data = DataConfig(
        train=(bad if split == "train" else good,), val=bad if split == "val" else good, size=SIZE
    )
    assert "bad.json: no readable words in 1 images" in refusal(place, data)


def test_a_validation_image_that_is_missing_is_refused(place: Workplace) -> None:
    train = place.source("train", {"a.jpg": [WORD]})
    val = place.source("val", {"b.jpg": [WORD], "c.jpg": [WORD], "d.jpg": [WORD]})
    (place.root / "val" / "c.jpg").unlink()
    with pytest.raises(
        OptdetError,
        match=r"val.json: 1 of 3 validation images are not in .*val, the first is c.jpg; add",
    ):
        place.open(DataConfig(train=(train,), val=val, size=SIZE))


@pytest.mark.parametrize(("split", "purpose"), [("train", "learn"), ("val", "score")])
def test_words_of_missing_images_alone(place: Workplace, split: str, purpose: str) -> None:
    good = place.source("good", {"a.png": [WORD]})
    bad = place.source("bad", {"b.png": [IGNORED], "c.png": [WORD]})
    (place.root / "bad" / "c.png").unlink()
    data = DataConfig(
        train=(bad if split == "train" else good,), val=bad if split == "val" else good, size=SIZE
    )
    text = refusal(place, data)
    assert f"bad.json: data.{split} has no word to {purpose}: 1 images, all of them empty or ignored" in text


@pytest.mark.parametrize("max_cache_gb", [1.0, 0.0], ids=["cached", "direct"])
def test_a_damaged_header_is_found_at_once(place: Workplace, max_cache_gb: float) -> None:
    source = place.source("train", {"a.jpg": [WORD], "b.jpg": [WORD]})
    (place.root / "train" / "b.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    text = refusal(place, DataConfig(train=(source,), val=source, size=SIZE), max_cache_gb=max_cache_gb)
    assert "b.jpg: the image cannot be read" in text
    assert "replace it, or remove it and its labels" in text


def test_a_jpeg_cut_short_is_found_when_it_is_cached(place: Workplace) -> None:
    source = place.source("train", {"a.jpg": [WORD], "b.jpg": [WORD]})
    path = place.root / "train" / "b.jpg"
    path.write_bytes(path.read_bytes()[:-30])
    text = refusal(place, DataConfig(train=(source,), val=source, size=SIZE))
    assert "b.jpg: the image cannot be read" in text
