"""A SOURCE as one side of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.detection.postprocess import MapDetector
from optdet.inference.map_source import with_content
from optdet.inference.predict import OnImage
from optdet.structures import Sample, Thresholds
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

    def detectors(self, paths: Sequence[Path], on_image: OnImage | None) -> Iterator[MapDetector]:
        """The map of each image file, one at a time; OptdetError at the end where all are empty."""
        maps = self.opened.maps.maps(paths, on_image=on_image)
        return (image.detector for image in with_content(self.opened.title, maps))


def open_compared(source: str, options: SourceOptions) -> ComparedSource:
    return ComparedSource(open_source(source, options))
