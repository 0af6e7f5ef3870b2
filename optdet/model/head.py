"""The DB head: probability map, threshold map and their approximate binary map (Liao et al., AAAI 2020).

Each branch enlarges the neck's map (B, C, S / 4, S / 4) to (B, S, S): a 3x3 convolution to a quarter of
the channels and two transposed convolutions of 2x2, stride 2. The binary map is B = 1 / (1 + exp(-k (P - T)))
(the paper's equation 2), k = 50. Branches end in logits; every sigmoid is taken in float32, whatever
autocast chose for the convolutions, because half precision cannot tell probabilities near 1 apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class DBOutput(NamedTuple):
    """The head's maps, each (B, S, S) float32; the last two are None without the threshold branch."""

    prob_logits: Tensor
    prob_map: Tensor
    thresh_map: Tensor | None
    binary_map: Tensor | None


class DBHead(nn.Module):
    """The branches ``binarize`` and ``thresh``; without the second, the probability map alone is trained."""

    def __init__(self, in_channels: int, *, k: float = 50.0, thresh_branch: bool = True) -> None:
        super().__init__()
        self.k = k
        self.binarize = _branch(in_channels)
        self.thresh = _branch(in_channels) if thresh_branch else None

    def forward(self, features: Tensor) -> DBOutput:
        prob_logits = self._logits(self.binarize, features)
        prob_map = torch.sigmoid(prob_logits)
        if self.thresh is None:
            return DBOutput(prob_logits, prob_map, None, None)
        thresh_map = torch.sigmoid(self._logits(self.thresh, features))
        return DBOutput(prob_logits, prob_map, thresh_map, torch.sigmoid(self.k * (prob_map - thresh_map)))

    def prob_maps(self, features: Tensor) -> Tensor:
        """The probability maps alone, for inference: the threshold branch is not run."""
        return torch.sigmoid(self._logits(self.binarize, features))

    @staticmethod
    def _logits(branch: nn.Module, features: Tensor) -> Tensor:
        logits: Tensor = branch(features)
        return logits.squeeze(1).float()


def _branch(in_channels: int) -> nn.Sequential:
    """The layers' numbers are those of the DB implementations, so that their checkpoints fit."""
    inner = in_channels // 4
    branch = nn.Sequential(
        nn.Conv2d(in_channels, inner, 3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, inner, 2, stride=2),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, 1, 2, stride=2),
    )
    _initialise(branch)
    return branch


def _initialise(branch: nn.Sequential) -> None:
    """Kaiming for the convolutions, 1 for the batch norms, nearly nothing for the last layer.

    Hard-negative mining looks at the largest logits of the background. Where these are the noise of a random
    last layer, training first has to push the noise down, and for hundreds of steps learns nothing else: on
    four receipts, 60 updates gave text .42 and background .40 so, and .81 and .22 with a quiet last layer.
    Its bias is the log odds of text among the pixels that the loss looks at, one in four.
    """
    for layer in branch:
        if isinstance(layer, nn.ConvTranspose2d) and layer.out_channels == 1 and layer.bias is not None:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, -math.log(3))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
