"""A SOURCE: a study, one of its trials, a checkpoint, an ONNX file or a folder of maps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.config import PostprocessConfig
from optdet.errors import OptdetError
from optdet.inference.map_cache import MapCache
from optdet.structures import Sample
from optdet.tuning import attributes as attr
from optdet.tuning.results import best_trial, checkpoint_path
from optdet.tuning.source import SourceOptions, labelled_samples, open_source, scorers_of

DEFAULT = PostprocessConfig().thresholds()


@pytest.fixture
def options(finished):
    return SourceOptions(storage=finished.database.url)


def weights(source):
    parameters = source.maps.open().detector.model.parameters()
    return np.concatenate([each.detach().numpy().ravel() for each in parameters])


def maps_of(source, samples):
    return [np.array(image.detector.prob_map) for image in source.maps.maps([s.image_path for s in samples])]


def test_a_study_is_its_best_trial(finished, options, tmp_path):
    best = best_trial(finished)
    file = tmp_path / "model.pt"
    shutil.copyfile(checkpoint_path(finished, best), file)
    study, trial = (open_source(name, options) for name in ("finished", f"finished:{best.number}"))
    alone = open_source(str(file), options)
    assert study.title == trial.title == f"finished:{best.number}"
    assert alone.title == "model.pt"
    for source in (study, trial, alone):
        assert source.thresholds.as_dict() == best.user_attrs[attr.THRESHOLDS]
        assert source.thresholds != DEFAULT
        assert np.array_equal(weights(source), weights(study))
    key = best.user_attrs[attr.MAP_KEY]
    assert alone.maps.open().key == study.maps.open().key == key
    assert study.maps.cache(key).folder.is_dir()
    np.testing.assert_array_equal(maps_of(alone, study.labelled()), maps_of(study, study.labelled()))
    assert alone.labelled is None


def test_a_checkpoint_in_the_place_of_a_trials_own_is_refused(finished, options):
    """Its maps are kept under the trial's key, so nothing else would notice."""
    mine, other = (checkpoint_path(finished, finished.study.trials[number]) for number in (1, 0))
    saved = mine.read_bytes()
    try:
        shutil.copyfile(other, mine)
        with pytest.raises(OptdetError, match="not the checkpoint that trial 1 saved") as refused:
            open_source("finished:1", options)
        assert str(mine) in str(refused.value)
    finally:
        mine.write_bytes(saved)
    assert open_source("finished:1", options).title == "finished:1"


def test_another_trial_is_another_source(finished, options):
    best = best_trial(finished).number
    number = (best + 1) % 3
    source = open_source(f"finished:{number}", options)
    assert source.title == f"finished:{number}"
    assert source.thresholds.as_dict() == finished.study.trials[number].user_attrs[attr.THRESHOLDS]
    assert not np.array_equal(weights(source), weights(open_source("finished", options)))


def test_a_trial_has_its_validation_images_and_its_value(finished, options):
    source = open_source("finished", options)
    samples = labelled_samples(source, None, None)
    scorers = scorers_of(source, samples)
    hmean = np.mean([scorer.hmean(source.thresholds) for scorer in scorers])
    assert len(scorers) == 3
    assert hmean == pytest.approx(best_trial(finished).value, abs=1e-12)


HEAVY = """
import json, sys
from pathlib import Path
from optdet.inference.onnx_options import OnnxOptions
from optdet.tuning.source import SourceOptions, labelled_samples, open_source

name, storage, images = sys.argv[1:]
options = SourceOptions(storage=storage, onnx=OnnxOptions(size=64))
source = open_source(name, options)
samples = [] if images else labelled_samples(source, None, None)
paths = sorted(Path(images).iterdir()) if images else [sample.image_path for sample in samples]
maps = [float(image.detector.prob_map.sum()) for image in source.maps.maps(paths)]
print(json.dumps([[name for name in ("torch", "timm", "onnxruntime") if name in sys.modules], maps]))
"""


def in_a_new_process(name, storage, images=""):
    command = [sys.executable, "-c", HEAVY, str(name), str(storage), str(images)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_kept_maps_of_a_study_need_no_torch(finished, options):
    source = open_source("finished", options)
    expected = [float(prob_map.sum()) for prob_map in maps_of(source, source.labelled())]
    imported, sums = in_a_new_process("finished", finished.database.url)
    assert imported == []
    assert sums == expected


def test_kept_maps_of_an_onnx_file_need_no_onnxruntime(onnx_file, image_folder, tmp_path):
    first, made = in_a_new_process(onnx_file, tmp_path / "x.db", image_folder)
    again, kept = in_a_new_process(onnx_file, tmp_path / "x.db", image_folder)
    assert first == ["onnxruntime"]
    assert again == []
    assert kept == made


def test_naming_a_device_opens_the_detector(finished, options):
    """The recorded key may be that of another device's maps."""
    source = open_source("finished", replace(options, device="cpu"))
    maps_of(source, source.labelled())
    assert source.maps._opened is not None
    auto = open_source("finished", options)
    maps_of(auto, auto.labelled())
    assert auto.maps._opened is None


def test_maps_of_another_kind_are_never_mixed_in(finished, options, tmp_path):
    """One map of a recorded key is gone, and the detector here makes others: all are made anew."""
    trial = best_trial(finished)
    own = trial.user_attrs[attr.MAP_KEY]
    source = open_source("finished", options)
    source.maps._cache_dir, source.maps._key = tmp_path, "recorded"
    samples = source.labelled()
    paths = [sample.image_path for sample in samples]
    list(source.maps.maps(paths[:1]))
    shutil.copytree(tmp_path / "maps" / own, tmp_path / "maps" / "recorded")
    (tmp_path / "maps" / "recorded" / "note.json").unlink()
    list(source.maps.maps(paths))
    assert len(list((tmp_path / "maps" / "recorded").glob("*.npy"))) == 1
    assert len(list((tmp_path / "maps" / own).glob("*.npy"))) == len(paths)


def test_a_cache_of_another_checkpoint(finished, options, tmp_path):
    source = open_source("finished", options)
    source.maps._cache_dir = tmp_path
    paths = [sample.image_path for sample in source.labelled()]
    list(source.maps.maps(paths))
    key = source.maps.open().key
    note = MapCache.of(tmp_path, key).folder / "note.json"
    note.write_text(note.read_text().replace(key, "0123456789"))
    message = rf"{key}: the maps there are those of finished:\d \(0123456789\); delete the folder"
    with pytest.raises(OptdetError, match=message):
        list(source.maps.maps(paths))


def test_an_onnx_file_and_a_folder_of_maps(onnx_file, image_folder, options, tmp_path):
    from optdet.inference.onnx_options import OnnxOptions

    samples = [Sample(path.name, path, ()) for path in sorted(image_folder.iterdir())]
    chosen = replace(options, root=str(tmp_path), onnx=OnnxOptions(size=64))
    model = open_source(str(onnx_file), chosen)
    made = maps_of(model, samples)
    folder = tmp_path / "my-maps"
    folder.mkdir()
    for sample, prob_map in zip(samples, made, strict=True):
        np.save(folder / f"{Path(sample.name).stem}.npy", prob_map)
    ready = open_source(str(folder), chosen)
    np.testing.assert_array_equal(maps_of(ready, samples), made)
    assert (model.title, ready.title) == ("detector.onnx", "my-maps")
    for source in (model, ready):
        assert source.thresholds == DEFAULT
        with pytest.raises(OptdetError, match=r"no labelled images of its own; give --images and --labels"):
            labelled_samples(source, None, None)
        with pytest.raises(OptdetError, match=r"--images and --labels go together"):
            labelled_samples(source, image_folder, None)


def test_a_folder_without_maps(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").mkdir()
    with pytest.raises(
        OptdetError, match=r"^plain: a folder without maps; .*: no study named 'plain'; name a"
    ):
        open_source("plain", options)
    with pytest.raises(OptdetError, match=r"a folder without maps; and as a study: there are no studies yet"):
        open_source("plain", SourceOptions(storage=str(tmp_path / "none.db")))
    (tmp_path / "finished").mkdir()
    assert open_source("finished", options).title.startswith("finished:")


def test_a_device_that_is_not_used_is_said_and_an_unknown_one_refused(onnx_file, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8)))
    for source in (tmp_path, onnx_file):
        for device, n_notes in (("auto", 0), ("cpu", 0), ("cuda:1", 1)):
            said = []
            open_source(str(source), SourceOptions(device=device, say=said.append, root=str(tmp_path)))
            assert len(said) == n_notes
            assert all("--device is not used" in line for line in said)
        with pytest.raises(OptdetError, match=r"'tpu' is not a device; give auto, cpu, cuda"):
            open_source(str(source), SourceOptions(device="tpu"))


def test_all_empty_maps(image_folder, tmp_path):
    samples = [Sample(path.name, path, ()) for path in sorted(image_folder.iterdir())]
    folder = tmp_path / "maps"
    folder.mkdir()
    for sample in samples:
        np.save(folder / f"{sample.name}.npy", np.full((64, 64), 0.049, np.float32))
    source = open_source(str(folder))
    with pytest.raises(OptdetError, match=r"^maps: all 3 maps are empty: nowhere above 0.05; check mean"):
        scorers_of(source, samples)
    np.save(folder / f"{samples[0].name}.npy", np.full((64, 64), 0.06, np.float32))
    assert len(scorers_of(source, samples)) == 3  # one page without words is no fault


def test_labels_for_other_images(image_folder, tmp_path):
    labels = tmp_path / "labels.json"
    words = {"1": {"points": [[1, 1], [9, 1], [9, 9], [1, 9]]}}
    labels.write_text(json.dumps({"images": {"elsewhere.jpg": {"words": words}}}))
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "a.npy", np.zeros((8, 8)))
    source = open_source(str(tmp_path / "maps"))
    with pytest.raises(OptdetError, match=r"none of the 1 labelled images is here \(elsewhere.jpg"):
        labelled_samples(source, image_folder, labels)


@pytest.fixture
def image_folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate(((90, 60), (50, 100), (64, 64))):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def onnx_file(tmp_path):
    """The mean of the channels, through a sigmoid."""
    from onnx import TensorProto, checker, helper, save

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sigmoid", ["mean"], ["maps"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "h", "w"])
        for name, channels in (("x", 3), ("maps", 1))
    ]
    graph = helper.make_graph(nodes, "detector", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    path = tmp_path / "detector.onnx"
    save(model, path)
    return path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.pt", r"missing.pt: no such checkpoint file"),
        ("missing.onnx", r"missing.onnx: no such ONNX file"),
        ("some/where", "no such file or folder"),
        ("maps/", r"maps/: no such file or folder"),
        ("finished:best", r"'best' is not a trial number; write STUDY:TRIAL"),
        ("finished:9", "there is no trial 9"),
        (
            "detector.p",
            r"detector.p: no such file; and as a study: no study named 'detector.p'; check the path",
        ),
        ("finish", r"no study named 'finish'.*did you mean finished"),
    ],
)
def test_errors(options, source, message):
    with pytest.raises(OptdetError, match=message):
        open_source(source, options)


def test_an_unknown_placement(options):
    with pytest.raises(OptdetError, match=r"--placement: unknown value 'squeeze'; use auto, letterbox or"):
        open_source("finished", replace(options, placement="squeeze"))
