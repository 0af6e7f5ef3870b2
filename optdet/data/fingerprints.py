"""The state of images and labels: digests that tell whether they changed, and counts that help to say how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import Sample


@dataclass(frozen=True, slots=True)
class SetState:
    """One set; ``images`` and ``labels`` are digests over its names with the files, and with the words."""

    n_images: int
    n_words: int
    images: str
    labels: str


@dataclass(frozen=True, slots=True)
class DataState:
    """Both sets of a config. Of data that an earlier optdet has seen, the fingerprint alone is known."""

    fingerprint: str
    train: SetState | None = None
    val: SetState | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> DataState:
        sets = {name: SetState(**stored[name]) for name in ("train", "val") if stored[name] is not None}
        return cls(stored["fingerprint"], **sets)


class DataChanged(OptdetError):
    """The images or labels are not those that they were: what was found on them does not go on here."""


def data_state(
    train: Sequence[Sample], val: Sequence[Sample], digests: Mapping[Path, str] | None = None
) -> DataState:
    """The state of what training and validation read; each image file is read once, or not at all where
    the ``digests`` of all are known."""
    digests = file_digests([*train, *val]) if digests is None else digests
    return DataState(
        _fingerprint([*train, *val], digests), _set_state(train, digests), _set_state(val, digests)
    )


def fingerprint(samples: Iterable[Sample]) -> str:
    """SHA-256 over names, contents of image files and words, in the order given; each file is read once."""
    listed = list(samples)
    return _fingerprint(listed, file_digests(listed))


def what_changed(old: DataState, new: DataState) -> str:
    """The parts that differ, in words: ``the validation labels (61 words then, 60 now)``."""
    parts = []
    for name, before, now in (("training", old.train, new.train), ("validation", old.val, new.val)):
        if before is None or now is None:
            continue
        if before.images != now.images:
            counts = _counts(before.n_images, now.n_images, "image")
            parts.append(f"the {name} images{counts}")
        if before.labels != now.labels:
            parts.append(f"the {name} labels{_counts(before.n_words, now.n_words, 'word')}")
    return " and ".join(parts) or "the images or labels"


def _counts(before: int, now: int, noun: str) -> str:
    return "" if before == now else f" ({counted(before, noun)} then, {now} now)"


def _set_state(samples: Sequence[Sample], digests: Mapping[Path, str]) -> SetState:
    return SetState(
        n_images=len(samples),
        n_words=sum(len(sample.words) for sample in samples),
        images=_digest([sample.name, digests[sample.image_path]] for sample in samples),
        labels=labels_digest(samples),
    )


def _fingerprint(samples: Sequence[Sample], digests: Mapping[Path, str]) -> str:
    return _digest([sample.name, digests[sample.image_path], _words(sample)] for sample in samples)


def _digest(rows: Iterable[list[Any]]) -> str:
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps(row).encode() + b"\n")
    return total.hexdigest()


def labels_digest(samples: Sequence[Sample]) -> str:
    """Over the names and words of a set, in the order given."""
    return _digest([sample.name, _words(sample)] for sample in samples)


def words_sha256(sample: Sample) -> str:
    """Of an image's words alone, whatever its name."""
    return _digest([_words(sample)])


def _words(sample: Sample) -> list[list[Any]]:
    return [[word.polygon.tolist(), word.text, word.ignored] for word in sample.words]


def file_digests(samples: Sequence[Sample]) -> dict[Path, str]:
    """The SHA-256 of each image file, which is read once; OptdetError for one that cannot be read."""
    paths = list({sample.image_path: None for sample in samples})
    # Hashing releases the interpreter's lock, so threads overlap it with reading.
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(_file_digest, paths), strict=True))


def _file_digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise OptdetError(
            f"the image cannot be read ({error.strerror})", where=str(path), fix="check the images folder"
        ) from error
