"""``optdet export``: what a user of the file has, in onnxruntime and in OpenCV, by the README's own lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from optdet.config import Config
from optdet.data.dataset import PackedTargets
from optdet.data.predictions import read_predictions
from optdet.data.synthetic.receipts import render_receipt
from optdet.detection.targets import build_targets
from optdet.geometry.letterbox import Letterbox
from optdet.inference.detector import Normalizer, new_model, open_checkpoint
from optdet.inference.preprocessing import Preprocessing
from optdet.metrics.iou import iou_matrix
from optdet.model.checkpoint_file import save_checkpoint
from optdet.model.losses import DBLoss

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SIZE = 192
N_UPDATES = 60
THRESHOLDS = {
    "thresh": 0.35,
    "box_thresh": 0.2,
    "unclip_ratio": 1.6,
    "max_candidates": 900,
    "use_polygon": False,
    "min_side": 3.0,
}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A folder with a receipt, and a checkpoint that knows it by heart."""
    folder = tmp_path_factory.mktemp("learnt")
    receipt = render_receipt(0, 0, size=256, difficulty=0.0)
    (folder / "images").mkdir()
    image = receipt.image.copy()
    image[..., 2] = 255 - image[..., 0]  # channels in the wrong order are another picture
    for path in (folder / "receipt.png", folder / "images" / "receipt.png"):
        Image.fromarray(image).save(path)
    height, width = image.shape[:2]
    letterbox = Letterbox(width, height, size=SIZE)
    tree = {
        "data": {"size": SIZE},
        "model": {
            "backbone": "mobilenetv3_small_050",
            "pretrained": False,
            "inner_channels": 32,
            "thresh_branch": False,
        },
    }
    config = Config.model_validate(tree)
    model = overfitted(config, letterbox.draw(image), letterbox, receipt.words)
    payload = {
        "config": config.model_dump(mode="json"),
        "model": model.state_dict(),
        "thresholds": THRESHOLDS,
    }
    save_checkpoint(folder / "detector.pt", payload)
    return folder


def overfitted(config, canvas, letterbox, words):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = new_model(config, for_training=True).train()
    polygons = [letterbox.to_canvas(word.polygon) for word in words]
    maps = build_targets(polygons, [False] * len(words), SIZE, thresh_branch=False)
    packed = PackedTargets(*(part[None] for part in PackedTargets.of(maps)))
    targets = packed.unpacked(thresh_min=0.3, thresh_max=0.7)
    images = Normalizer(Preprocessing.of(config), torch.device("cpu"))(torch.from_numpy(canvas)[None])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(N_UPDATES):
        optimizer.zero_grad()
        DBLoss(negative_ratio=1.0)(model(images), targets).total.backward()
        optimizer.step()
    torch.set_num_threads(n_threads)
    return model


def polygons_of(folder, source, optdet, name):
    ran = optdet("predict", source, "--images", "images", "--out", name, cwd=folder)
    assert ran.code == 0, ran.err
    (polygons,) = read_predictions(folder / name).values()
    return polygons


def test_the_readmes_lines_find_in_opencv_what_optdet_finds(learnt, optdet, monkeypatch):
    ran = optdet("export", "detector.pt", "--onnx", "opencv.onnx", "--opencv", "--force", cwd=learnt)
    assert ran.code == 0, ran.err
    assert f"opencv      {cv2.__version__} runs it, " in ran.out
    (block,) = re.findall(r"^```python\n(import json\n\nimport cv2.*?)^```$", README, re.M | re.S)
    monkeypatch.chdir(learnt)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    ours = polygons_of(learnt, "opencv.onnx", optdet, "opencv.csv")
    assert len(ours) >= 15
    polygons_of(learnt, "detector.pt", optdet, "torch.csv")
    assert (learnt / "opencv.csv").read_bytes() == (learnt / "torch.csv").read_bytes()
    assert len(names["quads"]) == len(names["scores"])
    overlaps = iou_matrix(ours, names["quads"])
    for of_one_side in (overlaps.max(axis=0), overlaps.max(axis=1)):
        assert np.mean(of_one_side > 0.5) >= 0.9  # all of them where this was written
        assert np.median(of_one_side) > 0.9
    image = cv2.cvtColor(cv2.imread("receipt.png"), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    canvas = Letterbox(width, height, size=SIZE).draw(image)
    np.testing.assert_array_equal(names["canvas"][..., ::-1], canvas)
    expected = open_checkpoint(learnt / "detector.pt", torch.device("cpu")).detector.unrounded_map(canvas)
    np.testing.assert_allclose(names["prob_map"], expected, atol=1e-4)


def test_what_it_says(learnt, optdet, tmp_path):
    out = tmp_path / "detector.onnx"
    ran = optdet("export", "detector.pt", "--onnx", out, cwd=learnt)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "detector.pt: mobilenetv3_small_050"
    assert lines[1] == "images      192 x 192, area, padded center"
    assert lines[2].startswith("thresholds  thresh 0.35, box_thresh 0.2, unclip_ratio 1.6")
    assert re.fullmatch(
        r"checked     a synthetic receipt: maps of onnxruntime and torch differ by \d\.\de-\d\d at most "
        r"\(0\.0001 is allowed\)",
        lines[3],
    )
    assert re.fullmatch(rf"wrote {out}, [\d.]+ MB; use it: optdet predict {out}, or .*", lines[4])
    assert len(lines) == 5
    assert ran.err == "steps of the export: 3 of 3\n"
    again = optdet("export", "detector.pt", "--onnx", out, cwd=learnt)
    assert again.error == f"error: {out}: the file exists; give another name, or --force"


def test_json_and_thresholds_of_ones_own(learnt, optdet, tmp_path):
    (tmp_path / "own.yaml").write_text("postprocess: {thresh: 0.4, box_thresh: 0.5}\n")
    out = tmp_path / "detector.onnx"
    given = ("--config", tmp_path / "own.yaml", "-t", "box_thresh=0.55", "--json")
    told = json.loads(optdet("export", "detector.pt", "--onnx", out, *given, cwd=learnt).out)
    assert set(told) == {
        "file",
        "bytes",
        "source",
        "input",
        "output",
        "free_axes",
        "metadata",
        "check",
        "notes",
    }
    assert (told["file"], told["bytes"], told["source"]) == (str(out), out.stat().st_size, "detector.pt")
    assert (told["input"], told["output"]) == ("image", "prob_map")
    assert told["free_axes"] == ["batch", "height", "width"]
    assert told["metadata"] == {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    thresholds = json.loads(told["metadata"]["thresholds"])
    assert (thresholds["thresh"], thresholds["box_thresh"]) == (0.4, 0.55)
    assert told["check"]["image"] == "a synthetic receipt"
    assert 0 <= told["check"]["max_difference"] <= told["check"]["tolerance"] == 1e-4
    assert told["check"]["opencv_difference"] is None
    assert told["notes"] == []
    said = optdet("predict", out, "--images", "images", "--out", "own.csv", "--size", "96", cwd=learnt).err
    assert "at thresh 0.4, box_thresh 0.55" in said
    assert "is an export of optdet, with settings of its own: --size is not used" in said


def test_a_view_on_another_side(learnt, optdet, tmp_path):
    for name, options in (("free.onnx", ()), ("opencv.onnx", ("--opencv",))):
        ran = optdet("export", "detector.pt", "--onnx", tmp_path / name, *options, cwd=learnt)
        assert ran.code == 0, ran.err
    command = ("predict", tmp_path / "free.onnx", "--images", "images", "--out", "view.csv")
    assert optdet(*command, "--tta", "scale:256,hflip", cwd=learnt).code == 0
    ran = optdet("predict", tmp_path / "opencv.onnx", *command[2:], "--tta", "scale:256", cwd=learnt)
    assert "takes images of 192 x 192, not 256 x 256; leave that view out" in ran.error


def test_without_a_file_to_write_it_is_wrong_usage(learnt, optdet):
    assert optdet("export", "detector.pt", cwd=learnt).code == 2
