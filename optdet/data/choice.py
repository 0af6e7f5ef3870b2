"""Which of the labelled images below a folder are to be learnt from, and which to validate on.

What is named train and val (or valid, dev) is taken as that. Without a val the training images are to be
split; what is named test is left alone. Of label files that name the same images, the one with most words
counts. Every choice that leaves something out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.data.discovery import MAX_DEPTH, Candidate, Discovery, Split, find_sources, guess_split
from optdet.data.source import Source, load_source
from optdet.errors import OptdetError
from optdet.phrases import counted

_TRAIN_FIRST: tuple[Split | None, ...] = ("train", None, "val", "test")
_LISTED_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """Sources to train and validate on; without ``val`` the first of ``train`` is to be split. ``notes`` say
    what was left out and why, a line each.
    """

    train: tuple[Source, ...]
    val: Source | None
    notes: tuple[str, ...]


def choose_sources(folder: Path) -> Choice:
    """Look through a folder; OptdetError, with what was looked for, where it holds nothing to learn from."""
    discovery = find_sources(folder)
    usable = [found for found in discovery.candidates if found.n_words]
    if not usable:
        raise _nothing(folder, discovery)
    _require_train_labels(folder, discovery, usable)
    by_split = {split: _largest_first(usable, split) for split in _TRAIN_FIRST}
    of_train = next(split for split in _TRAIN_FIRST if by_split[split])
    of_val = by_split["val"] if of_train in ("train", None) else []
    train, dropped = _distinct(by_split[of_train])
    notes = [f"{images}: its images have no labels, left out" for images in discovery.unlabelled]
    notes += discovery.problems
    chosen = {found.labels for found in (*by_split[of_train], *of_val[:1])}
    notes += [
        f"{found.labels} is left out: {_why_not(found, of_val)}"
        for found in discovery.candidates
        if found.labels not in chosen
    ]
    val = _load(of_val[0]) if of_val else None
    return Choice(train, val, (*notes, *dropped, *_overlaps(train, val)))


def _require_train_labels(folder: Path, discovery: Discovery, usable: Sequence[Candidate]) -> None:
    """Images named train without labels must not be replaced in silence by those to validate on."""
    if any(found.split == "train" for found in usable):
        return
    without = [
        images for images in discovery.unlabelled if guess_split(images.relative_to(folder)) == "train"
    ]
    if without:
        reasons = "; ".join(discovery.problems[:_LISTED_PROBLEMS])
        raise OptdetError(
            f"the images to train on have no labels that can be used{': ' if reasons else ''}{reasons}",
            where=str(without[0]),
            fix="add or mend their label file, or name another folder",
        )


def _largest_first(candidates: Sequence[Candidate], split: Split | None) -> list[Candidate]:
    of_split = [found for found in candidates if found.split == split]
    return sorted(of_split, key=lambda found: (-found.n_words, found.labels))


def _why_not(found: Candidate, of_val: Sequence[Candidate]) -> str:
    if not found.n_words:
        return "it has no words"
    if found in of_val:
        return f"{of_val[0].labels} has more words to validate on"
    return "its name says test" if found.split == "test" else "its name says neither train nor val"


def _distinct(candidates: Sequence[Candidate]) -> tuple[tuple[Source, ...], list[str]]:
    """Sources without those whose images another one has already."""
    kept: list[Source] = []
    notes = []
    for found in candidates:
        source = _load(found)
        twin = next((other for other in kept if _paths(other) & _paths(source)), None)
        if twin is None:
            kept.append(source)
        else:
            notes.append(f"{found.labels} is left out: it names images of {twin.label_file.path}")
    return tuple(kept), notes


def _overlaps(train: Sequence[Source], val: Source | None) -> list[str]:
    """Images to train and to validate on at once."""
    shared = [(source, _paths(source) & _paths(val)) for source in train] if val else []
    return [
        f"warning: {len(both)} images of {source.label_file.path} are validated on as well, as "
        f"{min(both).name}: the score will be too good"
        for source, both in shared
        if both
    ]


def _paths(source: Source) -> frozenset[Path]:
    return frozenset(sample.image_path.resolve() for sample in source.samples)


def _load(found: Candidate) -> Source:
    return load_source(found.images, found.labels, format=found.format)


def _nothing(folder: Path, discovery: Discovery) -> OptdetError:
    empty = [f"{found.labels} has no words" for found in discovery.candidates]
    seen = [*discovery.problems, *empty][:_LISTED_PROBLEMS]
    if seen:
        return OptdetError(
            f"no labelled images found: {'; '.join(seen)}", where=str(folder), fix="mend that, then again"
        )
    others = discovery.other_files
    there, convert = "", ""
    if others:
        there = f"; {counted(len(others), 'file')} there may be labels of another format, as {others[0]}"
        convert = ", or write the labels in one of these formats"
    return OptdetError(
        "no labelled images found; looked for UFO JSON, ICDAR text or CSV and PaddleOCR label lines that "
        f"name images, {MAX_DEPTH} folders deep{there}",
        where=str(folder),
        fix=f"name the folder that holds both images and labels{convert}",
    )
