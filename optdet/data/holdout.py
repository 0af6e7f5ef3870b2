"""One set of images parted in two, to validate on images that were not learnt from.

An image's place is told by the SHA-256 of its name: the same images always part the same way, on every
machine, and an image that is added moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from optdet.errors import OptdetError
from optdet.structures import Sample

VAL_RATIO = 0.2


@dataclass(frozen=True, slots=True)
class Holdout:
    """Both parts, each in the order that the samples came in."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]


def hold_out(samples: Sequence[Sample], *, ratio: float = VAL_RATIO) -> Holdout:
    """Part samples so that ``ratio`` of them, and of those with readable words, is for validation.

    OptdetError for fewer than two images with words: each part needs one.
    """
    readable = [sample for sample in samples if any(not word.ignored for word in sample.words)]
    if len(readable) < 2:
        raise OptdetError(
            f"{len(readable)} images with readable words cannot be parted into training and validation",
            fix="label more images, or give data.val another folder",
        )
    names = {sample.name for sample in readable}
    rest = [sample for sample in samples if sample.name not in names]
    n_val = min(max(1, round(ratio * len(readable))), len(readable) - 1)
    held = {*_first(readable, n_val), *_first(rest, round(ratio * len(rest)))}
    return Holdout(
        train=tuple(sample for sample in samples if sample.name not in held),
        val=tuple(sample for sample in samples if sample.name in held),
    )


def _first(samples: Sequence[Sample], count: int) -> list[str]:
    """The names of the ``count`` samples whose names have the lowest hashes."""
    names = sorted((sample.name for sample in samples), key=lambda n: hashlib.sha256(n.encode()).digest())
    return names[:count]
