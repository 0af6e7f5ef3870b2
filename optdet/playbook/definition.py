"""What a playbook file says: where to start, stages, and the gates between them.

A stage does one thing (``do``) and has either ``next``, the stage after it, or a ``gate``: branches over the
H-mean that it reached, which together cover 0..1 without holes or overlaps. A stage with neither is an end.
Names are those of other stages of the file; :mod:`optdet.playbook.graph` checks that they lead somewhere.
Paths of other files are relative to the playbook, those of images and of what is written to the working
directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from optdet.config import TuneConfig
from optdet.ensemble_config import EnsembleMethod
from optdet.section import Ratio, Section

OTHER = "other"
"""As ``go``: the stage of a ``choose`` that was not taken."""
RESERVED = (OTHER, "previous", "start", "reference", "best")
"""Names that no stage can have."""

StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=40)]
Overrides = dict[str, bool | int | float | str | None]


class Expected(Section):
    """What whoever wrote the playbook expects of a stage, shown beside what was measured."""

    hmean: Ratio | None = None
    precision: Ratio | None = None
    recall: Ratio | None = None
    time: str | None = None
    """In words, as ``5-8 h``."""


class Branch(Section):
    """Where to go for an H-mean from ``at_least`` (included) to ``below`` (not included)."""

    at_least: Ratio = 0.0
    below: Ratio | None = None
    """Left out: no upper bound."""
    go: StageName | None = None
    choose: tuple[StageName, ...] = ()
    """Instead of ``go``: one of these, the first unless the user names another."""
    then: StageName | None = None
    """Where to go instead when ``go`` may not be entered again, or ``other`` has no other left."""

    @model_validator(mode="after")
    def _one_way(self) -> Branch:
        if (self.go is None) == (not self.choose):
            raise ValueError("a branch has either go or choose")
        if len(self.choose) == 1 or len(set(self.choose)) < len(self.choose):
            raise ValueError("choose names two stages or more, each once")
        if self.below is not None and self.at_least >= self.below:
            raise ValueError(f"at_least {self.at_least:g} is not below {self.below:g}")
        if self.go == OTHER and self.then is None:
            raise ValueError("go: other needs then: where to go once no other stage is left")
        return self

    def holds(self, hmean: float) -> bool:
        return self.at_least <= hmean and (self.below is None or hmean < self.below)

    @property
    def targets(self) -> tuple[str, ...]:
        """Stages that it names, without ``other``."""
        named = (self.go, *self.choose, self.then)
        return tuple(dict.fromkeys(name for name in named if name is not None and name != OTHER))

    @property
    def interval(self) -> str:
        """In words: ``0.961 to 0.963``, ``0.965 or more``, ``below 0.961``."""
        if self.below is None:
            return f"{self.at_least:g} or more" if self.at_least > 0 else "any H-mean"
        return f"{self.at_least:g} to {self.below:g}" if self.at_least > 0 else f"below {self.below:g}"


def _without_holes(gate: Sequence[Branch]) -> Sequence[Branch]:
    """Branches from high to low, refused where some H-mean has none of them, or two."""
    ordered = sorted(gate, key=lambda branch: branch.at_least)
    if not ordered:
        return ()
    if ordered[0].at_least > 0:
        raise ValueError(f"the gate has a hole: no branch for H-means below {ordered[0].at_least:g}")
    for low, high in pairwise(ordered):
        if low.below is None or low.below > high.at_least:
            raise ValueError(f"the gate's branches {low.interval!r} and {high.interval!r} overlap")
        if low.below < high.at_least:
            raise ValueError(
                f"the gate has a hole: no branch for H-means from {low.below:g} to {high.at_least:g}"
            )
    if ordered[-1].below is not None:
        raise ValueError(f"the gate has a hole: no branch for H-means of {ordered[-1].below:g} or more")
    return tuple(reversed(ordered))


Gate = Annotated[tuple[Branch, ...], AfterValidator(_without_holes)]


class StageConfig(Section):
    """What every stage has."""

    title: str = ""
    next: StageName | None = None
    gate: Gate = ()
    at_most: Annotated[int, Field(ge=1)] | None = None
    """Times that the stage may be entered."""
    expected: Expected = Expected()

    @model_validator(mode="after")
    def _one_exit(self) -> StageConfig:
        if self.next is not None and self.gate:
            raise ValueError("a stage has either next or gate")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """Every stage that may follow, but for what ``other`` stands for."""
        named = [self.next] if self.next else []
        named += [name for branch in self.gate for name in branch.targets]
        return tuple(dict.fromkeys(named))


class PostprocessStage(StageConfig):
    """Tune the thresholds of a frozen detector, and score named candidates beside them."""

    do: Literal["postprocess"]
    source: str = "previous"
    """``previous`` (of the stage before; the start for the first), ``start``, ``reference``, ``best`` (by the
    score that gates read), the name of a stage, or a SOURCE."""
    candidates: str | None = None
    """A file of named configurations, each written as a submission."""
    tune: TuneConfig | None = None
    """The search, in place of that of the source's config."""


class TrainStage(StageConfig):
    """Train one detector."""

    do: Literal["train"]
    config: str
    overrides: Overrides = Field(default_factory=dict)


class StudyStage(StageConfig):
    """Run a study, then train its best trial's settings once more, alone."""

    do: Literal["study"]
    study: str
    overrides: Overrides = Field(default_factory=dict)
    trials: Annotated[int, Field(ge=1)] | None = None
    retrain: Overrides | None = Field(default_factory=dict)
    """The best settings are trained once more, alone, with another seed and with these settings: the best of
    many trials is best in part by luck. Null: they are not."""


class FoldsStage(StageConfig):
    """Train the best settings on every fold, and combine the folds. The validation images judge them."""

    do: Literal["folds"]
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    settings: str = "best"
    """Whose settings: ``best`` of the trained detectors so far, or the name of a stage."""
    overrides: Overrides = Field(default_factory=dict)
    write: str | None = None
    """Config file that the settings are written to."""
    methods: Annotated[tuple[EnsembleMethod, ...], Field(min_length=1)] = ("votes", "maps")
    min_votes: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _enough_folds(self) -> FoldsStage:
        if self.min_votes is not None and self.min_votes > self.folds:
            raise ValueError(f"{self.min_votes} votes of {self.folds} folds: lower min_votes")
        return self


class EnsembleStage(StageConfig):
    """Combine what other stages gave; the result is the better of the methods."""

    do: Literal["ensemble"]
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    methods: Annotated[tuple[EnsembleMethod, ...], Field(min_length=1)] = ("votes", "maps")
    min_votes: Annotated[int, Field(ge=1)] | None = None


class SubmitStage(StageConfig):
    """Write the submission that the playbook ends with."""

    do: Literal["submit"]
    source: str = "best"


Stage = Annotated[
    PostprocessStage | TrainStage | StudyStage | FoldsStage | EnsembleStage | SubmitStage,
    Field(discriminator="do"),
]


class Origin(Section):
    """A detector to begin with, or to compare with: a SOURCE, and the config that makes it where there is
    none yet.
    """

    source: str
    config: str | None = None
    """What trains it where it is missing; of a checkpoint that is there, what names its images."""
    submission: str | None = None
    """What it was submitted as: a file, its name or SHA-256 in the registry."""
    overrides: Overrides = Field(default_factory=dict)
    expected: Expected = Expected()


class ChecklistLine(Section):
    """One line of the checklist, ticked when all that it names is true."""

    text: str
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    """One of them has been done."""
    at_least: Ratio | None = None
    """And the best of their scores is at least this."""
    files: Annotated[int, Field(ge=1)] | None = None
    """And they wrote as many submissions; with ``wait: leaderboard`` as many were recorded."""
    config: bool = False
    """And the config that they wrote is there."""
    members: Annotated[int, Field(ge=2)] | None = None
    """And they trained, or combined, as many detectors."""


class PlaybookConfig(Section):
    """The whole file."""

    name: StageName
    description: str = ""
    target: Ratio
    """The H-mean to reach."""
    wait: Literal["none", "leaderboard"] = "none"
    """What every gate reads: the local cross-fitted H-mean, or what the leaderboard said, never a mix."""
    board: Literal["public", "private"] = "public"
    """Which leaderboard."""
    start: Origin
    reference: Origin | None = None
    images: str | None = None
    """Images to score on, with ``labels``; left out: the validation images of the start."""
    labels: str | None = None
    test_images: str | None = None
    """Images to submit; left out: nothing is written for a board."""
    submissions: str = "submissions"
    """Folder that submissions are written to."""
    first: StageName | None = None
    """The stage to begin with; the file's first where left out."""
    stages: Annotated[dict[StageName, Stage], Field(min_length=1)]
    checklist: tuple[ChecklistLine, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> PlaybookConfig:
        if (self.images is None) != (self.labels is None):
            raise ValueError("images and labels go together")
        if self.wait == "leaderboard" and self.test_images is None:
            raise ValueError("wait: leaderboard needs test_images: what would be submitted?")
        return self

    @property
    def first_stage(self) -> str:
        return self.first or next(iter(self.stages))

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
