"""What came of a fold study: each fold, the spread between them, and the score of all images out of fold.

Folds hold out different images, so their scores say nothing about which detector is better. They are ranked
on images that all of them held out, where there are any: the validation images that were kept apart, or
images that are given.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdet.evaluation.configurations import detect_at
from optdet.evaluation.difference import Difference, difference_of_means
from optdet.evaluation.parallel import mapped
from optdet.evaluation.scorer import ImageScorer, evaluate_at
from optdet.evaluation.truth import ImageTruth
from optdet.structures import CheckpointRule, FloatArray, OnImage, Sample, Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import FOLD, fold_numbers
from optdet.tuning.fold_scores import PooledScores, current_thresholds
from optdet.tuning.fold_source import OutOfFold
from optdet.tuning.results import find_trial
from optdet.tuning.sampler import derived_seed
from optdet.tuning.task import OnTrial, TuningTask
from optdet.tuning.thresholds import tune_thresholds


@dataclass(frozen=True, slots=True)
class FoldRow:
    """One fold. ``trial`` and what follows it are of its complete trial, else of the newest one it has, if
    any. ``own`` is its score at thresholds that were tuned on the fold itself, ``pooled`` at those of all
    folds."""

    fold: int
    images: int
    trial: int | None
    state: str
    own: float | None
    own_crossfit: float | None
    pooled: float | None
    epochs: int | None
    updates: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the folds' scores: ``std`` is the sample standard deviation, ``worst`` the fold of the lowest."""

    mean: float
    std: float
    worst: int

    @classmethod
    def of(cls, scores: Mapping[int, float]) -> Summary:
        worst = min(scores, key=lambda fold: (scores[fold], fold))
        return cls(statistics.fmean(scores.values()), statistics.stdev(scores.values()), worst)

    def as_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "worst": self.worst}


@dataclass(frozen=True, slots=True)
class Ranked:
    """A fold's detector on images that every fold held out; ``behind`` is its score less the first one's."""

    fold: int
    hmean: float
    behind: Difference


@dataclass(frozen=True, slots=True)
class FoldReport:
    """The table. ``pooled`` and the rest are None where folds are ``missing``, ``ranking`` also where there
    are no images to rank on."""

    study: str
    checkpoint: CheckpointRule
    rows: tuple[FoldRow, ...]
    missing: tuple[int, ...]
    pooled: PooledScores | None
    ranking: tuple[Ranked, ...] | None
    n_judged: int

    def summary(self, column: str) -> Summary | None:
        """Of the column ``own`` or ``pooled``; None where a fold has no score."""
        scores = {row.fold: getattr(row, column) for row in self.rows}
        return None if None in scores.values() else Summary.of(scores)

    def as_json(self) -> dict[str, Any]:
        places = {each.fold: (place, each) for place, each in enumerate(self.ranking or (), start=1)}
        own, pooled = self.summary("own"), self.summary("pooled")
        return {
            "study": self.study,
            "checkpoint": self.checkpoint,
            "folds": [_row_json(row, places.get(row.fold)) for row in self.rows],
            "missing": list(self.missing),
            "own": None if own is None else own.as_json(),
            "pooled": None if pooled is None else pooled.as_json(),
            "out_of_fold": None if self.pooled is None else self.pooled.as_json(),
            "judged_images": self.n_judged,
        }


def _row_json(row: FoldRow, ranked: tuple[int, Ranked] | None) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in FoldRow.__dataclass_fields__}
    judge = None
    if ranked is not None:
        place, each = ranked
        judge = {
            "rank": place,
            "hmean": each.hmean,
            "behind": each.behind.difference,
            "standard_error": each.behind.standard_error,
            "interval": list(each.behind.interval),
        }
    return {**shown, "judge": judge}


def fold_report(
    opened: OutOfFold, pooled: PooledScores | None, ranking: tuple[Ranked, ...] | None, n_judged: int
) -> FoldReport:
    study = opened.study
    return FoldReport(
        study=study.name,
        checkpoint=study.config.config.train.checkpoint,
        rows=tuple(_row(opened, fold, pooled) for fold in fold_numbers(study)),
        missing=tuple(opened.missing()),
        pooled=pooled,
        ranking=ranking,
        n_judged=n_judged,
    )


def _row(opened: OutOfFold, fold: int, pooled: PooledScores | None) -> FoldRow:
    study = opened.study
    number = opened.members.get(fold, _newest_trial(opened, fold))
    n_images = len(opened.pool.held_out(fold))
    if number is None:
        return FoldRow(fold, n_images, None, "not begun", None, None, None, None, None)
    trial = find_trial(study, number)
    attrs = trial.user_attrs
    scores = attrs.get(attr.SCORES)
    return FoldRow(
        fold=fold,
        images=n_images,
        trial=number,
        state=trial.state.name.lower(),
        own=None if scores is None else scores["competition"]["macro"]["hmean"],
        own_crossfit=attrs.get(attr.CROSSFIT),
        pooled=None if pooled is None else pooled.hmeans[fold],
        epochs=attrs.get(attr.EPOCHS, max(trial.intermediate_values, default=0)),
        updates=attrs.get(attr.UPDATES),
    )


def _newest_trial(opened: OutOfFold, fold: int) -> int | None:
    of_fold = [
        trial.number
        for trial in opened.study.study.get_trials(deepcopy=False)
        if trial.params.get(FOLD, trial.system_attrs.get("fixed_params", {}).get(FOLD)) == fold
    ]
    return max(of_fold, default=None)


def tune_pooled(
    opened: OutOfFold,
    scorers: Sequence[ImageScorer],
    *,
    workers: int = 1,
    on_trial: OnTrial | None = None,
) -> PooledScores:
    """Tune on the maps of all images as each trial was tuned on its own."""
    config = opened.study.config.base_config()
    current = current_thresholds(opened.study)
    seed = derived_seed(config.seed, "postprocess")
    tuned = tune_thresholds(
        TuningTask(scorers, config.postprocess.tune, current, seed=seed), workers=workers, on_trial=on_trial
    )
    evaluation = evaluate_at(scorers, tuned.chosen.thresholds)
    hmeans = opened.by_fold(evaluation)
    return PooledScores(
        thresholds=tuned.chosen.thresholds,
        n_images=len(scorers),
        scores=evaluation.scores.as_json(),
        interval=evaluation.interval(),
        hmean_crossfit=tuned.choice.crossfit,
        hmeans={fold: statistics.fmean(values) for fold, values in hmeans.items()},
    )


def rank_folds(
    opened: OutOfFold,
    samples: Sequence[Sample],
    thresholds: Thresholds,
    *,
    workers: int = 1,
    on_image: OnImage | None = None,
) -> tuple[Ranked, ...]:
    """Every fold's detector on images that none has learnt from, all at the same thresholds, best first."""
    truths = [ImageTruth(sample.words) for sample in samples]
    n_all, done = len(opened.members) * len(samples), 0
    hmeans: dict[int, FloatArray] = {}
    for fold in opened.members:
        maps = opened.maps.members[fold].maps(
            [sample.image_path for sample in samples], on_image=_counting(on_image, done, n_all)
        )
        found = mapped(lambda image: detect_at(image.detector, [thresholds])[0], maps, workers=workers)
        hmeans[fold] = np.array(
            [
                truth.counts(detections.polygons).competition.hmean
                for truth, detections in zip(truths, found, strict=True)
            ]
        )
        done += len(samples)
    order = sorted(hmeans, key=lambda fold: (-float(hmeans[fold].mean()), fold))
    first = hmeans[order[0]]
    return tuple(
        Ranked(fold, difference.b, difference)
        for fold in order
        for difference in [difference_of_means(first, hmeans[fold])]
    )


def _counting(on_image: OnImage | None, before: int, total: int) -> Callable[[int, int], None] | None:
    """Images of one detector as a part of those of all."""
    if on_image is None:
        return None
    return lambda done, _: on_image(before + done, total)
