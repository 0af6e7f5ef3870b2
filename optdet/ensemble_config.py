"""An ensemble as a file, which is a SOURCE: its members, how they are combined, and the thresholds in use.

Sources that are files are relative to the folder of the ensemble's file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from optdet.section import Positive, Ratio, Section
from optdet.structures import Thresholds

EnsembleMethod = Literal["maps", "votes"]


class ThresholdsInUse(Section):
    """Post-processing parameters, all of them."""

    thresh: Ratio
    box_thresh: Ratio
    unclip_ratio: Positive
    max_candidates: Annotated[int, Field(ge=1)]
    use_polygon: bool
    min_side: Annotated[float, Field(ge=0)]

    def as_thresholds(self) -> Thresholds:
        return Thresholds.from_dict(self.model_dump())


class ReadingConfig(Section):
    """How an ONNX file, or a folder of maps, is read; see the options of ``optdet predict``."""

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: int | None = None
    channels: Literal["rgb", "bgr"] | None = None
    pad: Literal["center", "topleft"] | None = None
    activation: Literal["auto", "none", "sigmoid"] | None = None
    placement: Literal["auto", "letterbox", "stretch"] | None = None


class MemberConfig(Section):
    """A source, or with ``view`` (``hflip``, ``scale:1152``) another view of one; ``weight`` is for maps,
    ``thresholds`` are for votes: where left out, those in use."""

    source: Annotated[str, Field(min_length=1)]
    view: str | None = None
    weight: Annotated[float, Field(ge=0)] = 1.0
    thresholds: ThresholdsInUse | None = None
    reading: ReadingConfig = ReadingConfig()


class JudgedConfig(Section):
    """What tuning was worth: the H-mean on the labelled images that it was done on, and what is left of that
    cross-fitted. ``images`` stands for them; on others, or for a file that was changed, it says nothing."""

    images: str
    hmean: Ratio
    hmean_crossfit: Ratio


class EnsembleConfig(Section):
    """The whole file. ``thresholds`` are those of the mean map; ``min_votes`` left out is a majority."""

    method: EnsembleMethod
    members: Annotated[tuple[MemberConfig, ...], Field(min_length=1)]
    thresholds: ThresholdsInUse | None = None
    min_votes: Annotated[int, Field(ge=1)] | None = None
    iou_thresh: Annotated[float, Field(gt=0, le=1)] | None = None
    judged: JudgedConfig | None = None

    @model_validator(mode="after")
    def _of_its_method(self) -> EnsembleConfig:
        if self.method == "maps":
            if self.min_votes is not None or self.iou_thresh is not None:
                raise ValueError("min_votes and iou_thresh are for method: votes")
            if any(member.thresholds is not None for member in self.members):
                raise ValueError("thresholds of members are for method: votes")
            if not any(member.weight for member in self.members):
                raise ValueError("no member has a weight above 0")
            return self
        if self.thresholds is not None:
            raise ValueError("votes have no thresholds of their own: give them to the members")
        if any(member.weight != 1 for member in self.members):
            raise ValueError("weights are for method: maps")
        if self.min_votes is not None and self.min_votes > len(self.members):
            raise ValueError(f"min_votes is {self.min_votes}, of {len(self.members)} members")
        return self

    def as_tree(self) -> dict[str, Any]:
        """What differs from the defaults, as a file says it."""
        return self.model_dump(mode="json", exclude_defaults=True)
