"""One trial, from its parameters to its value: train, freeze, tune thresholds, score, keep.

Nothing here is random or timed but through the trial's config, so running it again from any point gives the
same attributes and the same value.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
import torch

from optdet.atomic import remove_unfinished
from optdet.config import Config
from optdet.data.sets import ImageSet
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.height_scores import HeightScore, height_scores
from optdet.evaluation.scorer import ImageScorer, evaluate_at
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.detector import TrainedDetector, restore
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import prob_maps
from optdet.store.registry import InnerTrial, save_inner_trials
from optdet.structures import Thresholds
from optdet.study_config import StudyConfig
from optdet.training.budget import planned_epochs
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.fit import FitResult, fit
from optdet.tuning import attributes as attr
from optdet.tuning.artifacts import Illustrated, attach_artifacts, attach_curve
from optdet.tuning.data_state import begun_again
from optdet.tuning.extension import starting_point
from optdet.tuning.removal import remove
from optdet.tuning.sampler import derived_seed
from optdet.tuning.space import suggest
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.trial_attributes import end_attributes, set_attributes, start_attributes
from optdet.tuning.trial_config import trial_config, with_known_batch
from optdet.tuning.trial_training import TrialContext, TrialTraining, register_checkpoint
from optdet.tuning.tried import Tuned


@dataclass(frozen=True, slots=True)
class Result:
    """A complete trial's value, and its final checkpoint."""

    value: float
    checkpoint: SavedCheckpoint


def run_objective(context: TrialContext, trial: optuna.Trial, *, taken_over: bool) -> Result:
    """Train and tune; TrialPruned, TrialFailed and what ``on_epoch`` raises pass through."""
    study = context.study
    params = suggest(trial, study.config.space)
    start = starting_point(study, trial.user_attrs)
    config = start.config if start is not None else trial_config(study.config, trial.number, params)
    sets = context.open_sets(config)
    say = partial(context.say, trial.number)
    config = with_known_batch(config, trial.user_attrs, context.device, len(sets.train), say)
    n_epochs = planned_epochs(config, sets.train.parts)
    context.progress.trial_started(trial.number, params, n_epochs, taken_over=taken_over)
    again = begun_again(study, trial, sets.fingerprint)
    if again is not None:
        say("begins again, it had other images or labels")
        trial = again
    run_dir = study.places.run_dir(study.name, trial.number)
    if attr.DATA_FINGERPRINT not in trial.user_attrs:  # it has not begun: what is there is not its own
        context.heartbeat.confirm()
        remove(run_dir)
    set_attributes(study.storage, trial, start_attributes(config, sets, context.device))
    remove_unfinished(run_dir)  # this worker holds the trial's lease: nobody else writes there
    training = TrialTraining(context, trial, config, n_epochs=n_epochs)
    try:
        fitted = fit(
            config,
            sets,
            run_dir,
            device=context.device,
            callbacks=training.callbacks(),
            start=None if start is None else start.checkpoint,
        )
    except optuna.TrialPruned:
        context.heartbeat.confirm()
        attach_curve(trial, study, run_dir, training.history)
        raise
    return _tune_and_keep(context, trial, config, sets.val, fitted)


def _tune_and_keep(
    context: TrialContext, trial: optuna.Trial, config: Config, images: ImageSet, fitted: FitResult
) -> Result:
    """What follows the last epoch: final maps, thresholds, scores, and all that stays of a trial."""
    study = context.study
    started = time.perf_counter()
    frozen = _freeze(context, trial.number, config, images, fitted.best)
    task = TuningTask(
        frozen.scorers,
        config.postprocess.tune,
        config.postprocess.thresholds(),
        seed=derived_seed(config.seed, "postprocess"),
    )
    tuned = tune_thresholds(task, workers=torch.get_num_threads(), on_trial=context.progress.tuning)
    evaluation = evaluate_at(frozen.scorers, tuned.chosen.thresholds)
    context.heartbeat.confirm()
    inner = [InnerTrial(index, entry.thresholds, entry.scores) for index, entry in enumerate(tuned.tried)]
    save_inner_trials(study.storage, study.uuid, trial.number, inner)
    checkpoint = _finish_checkpoint(context, trial.number, fitted.best, frozen.payload, tuned)
    attach_artifacts(
        trial,
        study,
        Illustrated(
            evaluation,
            frozen.scorers,
            images,
            tuned.chosen.thresholds,
            tuned.tried,
            fitted.history,
            study.places.run_dir(study.name, trial.number),
        ),
    )
    set_attributes(
        study.storage,
        trial,
        end_attributes(
            fitted=fitted,
            tuned=tuned,
            evaluation=evaluation,
            heights=_by_height(frozen.scorers, tuned.chosen.thresholds),
            checkpoint=study.places.relative(checkpoint.path),
            map_key=frozen.map_key,
            tuning_seconds=time.perf_counter() - started,
        ),
    )
    return Result(_value(study.config, evaluation, tuned.choice.crossfit), checkpoint)


@dataclass(frozen=True, slots=True)
class _Frozen:
    """The best checkpoint's content, and the final maps of the validation images, cached under a key."""

    payload: dict[str, Any]
    scorers: list[ImageScorer]
    map_key: str


def _freeze(
    context: TrialContext, number: int, config: Config, images: ImageSet, best: SavedCheckpoint
) -> _Frozen:
    places = context.study.places
    payload = best.load()  # once: what happens to the file from here on costs nothing
    trained = restore(payload, context.device, str(best.path))
    map_key = trained.detector.key()
    cache = MapCache.of(
        places.cache_dir,
        map_key,
        title=f"{context.study.name}:{number}",
        preprocessing=trained.detector.preprocessing.as_json(),
    )
    remove_unfinished(cache.folder)
    scorers = final_scorers(trained, images, cache)
    evict(list_cache(places.cache_dir), config.cache.max_gb, keep=map_key)
    return _Frozen(payload, scorers, map_key)


def final_scorers(trained: TrainedDetector, images: ImageSet, cache: MapCache | None) -> list[ImageScorer]:
    """The final maps of labelled images, cached, made one image at a time."""
    maps = prob_maps(
        trained.detector,
        [sample.image_path for sample in images.samples],
        cache=cache,
        canvases=images.canvases,
    )
    return [
        ImageScorer(sample.name, image.detector, sample.words)
        for sample, image in zip(images.samples, maps, strict=True)
    ]


def _by_height(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> tuple[HeightScore, ...]:
    return height_scores((scorer.words, scorer.detector.detect(thresholds).polygons) for scorer in scorers)


def _finish_checkpoint(
    context: TrialContext, number: int, best: SavedCheckpoint, payload: dict[str, Any], tuned: Tuned
) -> SavedCheckpoint:
    """The best checkpoint once more, with its thresholds in it: a file that can be used alone."""
    folder = CheckpointFolder(best.path.parent)
    saved = folder.save("best", best.epoch, {**payload, "thresholds": tuned.chosen.thresholds.as_dict()})
    register_checkpoint(context.study, number, saved)
    folder.keep_only("best", [saved.path])
    return saved


def _value(study: StudyConfig, evaluation: Evaluation, crossfit: float | None) -> float:
    if study.objective == "crossfit" and crossfit is not None:
        return crossfit
    return evaluation.scores.competition.macro.hmean
