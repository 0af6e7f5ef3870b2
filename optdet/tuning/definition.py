"""What defines a study, as it is stored: its file, and behind the file's queue what a warm start chose.

Making a study again compares the file's part alone: what was chosen of another study was right when it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optdet.config_io import dotted, fingerprint
from optdet.errors import OptdetError
from optdet.study_config import StudyConfig
from optdet.tuning import attributes as attr
from optdet.tuning.sampler import count_grid
from optdet.validation import validate

if TYPE_CHECKING:
    from optdet.tuning.warm_start import WarmStart


def with_queue_of(config: StudyConfig, warmed: Mapping[str, Any] | None) -> StudyConfig:
    """The definition with what a warm start has chosen, by its record, behind its own queue."""
    queued = () if warmed is None else tuple(entry["params"] for entry in warmed["queued"])
    return config.model_copy(update={"queue": (*config.queue, *queued)})


def links_of_queue(config: StudyConfig, warmed: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """User attributes of each queued trial: of those of a warm start, whose parameters they are."""
    chosen = [] if warmed is None else warmed["queued"]
    own: list[dict[str, str]] = [{} for _ in config.queue]
    return own + [{attr.WARM_START_FROM: f"{warmed['study']}:{entry['trial']}"} for entry in chosen if warmed]


def can_be_completed(
    stored: Mapping[str, Any], config: StudyConfig, warmed: Mapping[str, Any] | None
) -> bool:
    """Whether a half-made study, by its user attributes, was to become this one."""
    is_same_start = attr.WARM_START not in stored or stored[attr.WARM_START] == warmed
    definition = with_queue_of(config, warmed).as_dict()
    return is_same_start and stored.get(attr.DEFINITION) in (None, definition)


def difference_to(stored: Mapping[str, Any], config: StudyConfig, warm_start: WarmStart | None) -> str | None:
    """How a study, by its user attributes, differs from what is to be made; None where it is the same."""
    there = validate(StudyConfig, stored[attr.DEFINITION], f"study {config.name}")
    warmed = stored.get(attr.WARM_START)
    if warmed is not None:
        n_own = len(there.queue) - len(warmed["queued"])
        there = there.model_copy(update={"queue": there.queue[:n_own]})
    if fingerprint(there) != fingerprint(config):
        return _first_difference(there, config)
    if warm_start is None or warm_start.is_that_of(warmed):
        return None
    before = "none" if warmed is None else f"the best {warmed['top']} of {warmed['study']}"
    return f"warm start: {before} there, the best {warm_start.top} of {warm_start.study} here"


def _first_difference(stored: StudyConfig, new: StudyConfig) -> str:
    old_tree, new_tree = dotted(stored.as_dict()), dotted(new.as_dict())
    for name in sorted({*old_tree, *new_tree}):
        if old_tree.get(name) != new_tree.get(name):
            return f"{name.removeprefix('config.')}: {old_tree.get(name)} there, {new_tree.get(name)} here"
    return "other values"


def check_grid(config: StudyConfig) -> None:
    """OptdetError for a grid that has fewer points, with the queue, than the study has trials."""
    if config.sampler.name != "grid":
        return
    n_points = count_grid(config.space)
    if config.trials > n_points + len(config.queue):
        raise OptdetError(
            f"the grid has {n_points} points, the queue {len(config.queue)}, but trials is {config.trials}",
            where=f"study {config.name}",
            fix=f"set trials={n_points + len(config.queue)}",
        )
