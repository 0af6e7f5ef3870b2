import dataclasses
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.data.fingerprints import fingerprint
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.structures import Sample

WORDS = {"1": {"points": [[1, 1], [9, 1], [9, 5], [1, 5]], "transcription": "x"}}


def make(root: Path, images: list[str], labels: list[str], words: object = WORDS) -> tuple[Path, Path]:
    for name in images:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 8), "white").save(path)
    label_path = root / "labels.json"
    label_path.write_text(json.dumps({"images": {name: {"words": words} for name in labels}}))
    return root / "images", label_path


def test_samples_are_sorted_and_the_rest_is_listed(tmp_path: Path) -> None:
    source = load_source(*make(tmp_path, ["b.jpg", "a.jpg", "d.jpg"], ["c.jpg", "b.jpg", "a.jpg"]))
    assert [sample.name for sample in source.samples] == ["a.jpg", "b.jpg"]
    assert [sample.image_path for sample in source.samples] == [
        tmp_path / "images" / n for n in ("a.jpg", "b.jpg")
    ]
    assert source.samples[0].words[0].text == "x"
    assert (source.missing, source.n_missing) == (("c.jpg",), 1)
    assert (source.unlabelled, source.n_unlabelled) == (("d.jpg",), 1)


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_labels", ["NFC", "NFD"])
def test_names_match_across_normal_forms(tmp_path: Path, on_disk: str, in_labels: str) -> None:
    spelled = {form: unicodedata.normalize(form, "영수증.jpg") for form in ("NFC", "NFD")}
    source = load_source(*make(tmp_path, [spelled[on_disk]], [spelled[in_labels]]))
    assert source.samples[0].name == spelled["NFC"]
    assert source.samples[0].image_path.is_file()


def test_icdar_names_match_by_stem(tmp_path: Path) -> None:
    images, _ = make(tmp_path, ["img_1.png", "img.2.jpg"], [])
    gt = tmp_path / "gt"
    gt.mkdir()
    for name in ("gt_img_1.txt", "gt_img.2.txt", "gt_img.2.jpg.txt", "gt_9.txt"):
        (gt / name).write_text("1,1,9,1,9,5,1,5,x\n")
    source = load_source(images, gt)
    assert [sample.name for sample in source.samples] == ["img.2.jpg", "img_1.png"]
    assert source.missing == ("9",)
    assert [problem.reason for problem in source.problems] == [
        "a second label of the image img.2.jpg (the first is kept)"
    ]


def test_names_with_folders_are_found_below_the_images_folder(tmp_path: Path) -> None:
    images, labels = make(tmp_path, ["a/1.jpg", "b/1.jpg"], ["images/b/1.jpg", "a/1.jpg"])
    assert [sample.name for sample in load_source(images, labels).samples] == ["a/1.jpg", "b/1.jpg"]


@pytest.mark.parametrize("name", ["../secret.jpg", "x/../../secret.jpg", "{root}/secret.jpg"])
def test_no_name_leaves_the_images_folder(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (10, 8)).save(tmp_path / "secret.jpg")
    images, labels = make(tmp_path, ["a.jpg"], ["a.jpg", name.format(root=tmp_path)])
    with pytest.raises(OptdetError, match="leaves its folder"):
        load_source(images, labels)
    source = load_source(images, labels, require_words=False)
    assert [sample.name for sample in source.samples] == ["a.jpg"]
    assert len(source.problems) == 1


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    Image.new("RGB", (10, 8)).save(tmp_path / "outside" / "secret.jpg")
    images, labels = make(tmp_path, ["a.jpg"], ["a.jpg", "link/secret.jpg"])
    (images / "link").symlink_to(tmp_path / "outside")
    assert load_source(images, labels).missing == ("link/secret.jpg",)


def test_labels_without_words_serve_prediction_only(tmp_path: Path) -> None:
    images, labels = make(tmp_path, ["a.jpg"], ["a.jpg"], words={})
    assert load_source(images, labels, require_words=False).samples[0].words == ()
    with pytest.raises(OptdetError, match="no readable words"):
        load_source(images, labels)


def test_missing_places_name_the_nearest(tmp_path: Path) -> None:
    images, labels = make(tmp_path, ["a.jpg"], ["a.jpg"])
    with pytest.raises(OptdetError, match=r"images folder does not exist; did you mean .*/images\?$"):
        load_source(tmp_path / "image", labels)
    with pytest.raises(OptdetError, match=r"label file does not exist; did you mean .*labels\.json\?$"):
        load_source(images, tmp_path / "label.json")
    with pytest.raises(OptdetError, match="does not exist; check the path"):
        load_source(tmp_path / "zzz" / "qqq", labels)


def test_images_of_another_data_set_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match=r"none of the 1 labelled images is here \(b\.jpg, \.\.\.\)"):
        load_source(*make(tmp_path, ["a.jpg"], ["b.jpg"]))


def test_fingerprint_follows_every_part_and_nothing_else(tmp_path: Path) -> None:
    samples = load_source(*make(tmp_path, ["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"])).samples
    first, second = samples
    whole = fingerprint(samples)
    elsewhere = load_source(*make(tmp_path / "moved", ["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"])).samples
    assert fingerprint(iter(samples)) == whole == fingerprint(elsewhere)
    (word,) = first.words
    moved = dataclasses.replace(word, polygon=word.polygon + 1e-9)
    changed: list[tuple[Sample, ...]] = [
        (first,),
        (second, first),
        (dataclasses.replace(first, name="c.jpg"), second),
        (dataclasses.replace(first, words=(moved,)), second),
        (dataclasses.replace(first, words=(dataclasses.replace(word, text="y"),)), second),
        (dataclasses.replace(first, words=(dataclasses.replace(word, ignored=True),)), second),
        (dataclasses.replace(first, words=(word, word)), second),
    ]
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(tmp_path / "other.jpg")
    changed.append((dataclasses.replace(first, image_path=tmp_path / "other.jpg"), second))
    assert len({whole, *map(fingerprint, changed)}) == len(changed) + 1


def test_fingerprint_of_a_vanished_image_is_an_error(tmp_path: Path) -> None:
    samples = load_source(*make(tmp_path, ["a.jpg"], ["a.jpg"])).samples
    samples[0].image_path.unlink()
    with pytest.raises(OptdetError, match=r"a\.jpg: the image cannot be read"):
        fingerprint(samples)
