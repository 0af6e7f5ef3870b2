"""Copies that a partition keeps apart, so that what is scored was learnt from: warnings of them."""

from __future__ import annotations

from collections.abc import Sequence

from optdet.config import SourceConfig
from optdet.data.duplicates import SourceImages, find_duplicates
from optdet.data.folds import FoldImage
from optdet.data.looks import Look, read_looks
from optdet.data.near_copies import OnPair
from optdet.data.pool import load_sources
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import OnImage, Sample


def looks_of(samples: Sequence[Sample], on_image: OnImage | None = None) -> list[Look]:
    """What the images look like; OptdetError for one that cannot be read."""
    looks = []
    for number, look in enumerate(read_looks([sample.image_path for sample in samples]), start=1):
        if isinstance(look, OptdetError):
            raise look
        looks.append(look)
        if on_image is not None:
            on_image(number, len(samples))
    return looks


def copies_across(
    samples: Sequence[Sample],
    images: Sequence[FoldImage],
    looks: Sequence[Look],
    on_pair: OnPair | None = None,
) -> list[str]:
    """Whether images of different folds are near copies: which belong together is a person's to say.
    ``on_pair(done, total)`` is called while pixels are compared.
    """
    paths = tuple(sample.image_path for sample in samples)
    folds = tuple(image.fold for image in images)
    every = SourceImages("the images", "train", paths, tuple(looks), folds)
    leaks = [found for found in find_duplicates([every], on_pair=on_pair) if found.across_folds]
    return [
        f"warning: {counted(leak.n_images, 'image')} in another fold than a copy, "
        f"as {leak.pairs[0].first} and {leak.pairs[0].second}: give such images one group (--groups)"
        for leak in leaks
    ]


def copies_in_judge(judge: SourceConfig | None, looks: Sequence[Look]) -> list[str]:
    """Whether images to judge the detectors by are learnt from as well."""
    if judge is None:
        return []
    (source,) = load_sources([judge])
    known = {look.pixels for look in looks}
    of_judge = zip(source.samples, looks_of(source.samples), strict=True)
    both = [sample.name for sample, look in of_judge if look.pixels in known]
    if not both:
        return []
    are = "is" if len(both) == 1 else "are"
    return [
        f"warning: {counted(len(both), 'image')} of {judge.labels} {are} in the folds too, as {both[0]}: "
        "what is judged on them was learnt from them"
    ]
