"""A study from a W&B sweep: the sweep's settings on a config, as a study file and as the study it defines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config_io import differences, load_config
from optdet.data.files import write_atomically
from optdet.errors import OptdetError
from optdet.settings_yaml import dump_yaml
from optdet.study_config import StudyConfig
from optdet.study_io import study_in_file, with_override
from optdet.tuning.sweep_space import lattices
from optdet.tuning.wandb_sweep import Sweep


@dataclass(frozen=True, slots=True)
class SweepStudy:
    """``text`` is the study file; what it defines is ``study``."""

    study: StudyConfig
    text: str


def study_of_sweep(
    sweep: Sweep,
    path: Path,
    config: Path | None,
    overrides: Sequence[str] = (),
    *,
    name: str | None = None,
    place: Path | None = None,
) -> SweepStudy:
    """The sweep of ``path`` on a config, with overrides applied; ``place`` is where the study file is to lie.

    OptdetError where a range or value is not one that its setting takes.
    """
    place = place or Path(f"{path.stem}.yaml")
    settings = _on_config(sweep.settings, config, place)
    if name is not None:
        settings["name"] = name
    # By its own path, since the folder that it is relative to in the file may not be there yet.
    named = {} if config is None else {"config": str(config.absolute())}
    study = study_in_file({**settings, **named}, place, overrides)
    searched = study.base_config().postprocess
    if searched.tune.method == "exhaustive":
        lattices(
            searched.tune, searched.thresholds()
        )  # what is too fine is refused before anything is trained
    for override in overrides:
        settings = with_override(settings, override)
    head = [
        f"# From the W&B sweep {path.name}:",
        *(f"# {_in_words(sweep, number)}" for number in range(len(sweep.lines))),
    ]
    return SweepStudy(study, "\n".join(head) + "\n" + dump_yaml(settings))


def require_images(study: StudyConfig) -> None:
    """A sweep names no images: refuse a study that has none from elsewhere."""
    data = study.config.data
    if data.synthetic is None and data.val is None and data.folds is None:
        raise OptdetError(
            "the study has no images: a sweep names none",
            where=f"study {study.name}",
            fix="give a config behind the sweep's file, as configs/mine.yaml",
        )


def write_study(text: str, out: Path, *, force: bool = False) -> None:
    if out.exists() and not force:
        raise OptdetError("the file exists", where=str(out), fix="give another name, or --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, text.encode())


def _on_config(settings: dict[str, Any], config: Path | None, place: Path) -> dict[str, Any]:
    """The settings of a study file with its config named, and what that says of the inner loop kept."""
    if config is None:
        return {"name": settings["name"], "config": {}, **settings}
    tuned = differences(load_config(config)).get("postprocess", {}).get("tune", {})
    whole = {"name": settings["name"], "config": os.path.relpath(config, place.parent), **settings}
    if "postprocess" in whole and tuned:
        space = {**tuned.get("space", {}), **whole["postprocess"]["space"]}
        whole["postprocess"] = {**tuned, "space": space}
    return whole


def _in_words(sweep: Sweep, number: int) -> str:
    line = sweep.lines[number]
    parts = f"{line.theirs} -> {line.ours or '-'}: {line.value}" + (
        f" ({'; '.join(line.notes)})" if line.notes else ""
    )
    return "".join(letter if letter.isprintable() else " " for letter in parts)[:300]
