"""The file of a partition into folds: which image is held out in which fold, and what it was made of.

Paths in it are relative to the file's own folder. Each image is named by its source and, with digests of its
pixels' file and of its words, recognised: a change of any is noticed where the folds are used. Beside it lie
label files of every fold, for other programs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from optdet.config import SourceConfig, SyntheticConfig
from optdet.data.files import read_text, write_atomically
from optdet.errors import OptdetError
from optdet.section import Section
from optdet.validation import validate

FILE_NAME = "folds.json"


class FoldSources(Section):
    """Where the images came from, as in ``data`` of a config; ``val`` is None where there was none."""

    train: tuple[SourceConfig, ...] = ()
    val: SourceConfig | None = None
    synthetic: SyntheticConfig | None = None


class FoldImage(Section):
    """One image: its source (of ``train``, then ``val``), its name there, and the fold that holds it out."""

    source: Annotated[int, Field(ge=0)]
    name: str
    fold: Annotated[int, Field(ge=0)]
    words: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    sha256: str
    words_sha256: str
    group: str | None = None


class Folds(Section):
    """A partition. With ``with_val`` the images of ``val`` are in the folds too; else they are the judge of
    detectors that all the folds have trained."""

    version: Literal[1] = 1
    n_folds: Annotated[int, Field(ge=2)]
    seed: int
    with_val: bool
    sources: FoldSources
    stratified_by: tuple[str, ...] = ("words", "longer_side")
    fingerprint: str
    """Of the images in the folds, as trials have that of theirs."""
    images: Annotated[tuple[FoldImage, ...], Field(min_length=2)]

    def sha256(self) -> str:
        """Of which image is in which fold, wherever the files lie."""
        rows = sorted([each.source, each.name, each.fold, each.sha256] for each in self.images)
        return hashlib.sha256(json.dumps([self.n_folds, rows]).encode()).hexdigest()

    def held_out(self, fold: int) -> list[FoldImage]:
        return [image for image in self.images if image.fold == fold]


def read_folds(path: Path) -> Folds:
    """OptdetError for a file that is not there, or no partition."""
    if not path.is_file():
        raise OptdetError(
            "no file of folds is there", where=str(path), fix="make one: optdet data split CONFIG --out DIR"
        )
    try:
        tree = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise OptdetError(f"not JSON ({error})", where=str(path), fix="split the data anew") from error
    if not isinstance(tree, dict) or "n_folds" not in tree:
        raise OptdetError(
            "not a file of folds", where=str(path), fix="name the folds.json that `optdet data split` wrote"
        )
    folds = validate(Folds, tree, str(path))
    if {image.fold for image in folds.images} != set(range(folds.n_folds)):
        raise OptdetError(
            f"its images are not in folds 0 to {folds.n_folds - 1}", where=str(path), fix="split anew"
        )
    fault = _misplaced(folds)
    if fault is not None:
        raise OptdetError(fault, where=str(path), fix="put the file back as it was written, or split anew")
    return folds


def _misplaced(folds: Folds) -> str | None:
    """Why the images are not those of the sources, source by source and each once."""
    n_sources = 1 if folds.sources.synthetic is not None else len(folds.sources.train)
    if folds.with_val and (folds.sources.synthetic is not None or folds.sources.val is not None):
        n_sources += 1
    seen: set[tuple[int, str]] = set()
    before = 0
    for image in folds.images:
        if image.source >= n_sources:
            return f"{image.name} is of source {image.source}, and they are 0 to {n_sources - 1}"
        if image.source < before:
            return f"{image.name} of source {image.source} comes after images of source {before}"
        if (image.source, image.name) in seen:
            return f"{image.name} of source {image.source} is listed twice"
        seen.add((image.source, image.name))
        before = image.source
    return None


def folds_bytes(folds: Folds) -> bytes:
    """The file's content, an image a line."""
    tree: dict[str, Any] = folds.model_dump(mode="json", exclude_none=True)
    images = [json.dumps(image, ensure_ascii=False) for image in tree.pop("images")]
    head = json.dumps(tree, indent=2, ensure_ascii=False).removesuffix("\n}")
    rows = ",\n    ".join(images)
    return f'{head},\n  "images": [\n    {rows}\n  ]\n}}\n'.encode()


def write_folds(path: Path, folds: Folds) -> None:
    write_atomically(path, folds_bytes(folds))


def label_place(folder: Path, fold: int, part: Literal["train", "val"]) -> Path:
    """Where a fold's label file for other programs is."""
    return folder / f"fold{fold}" / f"{part}.json"


def from_folder(source: SourceConfig, folder: Path) -> SourceConfig:
    """A source of the file with paths that can be opened."""
    places = {key: os.path.normpath(folder / getattr(source, key)) for key in ("images", "labels")}
    return source.model_copy(update=places)


def to_folder(source: SourceConfig, folder: Path) -> SourceConfig:
    """The same source as the file has it: relative, so that a folder that moves as a whole takes it along."""
    places = {
        key: Path(os.path.relpath(getattr(source, key), folder)).as_posix() for key in ("images", "labels")
    }
    return source.model_copy(update=places)


def common_folder(images: Sequence[Path]) -> Path:
    """The folder in which all images of the folds lie: of a single source its own, as it is written."""
    if len(set(images)) == 1:
        return images[0]
    return Path(os.path.commonpath([os.path.realpath(path) for path in images]))


def names_from(common: Path, images: Path, names: Sequence[str]) -> list[str]:
    """Names of a source's images, relative to the common folder."""
    if images == common:
        return list(names)
    prefix = Path(os.path.relpath(os.path.realpath(images), common)).as_posix()
    return [name if prefix == "." else f"{prefix}/{name}" for name in names]
