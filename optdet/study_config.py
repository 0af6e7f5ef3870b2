"""What a study file says: a config, what to vary in it, how to search, when to stop.

``config`` is a path (relative to the study file) or the settings themselves; ``overrides`` in the file
change a few of them by dotted names. ``space`` maps dotted names
of the config to ranges. ``postprocess`` is the inner loop, in place of the config's ``postprocess.tune``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from optdet.config import Config, TuneConfig
from optdet.search_space import Dimension
from optdet.section import Section

ParamValue = bool | int | float | str | None


class SamplerConfig(Section):
    """Which values come next. ``grid`` needs choices or steps for every name of the space."""

    name: Literal["tpe", "random", "grid"] = "tpe"
    n_startup_trials: Annotated[int, Field(ge=0)] = 5
    """Random trials before TPE starts to learn."""
    multivariate: bool = True
    """Whether TPE looks at all names together."""


class PrunerConfig(Section):
    """Which trials are stopped early; epochs count from 1."""

    name: Literal["median", "percentile", "hyperband", "none"] = "median"
    n_startup_trials: Annotated[int, Field(ge=0)] = 4
    """Trials that must be complete before any is pruned (median, percentile)."""
    n_warmup_epochs: Annotated[int, Field(ge=0)] = 2
    """Epochs in which no trial is pruned (median, percentile)."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 25.0
    """Best share that is kept, in percent (percentile)."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """Epochs that every trial gets (hyperband)."""
    eta: Annotated[int, Field(ge=2)] = 3
    """Factor between rungs (hyperband)."""


class KeepConfig(Section):
    """What stays on disk and in the dashboard after a trial; the rest can be made again."""

    maps: Annotated[int, Field(ge=0)] = 3
    """Best trials whose probability maps stay cached."""
    inner_studies: Annotated[int, Field(ge=0)] = 3
    """Best trials whose threshold tuning is stored as an Optuna study of its own."""
    overlays: Annotated[int, Field(ge=0)] = 4
    """Validation images drawn for each complete trial."""


class StudyConfig(Section):
    """Definition of a study, with its config resolved."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)]
    config: Config
    description: str = ""
    space: dict[str, Dimension] = Field(default_factory=dict)
    postprocess: TuneConfig | None = None
    sampler: SamplerConfig = SamplerConfig()
    pruner: PrunerConfig = PrunerConfig()
    queue: tuple[dict[str, ParamValue], ...] = ()
    """Fixed trials that run first; a value may lie outside its range."""
    trials: Annotated[int, Field(ge=1)] = 20
    """Finished trials (complete and pruned) that make the study full."""
    objective: Literal["hmean", "crossfit"] = "hmean"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    vary_seed: bool = True
    """Whether each trial has a seed of its own, derived from the study's; else config.seed."""
    max_failures: Annotated[int, Field(ge=1)] = 3
    """Failed trials in a row that stop a run."""
    max_takeovers: Annotated[int, Field(ge=1)] = 10
    """Times a trial may be taken over without finishing an epoch in between before it is failed."""
    keep: KeepConfig = KeepConfig()

    def base_config(self) -> Config:
        """The config that trials start from, with the study's inner loop in it."""
        if self.postprocess is None:
            return self.config
        tuned = self.config.postprocess.model_copy(update={"tune": self.postprocess})
        return self.config.model_copy(update={"postprocess": tuned})

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
