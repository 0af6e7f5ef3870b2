"""A source that is open: what gives detections, and of most sources the probability maps that they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.evaluation.configurations import detect_at
from optdet.evaluation.parallel import mapped
from optdet.inference.map_source import MapSource, with_content
from optdet.structures import Detections, OnImage, Sample, SubmissionSource, Thresholds


@dataclass(frozen=True, slots=True)
class Judged:
    """What the choice of the thresholds in use was worth: the competition H-mean on the images that it was
    made on, and what cross-fitting leaves of that. ``images`` stands for them; None: the source's own."""

    hmean: float
    crossfit: float | None
    images: str | None = None


class DetectionSource(Protocol):
    """What finds words in images. ``thresholds`` are those in use, None where there are none to replace: the
    members of a vote have their own. ``labelled`` gives its own labelled images, where it has any.

    ``origins`` are what the registry of submissions names as its source: a study's trial; the file of an
    ensemble and the studies' trials in it; nothing where it is called as it was asked for. ``judged`` is what
    is known of an ensemble, or of a study's folds together.
    """

    @property
    def title(self) -> str: ...

    @property
    def thresholds(self) -> Thresholds | None: ...

    @property
    def config(self) -> Config | None: ...

    @property
    def labelled(self) -> Callable[[], tuple[Sample, ...]] | None: ...

    @property
    def origins(self) -> tuple[SubmissionSource, ...]: ...

    @property
    def judged(self) -> Judged | None: ...

    def detect(
        self, paths: Sequence[Path], thresholds: Thresholds | None, *, on_image: OnImage | None = None
    ) -> Iterator[Detections]:
        """Of each image file, at some thresholds or those in use."""
        ...

    def detect_each(
        self,
        paths: Sequence[Path],
        configurations: Sequence[Thresholds | None],
        *,
        workers: int = 1,
        on_image: OnImage | None = None,
    ) -> Iterator[list[Detections]]:
        """Of each image file those at every configuration, by compiled loops."""
        ...


@dataclass(frozen=True, slots=True)
class OpenSource:
    """Maps, what to call them, and the thresholds in use: tuned ones where there are any, else a config's.

    ``labelled`` gives the validation images of a study's trial, ``trained_on`` the image files that it was
    trained on; other sources have neither. ``judge`` gives, of a fold's trial, the images that no fold learns
    from, of which there may be none.
    """

    title: str
    maps: MapSource
    thresholds: Thresholds
    config: Config | None = None
    labelled: Callable[[], tuple[Sample, ...]] | None = None
    trained_on: Callable[[], tuple[Path, ...]] | None = None
    judge: Callable[[], tuple[Sample, ...]] | None = None
    origins: tuple[SubmissionSource, ...] = ()
    judged: Judged | None = None

    def detect(
        self, paths: Sequence[Path], thresholds: Thresholds | None = None, *, on_image: OnImage | None = None
    ) -> Iterator[Detections]:
        """Maps are read, or made, one at a time."""
        for image in self.maps.maps(paths, on_image=on_image):
            yield image.detector.detect(thresholds or self.thresholds)

    def detect_each(
        self,
        paths: Sequence[Path],
        configurations: Sequence[Thresholds | None],
        *,
        workers: int = 1,
        on_image: OnImage | None = None,
    ) -> Iterator[list[Detections]]:
        """OptdetError at the end where all maps are empty. Maps come one at a time, and no more of them are
        held than ``workers`` threads have in hand."""
        chosen = [thresholds or self.thresholds for thresholds in configurations]
        maps = with_content(self.title, self.maps.maps(paths, on_image=on_image))
        return mapped(lambda image: detect_at(image.detector, chosen), maps, workers=workers)


def origins_of(source: DetectionSource, asked: str) -> tuple[SubmissionSource, ...]:
    """The names of a source that was asked for so."""
    return source.origins or (SubmissionSource(asked),)


def in_use(
    source: DetectionSource, changes: Sequence[str] = (), *, config: Thresholds | None = None
) -> Thresholds | None:
    """A source's thresholds, or those of a ``config``, with ``name=value`` texts applied; OptdetError for an
    unknown name, and for a source that has none to replace."""
    if (changes or config is not None) and source.thresholds is None:
        raise OptdetError(
            "its members have thresholds of their own, and it has none to replace",
            where=source.title,
            fix="change those in its file",
        )
    thresholds = config or source.thresholds
    if not changes or thresholds is None:
        return thresholds
    # Not above: it brings what tuning needs, which detecting does without.
    from optdet.tuning.thresholds import replace_thresholds

    return replace_thresholds(thresholds, changes)
