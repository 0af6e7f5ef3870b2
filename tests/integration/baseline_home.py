"""The competition's DB baseline as far as a checkpoint shows it, written anew: nothing here is optdet's.

Random weights under the baseline's names, the file that Lightning makes of them, and the map that the model
gives for an image: what an import has to reproduce.
"""

from __future__ import annotations

import cv2
import numpy as np
import timm
import torch
from torch.nn import functional as F

BACKBONE = "test_efficientnet"
STRIDES = (4, 8, 16, 32)


def tensors(backbone=BACKBONE, *, inner=16, seed=0, prefix="model.", thresh=True):
    """A state dict: every tensor random, running statistics among them."""
    net = timm.create_model(backbone, pretrained=False, features_only=True)
    channels = [
        c
        for c, stride in zip(net.feature_info.channels(), net.feature_info.reduction(), strict=True)
        if stride in STRIDES
    ]
    shapes = {f"encoder.model.{name}": tensor.shape for name, tensor in net.state_dict().items()}
    quarter = inner // 4
    for level in range(4):
        shapes[f"decoder.inners.{level}.weight"] = (inner, channels[level], 1, 1)
        outer = f"decoder.outers.{level}.0.weight" if level < 3 else "decoder.outers.3.weight"
        shapes[outer] = (quarter, inner, 3, 3)
    for branch in ("binarize", "thresh") if thresh else ("binarize",):
        shapes |= {f"head.{branch}.{name}": shape for name, shape in _head(inner, quarter).items()}
    generator = torch.Generator().manual_seed(seed)
    return {prefix + name: _random(name, shape, generator) for name, shape in shapes.items()}


def _head(inner, quarter):
    norm = {"weight": (quarter,), "bias": (quarter,), "running_mean": (quarter,), "running_var": (quarter,)}
    norm["num_batches_tracked"] = ()
    return {
        "0.weight": (quarter, inner, 3, 3),
        **{f"1.{name}": shape for name, shape in norm.items()},
        "3.weight": (quarter, quarter, 2, 2),
        "3.bias": (quarter,),
        **{f"4.{name}": shape for name, shape in norm.items()},
        "6.weight": (quarter, 1, 2, 2),
        "6.bias": (1,),
    }


def _random(name, shape, generator):
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        return torch.rand(shape, generator=generator) + 0.5
    fan_in = max(1, int(np.prod(shape[1:])))
    return torch.randn(shape, generator=generator) / fan_in**0.5


def save(path, state_dict, **more):
    """A file as Lightning writes it."""
    content = {
        "epoch": 7,
        "global_step": 320,
        "pytorch-lightning_version": "2.5.1",
        "state_dict": state_dict,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    torch.save(content | more, path)
    return path


@torch.inference_mode()
def prob_map(state_dict, image, *, size, backbone=BACKBONE, prefix="model."):
    """The map (size, size) float32 of an image (H, W, 3), uint8 RGB."""
    weights = {name.removeprefix(prefix): tensor for name, tensor in state_dict.items()}
    net = timm.create_model(backbone, pretrained=False, features_only=True).eval()
    net.load_state_dict(
        {
            name.removeprefix("encoder.model."): tensor
            for name, tensor in weights.items()
            if name.startswith("encoder")
        }
    )
    reductions = net.feature_info.reduction()
    features = [
        f for f, stride in zip(net(_prepared(image, size)), reductions, strict=True) if stride in STRIDES
    ]
    sums = [F.conv2d(f, weights[f"decoder.inners.{level}.weight"]) for level, f in enumerate(features)]
    for level in (2, 1, 0):
        sums[level] = sums[level] + F.interpolate(sums[level + 1], scale_factor=2, mode="nearest")
    parts = []
    for number, level in enumerate((3, 2, 1, 0)):
        name = f"decoder.outers.{number}.0.weight" if number < 3 else "decoder.outers.3.weight"
        part = F.conv2d(sums[level], weights[name], padding=1)
        parts.append(F.interpolate(part, scale_factor=2**level, mode="nearest") if level else part)
    return _branch(torch.cat(parts, dim=1), weights, "head.binarize").numpy()


def _branch(x, weights, name):
    def norm(x, number):
        mean, var, weight, bias = (
            weights[f"{name}.{number}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.relu(F.batch_norm(x, mean, var, weight, bias))

    x = norm(F.conv2d(x, weights[f"{name}.0.weight"], padding=1), 1)
    x = norm(F.conv_transpose2d(x, weights[f"{name}.3.weight"], weights[f"{name}.3.bias"], stride=2), 4)
    x = F.conv_transpose2d(x, weights[f"{name}.6.weight"], weights[f"{name}.6.bias"], stride=2)
    return torch.sigmoid(x)[0, 0]


def _prepared(image, size):
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_height, new_width = int(height * scale), int(width * scale)
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    canvas = np.zeros((size, size, 3), np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resized
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normal = ((canvas / 255.0 - mean) / std).astype(np.float32)
    return torch.from_numpy(normal.transpose(2, 0, 1)[None].copy())
