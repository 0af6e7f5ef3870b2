"""Whether a study's networks can be built, asked before a trial is spent on the answer.

A name is checked when a study is made; weights only when it is run, since they may come to the machine later.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from optdet.config import Config, ModelConfig
from optdet.data.sets import open_sets
from optdet.errors import OptdetError
from optdet.inference.detector import config_in, load_weights, new_model
from optdet.inference.device import choose_device
from optdet.model.backbone import build_backbone, check_backbone_name
from optdet.model.checkpoint_file import load_checkpoint
from optdet.search_space import Choice
from optdet.structures import OnImage
from optdet.study_config import StudyConfig

if TYPE_CHECKING:
    from optdet.tuning.study import Database

_NETWORK = ("backbone", "pretrained", "weights")
"""Settings of the model that decide whether it can be built."""


def networks(study: StudyConfig) -> list[ModelConfig]:
    """The model settings that trials may have, as far as the backbone and its weights go, each once."""
    choices = []
    for name in _NETWORK:
        dimension = study.space.get(f"model.{name}")
        own = (getattr(study.config.model, name),)
        choices.append(dimension.choices if isinstance(dimension, Choice) else own)
    found = [dict(zip(_NETWORK, values, strict=True)) for values in product(*choices)]
    return [ModelConfig.model_validate(values) for values in found]


def check_backbones(study: StudyConfig) -> None:
    """OptdetError for a backbone that timm does not have."""
    for network in networks(study):
        check_backbone_name(network.backbone)


def check_networks(study: StudyConfig) -> None:
    """Build every network once, with its weights; OptdetError for one that trials could not build."""
    for network, start in product(networks(study), _starts(study)):
        if start is not None:
            _check_start(study.config, network, start)
            continue
        weights = None if network.weights is None else Path(network.weights)
        build_backbone(
            network.backbone,
            pretrained=network.pretrained,
            weights=weights,
            image_size=study.config.data.size,
        )


def check_networks_of_made(study: StudyConfig) -> None:
    """The same for a study that is there: what to do about weights is said as it has to be done there."""
    try:
        check_networks(study)
    except OptdetError as error:
        if error.where != "model.pretrained":
            raise
        raise OptdetError(
            error.what,
            where=error.where,
            fix=f"{error.fix}; a study keeps its settings, so that is another study: add it to "
            "`optdet study create`, with --name",
        ) from error


def _starts(study: StudyConfig) -> tuple[str | None, ...]:
    dimension = study.space.get("train.start")
    if isinstance(dimension, Choice):
        return tuple(None if choice is None else str(choice) for choice in dimension.choices)
    return (study.config.train.start,)


def _check_start(config: Config, network: ModelConfig, start: str) -> None:
    """Whether the checkpoint of ``train.start`` is one, and fits."""
    model = config.model.model_copy(update={name: getattr(network, name) for name in _NETWORK})
    payload = load_checkpoint(Path(start))
    config_in(payload, start)
    load_weights(
        new_model(config.model_copy(update={"model": model}), for_training=False), payload["model"], start
    )


def check_run(
    database: Database, study: StudyConfig, *, device: str | None, on_image: OnImage | None
) -> None:
    """OptdetError for a device, data or networks that cannot be used; what is prepared is kept for the run.

    Asked before a study is made of a single run: one that cannot begin should leave nothing in the database.
    """
    config, places = study.base_config(), database.places
    choose_device(device or config.device)
    open_sets(
        config.data,
        data_root=Path(),
        data_dir=places.data_dir,
        cache_dir=places.cache_dir,
        max_cache_gb=config.cache.max_gb,
        on_image=on_image,
    )
    check_networks(study)
