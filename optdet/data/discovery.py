"""Finds image folders and label files below a folder, and which belong together.

Pairs are told by content: a label file goes with the folder that holds the images that it names. Where
several do (``train/images`` and ``val/images`` both with ``1.jpg``), the one of the same split wins, then
the nearest. So no layout is special: ``images/`` with ``jsons/train.json``, ``train/images`` with
``train/labels``, ``img`` with ``gt``, a ``Label.txt``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optdet.data import label_icdar
from optdet.data.files import require_folder
from optdet.data.label_file import LabelFile, LabelFormat
from optdet.data.labels import detect_format, read_labels
from optdet.data.names import is_image_name, match_names
from optdet.errors import OptdetError

Split = Literal["train", "val", "test"]
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_SPLIT_ORDER: dict[Split | None, int] = {"train": 0, "val": 1, "test": 2, None: 3}
MAX_DEPTH = 4
_OF_LABELS = (".json", ".xml", ".txt", ".csv", ".jsonl")
_SNIFFED_BYTES = 2**16
_SNIFFED_FILES = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A label file and the folder with its images; ``n_found`` of its ``n_labelled`` images are there."""

    images: Path
    labels: Path
    format: LabelFormat
    split: Split | None
    n_labelled: int
    n_found: int
    n_words: int


@dataclass(frozen=True, slots=True)
class Discovery:
    """Candidates, train first; ``problems`` are label files that could not be read or whose images are
    nowhere; ``unlabelled`` folders hold images, and no label file goes with them. ``other_files`` may be
    labels in a format that is not read.
    """

    candidates: tuple[Candidate, ...]
    problems: tuple[str, ...]
    unlabelled: tuple[Path, ...] = ()
    other_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _ImageFolder:
    path: Path
    names: tuple[str, ...]


def find_sources(folder: Path) -> Discovery:
    """What can be trained on or scored below a folder, `MAX_DEPTH` levels deep; hidden folders and links to
    folders are passed over."""
    require_folder(folder, what="data folder")
    image_folders: list[_ImageFolder] = []
    label_paths: list[Path] = []
    other_files: list[Path] = []
    for path, names in _walk(folder, MAX_DEPTH):
        images = tuple(name for name in names if is_image_name(name))
        if images:
            image_folders.append(_ImageFolder(path, images))
        found = _label_paths(path, names)
        label_paths += found
        others = [path / name for name in names if name.lower().endswith(_OF_LABELS)]
        other_files += [] if path in found else [file for file in others if file not in found]
    holding = [found.path for found in image_folders]
    image_folders = _with_parents(folder, image_folders)
    candidates: list[Candidate] = []
    problems: list[str] = []
    for path in label_paths:
        try:
            candidates.append(_pair(folder, read_labels(path), image_folders))
        except OptdetError as error:
            problems.append(str(error))
    candidates.sort(key=lambda found: (_SPLIT_ORDER[found.split], found.labels))
    taken = {found.images for found in candidates if found.n_words}
    unlabelled = tuple(path for path in holding if not taken & {path, *path.parents})
    return Discovery(tuple(candidates), tuple(problems), unlabelled, tuple(other_files))


def _with_parents(root: Path, folders: list[_ImageFolder]) -> list[_ImageFolder]:
    """Folders and those above them, each with the images of its sub-folders as a source lists them: labels
    may name images by ``shop0/1.jpg``, or those of several folders in one file.
    """
    below: dict[Path, list[str]] = {}
    for folder in folders:
        for parent in folder.path.parents:
            if not parent.is_relative_to(root):
                break
            prefix = folder.path.relative_to(parent).as_posix()
            below.setdefault(parent, []).extend(f"{prefix}/{name}" for name in folder.names)
    own = {folder.path: folder.names for folder in folders}
    return [_ImageFolder(path, (*own.get(path, ()), *below.get(path, ()))) for path in sorted({*own, *below})]


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, list[str]]]:
    with os.scandir(folder) as scan:
        entries = sorted((e for e in scan if not e.name.startswith(".")), key=lambda entry: entry.name)
    yield folder, [entry.name for entry in entries if entry.is_file()]
    if depth > 0:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, depth - 1)


def _label_paths(folder: Path, names: list[str]) -> list[Path]:
    """Label files in a folder, or the folder itself where each image has its own file."""
    paths = []
    for name in names:
        if name.lower().endswith(".json") and _sniff(folder / name) == "ufo":
            paths.append(folder / name)
    texts = [name for name in names if name.lower().endswith(label_icdar.SUFFIXES)]
    if _is_icdar_folder(folder, texts):
        return [*paths, folder]
    # Thousands of text files that are no labels are somebody else's format: a look at a few is enough.
    return paths + [folder / name for name in texts[:_SNIFFED_FILES] if _sniff(folder / name)]


def _is_icdar_folder(folder: Path, texts: list[str]) -> bool:
    """Most of the first files hold rows of one image each; an empty file is an image without words."""
    sniffed = [folder / name for name in texts[:_SNIFFED_FILES]]
    rows = [_holds_rows_of_one_image(path) for path in sniffed]
    return any(rows) and 2 * sum(rows) >= sum(path.stat().st_size > 0 for path in sniffed)


def _holds_rows_of_one_image(path: Path) -> bool:
    lines = _head(path).splitlines()
    first = next((line for line in lines if line.strip()), "")
    return label_icdar.is_row(first) and not label_icdar.is_table_row(first)


def _sniff(path: Path) -> LabelFormat | None:
    """A guess from the beginning; JSON counts when it speaks of images and words."""
    head = _head(path)
    found = detect_format(head)
    if found == "ufo" and not (head.lstrip().startswith("{") and '"images"' in head and '"words"' in head):
        return None
    return found


def _head(path: Path) -> str:
    with path.open("rb") as file:
        # The cut may fall into a character, and another encoding shall be reported by the reader.
        return file.read(_SNIFFED_BYTES).decode("utf-8-sig", errors="replace")


def _pair(root: Path, labels: LabelFile, folders: list[_ImageFolder]) -> Candidate:
    split = guess_split(labels.path.relative_to(root))
    counted = [(folder, _count(labels, folder)) for folder in folders]
    most = max((count for _, count in counted), default=0)
    if most == 0:
        if labels.unsafe_names:
            labels.require_usable()
        raise OptdetError(f"none of its {len(labels.words)} images is below {root}", where=str(labels.path))
    # A few images missing from the right folder must not send a file to a larger one with the same names.
    near = [(folder, count) for folder, count in counted if 2 * count >= most]

    def fitness(item: tuple[_ImageFolder, int]) -> tuple[bool, int, int, int]:
        folder, count = item
        same_split = guess_split(folder.path.relative_to(root)) == split
        return same_split, _shared_depth(folder.path, labels.path), count, len(folder.path.parts)

    best, count = max(near, key=fitness)
    return Candidate(
        images=best.path,
        labels=labels.path,
        format=labels.format,
        split=split,
        n_labelled=len(labels.words),
        n_found=count,
        n_words=labels.n_words,
    )


def _count(labels: LabelFile, folder: _ImageFolder) -> int:
    return len(match_names(folder.names, labels.words, by_stem=labels.names_are_stems).found)


def _shared_depth(one: Path, other: Path) -> int:
    return len(Path(os.path.commonpath([one, other])).parts)


def guess_split(path: Path) -> Split | None:
    """From the words of a path below the data folder, last part first: ``jsons/train_v2.json`` is train."""
    for part in reversed(path.parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLIT_WORDS:
                return _SPLIT_WORDS[word]
    return None
