"""All images of a file of folds, found again where they lie and held against what the file says of them.

A name is relative to the folder that all of them lie in: of a single source what its labels say. Labels are
compared whenever the folds are used, image files where they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from optdet.config import SourceConfig
from optdet.data.fingerprints import DataChanged, file_digests, words_sha256
from optdet.data.folds import FoldImage, Folds, common_folder, names_from
from optdet.data.located import InFolds, Located
from optdet.data.sampling import SourcePart, source_parts
from optdet.data.source import Source, load_source
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import Sample


@dataclass(frozen=True, slots=True)
class Pool:
    """The images in the order of the file, source by source, each with the fold that holds it out."""

    path: Path
    folds: Folds
    samples: tuple[Sample, ...]
    parts: tuple[SourcePart, ...]
    fold_of: tuple[int, ...]
    judge: SourceConfig | None
    notes: tuple[str, ...]

    def held_out(self, fold: int) -> list[int]:
        return [index for index, of in enumerate(self.fold_of) if of == fold]

    def learnt(self, fold: int) -> list[int]:
        return [index for index, of in enumerate(self.fold_of) if of != fold]

    def require_same_files(self, indices: Iterable[int], digests: Mapping[Path, str] | None = None) -> None:
        """DataChanged where image files are not those that were parted; they are read, unless their
        ``digests`` are known."""
        chosen = list(indices)
        digests = file_digests([self.samples[index] for index in chosen]) if digests is None else digests
        images = self.folds.images
        other = [i for i in chosen if digests[self.samples[i].image_path] != images[i].sha256]
        if other:
            names = [self.samples[index].name for index in other]
            raise _changed(self.path, _said(names, "image file", "is another", "are others"))


def load_sources(sources: Iterable[SourceConfig]) -> list[Source]:
    return [load_source(Path(source.images), Path(source.labels), format=source.format) for source in sources]


def pooled_samples(sources: Iterable[Source]) -> list[list[Sample]]:
    """The samples of each source, by names that tell them apart; OptdetError for an image in two sources."""
    loaded = list(sources)
    common = common_folder([source.images for source in loaded])
    owners: dict[str, Source] = {}
    pooled = []
    for source in loaded:
        names = names_from(common, source.images, [sample.name for sample in source.samples])
        for name in names:
            other = owners.setdefault(name, source)
            if other is not source:
                raise OptdetError(
                    f"the image {name} is in {other.label_file.path} too: it can be in one fold only",
                    where=str(source.label_file.path),
                    fix="take it out of one of the two",
                )
        pooled.append(
            [replace(sample, name=name) for sample, name in zip(source.samples, names, strict=True)]
        )
    return pooled


def open_pool(located: Located) -> Pool:
    """The images of the folds; DataChanged where names or words are not those that were parted."""
    assert located.in_folds is not None
    at = located.in_folds
    sources = load_sources(located.train)
    samples = {
        (number, original.name): sample
        for number, (source, pooled) in enumerate(zip(sources, pooled_samples(sources), strict=True))
        for original, sample in zip(source.samples, pooled, strict=True)
    }
    images = at.folds.images
    n_images = Counter(image.source for image in images)
    _require_same(at, samples)
    return Pool(
        path=at.path,
        folds=at.folds,
        samples=tuple(samples[image.source, image.name] for image in images),
        parts=source_parts(located.train, [n_images[number] for number in range(len(sources))]),
        fold_of=tuple(image.fold for image in images),
        judge=at.judge,
        notes=tuple(note for source in sources for note in source.notes()),
    )


def _require_same(at: InFolds, samples: Mapping[tuple[int, str], Sample]) -> None:
    def named(images: Iterable[FoldImage]) -> list[str]:
        return [image.name for image in images]

    images = at.folds.images
    gone = named(image for image in images if (image.source, image.name) not in samples)
    known = {(image.source, image.name) for image in images}
    new = [name for number, name in samples if (number, name) not in known]
    if gone:
        raise _changed(at.path, _said(gone, "image", "is gone", "are gone"))
    if new:
        raise _changed(at.path, _said(new, "labelled image", "is new", "are new"))
    other = named(i for i in images if words_sha256(samples[i.source, i.name]) != i.words_sha256)
    if other:
        raise _changed(at.path, _said(other, "image", "has other words", "have other words"))


def _said(names: list[str], noun: str, one: str, many: str) -> str:
    first = names[0] if len(names) == 1 else f"the first is {names[0]}"
    return f"{counted(len(names), noun)} {one if len(names) == 1 else many} ({first})"


def _changed(path: Path, what: str) -> DataChanged:
    return DataChanged(
        f"{what} since the data were parted into these folds",
        where=str(path),
        fix="put it back as it was, or part the data anew (optdet data split) and make a new study",
    )
