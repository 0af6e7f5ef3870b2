"""The neck: the feature pyramid of the DB paper (Liao et al., "Real-time Scene Text Detection with
Differentiable Binarization", AAAI 2020).

Four 1x1 convolutions bring the levels (strides 4 to 32, fine to coarse) to ``inner_channels``; each level
gets the coarser sum, doubled in size by nearest neighbour; four 3x3 convolutions to a quarter of the
channels, enlarged to stride 4, are concatenated, the coarsest first. No bias and no normalisation: the
head's first batch norm follows. ``inners`` count from fine to coarse and ``outers`` from coarse to fine,
as checkpoints of the DB implementations name them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

N_LEVELS = 4


class FPN(nn.Module):
    """Levels (B, in_channels[i], S / 4 / 2**i, ...) to one map (B, inner_channels, S / 4, S / 4)."""

    def __init__(self, in_channels: Sequence[int], inner_channels: int = 256) -> None:
        super().__init__()
        if len(in_channels) != N_LEVELS or inner_channels % N_LEVELS or inner_channels <= 0:
            raise ValueError(f"expected {N_LEVELS} levels and inner_channels a multiple of {N_LEVELS}")
        self.out_channels = inner_channels
        self.inners = nn.ModuleList(
            nn.Conv2d(channels, inner_channels, 1, bias=False) for channels in in_channels
        )
        self.outers = nn.ModuleList(_outer(inner_channels, scale) for scale in (8, 4, 2, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        *finer, coarsest = [inner(level) for inner, level in zip(self.inners, levels, strict=True)]
        sums = [coarsest]
        for level in reversed(finer):
            sums.append(level + F.interpolate(sums[-1], scale_factor=2.0, mode="nearest"))
        return torch.cat([outer(level) for outer, level in zip(self.outers, sums, strict=True)], dim=1)


def _outer(inner_channels: int, scale: int) -> nn.Module:
    conv = nn.Conv2d(inner_channels, inner_channels // N_LEVELS, 3, padding=1, bias=False)
    return conv if scale == 1 else nn.Sequential(conv, nn.Upsample(scale_factor=float(scale), mode="nearest"))
