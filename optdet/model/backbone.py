"""The backbone: any timm network with ``features_only``, its four levels of strides 4, 8, 16 and 32.

Images are (B, 3, S, S), S a multiple of 32; level i is (B, channels[i], S / STRIDES[i], S / STRIDES[i]),
channels first, fine to coarse. ``feature_info`` of timm says which levels have those strides; one
forward pass on building proves it, so that a network whose maps do not divide evenly is refused by name
here and not by a shape error in the neck. One that takes images of a single size (windows, position
tables) is built to take any, as timm's Swin can, or else for the size of the canvas.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from optdet.errors import OptdetError
from optdet.model.backbone_weights import load_weights_file, pretrained_overlay, pretrained_unavailable

STRIDES = (4, 8, 16, 32)

# Small, and a multiple of 32 but not of 64: a network that needs multiples of 64 fails on it.
_PROBE_SIDE = 96
_N_NEAR = 3


class _OtherSize(OptdetError):
    """The network does not run on images of the size that it was tried on."""


class Backbone(nn.Module):
    """A timm feature network reduced to the levels of ``STRIDES``; ``channels`` are theirs. ``only_side`` is
    the side of the images that it was built for, None where it takes any. ``smallest_batch`` is 1, or 2 for
    one with a batch norm behind a global pooling, which cannot be trained on a single image."""

    def __init__(self, net: nn.Module, *, name: str, side: int | None = None) -> None:
        super().__init__()
        self.net = net
        self.name = name
        self.only_side = side
        self._levels = _levels_of_strides(net.feature_info.reduction(), name)  # type: ignore[union-attr,operator]
        channels = net.feature_info.channels()  # type: ignore[union-attr,operator]
        self.channels: tuple[int, ...] = tuple(int(channels[level]) for level in self._levels)
        self._channels_last = str(getattr(net, "output_fmt", None)).endswith("NHWC")
        self.smallest_batch = 2 if _check_features(self, side) else 1

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The four levels, fine to coarse."""
        features = self.net(images)
        levels = tuple(features[level] for level in self._levels)
        return tuple(level.permute(0, 3, 1, 2) for level in levels) if self._channels_last else levels


def build_backbone(
    name: str, *, pretrained: bool = False, weights: Path | None = None, image_size: int | None = None
) -> Backbone:
    """A backbone with random weights, timm's (``pretrained``) or those of a file, which wins over timm's.

    ``image_size``, the canvas's side, is for a network that must be built for one size.

    Raises OptdetError for a name that timm does not have, a network without the four levels, weights that
    cannot be had, and a file that does not fit. A file costs no network; neither do timm's weights once
    they are in its cache.
    """
    check_backbone_name(name)
    # Built without weights first: what is wrong with the network is then known before anything is fetched.
    backbone, side, options = _build(name, image_size)
    if weights is not None:
        load_weights_file(backbone.net, weights, backbone_name=name)
    elif pretrained:
        backbone = Backbone(_create_pretrained(name, options), name=name, side=side)
    return backbone


def _build(name: str, image_size: int | None) -> tuple[Backbone, int | None, dict[str, Any]]:
    """Without weights: for any size where the network can, else for ``image_size``; and how it was built."""
    try:
        return Backbone(_create(name), name=name), None, {}
    except _OtherSize as error:
        refusal = error
    any_size: dict[str, Any] = {"strict_img_size": False}
    attempts = [(None, any_size)] + ([(image_size, {"img_size": image_size})] if image_size else [])
    for side, options in attempts:
        try:
            net = timm.create_model(name, pretrained=False, features_only=True, **options)
        except Exception:  # it does not take the option, or not this size: each family says so in its own way
            continue
        try:
            return Backbone(net, name=name, side=side), side, options
        except _OtherSize as error:
            refusal = error
    raise refusal


def check_backbone_name(name: str) -> None:
    """OptdetError for a name that timm does not have, with the nearest that it has."""
    if timm.is_model(name):
        return
    near = _nearest(name)
    fix = f"did you mean {', '.join(near)}?" if near else "`timm.list_models()` lists the names"
    raise OptdetError(f"timm has no backbone {name!r}", where="model.backbone", fix=fix)


def _nearest(name: str) -> list[str]:
    """Names that begin with the given one, the shortest first, else those that are like it; timm's own tiny
    test networks are never meant.
    """
    known = [other for other in timm.list_models() if not other.startswith("test_")]
    wanted = re.sub(r"[^a-z0-9]+", "_", name.rpartition("/")[2].lower())
    begun = [other for other in known if wanted and other.startswith(wanted)]
    begun.sort(key=lambda other: (len(other), other))
    return begun[:_N_NEAR] or difflib.get_close_matches(wanted, known, n=_N_NEAR, cutoff=0.6)


def _create(name: str) -> nn.Module:
    try:
        net: nn.Module = timm.create_model(name, pretrained=False, features_only=True)
    except Exception as error:  # each family of timm refuses features_only in its own way
        raise OptdetError(
            f"backbone {name!r} cannot be used: {error}",
            where="model.backbone",
            fix="take one that timm builds with features_only=True",
        ) from error
    return net


def _create_pretrained(name: str, options: dict[str, Any]) -> nn.Module:
    overlay = pretrained_overlay(name)
    try:
        net: nn.Module = timm.create_model(
            name, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay, **options
        )
    except Exception as error:  # the network was built a moment ago: this is the download or its file
        raise pretrained_unavailable(name, error) from error
    return net


def _levels_of_strides(reductions: Sequence[int], name: str) -> tuple[int, ...]:
    """The deepest level of each stride in ``STRIDES``."""
    deepest = {int(stride): level for level, stride in enumerate(reductions)}
    if not set(STRIDES) <= set(deepest):
        raise OptdetError(
            f"backbone {name!r} has feature maps of strides {', '.join(map(str, reductions))}; "
            f"{', '.join(map(str, STRIDES))} are needed",
            where="model.backbone",
            fix="take a pyramid network such as resnet50 or efficientnet_b4",
        )
    return tuple(deepest[stride] for stride in STRIDES)


def _check_features(backbone: Backbone, only_side: int | None) -> bool:
    """Runs one image through, in eval mode so that no statistics and no random state move; a small one where
    the network is to take any size. Whether a batch norm saw a single value of each channel."""
    side = only_side or _PROBE_SIDE
    expected = [
        (channels, side // stride) for channels, stride in zip(backbone.channels, STRIDES, strict=True)
    ]
    training = backbone.training
    backbone.eval()
    single: list[bool] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, given: single.append(given[0][0, 0].numel() == 1))
        for module in backbone.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, side, side))
        problem = (
            None
            if [(f.shape[1], f.shape[3]) for f in features] == expected
            else "its maps do not divide evenly"
        )
    except Exception as error:  # anything: an assertion on the image size, a window that does not fit
        problem = str(error).partition("\n")[0] or type(error).__name__
    for hook in hooks:
        hook.remove()
    backbone.train(training)
    if problem is not None:
        sizes = f"{only_side} pixels" if only_side else "any multiple of 32 pixels"
        raise _OtherSize(
            f"backbone {backbone.name!r} does not take images of {sizes}: {problem}",
            where="model.backbone",
            fix="take a convolutional network such as resnet50 or efficientnet_b4",
        )
    return any(single)
