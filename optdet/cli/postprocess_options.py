"""Options of ``optdet postprocess tune`` that say what is searched, what for, and what is tried beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optdet.config import TuneConfig
    from optdet.structures import Metric, Thresholds
    from optdet.tuning.detection_source import OpenSource


def search_from(
    opened: OpenSource,
    settings: list[str],
    ranges: dict[str, str | None],
    *,
    polygons: bool | None,
    select: str | None,
    may_keep: bool = False,
) -> TuneConfig:
    """The search of the source's config, with what the options change; where no config says more, of quads
    alone or, if the thresholds in use are of polygons, of those too. ``may_keep`` allows method none, which
    keeps the thresholds in use."""
    from optdet.config import TuneConfig
    from optdet.config_io import parse_override, set_dotted
    from optdet.errors import OptdetError
    from optdet.tuning.sweep_space import lattices
    from optdet.validation import validate

    tree = (
        opened.config.postprocess.tune.model_dump(mode="json")
        if opened.config
        else TuneConfig().model_dump(mode="json")
    )
    if polygons is None and opened.config is None:
        polygons = opened.thresholds.use_polygon
    if polygons is not None:
        tree["space"]["use_polygon"] = {
            "type": "categorical",
            "choices": [False, True] if polygons else [False],
        }
    for name, text in ranges.items():
        if text is not None:
            tree["space"][name] = _range(name, text)
    for text in settings:
        name, value = parse_override(text)
        tree = set_dotted(tree, name, value)
    if select is not None:
        tree["select"] = select
    search = validate(TuneConfig, tree, "the search")
    if search.method == "none" and not may_keep:
        raise OptdetError(
            "method none searches nothing", where="--set method", fix="use exhaustive, tpe or random"
        )
    if search.method == "exhaustive":
        if any(parse_override(text)[0] == "trials" for text in settings):
            raise OptdetError(
                "an exhaustive search has no number of trials", where="--set trials", fix="add -s method=tpe"
            )
        lattices(search, opened.thresholds)  # before maps are read: whether it can be swept
    return search


def metric_from(name: str) -> Metric:
    from optdet.errors import OptdetError
    from optdet.structures import METRICS

    for metric in METRICS:
        if name == metric:
            return metric
    raise OptdetError(f"{name!r} is no metric", where="--metric", fix=f"they are {', '.join(METRICS)}")


def _range(name: str, text: str) -> dict[str, object]:
    from optdet.errors import OptdetError

    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    where = f"--{name.replace('_', '-')}"
    if len(numbers) == 1:
        return {"type": "categorical", "choices": numbers}
    if len(numbers) not in (2, 3):
        raise OptdetError(
            f"{text!r} is not a range",
            where=where,
            fix="write LOW:HIGH or LOW:HIGH:STEP, as 0.2:0.4, or one value",
        )
    if numbers[0] == numbers[1]:
        raise OptdetError(
            f"a range of {text!r} has no width", where=where, fix=f"for one value write {numbers[0]:g}"
        )
    return {"type": "float", **dict(zip(("low", "high", "step"), numbers, strict=False))}


def candidates_from(path: Path | None, phase: int | None, opened: OpenSource) -> dict[str, Thresholds]:
    from optdet.candidates_config import CandidatesConfig
    from optdet.config import PostprocessConfig
    from optdet.errors import OptdetError
    from optdet.settings_yaml import read_mapping
    from optdet.validation import validate

    if path is None:
        if phase is not None:
            raise OptdetError("--phase is for --candidates", where="--phase", fix="name the file too")
        return {}
    try:
        listed = validate(CandidatesConfig, read_mapping(path), str(path))
        config = opened.config.postprocess if opened.config else PostprocessConfig()
        named = listed.named(opened.thresholds, config, phase)
    except ValueError as error:
        raise OptdetError(str(error), where=str(path)) from None
    if not named:
        raise OptdetError(f"no candidate is of phase {phase}", where=str(path))
    return named
