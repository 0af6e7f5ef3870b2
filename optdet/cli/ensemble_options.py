"""Options of ``optdet ensemble``: how members are combined, and where the result goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from optdet.config import TuneConfig
    from optdet.ensemble_config import EnsembleMethod
    from optdet.structures import Sample
    from optdet.tuning.ensemble_members import Member


@dataclass(frozen=True, slots=True)
class EnsembleOptions:
    """What was asked for; None is tuned."""

    method: EnsembleMethod
    weights: tuple[float, ...] | None
    min_votes: int | None
    iou_thresh: float | None

    @classmethod
    def of(
        cls, method: str, weights: str | None, min_votes: int | None, iou_thresh: float | None
    ) -> EnsembleOptions:
        from optdet.errors import OptdetError

        if method not in ("maps", "votes"):
            raise OptdetError(f"{method!r} is no method", where="--method", fix="use maps or votes")
        if iou_thresh is not None and method == "maps":
            raise OptdetError("a mean has no votes", where="--iou-thresh", fix="use --method votes")
        if iou_thresh is not None and not 0 < iou_thresh <= 1:
            raise OptdetError(
                f"{iou_thresh:g} is no IoU", where="--iou-thresh", fix="give a number above 0 and at most 1"
            )
        given = None if weights is None else _weights(weights)
        return cls(cast("EnsembleMethod", method), given, min_votes, iou_thresh)

    def search(
        self, members: Sequence[Member], settings: list[str], *, polygons: bool | None, select: str | None
    ) -> TuneConfig:
        """The search of thresholds: that of the first member with a config, by the whole lattice. OptdetError
        for what does not fit the members."""
        from optdet.cli.postprocess_options import search_from
        from optdet.config import TuneConfig
        from optdet.tuning.detection_source import OpenSource
        from optdet.tuning.ensemble import check_settings

        with_maps = [member.opened for member in members if isinstance(member.opened, OpenSource)]
        search = TuneConfig()
        if with_maps:
            first = next((source for source in with_maps if source.config is not None), with_maps[0])
            wanted = ["method=exhaustive", *settings]
            search = search_from(first, wanted, {}, polygons=polygons, select=select, may_keep=True)
        check_settings(members, self.method, search, weights=self.weights, min_votes=self.min_votes)
        return search

    def require_nothing_to_tune(self, *, writes: bool) -> None:
        """OptdetError where there are no labels, and something needs them."""
        from optdet.errors import OptdetError

        if self.method == "maps" or not writes:
            what = "the thresholds of a mean have to be tuned" if self.method == "maps" else "nothing to do"
            raise OptdetError(
                f"no labelled images: {what}", where="ensemble", fix="give --images DIR --labels FILE"
            )


def check_outputs(
    *, test_images: Path | None, out: Path | None, save: Path | None, force: bool, picture: Path | None
) -> None:
    """OptdetError where a later step would fail."""
    from optdet.data.named_images import require_named
    from optdet.errors import OptdetError
    from optdet.inference.folder import require_format
    from optdet.tuning.ensemble_output import require_free
    from optdet.tuning.postprocess_places import require_writable

    if (test_images is None) != (out is None):
        raise OptdetError("--test-images and --out go together", where="ensemble", fix="give both")
    if test_images is not None and out is not None:
        require_named(test_images, None)
        require_format(out)
        require_writable(out.parent, "--out")
    if save is not None:
        require_free(save, force=force)
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise OptdetError("a picture is a PNG", where=str(picture), fix="name it .png")
        require_writable(picture.parent, "--picture")


@dataclass(frozen=True, slots=True)
class Judging:
    """The images that an ensemble is tuned on, None where there are none; then it is said why it is
    ``untuned``."""

    samples: tuple[Sample, ...] | None
    untuned: str = ""


def judging_images(
    members: Sequence[Member], images: Path | None, labels: Path | None, *, predicts: bool
) -> Judging:
    """Given ones, else those that studies have in common.

    Where other images are predicted, a team-mate's file may be of these alone: with it nothing can be tuned,
    and unless that was asked for, nothing is.
    """
    from optdet.errors import OptdetError
    from optdet.tuning.ensemble_members import without_any
    from optdet.tuning.labelled import judging_samples

    samples = judging_samples([member.opened for member in members], images, labels)
    if samples is None:
        return Judging(None, "no labels")
    file = without_any(members, [sample.image_path for sample in samples]) if predicts else None
    if file is None:
        return Judging(samples)
    if labels is not None:
        raise OptdetError(
            f"it names none of the images of {labels}",
            where=str(file.path),
            fix="leave out --images and --labels: the usual vote needs none",
        )
    return Judging(None, f"{file.path} names none of the labelled images")


def _weights(text: str) -> tuple[float, ...]:
    from optdet.errors import OptdetError
    from optdet.inference.map_mean import whole_weights

    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptdetError(
            f"{text!r} are no weights", where="--weights", fix="write numbers with commas, as 1,1,2"
        ) from None
    whole_weights(weights)
    return weights
