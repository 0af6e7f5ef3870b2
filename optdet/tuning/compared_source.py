"""A SOURCE as one side of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.evaluation.configurations import detect_at
from optdet.evaluation.parallel import mapped
from optdet.inference.map_source import with_content
from optdet.inference.predict import OnImage
from optdet.structures import Detections, Sample, Thresholds
from optdet.tuning.source import OpenSource, SourceOptions, labelled_samples, open_source


@dataclass(frozen=True, slots=True)
class ComparedSource:
    """A source at its own thresholds, or at changed ones."""

    opened: OpenSource

    def at(self, changes: Sequence[str]) -> Thresholds:
        """The thresholds with ``name=value`` texts applied; OptdetError for an unknown name."""
        if not changes:
            return self.opened.thresholds
        # Not above: it brings Optuna, which folders of maps and ONNX files do without.
        from optdet.tuning.thresholds import replace_thresholds

        return replace_thresholds(self.opened.thresholds, changes)

    def samples(self) -> tuple[Sample, ...] | None:
        """The validation images of a study's trial; None of any other source."""
        return None if self.opened.labelled is None else labelled_samples(self.opened, None, None)

    def detections(
        self,
        paths: Sequence[Path],
        configurations: Sequence[Thresholds],
        *,
        workers: int = 1,
        on_image: OnImage | None = None,
    ) -> Iterator[list[Detections]]:
        """Of each image file those at every configuration; OptdetError at the end where all maps are empty.

        Maps come one at a time, and no more of them are held than ``workers`` threads have in hand.
        """
        maps = with_content(self.opened.title, self.opened.maps.maps(paths, on_image=on_image))
        return mapped(lambda image: detect_at(image.detector, configurations), maps, workers=workers)


def open_compared(source: str, options: SourceOptions) -> ComparedSource:
    return ComparedSource(open_source(source, options))
