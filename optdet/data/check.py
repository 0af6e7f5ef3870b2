"""Everything that is wrong with labelled images, found before a training is: rows, names, files.

Training refuses a source with a damaged image, with a file name that leaves its folder, or without a readable
word, and validation images that are missing; rows that cannot be used and labels to train on without an image
it skips and counts. Checks say which is which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from optdet.config import DataConfig, SourceConfig
from optdet.data.duplicates import Role, SourceImages
from optdet.data.folds import read_folds
from optdet.data.images import list_images
from optdet.data.located import locate
from optdet.data.looks import Look, read_looks
from optdet.data.pool import open_pool
from optdet.data.source import Source, load_source
from optdet.data.survey import Survey, survey
from optdet.errors import OptdetError
from optdet.structures import OnImage

_LISTED = ("missing", "bad_rows", "unreadable")


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What a source holds and what is wrong with it; ``refusal`` is why training would not take it.

    Without a ``survey`` the labels or the folder could not be read at all, as ``refusal`` says.
    ``image_files`` are those of the labelled images that can be read, for `duplicates`.
    """

    title: str
    images: str
    labels: str
    format: str
    survey: Survey | None
    problems: tuple[str, ...]
    refusal: str | None
    image_files: SourceImages

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
    role: Role = "train",
    fold_of: Mapping[str, int] | None = None,
    on_image: OnImage | None = None,
) -> SourceCheck:
    """Check one source. ``size`` is the side that training scales to; ``decode`` reads every image's pixels,
    which finds files that are cut short; without it only their headers are read. Of images to validate on
    every labelled one must be there. ``fold_of`` are the folds of images by name.
    """
    try:
        loaded = load_source(
            Path(source.images), Path(source.labels), format=source.format, require_words=False
        )
    except OptdetError as error:
        nothing = SourceImages(title, role, (), None)
        reason = str(error)
        return SourceCheck(
            title, source.images, source.labels, source.format, None, (reason,), reason, nothing
        )
    surveyed = survey(loaded, size=size)
    damaged = [problem.reason for problem in surveyed.unreadable]
    known = {problem.file for problem in surveyed.unreadable}
    paths = [s.image_path for s in loaded.samples if str(s.image_path) not in known]
    files = read_files(paths, title, role, decode=decode, on_image=on_image)
    damaged += files.damaged
    images = files.images
    if fold_of is not None:
        names = {sample.image_path: sample.name for sample in loaded.samples}
        images = replace(images, folds=tuple(fold_of.get(names[path]) for path in images.paths))
    absent = [f"{loaded.label_file.path}: no image {name} in {source.images}" for name in loaded.missing]
    return SourceCheck(
        title=title,
        images=source.images,
        labels=source.labels,
        format=loaded.label_file.format,
        survey=surveyed,
        problems=(*map(str, loaded.problems), *absent, *damaged),
        refusal=_refusal(loaded, damaged, complete=role == "val"),
        image_files=images,
    )


def check_sources(
    data: DataConfig, *, size: int | None = None, decode: bool = True, on_image: OnImage | None = None
) -> list[SourceCheck]:
    """Check every source of a config, none for synthetic receipts; paths are taken from the working
    directory.
    """
    check = partial(check_source, size=size or data.size, decode=decode, on_image=on_image)
    if data.folds is not None:
        return _check_folded(data, Path(data.folds), check)
    if data.synthetic is not None:
        return []
    if data.val is None:
        raise OptdetError(
            "the config names no images: neither data.train and data.val nor data.synthetic or data.folds",
            fix="`optdet init --data DIR` writes a config for a folder",
        )
    trained_on = [check(source, title) for title, source in _titled("data.train", data.train)]
    return [*trained_on, check(data.val, "data.val", role="val")]


def _titled(title: str, sources: Sequence[SourceConfig]) -> list[tuple[str, SourceConfig]]:
    single = len(sources) == 1
    return [(title if single else f"{title}[{n}]", source) for n, source in enumerate(sources)]


def _check_folded(data: DataConfig, path: Path, check: Callable[..., SourceCheck]) -> list[SourceCheck]:
    """The sources of a file of folds, and the judge; none of synthetic receipts. Images that are in folds are
    held against the file as well, by which training would refuse any change.
    """
    folds = read_folds(path)
    if folds.sources.synthetic is not None:
        return []
    located = locate(data, data_root=Path(), data_dir=Path())  # none is made: there are no receipts
    assert located.in_folds is not None
    titles = [title for title, _ in _titled("folds.train", folds.sources.train)]
    checks = [
        check(source, title, fold_of={image.name: image.fold for image in folds.images if image.source == n})
        for n, (title, source) in enumerate(zip([*titles, "folds.val"], located.train, strict=False))
    ]
    if located.in_folds.judge is not None:
        checks.append(check(located.in_folds.judge, "folds.val", role="val"))
    if all(found.refusal is None for found in checks):
        try:
            pool = open_pool(located)
            pool.require_same_files(range(len(pool.samples)))
        except OptdetError as error:
            problems = (*checks[0].problems, str(error))
            checks[0] = replace(checks[0], problems=problems, refusal=str(error))
    return checks


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


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """Images that can be read, and why the others cannot."""

    images: SourceImages
    damaged: list[str]


def read_folder(folder: Path, *, decode: bool = True, on_image: OnImage | None = None) -> SourceImages:
    """The images of a folder without labels, as a test set, to find copies of them; damaged ones are left
    out.
    """
    return read_files(list_images(folder), str(folder), "other", decode=decode, on_image=on_image).images


def read_files(
    paths: Sequence[Path], title: str, role: Role, *, decode: bool, on_image: OnImage | None
) -> ReadFiles:
    """Decode every image; with ``decode`` off they are taken as they are."""
    if not decode:
        return ReadFiles(SourceImages(title, role, tuple(paths), None), [])
    damaged: list[str] = []
    whole: list[Path] = []
    looks: list[Look] = []
    for done, (path, look) in enumerate(zip(paths, read_looks(paths), strict=True), start=1):
        if on_image is not None:
            on_image(done, len(paths))
        if isinstance(look, OptdetError):
            damaged.append(str(look))
        else:
            whole.append(path)
            looks.append(look)
    return ReadFiles(SourceImages(title, role, tuple(whole), tuple(looks)), damaged)


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
