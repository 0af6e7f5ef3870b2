"""Images that are there more than once, in one source or in two: same file, same bytes, same pixels, near
copies.

An image both trained on and validated on makes a score that is too good, so those come first: images of a
training and of a validation set, and of two folds. What counts as a near copy is in `near_copies`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from optdet.data.alignment import Grey
from optdet.data.looks import Look
from optdet.data.near_copies import OnPair, find_near_copies
from optdet.digest import digests_of_equal_sizes
from optdet.phrases import counted

Role = Literal["train", "val", "other"]
Kind = Literal["same file", "same bytes", "same pixels", "near copy"]
KINDS: tuple[Kind, ...] = ("same file", "same bytes", "same pixels", "near copy")
_RANK: dict[frozenset[Role], int] = {
    frozenset[Role](("val", "other")): 1,
    frozenset[Role](("train", "other")): 2,
}


@dataclass(frozen=True, slots=True)
class SourceImages:
    """The images of a source, without those that cannot be read; ``looks`` is None where no pixels were.
    ``folds`` hold them out, where the source is parted.
    """

    title: str
    role: Role
    paths: tuple[Path, ...]
    looks: tuple[Look, ...] | None
    folds: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of which one is the other's copy; ``likeness`` is 1 but for a near copy."""

    first: str
    second: str
    kind: Kind
    likeness: float

    def __str__(self) -> str:
        how = f"{self.kind} ({self.likeness:.2f})" if self.kind == "near copy" else self.kind
        return f"{how}: {self.first} and {self.second}"


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sources share, or one holds twice (then both titles are the same); pairs from the surest on.

    ``n_images`` counts the images of the second source that are the first's too (of one source: those beyond
    the first of each). ``leak``: one is trained on, the other validated on, and be it by turns, as images
    ``across_folds`` are.
    """

    first: str
    second: str
    leak: bool
    n_images: int
    pairs: tuple[Pair, ...]
    across_folds: bool = False

    def __str__(self) -> str:
        kinds = Counter(pair.kind for pair in self.pairs)
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        images = counted(self.n_images, "image")
        if self.across_folds:
            named = self.first if self.first == self.second else f"{self.first} and {self.second}"
            return f"{named}: {images} in more than one fold ({counts}): the scores of folds are too good"
        if self.first == self.second:
            return f"{self.first} holds {images} more than once ({counts})"
        end = f": the score on {self.second} is too good" if self.leak else ""
        return f"{self.first} and {self.second} share {images} ({counts}){end}"

    def as_json(self) -> dict[str, Any]:
        return {
            "sources": [self.first, self.second],
            "leak": self.leak,
            "n_images": self.n_images,
            "pairs": [asdict(pair) for pair in self.pairs],
        }


@dataclass(frozen=True, slots=True)
class _Image:
    """An image by the places of its source and of itself among all, and its fold."""

    source: int
    index: int
    fold: int | None

    def is_apart(self, other: _Image) -> bool:
        """Whether the two are in different folds."""
        return None not in (self.fold, other.fold) and self.fold != other.fold


def find_duplicates(sources: Sequence[SourceImages], *, on_pair: OnPair | None = None) -> list[Overlap]:
    """What sources share and what each holds twice: training and validation, and two folds, first.

    Of images that are equal, each is paired with the first in either source, not with every other.
    ``on_pair(done, total)`` is called while the pixels of likely near copies are compared.
    """
    paths = [path for source in sources for path in source.paths]
    homes = [
        (number, fold)
        for number, source in enumerate(sources)
        for fold in (source.folds or [None] * len(source.paths))
    ]
    images = [_Image(number, index, fold) for index, (number, fold) in enumerate(homes)]
    looks: list[Look | None] = []
    for source in sources:
        looks += source.looks if source.looks is not None else [None] * len(source.paths)
    resolved = [path.resolve() for path in paths]
    digests = digests_of_equal_sizes(resolved)
    keys: list[tuple[Callable[[int], object], Kind]] = [
        (lambda index: resolved[index], "same file"),
        (lambda index: digests.get(resolved[index]), "same bytes"),
        (lambda index: None if (look := looks[index]) is None else look.pixels, "same pixels"),
    ]
    found: dict[tuple[int, int], Pair] = {}
    for key, kind in keys:
        for first, second in _equal_pairs(images, key):
            found.setdefault((first, second), Pair(str(paths[first]), str(paths[second]), kind, 1.0))
    for first, second, likeness in _near_pairs(images, paths, looks, on_pair):
        pair = Pair(str(paths[first]), str(paths[second]), "near copy", likeness)
        found.setdefault((first, second), pair)
    return _overlaps(sources, images, found)


def _equal_pairs(images: Sequence[_Image], key: Callable[[int], object]) -> Iterable[tuple[int, int]]:
    groups: defaultdict[object, list[_Image]] = defaultdict(list)
    for image in images:
        if (value := key(image.index)) is not None:
            groups[value].append(image)
    for group in groups.values():
        if len(group) > 1:
            yield from _star(group)


def _star(group: Sequence[_Image]) -> Iterable[tuple[int, int]]:
    """Each image of a group with the first of its own source, and of each source before it."""
    firsts: dict[int, _Image] = {}
    for image in group:
        firsts.setdefault(image.source, image)
    for image in group:
        for source, first in firsts.items():
            if source <= image.source and first.index < image.index:
                yield first.index, image.index


def _near_pairs(
    images: Sequence[_Image], paths: Sequence[Path], looks: Sequence[Look | None], on_pair: OnPair | None
) -> Iterable[tuple[int, int, float]]:
    """Near copies, once for each two groups of images with the same pixels."""
    groups: defaultdict[str, list[_Image]] = defaultdict(list)
    pictures: dict[str, Grey] = {}
    for image in images:
        if (look := looks[image.index]) is not None:
            groups[look.pixels].append(image)
            pictures.setdefault(look.pixels, look.thumbnail)
    members = list(groups.values())
    copies = find_near_copies(
        [paths[group[0].index] for group in members],
        list(pictures.values()),
        [(group[0].source, group[0].fold) for group in members],
        on_pair=on_pair,
    )
    for copy in copies:
        for one, other in product(members[copy.first], members[copy.second]):
            first, second = sorted((one.index, other.index))
            yield first, second, copy.likeness


def _overlaps(
    sources: Sequence[SourceImages], images: Sequence[_Image], found: dict[tuple[int, int], Pair]
) -> list[Overlap]:
    between: defaultdict[tuple[int, int, bool], dict[tuple[int, int], Pair]] = defaultdict(dict)
    for (first, second), pair in found.items():
        one, other = images[first], images[second]
        between[one.source, other.source, one.is_apart(other)][first, second] = pair
    ranked = []
    for (first, second, apart), pairs in between.items():
        roles = frozenset((sources[first].role, sources[second].role))
        overlap = Overlap(
            sources[first].title,
            sources[second].title,
            apart or roles == {"train", "val"},
            len({later for _, later in pairs}),
            tuple(sorted(pairs.values(), key=lambda p: (KINDS.index(p.kind), -p.likeness, p.first))),
            apart,
        )
        rank = 0 if overlap.leak else 4 if first == second else _RANK.get(roles, 3)
        ranked.append((rank, first, second, overlap))
    return [overlap for *_, overlap in sorted(ranked, key=lambda entry: entry[:3])]
