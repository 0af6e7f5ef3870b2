"""Labelled images into folds and back: written, found again, and refused where they changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optdet.config import DataConfig, SourceConfig, SyntheticConfig
from optdet.data.fingerprints import DataChanged, fingerprint
from optdet.data.folds import label_place, read_folds
from optdet.data.label_ufo import parse_ufo
from optdet.data.located import locate
from optdet.data.sets import open_sets, validation_samples
from optdet.data.source import load_source
from optdet.data.split import split_data, write_split
from optdet.data.split_copies import copies_across
from optdet.errors import OptdetError


def make_source(
    folder: Path, n_images: int, *, groups: dict[int, Any] | None = None, first: int = 0
) -> SourceConfig:
    """Images of noise, each of its own size, with 1 to 4 words."""
    images = folder / "images"
    images.mkdir(parents=True)
    tree: dict[str, Any] = {"images": {}}
    for number in range(n_images):
        side = 40 + 4 * (number % 5)
        pixels = np.random.default_rng(first + number).integers(0, 256, (side, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02d}.png")
        words = {
            f"{word}": {
                "points": [[2, 9 * word + 1], [40, 9 * word + 1], [40, 9 * word + 8], [2, 9 * word + 8]],
                "transcription": "w",
            }
            for word in range(1 + number % 4)
        }
        tree["images"][f"{number:02d}.png"] = {"words": words}
        if groups and number in groups:
            tree["images"][f"{number:02d}.png"]["group"] = groups[number]
    (folder / "labels.json").write_text(json.dumps(tree))
    return SourceConfig(images=str(images), labels=str(folder / "labels.json"))


def names_of(split: Any, fold: int) -> set[str]:
    return {s.name for s, image in zip(split.samples, split.folds.images, strict=True) if image.fold == fold}


def fold_of(split: Any) -> dict[str, int]:
    return {s.name: image.fold for s, image in zip(split.samples, split.folds.images, strict=True)}


def folded(tmp_path: Path, **more: Any) -> DataConfig:
    return DataConfig(folds="folds/folds.json", size=64, **more)


def opened(tmp_path: Path, data: DataConfig) -> Any:
    return open_sets(
        data, data_root=tmp_path, data_dir=tmp_path / "made", cache_dir=tmp_path / "cache", max_cache_gb=1
    )


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A folder with 11 images of its own in three folds, and three to judge by."""
    train, val = make_source(tmp_path / "train", 11), make_source(tmp_path / "val", 3, first=50)
    write_split(split_data([train], val, n_folds=3), tmp_path / "folds")
    return tmp_path


def test_each_fold_validates_on_what_the_others_learn_from(parted: Path) -> None:
    held: list[str] = []
    for fold in range(3):
        sets = opened(parted, folded(parted, fold=fold))
        train, val = ({sample.name for sample in part.samples} for part in (sets.train, sets.val))
        assert not train & val
        assert len(train | val) == 11
        held += val
        for part in (sets.train, sets.val):
            for index, sample in enumerate(part.samples):
                expected = part.letterboxes[index].draw(np.asarray(Image.open(sample.image_path)))
                assert np.array_equal(part.canvases[index], expected)
    assert sorted(held) == [f"{number:02d}.png" for number in range(11)]
    assert len(list((parted / "cache").glob("images-*.npy"))) == 1  # one for all folds


def test_label_files_of_folds_are_read_by_other_programs(parted: Path) -> None:
    folds = read_folds(parted / "folds" / "folds.json")
    words = load_source(parted / "train/images", parted / "train/labels.json").label_file.words
    for fold in range(3):
        train, val = (
            parse_ufo(path, path.read_text())
            for path in (label_place(parted / "folds", fold, part) for part in ("train", "val"))
        )
        assert set(val.words) == {image.name for image in folds.held_out(fold)}
        assert set(train.words) | set(val.words) == set(words)
        for name, found in {**train.words, **val.words}.items():
            assert [w.polygon.tolist() for w in found] == [w.polygon.tolist() for w in words[name]]
        located = locate(folded(parted, fold=fold), data_root=parted, data_dir=parted / "made")
        again = load_source(Path(located.val.images), Path(located.val.labels), format="ufo")
        assert {s.name for s in again.samples} == {s.name for s in validation_samples(located)}


def test_validation_images_stay_apart_or_come_with_the_others(parted: Path) -> None:
    located = locate(folded(parted), data_root=parted, data_dir=parted / "made")
    assert located.in_folds is not None
    assert located.in_folds.judge is not None
    assert Path(located.in_folds.judge.labels) == (parted / "val/labels.json").resolve()
    train, val = (
        SourceConfig(
            images=str(parted / part / "images"), labels=str(parted / part / "labels.json"), weight=weight
        )
        for part, weight in (("train", 2.0), ("val", 0.5))
    )
    split = split_data([train], val, n_folds=3, with_val=True)
    write_split(split, parted / "folds", force=True)
    sets = opened(parted, folded(parted))
    every = [*sets.train.samples, *sets.val.samples]
    assert len(every) == 14
    assert {s.name for s in every} >= {"train/images/00.png", "val/images/00.png"}  # one name would be two
    by_image = [part.weight for part in sets.train.parts for _ in range(part.n_images)]
    weights = dict(zip((s.name for s in sets.train.samples), by_image, strict=True))
    assert {weights[name] for name in weights if name.startswith("val/")} == {0.5}
    assert {weights[name] for name in weights if name.startswith("train/")} == {2.0}
    located = locate(folded(parted), data_root=parted, data_dir=parted / "made")
    assert located.in_folds is not None
    assert located.in_folds.judge is None
    held = load_source(Path(located.val.images), Path(located.val.labels))
    assert {s.image_path.resolve() for s in held.samples} == {
        s.image_path.resolve() for s in sets.val.samples
    }


def test_a_moved_folder_takes_its_folds_along(parted: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    there = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(parted, there)
    shutil.rmtree(parted)
    assert len(opened(there, folded(there)).train) + len(opened(there, folded(there)).val) == 11


def test_the_same_split_again_and_another(parted: Path) -> None:
    train, val = (
        SourceConfig(images=str(parted / part / "images"), labels=str(parted / part / "labels.json"))
        for part in ("train", "val")
    )
    before = (parted / "folds/folds.json").read_bytes()
    assert write_split(split_data([train], val, n_folds=3), parted / "folds") == "exists"
    other = split_data([train], val, n_folds=3, seed=1)
    with pytest.raises(OptdetError, match="another partition is there, which studies may use"):
        write_split(other, parted / "folds")
    assert (parted / "folds/folds.json").read_bytes() == before
    sha256 = read_folds(parted / "folds/folds.json").sha256()
    opened(parted, folded(parted, folds_sha256=sha256))
    assert write_split(other, parted / "folds", force=True) == "wrote"
    with pytest.raises(DataChanged, match="in other folds than when the study was made"):
        opened(parted, folded(parted, folds_sha256=sha256))
    fewer = split_data([train], val, n_folds=2)
    (parted / "folds/fold2/notes.txt").write_text("mine")
    assert write_split(fewer, parted / "folds", force=True) == "wrote"
    files = {str(path.relative_to(parted / "folds")) for path in (parted / "folds").rglob("*.*")}
    labels = {f"fold{fold}/{part}.json" for fold in range(2) for part in ("train", "val")}
    assert files == {"folds.json", "fold2/notes.txt", *labels}


def test_a_kill_while_folds_are_written_leaves_no_labels_of_other_folds(
    parted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    source = SourceConfig(images=str(parted / "train/images"), labels=str(parted / "train/labels.json"))
    other = split_data([source], None, n_folds=3, seed=1)
    with monkeypatch.context() as patched:
        patched.setattr("optdet.data.split._write_labels", kill)
        with pytest.raises(Killed):
            write_split(other, parted / "folds", force=True)
    assert read_folds(parted / "folds/folds.json").sha256() == other.folds.sha256()
    assert [path.name for path in (parted / "folds").rglob("*.json")] == ["folds.json"]
    assert write_split(other, parted / "folds") == "exists"
    assert len(list((parted / "folds").rglob("*.json"))) == 7


def test_the_fingerprint_is_that_of_the_images(parted: Path) -> None:
    folds = read_folds(parted / "folds/folds.json")
    samples = load_source(parted / "train/images", parted / "train/labels.json").samples
    assert folds.fingerprint == fingerprint(samples)


# --- changed data ------------------------------------------------------------------------------------------


def drop_a_word(folder: Path) -> None:
    path = folder / "train/labels.json"
    tree = json.loads(path.read_text())
    tree["images"]["03.png"]["words"].popitem()
    path.write_text(json.dumps(tree))


def repaint(folder: Path) -> None:
    Image.new("RGB", (48, 48)).save(folder / "train/images/03.png")


def lose(folder: Path) -> None:
    (folder / "train/images/03.png").unlink()


def add(folder: Path) -> None:
    path = folder / "train/labels.json"
    tree = json.loads(path.read_text())
    tree["images"]["99.png"] = tree["images"]["03.png"]
    path.write_text(json.dumps(tree))
    Image.new("RGB", (48, 48)).save(folder / "train/images/99.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_a_word, "1 image has other words (03.png)"),
        (repaint, "1 image file is another (03.png)"),
        (lose, "1 image is gone (03.png)"),
        (add, "1 labelled image is new (99.png)"),
    ],
)
def test_changed_data_are_refused(parted: Path, change: Any, said: str) -> None:
    opened(parted, folded(parted))
    change(parted)
    for fold in range(3):
        with pytest.raises(DataChanged) as refused:
            opened(parted, folded(parted, fold=fold))
        assert f"{said} since the data were parted into these folds" in str(refused.value)
        assert "make a new study" in str(refused.value)
    # Labels are compared for every use, image files where they are read: a fold reads those it holds out.
    held = {image.name: image.fold for image in read_folds(parted / "folds/folds.json").images}["03.png"]
    for fold in range(3):
        located = locate(folded(parted, fold=fold), data_root=parted, data_dir=parted / "made")
        if change is repaint and fold != held:
            validation_samples(located)
            continue
        with pytest.raises(DataChanged):
            validation_samples(located)


# --- groups ------------------------------------------------------------------------------------------------


def test_groups_of_the_label_file_stay_together(tmp_path: Path) -> None:
    groups = {0: "a", 1: "a", 2: "a", 3: 7, 4: 7}
    split = split_data([make_source(tmp_path, 12, groups=groups)], None, n_folds=4)
    homes = fold_of(split)
    assert homes["00.png"] == homes["01.png"] == homes["02.png"]
    assert homes["03.png"] == homes["04.png"]
    assert sorted(len(names_of(split, fold)) for fold in range(4)) == [3, 3, 3, 3]
    write_split(split, tmp_path / "folds")  # and other programs, or another split, are told
    held = label_place(tmp_path / "folds", homes["00.png"], "val")
    assert parse_ufo(held, held.read_text()).groups["01.png"] == "a"


def test_a_table_of_groups(tmp_path: Path) -> None:
    source = make_source(tmp_path, 12, groups={0: "a", 1: "a"})
    table = tmp_path / "groups.csv"
    table.write_text("name,group\n05.png,shop\n06.png,shop\n07.png,shop\n01.png,shop\nnone.png,x\n")
    split = split_data([source], None, n_folds=3, groups=table)
    homes = fold_of(split)
    assert len({homes[name] for name in ("05.png", "06.png", "07.png", "01.png")}) == 1
    assert split.notes == (f"1 name of {table} fit no image, the first is none.png",)
    table.write_text("name,group\n\n06.png,shop\n05.png;shop\n")
    with pytest.raises(OptdetError, match=r"groups\.csv:4: not an image's name and its group"):
        split_data([source], None, n_folds=3, groups=table)
    table.write_text("05.png,shop\n06.png,shop\nimages/05.png,kiosk\n")
    with pytest.raises(OptdetError, match=r"groups\.csv:3: images/05\.png is in group kiosk here and in"):
        split_data([source], None, n_folds=3, groups=table)


def test_a_row_that_could_mean_two_images_is_refused(tmp_path: Path) -> None:
    train, val = make_source(tmp_path / "a", 4), make_source(tmp_path / "b", 4, first=20)
    table = tmp_path / "groups.csv"
    table.write_text("a/images/00.png,shop\n01.png,shop\n")
    with pytest.raises(OptdetError, match=r"groups\.csv:2: 01\.png could be any of several images; write"):
        split_data([train], val, n_folds=2, with_val=True, groups=table)
    table.write_text("a/images/00.png,shop\nc/images/01.png,shop\n")
    notes = split_data([train], val, n_folds=2, with_val=True, groups=table).notes
    assert notes == (f"1 name of {table} fit no image, the first is c/images/01.png",)


def test_a_group_that_is_no_name_is_a_problem_of_the_labels(tmp_path: Path) -> None:
    source = make_source(tmp_path, 4, groups={0: ["a"], 1: True, 2: "b"})
    labels = load_source(Path(source.images), Path(source.labels)).label_file
    assert [problem.where for problem in labels.problems] == ["images/00.png", "images/01.png"]
    assert dict(labels.groups) == {"02.png": "b"}


def test_a_blank_group_is_none_and_0_is_one(tmp_path: Path) -> None:
    source = make_source(tmp_path, 8, groups={0: "", 1: "", 2: " ", 3: 0, 4: 0})
    labels = load_source(Path(source.images), Path(source.labels)).label_file
    assert labels.problems == ()
    assert dict(labels.groups) == {"03.png": "0", "04.png": "0"}
    assert split_data([source], None, n_folds=7).folds.n_folds == 7


def test_images_with_the_same_file_stay_together(tmp_path: Path) -> None:
    source = make_source(tmp_path, 12, groups={2: "a", 3: "a"})
    images = Path(source.images)
    for copy, of in (("05.png", "00.png"), ("09.png", "00.png"), ("07.png", "02.png")):
        shutil.copyfile(images / of, images / copy)
    for seed in range(5):
        split = split_data([source], None, n_folds=4, seed=seed)
        homes = fold_of(split)
        assert homes["05.png"] == homes["09.png"] == homes["00.png"]
        assert homes["07.png"] == homes["02.png"] == homes["03.png"]
        assert "3 images with the same pixels as another: kept in its fold" in split.notes


def test_images_of_the_same_pixels_stay_together_and_near_copies_apart_are_said(tmp_path: Path) -> None:
    source = make_source(tmp_path, 8)
    images = Path(source.images)
    blocks = np.random.default_rng(1).integers(0, 256, (30, 20), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((200, 300), Image.Resampling.NEAREST).convert("RGB")
    picture.save(images / "00.png", compress_level=1)
    picture.save(images / "05.png", compress_level=9)
    said = set()
    for seed in range(6):
        split = split_data([source], None, n_folds=4, seed=seed)
        assert fold_of(split)["00.png"] == fold_of(split)["05.png"]
        assert copies_across(split.samples, split.folds.images, split.looks) == []
    picture.resize((190, 285)).save(images / "05.png")
    for seed in range(6):
        split = split_data([source], None, n_folds=4, seed=seed)
        together = fold_of(split)["00.png"] == fold_of(split)["05.png"]
        notes = copies_across(split.samples, split.folds.images, split.looks)
        said.add(bool(notes))
        assert bool(notes) != together
        if notes:
            pair = f"{images}/00.png and {images}/05.png"
            assert notes[0].startswith(f"warning: 1 image in another fold than a copy, as {pair}: give such")
    assert True in said


# --- what cannot be parted ---------------------------------------------------------------------------------


def test_too_few_images_or_groups(tmp_path: Path) -> None:
    source = make_source(tmp_path, 4)
    with pytest.raises(OptdetError, match="4 images with readable words cannot make 5 folds"):
        split_data([source], None, n_folds=5)
    grouped = make_source(tmp_path / "b", 6, groups=dict.fromkeys(range(5), "all"))
    with pytest.raises(OptdetError, match="2 groups with readable words cannot make 3 folds"):
        split_data([grouped], None, n_folds=3)
    with pytest.raises(OptdetError, match="no validation images"):
        split_data([source], None, n_folds=2, with_val=True)


def test_an_image_of_two_sources_is_refused(tmp_path: Path) -> None:
    source = make_source(tmp_path, 4)
    shutil.copyfile(source.labels, tmp_path / "other.json")
    twice = [source, source.model_copy(update={"labels": str(tmp_path / "other.json")})]
    with pytest.raises(OptdetError, match=r"the image 00\.png is in .*labels\.json too"):
        split_data(twice, None, n_folds=2)


def test_a_judge_that_was_learnt_from_is_said(tmp_path: Path) -> None:
    train, val = make_source(tmp_path / "train", 6), make_source(tmp_path / "val", 3, first=2)
    shutil.copyfile(Path(train.images) / "03.png", Path(val.images) / "01.png")
    assert "1 image of" in split_data([train], val, n_folds=2).notes[-1]
    assert "what is judged on them was learnt from them" in split_data([train], val, n_folds=2).notes[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ('{"images": {}}', "not a file of folds"),
        ("[]", "not a file of folds"),
        ('{"n_folds": 2, "seed": 0}', "with_val"),
    ],
)
def test_a_file_that_is_no_partition(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds/folds.json").write_text(content)
    with pytest.raises(OptdetError, match=said):
        opened(tmp_path, folded(tmp_path))
    with pytest.raises(OptdetError, match="no file of folds is there"):
        opened(tmp_path / "nowhere", folded(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda images: images.append(dict(images[-1])), r"10\.png of source 1 is listed twice"),
        (lambda images: images[-1].update(source=3), r"10\.png is of source 3, and they are 0 to 1"),
        (lambda images: images[0].update(source=1), r"01\.png of source 0 comes after images of source 1"),
    ],
)
def test_a_file_whose_images_are_not_those_of_its_sources(tmp_path: Path, change: Any, said: str) -> None:
    sources = [make_source(tmp_path / "a", 4), make_source(tmp_path / "b", 11, first=20)]
    write_split(split_data(sources, None, n_folds=2), tmp_path / "folds")
    path = tmp_path / "folds/folds.json"
    tree = json.loads(path.read_text())
    change(tree["images"])
    path.write_text(json.dumps(tree))
    with pytest.raises(OptdetError, match=said):
        read_folds(path)


def test_a_fold_that_is_not_there(parted: Path) -> None:
    with pytest.raises(OptdetError, match="there is no fold 3: they are 0 to 2"):
        opened(parted, folded(parted, fold=3))


def test_synthetic_receipts_are_made_again_where_they_are_gone(tmp_path: Path) -> None:
    settings = SyntheticConfig(train=4, val=2, image_size=192)
    located = locate(DataConfig(synthetic=settings), data_root=tmp_path, data_dir=tmp_path / "made")
    split = split_data(located.train, located.val, n_folds=2, synthetic=settings)
    write_split(split, tmp_path / "folds")
    shutil.rmtree(tmp_path / "made")
    sets = opened(tmp_path, folded(tmp_path, fold=1))
    assert (len(sets.train), len(sets.val)) == (2, 2)
