"""A file of named threshold configurations, as ``postprocess tune --candidates`` reads it.

``postprocess`` holds what all of them share; a candidate what is its own. What both leave out is as in the
thresholds in use, but for an unclip_ratio where those are of quads and the candidate is of polygons, or the
other way round: that is the config's for the kind. A candidate without a label is called by its thresh and
box_thresh.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, field_validator

from optdet.config import PostprocessConfig
from optdet.section import Positive, Ratio, Section
from optdet.structures import Thresholds

RESERVED_LABELS: Final = ("default", "current", "best", "robust")
"""Names of what a tuning reports beside the candidates."""


class SharedThresholds(Section):
    """Post-processing parameters that replace those in use."""

    thresh: Ratio | None = None
    box_thresh: Ratio | None = None
    unclip_ratio: Positive | None = None
    max_candidates: Annotated[int, Field(ge=1)] | None = None
    use_polygon: bool | None = None
    min_side: Annotated[float, Field(ge=0)] | None = None


class CandidateConfig(SharedThresholds):
    """One configuration."""

    label: Annotated[str, Field(pattern=r"^[^/\\]*$", max_length=60)] = ""
    phase: Annotated[int, Field(ge=1)] = 1

    @field_validator("label")
    @classmethod
    def _free(cls, label: str) -> str:
        if label in RESERVED_LABELS:
            raise ValueError(f"{', '.join(RESERVED_LABELS)} are names of the report's own: take another")
        return label


class CandidatesConfig(Section):
    """The whole file."""

    postprocess: SharedThresholds = SharedThresholds()
    candidates: Annotated[tuple[CandidateConfig, ...], Field(min_length=1)]

    def named(
        self, current: Thresholds, config: PostprocessConfig, phase: int | None = None
    ) -> dict[str, Thresholds]:
        """Thresholds by label, in the file's order; of one phase, or all. ValueError for a label given
        twice."""
        found: dict[str, Thresholds] = {}
        for candidate in self.candidates:
            if phase is not None and candidate.phase != phase:
                continue
            given = {**_given(self.postprocess), **_given(candidate)}
            use_polygon = given.get("use_polygon", current.use_polygon)
            if use_polygon != current.use_polygon and "unclip_ratio" not in given:
                of_kind = config.model_copy(update={"use_polygon": use_polygon})
                given["unclip_ratio"] = of_kind.thresholds().unclip_ratio
            thresholds = Thresholds.from_dict({**current.as_dict(), **given})
            label = candidate.label or f"{thresholds.thresh:g}/{thresholds.box_thresh:g}"
            if label in found:
                raise ValueError(f"the label {label!r} is given twice")
            found[label] = thresholds
        return found


def _given(values: SharedThresholds) -> dict[str, Any]:
    return {
        name: value for name in SharedThresholds.model_fields if (value := getattr(values, name)) is not None
    }
