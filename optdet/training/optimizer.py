"""Optimizer and learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from optdet.config import OptimizerConfig, SchedulerConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig, device: torch.device) -> torch.optim.Optimizer:
    """Adam (weight_decay as L2) or AdamW (decoupled), fused on CUDA."""
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(
        model.parameters(),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=device.type == "cuda",
    )


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """The state of an optimizer that may have worked on another device. How a step is computed stays this
    one's own, and moments lie in memory as their weights do: a fused step goes through both in that order.
    """
    groups = [
        {**group, "fused": own["fused"]}
        for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    for weights, state in optimizer.state.items():
        for name, moments in state.items():
            if moments.shape == weights.shape and moments.stride() != weights.stride():
                state[name] = torch.empty_like(weights).copy_(moments)


def learning_rate(config: SchedulerConfig, base_lr: float, progress: float, epochs: float) -> float:
    """The rate after ``progress`` epochs (a float, from 0).

    Linear from 0 in the warm-up; then ``eta_min + (base - eta_min) (1 + cos(pi t / t_max)) / 2`` as in SGDR
    (Loshchilov and Hutter 2017), held at eta_min from t_max on. An eta_min above the base rate is the base.
    """
    t_max = config.t_max if config.t_max is not None else epochs
    eta_min = min(config.eta_min, base_lr)
    if config.name == "cosine" and progress >= t_max:
        return eta_min
    if progress < config.warmup_epochs:
        return base_lr * progress / config.warmup_epochs
    if config.name == "constant":
        return base_lr
    share = (progress - config.warmup_epochs) / (t_max - config.warmup_epochs)
    return eta_min + (base_lr - eta_min) * (1 + math.cos(math.pi * share)) / 2
