"""How nearly the files of two submissions are the same: by what they find in the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from optdet.data.predictions import parse_predictions
from optdet.metrics.agreement import agreement
from optdet.structures import FloatArray
from optdet.tuning.study import Database
from optdet.tuning.submission_list import SubmissionRow
from optdet.tuning.submission_places import content_of

Polygons = Mapping[str, list[FloatArray]]


class ReadFiles:
    """The polygons of files, read once, and how nearly two files are the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._polygons: dict[str, Polygons | None] = {}

    def polygons(self, row: SubmissionRow) -> Polygons | None:
        """Those with an outline; None where the bytes are lost."""
        sha256 = row.record.sha256
        if sha256 not in self._polygons:
            content = content_of(self._database, row.record)
            self._polygons[sha256] = None if content is None else _outlines(row, content)
        return self._polygons[sha256]

    def nearest(
        self, row: SubmissionRow, others: Sequence[SubmissionRow]
    ) -> tuple[SubmissionRow, float] | None:
        """Which of the others agrees most with a file, and how much; None where none can be read."""
        own = self.polygons(row)
        if own is None:
            return None
        readable = [(other, theirs) for other in others if (theirs := self.polygons(other)) is not None]
        scored = [(other, mean_agreement(own, theirs)) for other, theirs in readable]
        return max(scored, key=lambda each: each[1], default=None)


def _outlines(row: SubmissionRow, content: bytes) -> Polygons:
    """An adopted file may hold what is no polygon."""
    found = parse_predictions(Path(row.record.path), content.decode("utf-8-sig")).polygons
    return {name: [each for each in polygons if len(each) >= 3] for name, polygons in found.items()}


def mean_agreement(a: Polygons, b: Polygons) -> float:
    """Over the images of two files, of which both have the same."""
    values = [agreement(polygons, b.get(name, [])) for name, polygons in a.items()]
    return sum(values) / len(values) if values else 1.0
