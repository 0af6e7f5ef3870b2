"""``STUDY:oof``: the maps of all images of a fold study, each by the detector that held it out.

An image is recognised by its content, wherever the file lies. One that is in no fold was held out by none of
the detectors, or by all of them: which of their maps is meant nobody can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optdet.data.image_cache import CanvasReader, PartReader
from optdet.data.located import locate
from optdet.data.pool import Pool, open_pool
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.scorer import ImageScorer
from optdet.inference.map_source import MapSource
from optdet.inference.predict import ImageMap, image_key, image_key_of
from optdet.phrases import counted, numbers
from optdet.structures import OnImage, Sample, SubmissionSource, Thresholds
from optdet.tuning.detection_source import Judged, OpenSource
from optdet.tuning.fold_members import fold_members, fold_numbers, require_fold_study
from optdet.tuning.fold_scores import current_thresholds, stored_scores
from optdet.tuning.results import find_trial
from optdet.tuning.source import SourceOptions, scorers_of
from optdet.tuning.study import OpenStudy
from optdet.tuning.study_source import trial_source

OUT_OF_FOLD = "oof"


@dataclass(frozen=True, slots=True)
class FoldMaps:
    """A MapSource of several: ``fold_of`` says by an image's key whose map is its own.

    Detectors are opened one by one, as maps of their folds turn out to be missing.
    """

    title: str
    members: Mapping[int, MapSource]
    fold_of: Mapping[str, int]

    def maps(
        self,
        paths: Sequence[Path],
        *,
        canvases: CanvasReader | None = None,
        on_image: OnImage | None = None,
    ) -> Iterator[ImageMap]:
        folds = [self.fold_of.get(image_key(path)) for path in paths]
        self._require_held_out(paths, folds)
        places: dict[int, list[int]] = {}
        for index, fold in enumerate(folds):
            if fold is not None:
                places.setdefault(fold, []).append(index)
        streams = {
            fold: self.members[fold].maps(
                [paths[index] for index in indices],
                canvases=None if canvases is None else PartReader(canvases, tuple(indices)),
            )
            for fold, indices in places.items()
        }
        for number, fold in enumerate(folds, start=1):
            assert fold is not None
            image = next(streams[fold])
            if on_image is not None:
                on_image(number, len(paths))
            yield image
        for stream in streams.values():
            for _ in stream:  # what a source does after its last map
                raise AssertionError("a map too many")

    def _require_held_out(self, paths: Sequence[Path], folds: Sequence[int | None]) -> None:
        strangers = [path for path, fold in zip(paths, folds, strict=True) if fold is None]
        if strangers:
            raise OptdetError(
                f"{counted(len(strangers), 'image')} {'is' if len(strangers) == 1 else 'are'} in no fold, "
                f"the first is {strangers[0].name}: no detector alone held it out",
                where=self.title,
                fix="take images of the folds (predict: --labels names them), or one fold's detector",
            )
        missing = sorted({fold for fold in folds if fold is not None and fold not in self.members})
        if missing:
            raise unfinished(self.title, missing)


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """A fold study's images with their maps, and the number of the trial that holds out each fold."""

    study: OpenStudy
    pool: Pool
    maps: FoldMaps
    members: Mapping[int, int]

    def missing(self) -> list[int]:
        return [fold for fold in fold_numbers(self.study) if fold not in self.members]

    def samples(self) -> tuple[Sample, ...]:
        """All images, checked to be those that were parted; OptdetError where a fold is not finished."""
        if missing := self.missing():
            raise unfinished(self.maps.title, missing)
        self.pool.require_same_files(range(len(self.pool.samples)))
        return self.pool.samples

    def scorers(self, on_image: OnImage | None = None) -> list[ImageScorer]:
        """The maps of all images with their words, ready to be scored."""
        source = self.source(current_thresholds(self.study))
        return scorers_of(source, self.samples(), on_image=on_image)

    def by_fold(self, evaluation: Evaluation) -> dict[int, list[float]]:
        """Competition H-means of an evaluation of these images, by the fold that holds them out."""
        of_image = dict(zip(evaluation.names, evaluation.hmeans.tolist(), strict=True))
        return {
            fold: [of_image[self.pool.samples[index].name] for index in self.pool.held_out(fold)]
            for fold in fold_numbers(self.study)
        }

    def source(self, thresholds: Thresholds) -> OpenSource:
        return OpenSource(
            self.maps.title,
            self.maps,
            thresholds,
            self.study.config.base_config(),
            labelled=self.samples,
            origins=(SubmissionSource(self.maps.title, self.study.uuid),),
        )


def open_out_of_fold(study: OpenStudy, options: SourceOptions) -> OutOfFold:
    """OptdetError for a study that is none of folds, and where images or labels have changed."""
    require_fold_study(study)
    data = study.config.config.data
    located = locate(data, data_root=study.data_root, data_dir=study.places.data_dir)
    pool = open_pool(located)
    members = fold_members(study)
    maps = {
        fold: trial_source(study, find_trial(study, number), options).maps for fold, number in members.items()
    }
    fold_of = {image_key_of(image.sha256): image.fold for image in pool.folds.images}
    return OutOfFold(study, pool, FoldMaps(f"{study.name}:{OUT_OF_FOLD}", maps, fold_of), members)


def open_out_of_fold_source(study: OpenStudy, options: SourceOptions) -> OpenSource:
    """At the thresholds that were tuned on the pooled maps; else at those in use before, which is said."""
    opened = open_out_of_fold(study, options)
    tuned = stored_scores(study, opened.members)
    if tuned is None:
        options.say(
            f"{opened.maps.title}: no thresholds were tuned on its maps yet, those of the config are taken; "
            f"`optdet study folds {study.name}` tunes them"
        )
        return opened.source(current_thresholds(study))
    return replace(opened.source(tuned.thresholds), judged=Judged(tuned.hmean, tuned.hmean_crossfit))


def unfinished(title: str, missing: Sequence[int]) -> OptdetError:
    name = title.removesuffix(f":{OUT_OF_FOLD}")
    verb = "is" if len(missing) == 1 else "are"
    return OptdetError(
        f"{numbers('fold', missing)} {verb} not finished",
        where=title,
        fix=f"run it: optdet study run {name}",
    )


def judge_samples(opened: OutOfFold, images: Path | None, labels: Path | None) -> tuple[Sample, ...]:
    """Images that every fold held out: those named, else the validation images that were kept apart of the
    folds; none where there are none. OptdetError for one that is in a fold.
    """
    judge = opened.pool.judge
    if images is not None and labels is not None:
        source = load_source(images, labels)
    elif judge is not None:
        source = load_source(Path(judge.images), Path(judge.labels), format=judge.format)
    else:
        return ()
    source.require_complete()
    learnt = [sample.name for sample in source.samples if image_key(sample.image_path) in opened.maps.fold_of]
    if learnt:
        raise OptdetError(
            f"{counted(len(learnt), 'image')} of them {'is' if len(learnt) == 1 else 'are'} in the folds, as "
            f"{learnt[0]}: most of the detectors have learnt from it",
            where=str(source.label_file.path),
            fix="rank them on other images, or add --no-rank",
        )
    return source.samples
