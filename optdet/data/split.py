"""Labelled images parted into folds: planned from what they hold, then written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config import SourceConfig, SyntheticConfig
from optdet.data.fingerprints import data_state, file_digests, words_sha256
from optdet.data.folds import (
    FILE_NAME,
    FoldImage,
    Folds,
    FoldSources,
    common_folder,
    folds_bytes,
    label_place,
    to_folder,
    write_folds,
)
from optdet.data.groups import named_groups, with_twins
from optdet.data.images import image_size
from optdet.data.label_ufo import write_ufo
from optdet.data.looks import Look
from optdet.data.partition import Traits, partition
from optdet.data.pool import load_sources, pooled_samples
from optdet.data.source import Source
from optdet.data.split_copies import copies_in_judge, looks_of
from optdet.data.survey import Spread
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import OnImage, Sample


@dataclass(frozen=True, slots=True)
class FoldRow:
    """What a fold holds."""

    fold: int
    images: int
    words: int
    words_per_image: Spread
    longer_side: Spread


@dataclass(frozen=True, slots=True)
class Split:
    """A partition that can be written. ``samples`` are in the order of ``folds.images``, under the names that
    label files of folds have; ``images_dir`` is the folder that those names begin at."""

    folds: Folds
    samples: tuple[Sample, ...]
    looks: tuple[Look, ...]
    images_dir: Path
    notes: tuple[str, ...]

    def rows(self) -> list[FoldRow]:
        return [_row(number, self.folds.held_out(number)) for number in range(self.folds.n_folds)]

    def as_json(self) -> dict[str, Any]:
        groups = {image.group for image in self.folds.images if image.group is not None}
        return {
            "folds": [
                {
                    "fold": row.fold,
                    "images": row.images,
                    "words": row.words,
                    "words_per_image": [
                        row.words_per_image.low,
                        row.words_per_image.median,
                        row.words_per_image.high,
                    ],
                    "longer_side": [row.longer_side.low, row.longer_side.median, row.longer_side.high],
                }
                for row in self.rows()
            ],
            "images": len(self.samples),
            "groups": len(groups),
            "images_dir": str(self.images_dir),
            "with_val": self.folds.with_val,
            "seed": self.folds.seed,
            "fingerprint": self.folds.fingerprint,
            "folds_sha256": self.folds.sha256(),
        }


def _row(number: int, images: Sequence[FoldImage]) -> FoldRow:
    words = [image.words for image in images]
    sides = [max(image.width, image.height) for image in images]
    return FoldRow(number, len(images), sum(words), Spread.of(words), Spread.of(sides))


def split_data(
    train: Sequence[SourceConfig],
    val: SourceConfig | None,
    *,
    n_folds: int,
    seed: int = 0,
    with_val: bool = False,
    groups: Path | None = None,
    synthetic: SyntheticConfig | None = None,
    on_image: OnImage | None = None,
) -> Split:
    """Part the images of ``train``, and ``with_val`` those of ``val``, into folds.

    Paths can be opened from here. ``groups`` is a CSV of image names and groups, in place of what label files
    say of these images. ``synthetic`` are the settings that the sources were made by. OptdetError where a
    fold would have nothing to score.
    """
    if with_val and val is None:
        raise OptdetError("there are no validation images to put with the others", where="--with-val")
    judge = None if with_val else val
    sources = load_sources((*train, val) if with_val and val is not None else train)
    found = _measured(sources, groups, on_image)
    traits = found.traits()
    _require_enough(traits, n_folds)
    fold_of = partition(traits, n_folds, seed)
    _require_readable(traits, fold_of, n_folds)
    folds = Folds(
        n_folds=n_folds,
        seed=seed,
        with_val=with_val,
        sources=FoldSources(synthetic=synthetic) if synthetic else FoldSources(train=tuple(train), val=val),
        fingerprint=data_state(found.samples, (), found.digests).fingerprint,
        images=found.images(sources, fold_of),
    )
    notes = (*found.notes, *(note for source in sources for note in source.notes()))
    return Split(
        folds,
        found.samples,
        found.looks,
        common_folder([source.images for source in sources]),
        (*notes, *copies_in_judge(judge, found.looks)),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The images of all sources, what they measure, and which belong together."""

    samples: tuple[Sample, ...]
    sizes: tuple[tuple[int, int], ...]
    looks: tuple[Look, ...]
    digests: Mapping[Path, str]
    groups: Mapping[str, str]
    notes: tuple[str, ...]

    def traits(self) -> list[Traits]:
        return [
            Traits(
                key=sample.name,
                n_words=len(sample.words),
                readable=any(not word.ignored for word in sample.words),
                longer_side=max(size),
                group=self.groups.get(sample.name),
            )
            for sample, size in zip(self.samples, self.sizes, strict=True)
        ]

    def images(self, sources: Sequence[Source], fold_of: Sequence[int]) -> tuple[FoldImage, ...]:
        places = [(number, sample.name) for number, source in enumerate(sources) for sample in source.samples]
        return tuple(
            FoldImage(
                source=number,
                name=name,
                fold=fold,
                words=len(sample.words),
                width=size[0],
                height=size[1],
                group=self.groups.get(sample.name),
                sha256=self.digests[sample.image_path],
                words_sha256=words_sha256(sample),
            )
            for (number, name), sample, size, fold in zip(
                places, self.samples, self.sizes, fold_of, strict=True
            )
        )


def _measured(sources: Sequence[Source], groups: Path | None, on_image: OnImage | None) -> _Measured:
    pooled = pooled_samples(sources)
    samples = tuple(sample for of_source in pooled for sample in of_source)
    named, notes = named_groups(sources, pooled, groups)
    sizes = tuple(image_size(sample.image_path) for sample in samples)
    looks = tuple(looks_of(samples, on_image))
    digests = file_digests(samples)
    together, n_twins = with_twins(samples, [look.pixels for look in looks], named, digests)
    if n_twins:
        notes.append(f"{counted(n_twins, 'image')} with the same pixels as another: kept in its fold")
    return _Measured(samples, sizes, looks, digests, together, tuple(notes))


def write_split(split: Split, out: Path, *, force: bool = False) -> str:
    """Write ``folds.json`` and label files of each fold into a folder: "wrote", or "exists" where the same
    partition is there. OptdetError where another is, since studies may use it.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder, path = out.resolve(), out / FILE_NAME
    sources = split.folds.sources
    moved = FoldSources(
        train=tuple(to_folder(source, folder) for source in sources.train),
        val=None if sources.val is None else to_folder(sources.val, folder),
        synthetic=sources.synthetic,
    )
    folds = split.folds.model_copy(update={"sources": moved})
    there = path.exists()
    same = there and path.read_bytes() == folds_bytes(folds)
    if there and not same and not force:
        raise OptdetError(
            "another partition is there, which studies may use",
            where=str(path),
            fix="give another --out, or --force",
        )
    if not same:
        # Killed from here on, it leaves label files out, and none of another partition.
        _remove_labels(folder)
        write_folds(path, folds)
    for number in range(folds.n_folds):
        _write_labels(split, folder, number)
    return "exists" if same else "wrote"


def _write_labels(split: Split, folder: Path, fold: int) -> None:
    pairs = list(zip(split.samples, split.folds.images, strict=True))
    for part in ("train", "val"):
        chosen = [(sample, image) for sample, image in pairs if (image.fold == fold) == (part == "val")]
        path = label_place(folder, fold, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ufo(
            path,
            {sample.name: sample.words for sample, _ in chosen},
            sizes={sample.name: (image.width, image.height) for sample, image in chosen},
            groups={sample.name: image.group for sample, image in chosen if image.group is not None},
        )


def _remove_labels(folder: Path) -> None:
    """The label files of all folds that are there, and folders that had nothing else."""
    for of_fold in folder.glob("fold[0-9]*"):
        for part in ("train", "val"):
            (of_fold / f"{part}.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            of_fold.rmdir()


def _require_enough(traits: Sequence[Traits], n_folds: int) -> None:
    units = {(image.group, image.key if image.group is None else "") for image in traits if image.readable}
    if len(units) < n_folds:
        grouped = any(image.group is not None for image in traits)
        raise OptdetError(
            f"{counted(len(units), 'group' if grouped else 'image')} with readable words cannot make "
            f"{n_folds} folds",
            where="--folds",
            fix="ask for fewer folds" + (", or for smaller groups" if grouped else ""),
        )


def _require_readable(traits: Sequence[Traits], fold_of: Sequence[int], n_folds: int) -> None:
    having = {fold for image, fold in zip(traits, fold_of, strict=True) if image.readable}
    for fold in sorted(set(range(n_folds)) - having):
        raise OptdetError(
            f"fold {fold} would have no readable word: the groups are too few or too large",
            where="--folds",
            fix="ask for fewer folds, or for smaller groups",
        )
