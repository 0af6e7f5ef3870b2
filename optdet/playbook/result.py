"""What a stage gave: a detector or an ensemble, its scores, the files that it wrote.

Scores are competition macro ones, 0..1. A result is kept as JSON with its step, so that a playbook that goes
on knows what it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optdet.structures import Thresholds


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A submission of the test images at ``thresholds``, which have this H-mean on the judged images; it is
    known by its ``sha256``, where that is None by the file that lies there."""

    path: str
    thresholds: Thresholds | None
    hmean: float
    sha256: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WrittenFile:
        thresholds = _thresholds(values["thresholds"])
        return cls(str(values["path"]), thresholds, float(values["hmean"]), values.get("sha256"))


@dataclass(frozen=True, slots=True)
class StageResult:
    """``source`` is a SOURCE that ``predict`` takes, at ``thresholds`` (None: at its own).

    ``hmean`` is the score at the chosen thresholds on the images that they were chosen on, ``hmean_crossfit``
    on images left out of the choice, ``hmeans`` those of each image at the chosen thresholds. ``files`` are
    the submissions that were written, the result's own first. ``members`` are the sources of an ensemble.
    ``lines`` say what happened.
    """

    title: str
    source: str
    thresholds: Thresholds | None
    precision: float
    recall: float
    hmean: float
    hmean_crossfit: float | None
    interval: tuple[float, float]
    hmeans: tuple[float, ...]
    files: tuple[WrittenFile, ...] = ()
    config: str | None = None
    members: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def n_members(self) -> int:
        """Detectors that are in it."""
        return max(1, len(self.members))

    @property
    def local(self) -> float:
        """The cross-fitted score; where nothing was chosen on these images, the plain one."""
        return self.hmean if self.hmean_crossfit is None else self.hmean_crossfit

    @property
    def submission(self) -> WrittenFile | None:
        """The result's own."""
        return self.files[0] if self.files else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StageResult:
        low, high = values["interval"]
        read = {
            "interval": (low, high),
            "hmeans": tuple(values["hmeans"]),
            "lines": tuple(values["lines"]),
            "members": tuple(values["members"]),
            "files": tuple(WrittenFile.from_json(file) for file in values["files"]),
            "thresholds": _thresholds(values["thresholds"]),
        }
        return cls(**{**values, **read})


def _thresholds(values: Mapping[str, Any] | None) -> Thresholds | None:
    return None if values is None else Thresholds.from_dict(values)
