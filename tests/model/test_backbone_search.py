"""A network is found by its tensors alone."""

from __future__ import annotations

import baseline_home
import pytest
import timm
import torch

from optdet.errors import OptdetError
from optdet.model.backbone_search import find_backbones, require_one
from optdet.model.baseline_weights import split_tensors

NAMES = (
    "test_efficientnet",
    "test_efficientnet_gn",
    "test_mambaout",
    "resnet18",
    "test_resnet",
    "test_convnext",
)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_it_is_found_among_others(name: str) -> None:
    parts = split_tensors(baseline_home.tensors(name), "a.ckpt")
    tried = []
    found = find_backbones(
        parts.encoder, parts.level_channels, names=NAMES, on_network=lambda *count: tried.append(count)
    )
    assert found == [name]
    assert tried[-1][0] == tried[-1][1] <= len(NAMES)


def test_networks_that_tensors_cannot_tell_apart_are_all_given() -> None:
    net = timm.create_model("efficientnet_b0", features_only=True, pretrained=False)
    channels = net.feature_info.channels()[-4:]
    names = ("tf_efficientnet_b0", "efficientnet_b1", "efficientnet_b0")
    found = find_backbones(net.state_dict(), channels, names=names)
    assert found == ["efficientnet_b0", "tf_efficientnet_b0"]


def test_other_levels_are_another_network() -> None:
    parts = split_tensors(baseline_home.tensors(), "a.ckpt")
    assert find_backbones(parts.encoder, (1, 2, 3, 4), names=NAMES) == []


def test_none_is_an_error() -> None:
    found = find_backbones({"conv_stem.weight": torch.zeros(1)}, (1, 2, 3, 4), names=NAMES)
    with pytest.raises(OptdetError, match=r"a\.ckpt: no network of timm has these tensors"):
        require_one(found, "a.ckpt")


@pytest.mark.slow
def test_it_is_found_among_all_of_timm() -> None:
    net = timm.create_model("mobilenetv3_small_050", features_only=True, pretrained=False)
    found = find_backbones(net.state_dict(), net.feature_info.channels()[-4:])
    assert found == ["mobilenetv3_small_050"]
