"""The images of a folder, or those of them that a label file names: what a prediction file has to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optdet.data.files import require_folder
from optdet.data.images import list_images, relative_name
from optdet.data.labels import read_labels
from optdet.data.names import NameIndex
from optdet.errors import OptdetError


@dataclass(frozen=True, slots=True)
class NamedImages:
    """Image files by their names in the folder, in its order; ``missing`` are names of labels without one."""

    paths: Mapping[str, Path]
    missing: tuple[str, ...] = ()


def named_images(images: Path, labels: Path | None) -> NamedImages:
    """Every image of the folder without ``labels``."""
    require_folder(images, what="images folder")
    paths = {relative_name(path, images): path for path in list_images(images)}
    if labels is None:
        return NamedImages(paths)
    label_file = read_labels(labels)
    index = NameIndex(label_file.words, by_stem=label_file.names_are_stems)
    meant = {name: label for name in paths if (label := index.find(name)) is not None}
    found = set(meant.values())
    return NamedImages(
        {name: paths[name] for name in meant}, tuple(name for name in label_file.words if name not in found)
    )


def require_named(images: Path, labels: Path | None) -> list[Path]:
    """The files of :func:`named_images`; OptdetError where one is missing, or there are none."""
    found = named_images(images, labels)
    if not found.paths and not found.missing:
        raise OptdetError("no images there", where=str(images), fix="name a folder of jpg, png, ... files")
    if found.missing:
        n_labels = len(found.missing) + len(found.paths)
        raise OptdetError(
            f"{len(found.missing)} of {n_labels} images are not in {images}, the first is {found.missing[0]}",
            where=str(labels),
            fix="add them, or take them out of the labels",
        )
    return list(found.paths.values())
