"""Training on several sources, as a user sees it: a line an epoch, `study show`, and its JSON."""

from __future__ import annotations

import json
import re

TWO = """\
data:
  train:
    - {images: one/train/images, labels: one/train/labels.json}
    - {images: two/train/images, labels: two/train/labels.json, weight: 0.5}
  val: {images: one/val/images, labels: one/val/labels.json}
  size: 96
  workers: 0
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16}
train: {epochs: 2, batch_size: 3}
postprocess: {tune: {method: none}}
"""


def test_counts_and_losses_by_source(optdet, tmp_path):
    for seed, name in enumerate(("one", "two")):
        sizes = ("--train", 4, "--val", 1, "--image-size", 192, "--seed", seed)
        assert optdet("data", "synth", name, *sizes).code == 0
    (tmp_path / "two.yaml").write_text(TWO)
    ran = optdet("train", "two.yaml")
    assert ran.code == 0, ran.err
    line = (
        r"trial 0 epoch {} by source: one/train/images 4 images, loss \d+\.\d{{3}}; "
        r"two/train/images 2 images, loss \d+\.\d{{3}}\n"
    )
    for epoch in (1, 2):
        assert re.search(line.format(epoch), ran.err), ran.err
    shown = json.loads(optdet("study", "show", "two", "--json").out)
    (trial,) = shown["trials"]
    assert [epoch["epoch"] for epoch in trial["sources"]] == [1, 2]
    assert [source["n_images"] for source in trial["sources"][1]["sources"]] == [4, 2]
    assert re.search(line.format(2), optdet("study", "show", "two").out)
