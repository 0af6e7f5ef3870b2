"""A source: a folder of images and its label file, put together.

Names of a label file are looked up in the listing of the images folder and never joined to a path, so that
none can leave it. A label without an image, and an image without a label, are listed; neither is an error
by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optdet.data.files import require_folder
from optdet.data.images import list_names
from optdet.data.label_file import LabelFile
from optdet.data.labels import read_labels
from optdet.data.names import match_names, nfc
from optdet.errors import OptdetError
from optdet.structures import Problem, Sample


@dataclass(frozen=True, slots=True)
class Source:
    """Samples sorted by NFC name, and what was left out.

    ``missing`` are labelled names without an image, ``unlabelled`` images without a label (those of the other
    split, where two share a folder); ``problems`` are the label file's and those of putting the two together.
    ``groups`` are those of the label file, by the samples' names.
    """

    images: Path
    label_file: LabelFile
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    missing: tuple[str, ...]
    unlabelled: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        return len(self.missing)

    @property
    def n_unlabelled(self) -> int:
        return len(self.unlabelled)

    def notes(self) -> list[str]:
        """What was left out, a line each."""
        notes = []
        if self.problems:
            notes.append(f"{len(self.problems)} label rows skipped, the first: {self.problems[0]}")
        if self.missing:
            notes.append(f"{self.n_missing} labelled images are not in {self.images}, as {self.missing[0]}")
        return notes

    def require_complete(self) -> None:
        """Refuse images that are missing where the source is to be scored: they would be left out in training
        and count as empty in `optdet evaluate`, which would be two values of one trial.
        """
        if self.missing:
            raise OptdetError(
                f"{self.n_missing} of {self.n_missing + len(self.samples)} validation images "
                f"are not in {self.images}, the first is {self.missing[0]}",
                where=str(self.label_file.path),
                fix="add them, or take them out of the labels",
            )


def load_source(images: Path, labels: Path, *, format: str = "auto", require_words: bool = True) -> Source:
    """Read the labels and find their images. ``require_words`` refuses labels that training cannot use."""
    require_folder(images, what="images folder")
    label_file = read_labels(labels, format=format)
    if require_words:
        label_file.require_usable()
    return join_source(images, label_file)


def join_source(images: Path, label_file: LabelFile) -> Source:
    """Find the image of each name of a label file; `OptdetError` when there is none for any."""
    names = list_names(images)
    matches = match_names(names, label_file.words, by_stem=label_file.names_are_stems)
    found = {name: label_file.words[label] for name, label in matches.found.items()}
    problems = [Problem(str(label_file.path), name, reason) for name, reason in matches.refused]
    if not found:
        raise _no_images(images, label_file, names)
    samples = [Sample(nfc(name), images / name, words) for name, words in found.items()]
    return Source(
        images=images,
        label_file=label_file,
        samples=tuple(sorted(samples, key=lambda sample: sample.name)),
        problems=(*label_file.problems, *problems),
        missing=tuple(sorted(matches.missing)),
        unlabelled=tuple(sorted(nfc(name) for name in names if name not in found)),
        groups={
            nfc(name): label_file.groups[label]
            for name, label in matches.found.items()
            if label in label_file.groups
        },
    )


def _no_images(images: Path, label_file: LabelFile, names: Sequence[str]) -> OptdetError:
    if not label_file.words:
        return OptdetError("no images are named", where=str(label_file.path), fix="name another label file")
    wanted = next(iter(label_file.words))
    there = f"it has {len(names)} images, as {names[0]}" if names else "it has no images"
    return OptdetError(
        f"none of the {len(label_file.words)} labelled images is here ({wanted}, ...); {there}",
        where=str(images),
        fix="name the folder that holds them",
    )
