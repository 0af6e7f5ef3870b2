"""What a study says of itself in optuna-dashboard.

A note begins with a block that is kept true (see ``links``): the study's name, and links to others.
What follows is written once, when the study is made.
"""

from __future__ import annotations

import optuna
from optuna.storages import RDBStorage

from optdet.config import Config, TuneConfig
from optdet.config_io import differences
from optdet.metrics.scores import METRIC_NAMES
from optdet.phrases import counted
from optdet.settings_yaml import dump_yaml
from optdet.store.dashboard_rows import save_note
from optdet.structures import Metric
from optdet.study_config import StudyConfig
from optdet.tuning.links import write_links
from optdet.tuning.note_block import block


def write_study_note(storage: RDBStorage, study: optuna.Study, config: StudyConfig) -> None:
    """A note that says what the study is."""
    space = {name: dimension.model_dump(exclude_defaults=True) for name, dimension in config.space.items()}
    images = "images left out of the tuning" if config.objective == "crossfit" else "the same images"
    lines = [
        config.description or "A study of text detectors.",
        "",
        "- **value**: competition-profile macro H-mean on the validation images, at thresholds tuned for the "
        f"trial and scored on {images}; `hmean_crossfit` is scored on images left out of the tuning",
        f"- **model**: `{config.config.model.backbone}` at {config.config.data.size} pixels, "
        f"{_budget(config.config)}",
        f"- **search**: {config.sampler.name} sampler, {config.pruner.name} pruner, {config.trials} trials, "
        f"seed {config.seed}",
        "",
        "A pruned trial carries its learning curve, a complete one that and the landscape of its thresholds, "
        "a table of images and validation images with ground truth, detections and the probability map, "
        "under *Artifacts*: `optdet dashboard` shows them, and `optuna-dashboard` with `--artifact-dir`, the "
        "folder `artifacts` of the study's root.",
        "",
        "## Space",
        "```yaml",
        dump_yaml(space).strip() if space else "# one run, nothing is varied",
        "```",
        "## Settings that differ from the defaults",
        "```yaml",
        dump_yaml(differences(config.base_config())).strip(),
        "```",
    ]
    _write(storage, study, lines)


def _budget(config: Config) -> str:
    train = config.train
    return counted(train.epochs, "epoch") if train.updates is None else counted(train.updates, "update")


def write_search_note(
    storage: RDBStorage,
    study: optuna.Study,
    tune: TuneConfig,
    *,
    metric: Metric = "competition",
    n_images: int | None = None,
    n_queued: int | None = None,
) -> None:
    """The same of threshold tuning: what its trials are, and in which order they came.

    ``n_images`` are those of the tuning, None for a trial's own validation images.
    """
    space = tune.space.model_dump(mode="json", exclude_defaults=True)
    trials = "some points of the lattice, first those in use, named candidates, the defaults and the best"
    if tune.method != "exhaustive":
        trials = (
            f"{'the first' if n_queued is None else n_queued} are queued: the thresholds in use, named "
            f"candidates, the defaults and usual points; then come those of the {tune.method} sampler"
        )
    images = "the validation images" if n_images is None else counted(n_images, "image")
    lines = [
        "What was tried on the probability maps of a frozen detector.",
        "",
        f"- **value**: {METRIC_NAMES[metric]} macro H-mean on {images}; nothing was trained",
        f"- **trials**: {trials}",
        "- a trial without parameters lies outside the space: its thresholds are among its attributes",
        "",
        "## Space",
        "```yaml",
        dump_yaml(space).strip() if space else "# the default one",
        "```",
    ]
    _write(storage, study, lines)


def _write(storage: RDBStorage, study: optuna.Study, lines: list[str]) -> None:
    save_note(storage, study._study_id, "\n".join([block(""), "", *lines]))
    write_links(storage)
