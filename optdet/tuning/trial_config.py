"""The settings that a trial trains with: the study's, its parameters, its seed, and a batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from optdet.config import Config
from optdet.config_io import apply_params
from optdet.study_config import StudyConfig
from optdet.training.fitted_batch import fitted_batch, with_batch
from optdet.tuning import attributes as attr
from optdet.tuning.sampler import derived_seed


def trial_config(study: StudyConfig, number: int, params: dict[str, Any]) -> Config:
    """The whole config of a trial; its seed is derived from the study's, or the config's own."""
    config = apply_params(study.base_config(), params, f"trial {number}")
    seed = derived_seed(study.seed, number) if study.vary_seed else config.seed
    return config.model_copy(update={"seed": seed})


def with_known_batch(
    config: Config,
    attrs: Mapping[str, Any],
    device: torch.device,
    n_images: int,
    say: Callable[[str], None],
) -> Config:
    """The config with a number for ``train.batch_size: auto``.

    That of the trial's ``attrs`` where it trained before: a run that goes on must not change its batches,
    though another process may leave less of the card now. TrialFailed where not one image fits.
    """
    if config.train.batch_size != "auto":
        return config
    known = attrs.get(attr.CONFIG, {}).get("train", {}).get("batch_size")
    if isinstance(known, int):
        return with_batch(config, known)
    fitted = fitted_batch(config, device, n_images)
    say(fitted.in_words())
    return with_batch(config, fitted.batch_size)
