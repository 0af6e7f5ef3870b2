"""What a study says of itself in optuna-dashboard."""

from __future__ import annotations

import shlex

import optuna
from optuna_dashboard import save_note

from optdet.config import Config, TuneConfig
from optdet.config_io import differences
from optdet.phrases import counted
from optdet.settings_yaml import dump_yaml
from optdet.store.places import Places
from optdet.study_config import StudyConfig


def write_study_note(study: optuna.Study, config: StudyConfig, url: str, places: Places) -> None:
    """A note that says what the study is, and how its pictures are seen; ``url`` is shown as it is."""
    space = {name: dimension.model_dump(exclude_defaults=True) for name, dimension in config.space.items()}
    images = "images left out of the tuning" if config.objective == "crossfit" else "the same images"
    lines = [
        f"# {config.name}",
        "",
        config.description or "A study of text detectors.",
        "",
        "- **value**: competition-profile macro H-mean on the validation images, at thresholds tuned for the "
        f"trial and scored on {images}; `hmean_crossfit` is scored on images left out of the tuning",
        f"- **model**: `{config.config.model.backbone}` at {config.config.data.size} pixels, "
        f"{_budget(config.config)}",
        f"- **search**: {config.sampler.name} sampler, {config.pruner.name} pruner, {config.trials} trials, "
        f"seed {config.seed}",
        "",
        "Each complete trial carries its learning curve, the landscape of its thresholds and validation "
        "images with ground truth, detections and the probability map, under *Artifacts*. They are shown by "
        "`optdet dashboard`, or by:",
        "",
        *_dashboard_command(url, places),
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
    save_note(study, "\n".join(lines))


def _budget(config: Config) -> str:
    train = config.train
    return counted(train.epochs, "epoch") if train.updates is None else counted(train.updates, "update")


def write_search_note(
    study: optuna.Study,
    of: str,
    tune: TuneConfig,
    *,
    n_queued: int,
    n_images: int,
    url: str,
    places: Places,
) -> None:
    """The same of threshold tuning: what its trials are, and in which order they came."""
    space = tune.space.model_dump(mode="json", exclude_defaults=True)
    trials = (
        "some points of the lattice, first those in use, named candidates, the defaults and the best; all of "
        "it is under *Artifacts*"
    )
    if tune.method != "exhaustive":
        trials = (
            f"the first {n_queued} are queued: the thresholds in use, named candidates, the defaults and "
            f"usual points; then those of the {tune.method} sampler"
        )
    lines = [
        f"# Thresholds of {of}",
        "",
        f"- **value**: competition-profile macro H-mean on {n_images} images; nothing was trained",
        f"- **trials**: {trials}",
        "- a trial without parameters lies outside the space: its thresholds are among its attributes",
        "",
        "Pictures of the landscape are under *Artifacts*, shown by `optdet dashboard`, or by:",
        "",
        *_dashboard_command(url, places),
        "",
        "## Space",
        "```yaml",
        dump_yaml(space).strip() if space else "# the default one",
        "```",
    ]
    save_note(study, "\n".join(lines))


def _dashboard_command(url: str, places: Places) -> list[str]:
    command = shlex.join(["optuna-dashboard", url, "--artifact-dir", str(places.artifacts_dir)])
    return ["```", command, "```"]
