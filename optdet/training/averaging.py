"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch

from optdet.model.dbnet import DBNet


class AveragedModel:
    """A copy of a model that follows it: ``w <- d w + (1 - d) v``, where d grows up to ``decay``.

    The ramp ``min(decay, (1 + n) / (10 + n))``, where n counts updates from 1, lets an average of few of them
    forget the random start. Buffers (running statistics) are copied.
    """

    def __init__(self, model: DBNet, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.n_updates = 0

    @torch.no_grad()
    def update(self, model: DBNet) -> None:
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        averages: list[torch.Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averages, [p.detach() for p in model.parameters()], 1 - decay)
        for own, other in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(other)
