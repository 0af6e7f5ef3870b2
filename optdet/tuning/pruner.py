"""Pruners by name. A step is an epoch, from 1."""

from __future__ import annotations

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, PercentilePruner

from optdet.study_config import PrunerConfig


def build_pruner(config: PrunerConfig, epochs: int) -> BasePruner:
    """The pruner of a study whose trials last at most ``epochs``."""
    # Optuna prunes from the step that equals its n_warmup_steps on; ours are epochs that are never pruned.
    first_step = config.n_warmup_epochs + 1
    if config.name == "median":
        return MedianPruner(config.n_startup_trials, n_warmup_steps=first_step)
    if config.name == "percentile":
        return PercentilePruner(config.percentile, config.n_startup_trials, n_warmup_steps=first_step)
    if config.name == "hyperband":
        return HyperbandPruner(
            min_resource=config.min_epochs,
            max_resource=max(epochs, config.min_epochs),
            reduction_factor=config.eta,
        )
    return NopPruner()
