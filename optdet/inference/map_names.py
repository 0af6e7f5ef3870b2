"""Which file of a folder is the map of an image, by names alone.

A map is named as its image with the suffix added (``a.jpg.npy``) or in its place (``a.npy``). Where maps lie
in sub-folders their names are paths, and the image's path must end in them: ``a/1.npy`` is the map of
``images/a/1.jpg`` and of no image in another folder. Of several such the longest name counts. No map may
belong to two images. Names are compared in NFC.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from optdet.data.files import require_folder
from optdet.data.names import nfc, stem
from optdet.errors import OptdetError

MAP_SUFFIXES = (".npy", ".npz")


def has_maps(folder: Path) -> bool:
    """Whether there is a map in a folder or its sub-folders."""
    return next(_map_names(folder, ""), None) is not None


def find_maps(folder: Path, images: Sequence[Path]) -> list[Path]:
    """The map of each image file; OptdetError where one has none, and where one map could be two images'."""
    index = _index(folder)
    found = {path: name for path in images if (name := _find(index, path)) is not None}
    missing = [path for path in images if path not in found]
    if missing:
        raise _missing(folder, index, missing, len(images))
    owners: dict[str, Path] = {}
    for path, name in found.items():
        if name in owners:
            raise OptdetError(
                f"{name} could be the map of {_shown(owners[name])} and of {_shown(path)}",
                where=str(folder),
                fix="keep maps in sub-folders as the images are",
            )
        owners[name] = path
    return [folder / found[path] for path in images]


def _index(folder: Path) -> dict[str, str]:
    """Map files, relative to the folder, by what they say of the image; OptdetError for two of one image."""
    require_folder(folder, what="folder of maps")
    index: dict[str, str] = {}
    for name in sorted(_map_names(folder, "")):
        image = nfc(name.rpartition(".")[0])
        if image in index:
            raise OptdetError(
                f"two maps of one image: {index[image]} and {name}", where=str(folder), fix="remove one"
            )
        index[image] = name
    return index


def _map_names(folder: Path, prefix: str) -> Iterator[str]:
    """As images are listed: sub-folders too, hidden ones left out, links to folders not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(MAP_SUFFIXES) and entry.is_file():
                yield prefix + entry.name
            elif entry.is_dir(follow_symlinks=False):
                yield from _map_names(folder / entry.name, f"{prefix}{entry.name}/")


def _find(index: Mapping[str, str], image: Path) -> str | None:
    parts = nfc(image.as_posix()).split("/")
    for start in range(len(parts)):
        end = "/".join(parts[start:])
        name = index.get(end) or index.get(stem(end))
        if name is not None:
            return name
    return None


def _missing(folder: Path, index: Mapping[str, str], missing: Sequence[Path], n_images: int) -> OptdetError:
    if len(missing) < n_images:
        return OptdetError(
            f"{len(missing)} of {n_images} images have no map, as {_shown(missing[0])}",
            where=str(folder),
            fix="add their maps, or give the labels of the others alone",
        )
    there = f"it has {len(index)} maps, as {min(index.values())}" if index else "it has no .npy or .npz"
    return OptdetError(
        f"none of the {n_images} images has a map here ({_shown(missing[0])}, ...); {there}",
        where=str(folder),
        fix="name the images and labels that the maps were made of",
    )


def _shown(image: Path) -> str:
    """An image with its folder, which two images of one name differ in."""
    return "/".join(image.parts[-2:])
