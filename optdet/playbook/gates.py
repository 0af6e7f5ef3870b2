"""Which way a gate sends: by the H-mean that a stage reached, and by where the playbook has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from optdet.metrics.bootstrap import resampled_means
from optdet.phrases import times
from optdet.playbook.definition import OTHER, Branch, PlaybookConfig


@dataclass(frozen=True, slots=True)
class Decision:
    """Where to go after a stage, None from an end, and why, in a line.

    ``among`` are the stages of a ``choose``, of which ``go`` is one.
    """

    go: str | None
    reason: str
    among: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "among": list(self.among)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        return cls(values["go"], str(values["reason"]), tuple(values["among"]))


@dataclass(frozen=True, slots=True)
class Visit:
    """A stage that was entered, and what its gate decided; None while it is at work."""

    stage: str
    decision: Decision | None


def decide(
    playbook: PlaybookConfig,
    visits: Sequence[Visit],
    hmean: float | None,
    chosen: Sequence[str] = (),
) -> Decision:
    """What follows the last of ``visits``, which reached ``hmean``; ``chosen`` are the user's own choices.

    ``hmean`` may be None where the stage has no gate.
    """
    name = visits[-1].stage
    stage = playbook.stages[name]
    if not stage.gate:
        return Decision(stage.next, "the next stage" if stage.next else "the end")
    if hmean is None:
        raise ValueError(f"the gate of {name} needs an H-mean")
    branch = next(each for each in stage.gate if each.holds(hmean))
    said = f"{hmean:.4f}: {branch.interval}"
    if branch.choose:
        return _choice(playbook, visits, branch, said, chosen)
    if branch.go == OTHER:
        other = _other(visits)
        if other is not None:
            return Decision(other, f"{said}; the other of the choice")
        return Decision(branch.then, f"{said}; every other of the choice was taken")
    assert branch.go is not None
    if _may_enter(playbook, visits, branch.go):
        return Decision(branch.go, said)
    return Decision(branch.then, f"{said}; {_used_up(playbook, branch.go)}")


def branch_probabilities(
    gate: Sequence[Branch], hmeans: Sequence[float], centre: float
) -> list[tuple[Branch, float]]:
    """How likely each branch is if other images had been drawn: the share of bootstrap means in it.

    ``hmeans`` are those of the images at the chosen thresholds. They are moved so that their mean is
    ``centre``, the cross-fitted score, since it is that one which the gate reads.
    """
    values = np.sort(np.asarray(hmeans, dtype=np.float64))
    means = resampled_means(values - values.mean() + centre)
    return [(branch, float(np.mean([branch.holds(mean) for mean in means]))) for branch in gate]


def expected_path(
    playbook: PlaybookConfig, visits: Sequence[Visit], chosen: Sequence[str] = ()
) -> list[Visit]:
    """How the playbook goes on from ``visits`` if every stage reaches the H-mean that it expects.

    The last visit of the answer has no decision where its gate expects none: then it depends.
    """
    path = list(visits)
    while True:
        stage = playbook.stages[path[-1].stage]
        if path[-1].decision is None:
            if stage.gate and stage.expected.hmean is None:
                return path
            made = decide(playbook, path, stage.expected.hmean, chosen)
            path[-1] = Visit(path[-1].stage, made)
        following = path[-1].decision
        if following is None or following.go is None:
            return path
        path.append(Visit(following.go, None))


def _choice(
    playbook: PlaybookConfig, visits: Sequence[Visit], branch: Branch, said: str, chosen: Sequence[str]
) -> Decision:
    open_ = [name for name in branch.choose if _may_enter(playbook, visits, name)]
    if not open_:
        return Decision(branch.then, f"{said}; every stage of the choice was entered as often as it may be")
    own = next((name for name in open_ if name in chosen), None)
    how = (
        f"chosen of {' and '.join(branch.choose)}" if own else f"the default of {' and '.join(branch.choose)}"
    )
    return Decision(own or open_[0], f"{said}; {how}", tuple(open_))


def _other(visits: Sequence[Visit]) -> str | None:
    """A stage that the latest choice offered and that was not entered since."""
    name = visits[-1].stage
    for index in range(len(visits) - 2, -1, -1):
        decision = visits[index].decision
        if decision is not None and name in decision.among:
            since = {visit.stage for visit in visits[index + 1 :]}
            return next((other for other in decision.among if other not in since), None)
    return None


def _may_enter(playbook: PlaybookConfig, visits: Sequence[Visit], name: str) -> bool:
    at_most = playbook.stages[name].at_most
    return at_most is None or sum(visit.stage == name for visit in visits) < at_most


def _used_up(playbook: PlaybookConfig, name: str) -> str:
    return f"{name} was entered {times(playbook.stages[name].at_most or 0)} already"
