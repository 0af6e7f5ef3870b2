"""What a label file says: the record, and the checks that every format goes through.

A word that cannot be used (fewer points than 3, NaN, no area, ...) and an image that cannot (a name twice,
a name that leaves the folder) are left out and kept as a `Problem` with its place. Vertex order is the
file's own: CLEval's aspect ratio depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from optdet.data.names import leaves_folder, nfc, unreadable_name
from optdet.errors import OptdetError
from optdet.structures import FloatArray, Problem, Word

LabelFormat = Literal["ufo", "icdar", "paddle"]
FORMATS: tuple[LabelFormat, ...] = ("ufo", "icdar", "paddle")
IGNORED_TEXT = "###"
# No camera or scanner makes a side of a million pixels: such a number is a slip of the exporter.
MAX_COORDINATE = 1e6
# Square pixels; only rounding is below it.
MIN_AREA = 1e-6
# A file with more bad rows is broken as a whole, and their records would outgrow the file in memory.
MAX_PROBLEMS = 100_000


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Words by image name (NFC). ``sizes`` holds the (width, height) that the file itself states.

    ``groups`` names, of images that belong together, what they belong to: one receipt taken twice, one shop.
    ``unsafe_names`` are those of ``problems`` whose file name leads out of the images folder.
    ``names_are_stems``: the names lack an extension, because the format names a file after its image.
    """

    path: Path
    format: LabelFormat
    words: Mapping[str, tuple[Word, ...]]
    problems: tuple[Problem, ...] = ()
    unsafe_names: tuple[Problem, ...] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    names_are_stems: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_words(self) -> bool:
        """False for a test file, whose images all have empty ``words``: it has no labels."""
        return any(self.words.values())

    @property
    def n_words(self) -> int:
        return sum(map(len, self.words.values()))

    @property
    def n_ignored(self) -> int:
        return sum(word.ignored for words in self.words.values() for word in words)

    def require_usable(self) -> None:
        """Raise when training with this file would make no sense; other problems are only counted."""
        if self.unsafe_names:
            first = self.unsafe_names[0]
            raise OptdetError(
                first.reason, where=f"{first.file}:{first.where}", fix="name images relative to their folder"
            )
        if self.n_words == self.n_ignored:
            raise OptdetError(
                f"no readable words in {len(self.words)} images{self._why_no_words()}",
                where=str(self.path),
                fix="name a label file with words",
            )

    def _why_no_words(self) -> str:
        if self.problems:
            first = self.problems[0]
            return f" ({len(self.problems)} bad rows, the first at {first.where}: {first.reason})"
        return " (all are ignored)" if self.has_words else " (their words are empty, as in a test file)"


class LabelCollector:
    """Gathers what a format's parser finds; the same checks for every format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._words: dict[str, tuple[Word, ...]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._groups: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._with_bad_words: set[str] = set()
        self._unsafe: list[Problem] = []

    def problem(self, where: str, reason: str, *, file: Path | None = None) -> Problem:
        # A place may hold a name with line breaks, and an error is one line.
        place = where if where.isprintable() else repr(where)[1:-1]
        problem = Problem(str(file or self.path), place, reason)
        self._problems.append(problem)
        if len(self._problems) > MAX_PROBLEMS:
            raise OptdetError(
                f"more than {MAX_PROBLEMS:,} bad rows, the first at {self._problems[0].where}: "
                f"{self._problems[0].reason}",
                where=str(self.path),
                fix="check the format of the file",
            )
        return problem

    def bad_word(self, image: str, where: str, reason: str, *, file: Path | None = None) -> None:
        """A word of a registered image that cannot be read."""
        self.problem(where, reason, file=file)
        self._with_bad_words.add(image)

    def image(self, name: str, where: str, *, file: Path | None = None) -> str | None:
        """Register an image; its NFC name, or None (and a problem) when it cannot be used."""
        if leaves_folder(name):
            self._unsafe.append(self.problem(where, f"the file name {name!r} leaves its folder", file=file))
            return None
        reason = unreadable_name(name)
        if reason is None and nfc(name) in self._words:
            reason = f"the image {name!r} is listed twice (the first is kept)"
        if reason is not None:
            self.problem(where, reason, file=file)
            return None
        self._words[nfc(name)] = ()
        return nfc(name)

    def add_words(self, image: str, words: Sequence[Word]) -> None:
        self._words[image] += tuple(words)

    def state_size(self, image: str, width: object, height: object) -> None:
        """Keep the size a file states; anything but two positive whole numbers is no statement."""
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            self._sizes[image] = (width, height)

    def state_group(self, image: str, group: str) -> None:
        self._groups[image] = group

    def finish(self, format: LabelFormat, *, names_are_stems: bool = False) -> LabelFile:
        """Without the images of whose words none can be read: they are no images without words."""
        unread = {image for image in self._with_bad_words if not self._words[image]}
        return LabelFile(
            path=self.path,
            format=format,
            words={image: words for image, words in self._words.items() if image not in unread},
            problems=tuple(self._problems),
            unsafe_names=tuple(self._unsafe),
            sizes=self._sizes,
            names_are_stems=names_are_stems,
            groups=self._groups,
        )


def polygon_from(points: object, *, min_points: int = 3) -> FloatArray | str:
    """A list of [x, y] as an array (N, 2), or the reason why it is none. Numbers in quotes are no numbers."""
    if not isinstance(points, list):
        return f"points is {type(points).__name__}, expected a list of [x, y]"
    if len(points) < min_points:
        return f"{len(points)} points, expected {min_points} or more"
    for index, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2:
            return f"point {index} is not [x, y]"
        for value in point:
            # `bool` is an `int`, and true is no coordinate
            if type(value) is not float and type(value) is not int:
                return f"point {index} holds {value!r}, not a number"
            if not abs(value) <= MAX_COORDINATE:  # nor is not-a-number
                return f"point {index} holds {_short(value)}, not a coordinate"
    return np.array(points, dtype=np.float64)


def usable_word(polygon: FloatArray, text: str | None, ignored: bool) -> Word | str:
    """The word, or the reason why no detection could ever match it."""
    if _on_one_line(polygon):
        return "the polygon has no area"
    return Word(polygon, None if text is None else readable_text(text), ignored)


def _on_one_line(polygon: FloatArray) -> bool:
    (x0, y0), (x1, y1), (x2, y2) = polygon[:3].tolist()
    # Decides nearly every word, at a tenth of the cost of the full matrix.
    if abs((x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)) > MIN_AREA:
        return False
    x, y = (polygon[1:] - polygon[0]).T
    return bool(np.abs(np.outer(x, y) - np.outer(y, x)).max() <= MIN_AREA)


def readable_text(text: str) -> str:
    """A lone surrogate (JSON can spell it, UTF-8 cannot) becomes ``?``: it could be neither printed nor
    stored.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _short(value: float) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:20]}..."
