"""An export is the detector of its source: the same maps, thresholds and words, and where it is from."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from optdet import __version__
from optdet.errors import OptdetError
from optdet.inference import onnx_export
from optdet.inference.onnx_metadata import read_properties
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.detector_export import DetectorExport, Wanted, export_detector
from optdet.tuning.pack import pack_trial
from optdet.tuning.results import best_trial, checkpoint_path, find_trial
from optdet.tuning.source import SourceOptions, labelled_samples, open_source
from optdet.tuning.study import OpenStudy


@pytest.fixture(scope="module")
def options(finished: OpenStudy) -> SourceOptions:
    return SourceOptions(storage=finished.database.url)


@pytest.fixture(scope="module")
def exported(
    finished: OpenStudy, options: SourceOptions, tmp_path_factory: pytest.TempPathFactory
) -> DetectorExport:
    out = tmp_path_factory.mktemp("exported") / "new folder" / "detector.onnx"
    return export_detector("finished", Wanted(out), options)


def test_the_file_is_a_source_of_the_same_words(
    finished: OpenStudy, options: SourceOptions, exported: DetectorExport
) -> None:
    study, file = (open_source(source, options) for source in ("finished", str(exported.out)))
    assert file.thresholds == study.thresholds == exported.thresholds
    paths = [sample.image_path for sample in labelled_samples(study, None, None)]
    assert len(paths) == 3
    for own, again in zip(study.maps.maps(paths), file.maps.maps(paths), strict=True):
        assert again.detector.letterbox == own.detector.letterbox
        assert own.detector.prob_map.std() > 0.01
        np.testing.assert_allclose(again.detector.prob_map, own.detector.prob_map, atol=1e-3)
    for thresholds in (None, Thresholds(0.2, 0.0, 2.0, 100, False, 1.0)):
        found = [list(source.detect(paths, thresholds)) for source in (study, file)]
        assert sum(map(len, found[0])) > 0 or thresholds is None
        for own, again in zip(*found, strict=True):
            assert list(map(len, own.polygons)) == list(map(len, again.polygons))
            for first, second in zip(own.polygons, again.polygons, strict=True):
                np.testing.assert_array_equal(first, second)


def test_what_the_file_says_of_itself(finished: OpenStudy, exported: DetectorExport) -> None:
    trial = best_trial(finished)
    properties = read_properties(exported.out)
    assert properties == exported.properties
    told = {name: properties.pop(name) for name in ("optdet", "source", "backbone")}
    assert told == {
        "optdet": __version__,
        "source": f"finished:{trial.number}",
        "backbone": "test_efficientnet",
    }
    values = {name: json.loads(text) for name, text in properties.items()}
    origin = values.pop("trial")
    assert values == {
        "optdet_format": 1,
        "preprocessing": {
            "size": 64,
            "pad": "center",
            "interpolation": "area",
            "channels": "rgb",
            "pixels": [0, 255],
        },
        "normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "thresholds": trial.user_attrs[attr.THRESHOLDS],
        "shrink_ratio": 0.4,
        "hmean": trial.value,
        "hmean_crossfit": trial.user_attrs[attr.CROSSFIT],
    }
    assert (origin["study"], origin["number"], origin["value"]) == ("finished", trial.number, trial.value)
    assert origin[attr.SCORES] == trial.user_attrs[attr.SCORES]
    assert str(finished.data_root) not in exported.out.read_bytes().decode("latin-1")
    assert (exported.checked_on, exported.notes) == ("receipt_00000.jpg", ())
    assert 0 <= exported.max_difference <= onnx_export.TOLERANCE
    assert exported.n_bytes == exported.out.stat().st_size


def test_every_property_is_in_the_readme(exported: DetectorExport) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| metadata \| \|\n(.*?)\n\n", readme, re.M | re.S)
    named = set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines())))
    assert named == set(exported.properties)


def test_other_thresholds_leave_the_trials_scores_out(
    finished: OpenStudy, options: SourceOptions, tmp_path: Path
) -> None:
    tuned = Thresholds(0.2, 0.3, 1.5, 500, False, 3.0)
    wanted = Wanted(tmp_path / "d.onnx", changes=["box_thresh=0.4"], config=tuned)
    properties = export_detector("finished:0", wanted, options).properties
    expected = {**tuned.as_dict(), "box_thresh": 0.4}
    assert json.loads(properties["thresholds"]) == expected
    assert not {"hmean", "hmean_crossfit"} & set(properties)
    origin = json.loads(properties["trial"])
    assert (origin["study"], origin["number"]) == ("finished", 0)
    assert not {"value", attr.SCORES, attr.CROSSFIT, attr.INTERVAL} & set(origin)


def test_a_checkpoint_knows_its_trial_only_where_it_was_packed(
    finished: OpenStudy, options: SourceOptions, exported: DetectorExport, tmp_path: Path
) -> None:
    packed = pack_trial(finished, best_trial(finished), tmp_path / "packed.pt")
    bare = shutil.copyfile(checkpoint_path(finished, best_trial(finished)), tmp_path / "bare.pt")
    of_packed, of_bare = (
        export_detector(str(path), Wanted(path.with_suffix(".onnx")), options) for path in (packed, bare)
    )
    assert of_packed.properties == {**exported.properties, "source": "packed.pt"}
    assert set(exported.properties) - set(of_bare.properties) == {"trial", "hmean", "hmean_crossfit"}
    assert of_bare.thresholds == exported.thresholds
    assert of_packed.checked_on == of_bare.checked_on == "a synthetic receipt"


def test_for_opencv(finished: OpenStudy, options: SourceOptions, tmp_path: Path) -> None:
    assert find_trial(finished, 1).user_attrs[attr.THRESHOLDS]["use_polygon"] in (True, False)
    for name, is_polygon in (("use_polygon=true", True), ("use_polygon=false", False)):
        wanted = Wanted(tmp_path / "d.onnx", changes=[name], for_opencv=True, force=True)
        made = export_detector("finished", wanted, options)
        assert made.free_axes == ()
        assert made.opencv_difference is not None
        assert ["postprocess tune" in note for note in made.notes] == [True] * is_polygon
        assert open_source(str(made.out), options).thresholds.use_polygon is is_polygon


def test_without_its_images_a_receipt_is_made_up(
    finished: OpenStudy, options: SourceOptions, tmp_path: Path
) -> None:
    study = open_source("finished", options)
    path = labelled_samples(study, None, None)[0].image_path
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    try:
        made = export_detector("finished", Wanted(tmp_path / "d.onnx"), options)
    finally:
        hidden.rename(path)
    assert made.checked_on == "a synthetic receipt"
    (note,) = made.notes
    assert "receipt_00000.jpg" in note


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("maps", "a folder of maps has no network; give the study or checkpoint that made them"),
        ("onnx", "an ONNX file already; give the study, trial or checkpoint that it came from"),
        ("mean", "an ensemble is several networks; export its members, each to a file of its own"),
        ("votes", "an ensemble is several networks; export its members, each to a file of its own"),
        ("missing", "no such checkpoint file"),
        ("unknown", "unknown"),
    ],
)
def test_what_is_no_network_of_ours(
    options: SourceOptions, exported: DetectorExport, tmp_path: Path, kind: str, message: str
) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "page.npy", np.zeros((64, 64), np.float16))
    for name, method in (("mean", "maps"), ("votes", "votes")):
        tree = {"method": method, "members": [{"source": "finished:0"}, {"source": "finished:1"}]}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(tree))
    sources = {
        "maps": tmp_path / "maps",
        "onnx": exported.out,
        "mean": tmp_path / "mean.yaml",
        "votes": tmp_path / "votes.yaml",
        "missing": "missing.pt",
        "unknown": "unknown",
    }
    out = tmp_path / "out" / "detector.onnx"
    with pytest.raises(OptdetError, match=message):
        export_detector(str(sources[kind]), Wanted(out), options)
    assert not out.parent.exists()


def test_a_file_that_is_there_is_kept(options: SourceOptions, tmp_path: Path) -> None:
    out = tmp_path / "detector.onnx"
    out.write_bytes(b"mine")
    with pytest.raises(OptdetError, match="the file exists; give another name, or --force"):
        export_detector("finished", Wanted(out), options)
    assert out.read_bytes() == b"mine"
    export_detector("finished", Wanted(out, force=True), options)
    assert read_properties(out)["optdet"] == __version__


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detector.pt", "name it .onnx"),
        ("folder.onnx", "the file exists"),
        ("file/detector.onnx", "a file, where a folder is wanted"),
    ],
)
def test_places_that_cannot_be(
    options: SourceOptions, tmp_path: Path, name: str, message: str, force: bool
) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OptdetError, match=message):
        export_detector("finished", Wanted(tmp_path / name, force=force), options)


def test_nothing_is_written_where_the_maps_differ(
    options: SourceOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "detector.onnx"
    out.write_bytes(b"mine")
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(OptdetError, match="nothing was written"):
        export_detector("finished", Wanted(out, force=True), options)
    assert [path.name for path in tmp_path.iterdir()] == ["detector.onnx"]
    assert out.read_bytes() == b"mine"


def test_a_full_disk_leaves_what_was_there(options: SourceOptions, tmp_path: Path, small_disk) -> None:
    out = tmp_path / "detector.onnx"
    out.write_bytes(b"mine")
    open_source("finished", options)
    with small_disk(100_000), pytest.raises(OSError, match="File too large"):
        export_detector("finished", Wanted(out, force=True), options)
    assert [path.name for path in tmp_path.iterdir()] == ["detector.onnx"]
    assert out.read_bytes() == b"mine"
