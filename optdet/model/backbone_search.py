"""Which timm network a set of tensors is of.

A network is tried without its weights: built on torch's ``meta`` device, which has shapes alone. Those whose
first layer has another name are left out unbuilt. Some networks differ in nothing that a tensor shows
(``tf_efficientnet_b4`` pads otherwise than ``efficientnet_b4``): all that fit are given, the shortest name
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import timm
import torch
from torch import Tensor

from optdet.errors import OptdetError
from optdet.model.backbone import STRIDES
from optdet.model.baseline_weights import backbone_state, flat

OnNetwork = Callable[[int, int], None]
"""Called with the networks tried and the number of them all."""


def find_backbones(
    encoder: Mapping[str, Tensor],
    channels: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    on_network: OnNetwork | None = None,
) -> list[str]:
    """The networks that the tensors fit, with levels of these channels; of ``names``, or all of timm's."""
    present = [flat(name) for name in encoder]
    tried = [name for name in names or timm.list_models() if _could_be(name, present)]
    found = []
    for number, name in enumerate(tried, start=1):
        if _fits(name, encoder, channels):
            found.append(name)
        if on_network is not None:
            on_network(number, len(tried))
    return sorted(found, key=lambda name: (len(name), name))


def _could_be(name: str, present: Sequence[str]) -> bool:
    cfg = timm.get_pretrained_cfg(name)
    first = getattr(cfg, "first_conv", None) or ()
    layers = (first,) if isinstance(first, str) else tuple(first)
    ends = tuple(f"{flat(layer)}_weight" for layer in layers)
    return not layers or any(given.endswith(ends) for given in present)


def _fits(name: str, encoder: Mapping[str, Tensor], channels: Sequence[int]) -> bool:
    try:
        with torch.device("meta"):
            net = timm.create_model(name, pretrained=False, features_only=True)
        info: Any = net.feature_info
        levels = dict(zip(info.reduction(), info.channels(), strict=True))
    except Exception:  # it has no features_only, or needs an image size: each family says so in its own way
        return False
    if tuple(levels.get(stride) for stride in STRIDES) != tuple(channels):
        return False
    return backbone_state(net.state_dict(), encoder) is not None


def require_one(found: Sequence[str], where: str) -> str:
    """The first; OptdetError where there is none."""
    if not found:
        raise OptdetError(
            "no network of timm has these tensors",
            where=where,
            fix="name it with --backbone, to hear what differs",
        )
    return found[0]
