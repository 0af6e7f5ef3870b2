"""What trials could not begin with is refused before the first of them."""

from __future__ import annotations

import baseline_home
import pytest

from optdet.errors import OptdetError
from optdet.inference.lightning_import import import_checkpoint
from optdet.tuning.preflight import check_networks


@pytest.fixture
def start(tmp_path):
    path = baseline_home.save(tmp_path / "home.ckpt", baseline_home.tensors())
    return str(import_checkpoint(path, tmp_path / "home.pt", backbone="test_efficientnet").out)


MODEL = {"backbone": "test_efficientnet", "inner_channels": 16}


def test_a_start_spares_the_pretrained_weights(define, start):
    # They could not be had here: the network has none.
    check_networks(define("a", config={"model": MODEL, "train": {"start": start}}))
    with pytest.raises(OptdetError, match=r"home\.pt: the weights do not fit resnet18"):
        check_networks(define("a", config={"model": {"backbone": "resnet18"}, "train": {"start": start}}))
    with pytest.raises(OptdetError, match=r"gone\.pt: the checkpoint cannot be read"):
        check_networks(define("a", config={"model": MODEL, "train": {"start": "gone.pt"}}))


def test_starts_that_are_varied_are_all_looked_at(define, start):
    space = {"train.start": {"type": "categorical", "choices": [start, "gone.pt"]}}
    with pytest.raises(OptdetError, match=r"gone\.pt: the checkpoint cannot be read"):
        check_networks(define("a", config={"model": MODEL}, space=space))
