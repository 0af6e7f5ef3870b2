"""Candidates of images in relation to their words, as a metric sees them: what a sweep counts.

The one place that tells metrics apart. A metric gives tables for its compiled matcher, and counts some of an
image's candidates by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optdet.detection.lattice import CandidateLattice
from optdet.evaluation.truth import cleval_truth, iou_truth
from optdet.metrics import cleval, iou
from optdet.metrics.matching import Tables
from optdet.metrics.rings import Index, ring_starts
from optdet.metrics.scores import ImageScores
from optdet.structures import Metric, Word

CountSome = Callable[[NDArray[np.int32]], ImageScores]


@dataclass(frozen=True, slots=True, eq=False)
class ImageRelations:
    """One image's distinct polygons and its words.

    ``tables`` number its ``n_words`` words and ``n_centres`` centres, ignored ones too; ``n_expected`` is
    what recall is a part of: characters, or words. ``one_to_one`` says which matcher reads the tables.
    ``count`` gives the scores of some of the polygons, by index, in contour order.
    """

    tables: Tables
    n_words: int
    n_centres: int
    n_expected: int
    one_to_one: bool
    count: CountSome


def relate_candidates(words: Sequence[Word], candidates: CandidateLattice, metric: Metric) -> ImageRelations:
    points, starts = candidates.points, candidates.point_starts
    if metric == "iou":
        matched = iou_truth(words)
        overlaps = matched.relate_rings(points, starts)
        return ImageRelations(
            tables=overlaps.tables(),
            n_words=len(words),
            n_centres=0,
            n_expected=matched.n_words,
            one_to_one=True,
            count=partial(iou.count, matched, overlaps),
        )
    truth = cleval_truth(words, metric)
    relations = truth.relate_rings(points, starts)
    return ImageRelations(
        tables=relations.tables(),
        n_words=len(words),
        n_centres=len(truth.centres),
        n_expected=truth.n_characters,
        one_to_one=False,
        count=partial(cleval.count, truth, relations),
    )


@dataclass(frozen=True, slots=True, eq=False)
class JoinedRelations:
    """The tables of I images behind one another, with indices that run through.

    ``word_starts`` and ``centre_starts`` (I + 1,); ``n_expected`` (I,); ``polygon_of`` (U, shapes of all
    images) with the images' shapes from ``shape_starts`` (I + 1,) on.
    """

    candidates: list[CandidateLattice]
    counts: list[CountSome]
    tables: Tables
    polygon_of: NDArray[np.int32]
    shape_starts: Index
    word_starts: Index
    centre_starts: Index
    n_expected: Index
    one_to_one: bool


def join(candidates: list[CandidateLattice], images: list[ImageRelations]) -> JoinedRelations:
    def starts(sizes: list[int]) -> Index:
        return ring_starts(np.array(sizes, dtype=np.intp))

    words = starts([image.n_words for image in images])
    centres = starts([image.n_centres for image in images])
    by_detection, by_pair, held = zip(*(image.tables for image in images), strict=True)
    pairs = starts([len(table) - 1 for table in by_pair])
    inside = starts([len(table) for table in held])
    polygons = starts([found.n_polygons for found in candidates])
    polygon_of = [
        np.where(found.polygon_of < 0, -1, found.polygon_of + first)
        for found, first in zip(candidates, polygons, strict=False)
    ]
    return JoinedRelations(
        candidates=candidates,
        counts=[image.count for image in images],
        tables=(
            _stacked(by_detection, {0: pairs}),
            _stacked(by_pair, {0: words, 3: inside}),
            np.concatenate([table + np.int32(first) for table, first in zip(held, centres, strict=False)]),
        ),
        polygon_of=np.concatenate(polygon_of, axis=1).astype(np.int32),
        shape_starts=starts([len(found.scores) for found in candidates]),
        word_starts=words,
        centre_starts=centres,
        n_expected=np.array([image.n_expected for image in images], dtype=np.intp),
        one_to_one=images[0].one_to_one,
    )


def _stacked(tables: Sequence[NDArray[np.int32]], offsets: dict[int, Index]) -> NDArray[np.int32]:
    """Tables with the columns that index others moved on; the last row of each only closes its image, as the
    first of the next one does."""
    stacked = np.concatenate([*(table[:-1] for table in tables), tables[-1][-1:]])
    n_rows = [len(table) - 1 for table in tables]
    n_rows[-1] += 1
    for column, starts in offsets.items():
        stacked[:, column] += np.repeat(starts[:-1], n_rows).astype(np.int32)
    return stacked
