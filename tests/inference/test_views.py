"""Other views of an image: their maps lie as the image's own, and are kept apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save
from PIL import Image

from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.inference.map_source import DetectorMaps, OpenedDetector
from optdet.inference.onnx_detector import OnnxDetector
from optdet.inference.onnx_options import OnnxOptions
from optdet.inference.views import View, parse_views

HFLIP, VFLIP = View("hflip"), View("vflip")
SIZE = 64


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """An image whose canvas has an odd number of columns of padding: 10 left, 11 right."""
    path = tmp_path / "uneven.png"
    pixels = np.random.default_rng(0).integers(0, 256, (92, 62, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    place = Letterbox(62, 92, size=SIZE)
    assert (place.left, SIZE - place.left - place.inner_width) == (10, 11)
    return path


def onnx_maps(path: Path, nodes, cache_dir: Path, initializers=(), *, side="s") -> DetectorMaps:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, side, side])
        for name, channels in (("x", 3), ("y", 1))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=list(initializers))
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    options = OnnxOptions(mean=(0.0,), std=(1.0,), size=SIZE)
    key = options.key(path)
    return DetectorMaps(
        title=path.name,
        preprocessing=options.preprocessing,
        open_detector=lambda: OpenedDetector(OnnxDetector(path, options), key),
        cache_dir=cache_dir,
        key=key,
        max_gb=1,
    )


MEAN = helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1)


@pytest.fixture
def symmetric(tmp_path: Path) -> DetectorMaps:
    """Sees the brightest of a pixel's surroundings, to the left as to the right."""
    pool = helper.make_node("MaxPool", ["m"], ["y"], kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    return onnx_maps(tmp_path / "symmetric.onnx", [MEAN, pool], tmp_path / "cache")


@pytest.fixture
def leaning(tmp_path: Path) -> DetectorMaps:
    """Sees the pixel at the right of each."""
    pool = helper.make_node("MaxPool", ["m"], ["y"], kernel_shape=[1, 2], pads=[0, 0, 0, 1])
    return onnx_maps(tmp_path / "leaning.onnx", [MEAN, pool], tmp_path / "cache")


def map_of(maps: DetectorMaps, path: Path):
    (image,) = maps.maps([path])
    return np.array(image.detector.given_map), image.detector.letterbox


@pytest.mark.parametrize("view", [HFLIP, VFLIP])
def test_a_mirrored_view_of_a_symmetric_detector_is_the_image_itself(symmetric, uneven, view):
    """To the bit, with padding that the middle of the canvas does not halve."""
    own, place = map_of(symmetric, uneven)
    seen, seen_place = map_of(symmetric.seen_as(view), uneven)
    assert own.max() > 0.5
    assert seen.tobytes() == own.tobytes()
    assert seen_place == place


def test_a_mirrored_view_of_a_detector_that_leans_leans_to_the_other_side(leaning, uneven):
    own, _ = map_of(leaning, uneven)
    seen, _ = map_of(leaning.seen_as(HFLIP), uneven)
    assert not np.array_equal(own, seen)
    np.testing.assert_array_equal(seen[:, 1:], own[:, :-1])
    up, _ = map_of(leaning.seen_as(VFLIP), uneven)
    np.testing.assert_array_equal(up, own)


def test_a_trained_detector_in_the_mirror(detector, image_paths):
    canvas = detector.preprocessing.letterbox(image_paths[0]).draw(np.array(Image.open(image_paths[0])))
    seen = HFLIP.detector(detector).prob_map(canvas)
    by_hand = detector.prob_map(np.ascontiguousarray(canvas[:, ::-1]))[:, ::-1]
    np.testing.assert_array_equal(seen, by_hand)
    assert not np.array_equal(seen, detector.prob_map(canvas))


def test_a_scaled_view_is_the_same_detector_on_another_canvas(detector, image_paths, tmp_path):
    maps = DetectorMaps(
        title="d",
        preprocessing=detector.preprocessing,
        open_detector=lambda: OpenedDetector(detector, "k"),
        cache_dir=tmp_path,
        key="k",
        max_gb=1,
    )
    seen, place = map_of(maps.seen_as(View("scale", 96)), image_paths[0])
    assert seen.shape == (96, 96)
    assert place.canvas_width == 96
    canvas = place.draw(np.array(Image.open(image_paths[0])))
    np.testing.assert_array_equal(seen, detector.at_size(96).prob_map(canvas))
    assert detector.preprocessing.size == 64


def test_maps_of_views_are_kept_apart_and_read_again(symmetric, uneven, tmp_path):
    views = [symmetric, symmetric.seen_as(HFLIP), symmetric.seen_as(View("scale", 96))]
    for maps in views:
        map_of(maps, uneven)
    folders = sorted((tmp_path / "cache" / "maps").iterdir())
    assert len({maps.identity for maps in views} & {folder.name for folder in folders}) == 3
    notes = [json.loads((folder / "note.json").read_text()) for folder in folders]
    assert {note["title"] for note in notes} == {"symmetric.onnx"}
    assert sorted(note["preprocessing"].get("view", "") for note in notes) == ["", "hflip", "scale:96"]
    again = symmetric.seen_as(HFLIP)
    map_of(again, uneven)
    assert again._opened is None  # nothing was opened: the map was there


def test_a_model_of_one_size_has_no_scaled_view(tmp_path, uneven):
    pool = helper.make_node("MaxPool", ["m"], ["y"], kernel_shape=[1, 1])
    fixed = onnx_maps(tmp_path / "fixed.onnx", [MEAN, pool], tmp_path / "cache", side=SIZE)
    map_of(fixed.seen_as(HFLIP), uneven)
    with pytest.raises(OptdetError, match="the model takes images of 64 x 64, not 96 x 96"):
        map_of(fixed.seen_as(View("scale", 96)), uneven)


def test_a_network_of_one_size_has_no_scaled_view(detector):
    detector.model.backbone.only_side = 64
    assert detector.at_size(64).preprocessing.size == 64
    with pytest.raises(OptdetError, match="scale:96: the network takes canvases of 64 pixels alone"):
        detector.at_size(96)


def test_each_detector_keeps_its_number_of_threads(detector, image_paths, config, tmp_path):
    """Several are open at once, and the last bits of a map depend on it."""
    from optdet.inference.detector import restore

    payload = {"config": config.model_dump(mode="json"), "model": detector.model.state_dict()}
    device = torch.device("cpu")
    canvas = np.zeros((64, 64, 3), np.uint8)
    try:
        one, two = (restore({**payload, "n_threads": n}, device, "x").detector for n in (1, 2))
        keys = [one.key(), two.key()]
        for opened, n_threads in ((one, 1), (two, 2), (one, 1)):
            opened.prob_map(canvas)
            assert torch.get_num_threads() == n_threads
            assert [one.key(), two.key()] == keys
        assert one.at_size(96).key() != one.key()
        two.at_size(96).prob_map(np.zeros((96, 96, 3), np.uint8))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_views_as_they_are_written():
    assert parse_views(["scale:1152,hflip"]) == (View("scale", 1152), HFLIP)
    assert parse_views(["hflip", "vflip, scale:96"]) == (HFLIP, VFLIP, View("scale", 96))
    assert [str(view) for view in parse_views(["scale:96,vflip"])] == ["scale:96", "vflip"]
    assert parse_views([]) == parse_views([""]) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotate:90", "--tta: 'rotate:90' is no augmentation; give scale:SIDE, hflip or vflip"),
        ("scale", "'scale' is no augmentation"),
        ("scale:1000", r"1000 is not a multiple of 32 up to 8192; as scale:992"),
        ("scale:0", "0 is not a multiple of 32 up to 8192; as scale:32"),
        ("scale:99999", "99999 is not a multiple of 32 up to 8192; as scale:8192"),
        ("hflip,hflip", "hflip is given twice"),
    ],
)
def test_what_is_no_view(text, message):
    with pytest.raises(OptdetError, match=message):
        parse_views([text])
