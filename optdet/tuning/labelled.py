"""The labelled images that several sources have in common: the validation images of their studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from optdet.data.source import load_source
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.structures import Sample
from optdet.tuning.detection_source import DetectionSource, OpenSource


def common_samples(sources: Sequence[DetectionSource]) -> Callable[[], tuple[Sample, ...]] | None:
    """What gives the images that all sources with images of their own have; None where none has any.

    Of folds these are the images that were kept apart of all of them. Called, it raises OptdetError where
    they are not the same, or none.
    """
    known = [(source.title, own) for source in sources if (own := _own(source)) is not None]
    if not known:
        return None

    def labelled() -> tuple[Sample, ...]:
        first, *others = ((title, own()) for title, own in known)
        if not first[1]:
            raise OptdetError(
                f"all images are in the folds of {first[0]}, so that most folds have learnt from each",
                where="ensemble",
                fix="give the images to judge by: --images DIR --labels FILE",
            )
        for title, samples in others:
            n_same = len(same_images(first[1], samples))
            if not n_same == len(first[1]) == len(samples):
                raise OptdetError(
                    f"{first[0]} and {title} were validated on different images "
                    f"({len(first[1])} and {len(samples)}, {n_same} the same)",
                    where="ensemble",
                    fix="give the images to judge by: --images DIR --labels FILE",
                )
        return first[1]

    return labelled


def _own(source: DetectionSource) -> Callable[[], tuple[Sample, ...]] | None:
    judge = source.judge if isinstance(source, OpenSource) else None
    return judge or source.labelled


def same_images(a: Sequence[Sample], b: Sequence[Sample]) -> list[str]:
    """Names of the images that both have with the same content and the same words."""
    in_a, in_b = ({sample.name: sample for sample in samples} for samples in (a, b))
    return [name for name in in_a.keys() & in_b.keys() if _is_same(in_a[name], in_b[name])]


def _is_same(a: Sample, b: Sample) -> bool:
    words_a, words_b = (
        [(word.polygon.tolist(), word.text, word.ignored) for word in sample.words] for sample in (a, b)
    )
    return words_a == words_b and (
        a.image_path == b.image_path or file_sha256(a.image_path) == file_sha256(b.image_path)
    )


def judging_samples(
    sources: Sequence[DetectionSource], images: Path | None, labels: Path | None
) -> tuple[Sample, ...] | None:
    """The images that an ensemble is tuned on: those of ``labels`` in ``images``, else the validation images
    that its studies have in common; None where there are neither."""
    if images is not None and labels is not None:
        return load_source(images, labels).samples
    if images is not None or labels is not None:
        raise OptdetError("--images and --labels go together", where="ensemble", fix="give both")
    labelled = common_samples(sources)
    return None if labelled is None else labelled()
