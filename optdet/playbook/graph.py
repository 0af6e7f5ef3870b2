"""Whether the stages of a playbook lead anywhere: names that exist, an end, no way round without a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from optdet.config_io import parse_override, set_dotted
from optdet.errors import OptdetError
from optdet.phrases import times
from optdet.playbook.definition import (
    OTHER,
    RESERVED,
    EnsembleStage,
    FoldsStage,
    PlaybookConfig,
    PostprocessStage,
    StageConfig,
    SubmitStage,
)
from optdet.settings_yaml import read_mapping
from optdet.validation import validate


def load_playbook(path: Path, overrides: tuple[str, ...] = ()) -> PlaybookConfig:
    """A playbook file with overrides applied, checked whole; OptdetError for the first thing wrong."""
    tree, where = read_mapping(path), str(path)
    playbook = validate(PlaybookConfig, {"name": path.stem, **tree}, where)
    for override in overrides:
        name, value = parse_override(override)
        tree = set_dotted(tree, name, value)
    if overrides:  # together: some settings go in pairs
        said = f"override{'s' if len(overrides) > 1 else ''} {' '.join(overrides)}"
        playbook = validate(PlaybookConfig, {"name": path.stem, **tree}, said)
    check_graph(playbook, where)
    return playbook


def check_graph(playbook: PlaybookConfig, where: str) -> None:
    """OptdetError for a stage that is named and not there, one that is never reached, a way round without a
    limit, a limit without a way on, or a playbook without an end."""
    _check_names(playbook, where)
    _check_limits(playbook, where)
    _check_reached(playbook, where)
    _check_sources(playbook, where)
    cycle = _cycle(ways(playbook), set(_unlimited(playbook)))
    if cycle is not None:
        raise OptdetError(
            f"the stages {' -> '.join(cycle)} lead round without a limit",
            where=where,
            fix=f"give one of them at_most, as stages.{cycle[0]}.at_most: 1, and its gates then",
        )


def check_stages_named(playbook: PlaybookConfig, until: str | None, chosen: Sequence[str]) -> None:
    """OptdetError for a name on the command line that is no stage's, and for a choice that no gate offers."""
    for name in (*([] if until is None else [until]), *chosen):
        if name not in playbook.stages:
            raise _no_stage(playbook, name, f"playbook {playbook.name}")
    offered = {
        name: None for stage in playbook.stages.values() for branch in stage.gate for name in branch.choose
    }
    for name in chosen:
        if name not in offered:
            fix = f"gates offer {', '.join(offered)}" if offered else "leave it out: no gate offers a choice"
            raise OptdetError(f"no gate offers {name!r} as a choice", where="--choose", fix=fix)


def ways(playbook: PlaybookConfig) -> dict[str, tuple[str, ...]]:
    """Which stages may follow each. What ``other`` stands for is left out: a choice has finitely many."""
    return {name: stage.targets for name, stage in playbook.stages.items()}


def others(playbook: PlaybookConfig, stage: str) -> tuple[str, ...]:
    """Stages that ``go: other`` may lead to from ``stage``: those that some branch offers beside it."""
    beside = [
        name
        for each in playbook.stages.values()
        for branch in each.gate
        if stage in branch.choose
        for name in branch.choose
        if name != stage
    ]
    return tuple(dict.fromkeys(beside))


def _check_names(playbook: PlaybookConfig, where: str) -> None:
    for word in RESERVED:
        if word in playbook.stages:
            raise OptdetError(f"no stage can be named {word!r}", where=where, fix="take another word")
    named = [("first", playbook.first_stage)]
    named += [(f"stages.{stage}", target) for stage, targets in ways(playbook).items() for target in targets]
    named += [(f"checklist[{i}]", name) for i, line in enumerate(playbook.checklist) for name in line.stages]
    for place, name in named:
        if name not in playbook.stages:
            raise _no_stage(playbook, name, f"{where}: {place}")
    for name, stage in playbook.stages.items():
        if any(branch.go == OTHER for branch in stage.gate) and not others(playbook, name):
            raise OptdetError(
                "go: other, but no choose offers this stage",
                where=f"{where}: stages.{name}",
                fix="name a stage",
            )


def _no_stage(playbook: PlaybookConfig, name: str, where: str) -> OptdetError:
    near = get_close_matches(name, playbook.stages, n=1)
    fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(playbook.stages)}"
    return OptdetError(f"no stage is named {name!r}", where=where, fix=fix)


def _check_limits(playbook: PlaybookConfig, where: str) -> None:
    """A way into a stage that may be entered so many times only must say what follows when it may not."""
    for name, stage in playbook.stages.items():
        place = f"{where}: stages.{name}"
        if stage.next is not None and _limited(playbook, stage.next):
            raise OptdetError(
                f"{_limit(playbook, stage.next)}, and next has no way past it",
                where=place,
                fix="write a gate: [{go: ..., then: ...}]",
            )
        for branch in stage.gate:
            into = [target for target in (branch.go, *branch.choose) if target and _limited(playbook, target)]
            if into and branch.then is None:
                raise OptdetError(
                    f"{_limit(playbook, into[0])}, and nothing says what follows then ({branch.interval})",
                    where=f"{place}.gate",
                    fix="add then: STAGE",
                )
            if branch.then is not None and _limited(playbook, branch.then):
                raise OptdetError(
                    f"{_limit(playbook, branch.then)}, so then cannot lead there",
                    where=f"{place}.gate",
                    fix="name a stage without at_most",
                )


def _limit(playbook: PlaybookConfig, name: str) -> str:
    return f"{name} may be entered {times(playbook.stages[name].at_most or 0)} only"


def _limited(playbook: PlaybookConfig, name: str) -> bool:
    return name in playbook.stages and playbook.stages[name].at_most is not None


def _check_reached(playbook: PlaybookConfig, where: str) -> None:
    seen, ahead = set(), [playbook.first_stage]
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += playbook.stages[name].targets
    lost = [name for name in playbook.stages if name not in seen]
    if lost:
        raise OptdetError(
            f"nothing leads to the stage {lost[0]}", where=where, fix="take it out, or name it in a gate"
        )
    if all(stage.targets for stage in playbook.stages.values()):
        raise OptdetError("no stage is an end", where=where, fix="add one without next and gate")


def _check_sources(playbook: PlaybookConfig, where: str) -> None:
    """``reference`` needs one; a fold study's settings come from a stage or are the best."""
    for name, stage in playbook.stages.items():
        place = f"{where}: stages.{name}"
        if isinstance(stage, FoldsStage) and stage.settings not in (*playbook.stages, "best", "start"):
            raise OptdetError(
                f"no stage is named {stage.settings!r}", where=f"{place}.settings", fix="name one, or best"
            )
        if names_reference(stage) and playbook.reference is None:
            raise OptdetError("there is no reference", where=place, fix="add reference: {source: ...}")
        if isinstance(stage, EnsembleStage) and "previous" in stage.members:
            raise OptdetError("members are named", where=place, fix="name a stage in place of previous")


def asks_for_best(stage: StageConfig) -> bool:
    """Whether a stage takes the best of those before it."""
    if isinstance(stage, PostprocessStage | SubmitStage):
        return stage.source == "best"
    if isinstance(stage, FoldsStage):
        return stage.settings == "best"
    return isinstance(stage, EnsembleStage) and "best" in stage.members


def names_reference(stage: StageConfig) -> bool:
    if isinstance(stage, PostprocessStage | SubmitStage):
        return stage.source == "reference"
    return isinstance(stage, EnsembleStage) and "reference" in stage.members


def _unlimited(playbook: PlaybookConfig) -> Iterator[str]:
    return (name for name, stage in playbook.stages.items() if stage.at_most is None)


def _cycle(edges: Mapping[str, tuple[str, ...]], among: set[str]) -> list[str] | None:
    """A way round through ``among`` alone, from a stage back to it, or None."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in among:
            return None
        for target in edges[name]:
            found = search(target, [*path, name])
            if found is not None:
                return found
        done.add(name)
        return None

    return next((found for name in edges if (found := search(name, [])) is not None), None)
