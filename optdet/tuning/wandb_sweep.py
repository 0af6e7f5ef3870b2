"""A W&B sweep file of the baseline as a study file: what became of each line, and what was decided.

Names are translated by :mod:`optdet.baseline_names`, distributions by
:mod:`optdet.tuning.wandb_distributions`. Thresholds of post-processing are no training parameters here: their
ranges go to the inner loop, which tunes them for every trial. Nothing is left out without a line that says
so, and a name that has no setting of ours stops the reading unless it may be ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from optdet.baseline_names import Renamed, our_setting, without_counterpart
from optdet.config import Config
from optdet.config_io import safe_name
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.search_space import Choice, Dimension, ThresholdSpace
from optdet.setting_names import setting_names
from optdet.settings_yaml import read_mapping
from optdet.tuning.sampler import count_grid
from optdet.tuning.wandb_distributions import ReadParameter, read_parameter
from optdet.tuning.wandb_stopping import read_stopping
from optdet.validation import validate

_SAMPLERS: Final = {"bayes": "tpe", "random": "random", "grid": "grid"}
_NOTES: Final = {
    "bayes": ["TPE in place of W&B's Gaussian process"],
    "grid": ["every point once, in an order that the seed shuffles"],
    "random": [],
}
_OF_THE_SERVICE: Final = (
    "project",
    "entity",
    "command",
    "program",
    "job",
    "imageuri",
    "controller",
    "prior_runs",
)
_TRIALS: Final = 20
_MOST_TRIALS: Final = 10**6
_MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class SweepLine:
    """One thing that the sweep says: their name, ours (empty where there is none), the range or value, and
    what was decided about it.
    """

    theirs: str
    ours: str
    value: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """A study's settings, without a config; ``unmapped`` are the names that found no place in it."""

    settings: dict[str, Any]
    lines: tuple[SweepLine, ...]
    unmapped: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    where: str
    space: dict[str, Dimension] = field(default_factory=dict)
    inner: dict[str, Dimension] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    lines: list[SweepLine] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)

    def say(self, theirs: str, ours: str, value: Any, notes: Sequence[str] = ()) -> None:
        self.lines.append(SweepLine(theirs, ours, str(value), tuple(notes)))

    def leave_out(self, theirs: str, value: str, why: str) -> None:
        self.unmapped.append(theirs)
        self.say(theirs, "", value, [f"not mapped: {why}"])


def read_sweep(path: Path) -> Sweep:
    """The study that a sweep file describes; OptdetError for one that is no sweep, or has nothing of ours."""
    tree = read_mapping(path)
    reading = _Reading(str(path))
    method = tree.get("method")
    if not isinstance(method, str) or method not in _SAMPLERS or not isinstance(tree.get("parameters"), dict):
        raise OptdetError(
            "not a W&B sweep file: it needs `method:` (grid, random or bayes) and `parameters:`",
            where=str(path),
        )
    for name, spec in _parameters(tree["parameters"], str(path)):
        _read(reading, name, spec)
    if not (reading.space or reading.inner or reading.fixed):
        raise OptdetError(
            f"none of its {counted(len(reading.lines), 'parameter')} is a setting of optdet, as "
            f"{', '.join(reading.unmapped[:3]) or 'none'}",
            where=str(path),
            fix="`optdet init` writes configs that show the settings",
        )
    settings = _settings(reading, tree, method)
    _say_rest(reading, tree)
    return Sweep(settings, tuple(reading.lines), tuple(reading.unmapped))


def require_mapped(sweep: Sweep, path: Path) -> None:
    """Refuse a sweep that has names without a place in the study."""
    if sweep.unmapped:
        names = ", ".join(sweep.unmapped[:5]) + (", ..." if len(sweep.unmapped) > 5 else "")
        raise OptdetError(
            f"{counted(len(sweep.unmapped), 'parameter')} without a setting here: {names}",
            where=str(path),
            fix="leave them out with --ignore-unknown, or rename them in a copy of the file",
        )


def _parameters(
    tree: Mapping[str, Any], where: str, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every parameter by its dotted name; nested ones stand under ``parameters``."""
    for name, spec in tree.items():
        full = prefix + name
        if not isinstance(spec, dict):
            raise OptdetError("a parameter is a mapping, as {values: [1, 2]}", where=f"{where}: {full}")
        inner = spec.get("parameters")
        if isinstance(inner, dict) and depth < _MAX_DEPTH:
            yield from _parameters(inner, where, f"{full}.", depth + 1)
        else:
            yield full, spec


def _read(reading: _Reading, name: str, spec: Mapping[str, Any]) -> None:
    where = f"{reading.where}: parameters: {name}"
    known = set(setting_names(Config))
    renamed = Renamed(name, lambda value: value) if name in known else our_setting(name)
    read = read_parameter(spec, where)
    if renamed is None:
        said = without_counterpart(name)
        if said is None:
            reading.leave_out(name, _shown(read), "no setting of optdet is known by this name")
        else:
            reading.say(name, "", _shown(read), [said])
        return
    if renamed.name not in known:
        reading.leave_out(name, _shown(read), f"this optdet has no {renamed.name}")
        return
    read = _in_our_values(read, renamed, where)
    threshold = _inner_name(renamed.name)
    taken = reading.inner if threshold else {**reading.space, **reading.fixed}
    if (threshold or renamed.name) in taken:
        reading.leave_out(name, _shown(read), f"another name gives {threshold or renamed.name} already")
    elif threshold:
        _tune_inside(reading, name, threshold, read, where)
    elif read.dimension is None:
        reading.fixed[renamed.name] = read.value
        reading.say(name, renamed.name, _shown(read), read.notes)
    else:
        reading.space[renamed.name] = read.dimension
        reading.say(name, renamed.name, _shown(read), read.notes)


def _in_our_values(read: ReadParameter, renamed: Renamed, where: str) -> ReadParameter:
    """With values put into ours, where their kind has other ones."""
    try:
        if read.dimension is None:
            return ReadParameter(None, renamed.value(read.value), read.notes)
        if isinstance(read.dimension, Choice):
            choices = tuple(renamed.value(choice) for choice in read.dimension.choices)
            return ReadParameter(read.dimension.model_copy(update={"choices": choices}), notes=read.notes)
    except ValueError as error:
        raise OptdetError(f"{error}", where=where, fix=f"see {renamed.name}") from None
    return read


def _inner_name(ours: str) -> str | None:
    """The threshold that the inner loop tunes by this setting, if it does."""
    group, _, leaf = ours.rpartition(".")
    leaf = "unclip_ratio" if leaf == "polygon_unclip_ratio" else leaf
    return leaf if group == "postprocess" and leaf in ThresholdSpace.model_fields else None


def _tune_inside(reading: _Reading, theirs: str, name: str, read: ReadParameter, where: str) -> None:
    """A threshold goes to the inner loop: a range as it is, one value as the only choice."""
    dimension, notes = read.dimension, list(read.notes)
    if dimension is None:
        dimension = validate(Choice, {"type": "categorical", "choices": [read.value]}, where)
        notes.append("kept: the inner loop tunes the others")
    else:
        notes.append("tuned in the inner loop, on each trial's maps")
        if not isinstance(dimension, Choice) and dimension.log:
            notes.append("swept in even steps: an exhaustive search draws nothing")
        dimension = _within_unit(dimension, notes) if name in ("thresh", "box_thresh") else dimension
    if theirs.endswith("polygon_unclip_ratio"):
        notes.append("for quads too: add use_polygon to keep to polygons")
    validate(ThresholdSpace, {name: dimension.model_dump()}, where)
    reading.inner[name] = dimension
    reading.say(theirs, f"postprocess.space.{name}", _range_shown(dimension), notes)


def _within_unit(dimension: Dimension, notes: list[str]) -> Dimension:
    """A range of a probability; what a distribution without ends has beyond 0 and 1 is cut off."""
    if isinstance(dimension, Choice) or (dimension.low >= 0 and dimension.high <= 1):
        return dimension
    notes.append("cut to 0..1")
    return dimension.model_copy(update={"low": max(dimension.low, 0), "high": min(dimension.high, 1)})


def _settings(reading: _Reading, tree: Mapping[str, Any], method: str) -> dict[str, Any]:
    """What the study file holds beside its config, with a line for each decision."""
    name = tree.get("name")
    stem = Path(reading.where).stem
    settings: dict[str, Any] = {
        "name": safe_name(name if isinstance(name, str) else stem),
        "description": str(tree.get("description") or f"from the W&B sweep {Path(reading.where).name}"),
    }
    if reading.fixed:
        settings["overrides"] = dict(reading.fixed)
    if reading.space:
        settings["space"] = {key: _as_file(dimension) for key, dimension in reading.space.items()}
    if reading.inner:
        settings["postprocess"] = {
            "space": {key: _as_file(dimension) for key, dimension in reading.inner.items()}
        }
    settings["sampler"] = {"name": _SAMPLERS[method]}
    reading.say("method", "sampler.name", f"{method} -> {_SAMPLERS[method]}", _NOTES[method])
    settings["pruner"] = read_stopping(tree.get("early_terminate"), reading.where, reading.say)
    settings["trials"] = _trials(reading, tree.get("run_cap"), method)
    return settings


def _trials(reading: _Reading, cap: Any, method: str) -> int:
    if cap is not None and (type(cap) is not int or not 1 <= cap <= _MOST_TRIALS):
        raise OptdetError(f"run_cap is {cap!r}, not a number of runs", where=reading.where)
    if not reading.space:
        reading.say(
            "run_cap", "trials", 1, ["nothing but thresholds varies: one trial, whose inner loop tunes them"]
        )
        return 1
    if method == "grid":
        n_points = count_grid(reading.space)
        trials = min(cap or n_points, n_points)
        reading.say("run_cap", "trials", trials, [f"the grid has {counted(n_points, 'point')}"])
        return trials
    trials = cap or _TRIALS
    reading.say("run_cap", "trials", trials, [] if cap else ["not said: W&B goes on until it is stopped"])
    return trials


def _say_rest(reading: _Reading, tree: Mapping[str, Any]) -> None:
    """The rest of the file: what ranks trials, and what is the service's own."""
    metric = tree.get("metric")
    if isinstance(metric, dict):
        goal = metric.get("goal", "minimize")
        named = f"{metric.get('name')}, {goal}"
        same = goal == "maximize" and "hmean" in str(metric.get("name")).lower().replace("_", "").replace(
            "-", ""
        )
        note = "the competition's macro H-mean at tuned thresholds" + ("" if same else ", not this one")
        reading.say("metric", "objective", f"{named} -> hmean", [note])
        if "target" in metric:
            reading.say("metric.target", "", metric["target"], ["a study runs all its trials"])
    own = ("method", "parameters", "metric", "name", "description", "run_cap", "early_terminate")
    for key, value in tree.items():
        if key not in own:
            known = key in _OF_THE_SERVICE
            note = "W&B's own: a study runs optdet's training" if known else "not known, and left out"
            reading.say(key, "", value if isinstance(value, str | int | float) else "...", [note])


def _as_file(dimension: Dimension) -> dict[str, Any]:
    return dimension.model_dump(mode="json", exclude_defaults=True)


def _shown(read: ReadParameter) -> str:
    return str(read.value) if read.dimension is None else _range_shown(read.dimension)


def _range_shown(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return ", ".join(str(choice) for choice in dimension.choices)
    step = f", step {dimension.step:g}" if dimension.step not in (None, 1) else ""
    return f"{dimension.low:g} to {dimension.high:g}" + (", log" if dimension.log else step)
