"""One set of images parted in two, to validate on images that were not learnt from.

An image's place is told by the SHA-256 of its name, or of its group's, whose images stay together: the same
images always part the same way, on every machine, and an image that is added moves few others.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optdet.errors import OptdetError
from optdet.structures import Sample

VAL_RATIO = 0.2

_Group = tuple[str, list[str]]
"""Its name, an image's own where it is alone, and those of its images."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """Both parts, each in the order that the samples came in."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]


def hold_out(
    samples: Sequence[Sample], groups: Mapping[str, str] | None = None, *, ratio: float = VAL_RATIO
) -> Holdout:
    """Part samples so that ``ratio`` of them, and of those with readable words, is for validation; with
    ``groups``, by names of samples, about so many.

    OptdetError for fewer than two images with words, or two groups of such: each part needs one.
    """
    together: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        group = (groups or {}).get(sample.name)
        together["image" if group is None else "group", group or sample.name].append(sample)
    readable: list[_Group] = []
    rest: list[_Group] = []
    for (_, name), members in together.items():
        with_words = any(not word.ignored for sample in members for word in sample.words)
        (readable if with_words else rest).append((name, [sample.name for sample in members]))
    if len(readable) < 2:
        raise OptdetError(
            f"{len(readable)} {'groups of images' if groups else 'images'} with readable words cannot be "
            "parted into training and validation",
            fix="label more images, or give data.val another folder",
        )
    held = {*_first(readable, ratio, least=1), *_first(rest, ratio)}
    return Holdout(
        train=tuple(sample for sample in samples if sample.name not in held),
        val=tuple(sample for sample in samples if sample.name in held),
    )


def _first(groups: Sequence[_Group], ratio: float, *, least: int = 0) -> list[str]:
    """The names of images of the groups whose names have the lowest hashes: as many groups as come nearest
    to this share of the images, at least ``least`` and, where that is not 0, not all.
    """
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group[0].encode()).digest())
    sizes = [0, *itertools.accumulate(len(names) for _, names in ordered)]
    wanted = round(ratio * sizes[-1])
    most = len(ordered) - 1 if least else len(ordered)
    count = min(range(least, most + 1), key=lambda n: abs(sizes[n] - wanted))
    return [name for _, names in ordered[:count] for name in names]
