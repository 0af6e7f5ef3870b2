"""Everything that is wrong with labelled images, found before a training is: rows, names, files.

Training refuses a source with a damaged image, with a file name that leaves its folder, or without a readable
word, and validation images that are missing; rows that cannot be used and labels to train on without an image
it skips and counts. Checks say which is which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optdet.config import DataConfig, SourceConfig
from optdet.data.folds import from_folder, read_folds
from optdet.data.images import read_image
from optdet.data.source import Source, load_source
from optdet.data.survey import Survey, survey
from optdet.errors import OptdetError
from optdet.structures import Sample

OnImage = Callable[[int, int], None]
_LISTED = ("missing", "bad_rows", "unreadable")


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What a source holds and what is wrong with it; ``refusal`` is why training would not take it.

    Without a ``survey`` the labels or the folder could not be read at all, as ``refusal`` says.
    ``image_paths`` are those of the labelled images.
    """

    title: str
    images: str
    labels: str
    format: str
    survey: Survey | None
    problems: tuple[str, ...]
    refusal: str | None
    image_paths: frozenset[Path]

    def lines(self) -> list[str]:
        """For a terminal; the problems are listed apart."""
        head = f"{self.title}: {self.labels} ({self.format}), images in {self.images}"
        return [head, *(f"  {line}" for line in (self.survey.lines() if self.survey else []))]

    def as_json(self) -> dict[str, Any]:
        counts = asdict(self.survey) if self.survey else None
        return {
            "title": self.title,
            "images": self.images,
            "labels": self.labels,
            "format": self.format,
            "survey": counts and {key: value for key, value in counts.items() if key not in _LISTED},
            "problems": list(self.problems),
            "refusal": self.refusal,
        }


def check_source(
    source: SourceConfig,
    title: str,
    *,
    size: int,
    decode: bool = True,
    complete: bool = False,
    on_image: OnImage | None = None,
) -> SourceCheck:
    """Check one source. ``size`` is the side that training scales to; ``decode`` reads every image's pixels,
    which finds files that are cut short; without it only their headers are read. ``complete``: every labelled
    image must be there, as those to validate on.
    """
    try:
        loaded = load_source(
            Path(source.images), Path(source.labels), format=source.format, require_words=False
        )
    except OptdetError as error:
        return SourceCheck(
            title, source.images, source.labels, source.format, None, (str(error),), str(error), frozenset()
        )
    surveyed = survey(loaded, size=size)
    damaged = [problem.reason for problem in surveyed.unreadable]
    if decode:
        known = {problem.file for problem in surveyed.unreadable}
        damaged += _undecodable([s for s in loaded.samples if str(s.image_path) not in known], on_image)
    absent = [f"{loaded.label_file.path}: no image {name} in {source.images}" for name in loaded.missing]
    return SourceCheck(
        title=title,
        images=source.images,
        labels=source.labels,
        format=loaded.label_file.format,
        survey=surveyed,
        problems=(*map(str, loaded.problems), *absent, *damaged),
        refusal=_refusal(loaded, damaged, complete=complete),
        image_paths=frozenset(sample.image_path.resolve() for sample in loaded.samples),
    )


def check_sources(
    data: DataConfig, *, size: int | None = None, decode: bool = True, on_image: OnImage | None = None
) -> list[SourceCheck]:
    """Check every source of a config, none for synthetic receipts; paths are taken from the working
    directory.
    """
    check = partial(check_source, size=size or data.size, decode=decode, on_image=on_image)
    if data.folds is not None:
        return [check(source, title, complete=True) for title, source in _folded(Path(data.folds))]
    if data.synthetic is not None:
        return []
    if data.val is None:
        raise OptdetError(
            "the config names no images: neither data.train and data.val nor data.synthetic or data.folds",
            fix="`optdet init --data DIR` writes a config for a folder",
        )
    trained_on = [check(source, title) for title, source in _titled("data.train", data.train)]
    return [*trained_on, check(data.val, "data.val", complete=True)]


def _titled(title: str, sources: Sequence[SourceConfig]) -> list[tuple[str, SourceConfig]]:
    single = len(sources) == 1
    return [(title if single else f"{title}[{n}]", source) for n, source in enumerate(sources)]


def _folded(path: Path) -> list[tuple[str, SourceConfig]]:
    """The sources of a file of folds, and the judge; none of synthetic receipts."""
    folder, sources = path.parent.resolve(), read_folds(path).sources
    titled = _titled("folds.train", sources.train)
    titled += [] if sources.val is None else [("folds.val", sources.val)]
    return [(title, from_folder(source, folder)) for title, source in titled]


def first_fault(checks: Sequence[SourceCheck]) -> OptdetError | None:
    """What to mend first: what training would refuse, then rows that it would skip."""
    for found in checks:
        if found.refusal is not None:
            return OptdetError(f"training would refuse {found.title}: {found.refusal}")
    for found in checks:
        if found.survey is not None and found.survey.bad_rows:
            rows = found.survey.bad_rows
            return OptdetError(
                f"{len(rows)} bad rows, the first at {rows[0].where}: {rows[0].reason}",
                where=rows[0].file,
                fix="mend them: training would skip them",
            )
    return None


def shared_images(checks: Sequence[SourceCheck]) -> list[str]:
    """A line for each two sources that hold the same image files: in training and validation at once they
    make a score that is too good.
    """
    lines = []
    for index, one in enumerate(checks):
        for other in checks[index + 1 :]:
            both = sorted(one.image_paths & other.image_paths)
            if both:
                lines.append(
                    f"{one.title} and {other.title} share {len(both)} images, the first is {both[0].name}"
                )
    return lines


def _undecodable(samples: Sequence[Sample], on_image: OnImage | None) -> list[str]:
    """Why images cannot be read, of those that cannot. Decoding releases the interpreter's lock."""
    found = []
    with ThreadPoolExecutor() as pool:
        reasons = pool.map(_decode_error, (sample.image_path for sample in samples))
        for done, reason in enumerate(reasons, start=1):
            if on_image is not None:
                on_image(done, len(samples))
            if reason is not None:
                found.append(reason)
    return found


def _decode_error(path: Path) -> str | None:
    try:
        read_image(path)
    except OptdetError as error:
        return str(error)
    return None


def _refusal(source: Source, damaged: Sequence[str], *, complete: bool) -> str | None:
    try:
        source.label_file.require_usable()
        if complete:
            source.require_complete()
    except OptdetError as error:
        return str(error)
    if not any(not word.ignored for sample in source.samples for word in sample.words):
        return f"{source.label_file.path}: no readable word in the images that are there"
    return damaged[0] if damaged else None
