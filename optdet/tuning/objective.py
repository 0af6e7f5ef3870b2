"""One trial, from its parameters to its value: train, freeze, tune thresholds, score, keep.

Nothing here is random or timed but through the trial's config, so running it again from any point gives the
same attributes and the same value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import optuna
import torch

from optdet.atomic import remove_unfinished
from optdet.config import Config
from optdet.data.sets import DataSets, ImageSet
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.height_scores import HeightScore, height_scores
from optdet.evaluation.scorer import ImageScorer, evaluate_at
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.detector import TrainedDetector, restore
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import prob_maps
from optdet.phrases import counted
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import SlotLost
from optdet.store.registry import InnerTrial, record_checkpoint, save_inner_trials
from optdet.structures import Thresholds
from optdet.study_config import StudyConfig
from optdet.training.budget import planned_epochs
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.fit import FitResult, fit
from optdet.training.history import EpochRecord
from optdet.training.recovery import Batching
from optdet.tuning import attributes as attr
from optdet.tuning.artifacts import Illustrated, attach_artifacts, attach_curve
from optdet.tuning.data_state import begun_again
from optdet.tuning.extension import starting_point
from optdet.tuning.progress import Progress
from optdet.tuning.sampler import derived_seed
from optdet.tuning.space import suggest
from optdet.tuning.study import OpenStudy
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.trial_attributes import (
    end_attributes,
    set_attributes,
    source_attribute,
    start_attributes,
)
from optdet.tuning.trial_config import trial_config, with_known_batch
from optdet.tuning.tried import Tuned


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a worker gives each of its trials. ``on_epoch`` may raise to leave the trial to another worker, as
    a lost ``heartbeat`` does."""

    study: OpenStudy
    device: torch.device
    progress: Progress
    open_sets: Callable[[Config], DataSets]
    heartbeat: Heartbeat
    on_epoch: Callable[[], None]


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
    say = partial(_say, context.progress, trial.number)
    config = with_known_batch(config, trial.user_attrs, context.device, len(sets.train), say)
    n_epochs = planned_epochs(config, sets.train.parts)
    context.progress.trial_started(trial.number, params, n_epochs, taken_over=taken_over)
    again = begun_again(study, trial, sets.fingerprint)
    if again is not None:
        context.progress.say(f"trial {trial.number}: begins again, it had other images or labels")
        trial = again
    set_attributes(study.storage, trial, start_attributes(config, sets, context.device))
    run_dir = study.places.run_dir(study.name, trial.number)
    remove_unfinished(run_dir)  # this worker holds the trial's lease: nobody else writes there
    heard: dict[int, EpochRecord] = {}
    callbacks = _callbacks(context, trial, config, heard, n_epochs=n_epochs)
    try:
        fitted = fit(
            config,
            sets,
            run_dir,
            device=context.device,
            callbacks=callbacks,
            start=None if start is None else start.checkpoint,
        )
    except optuna.TrialPruned:
        context.heartbeat.confirm()
        attach_curve(trial, study, run_dir, [heard[epoch] for epoch in sorted(heard)])
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


def _callbacks(
    context: TrialContext,
    trial: optuna.Trial,
    config: Config,
    heard: dict[int, EpochRecord],
    *,
    n_epochs: int,
) -> FitCallbacks:
    """``heard`` takes the record of each epoch."""
    study = context.study
    reported = dict(trial.study._storage.get_trial(trial._trial_id).intermediate_values)
    n_known = len(reported)
    replayed = 0
    by_source: dict[int, dict[str, Any]] = {}

    def report(record: EpochRecord) -> None:
        heard[record.epoch] = record
        if record.sources:
            by_source[record.epoch] = source_attribute(record)
            set_attributes(study.storage, trial, {attr.SOURCES: [by_source[n] for n in sorted(by_source)]})
        # Against the epochs before it alone: one that is replayed decides as it did the first time.
        before = [value for epoch, value in reported.items() if epoch < record.epoch]
        if config.train.checkpoint == "fixed" or all(record.hmean > value for value in before):
            set_attributes(study.storage, trial, {attr.EPOCH_THRESHOLDS: record.thresholds.as_dict()})
        if record.epoch not in reported:  # a trial that goes on replays its last epoch
            trial.report(record.hmean, record.epoch)
            reported[record.epoch] = record.hmean

    def on_resume(history: Sequence[EpochRecord]) -> None:
        nonlocal n_known, replayed
        if n_known and not history:
            epochs = counted(n_known, "epoch")
            context.progress.say(
                f"trial {trial.number}: no checkpoint of its {epochs} is left; training again"
            )
        n_known = 0  # what is lost from here on is said where it is noticed
        for record in history:
            report(record)
        replayed = history[-1].epoch if history else 0
        if history:
            context.progress.resumed(history[-1])

    def on_epoch_end(record: EpochRecord) -> None:
        report(record)
        if record.epoch != replayed:  # who trained it has shown it
            context.progress.epoch(record)
        context.on_epoch()
        if record.epoch < max(reported):  # trained again, for its lost files: then it was not stopped here
            return
        # After the last epoch pruning saves seconds of tuning, and loses a value. And what somebody asked to
        # go on is not stopped where it was stopped before.
        if record.epoch < n_epochs and attr.EXTENDED_FROM not in trial.user_attrs and trial.should_prune():
            raise optuna.TrialPruned

    def on_batch(done: int, n_batches: int, loss: float | None) -> None:
        context.progress.batch(done, n_batches, loss)
        if context.heartbeat.lost:
            raise SlotLost

    def on_checkpoint(saved: SavedCheckpoint) -> None:
        if saved.kind == "best":  # a last one is found in its folder, by whoever goes on with the trial
            _record(study, trial.number, saved)

    def on_smaller_batch(batching: Batching) -> None:
        set_attributes(study.storage, trial, {attr.BATCHING: asdict(batching)})

    return FitCallbacks(
        on_resume=on_resume,
        on_smaller_batch=on_smaller_batch,
        on_epoch_end=on_epoch_end,
        on_checkpoint=on_checkpoint,
        on_batch=on_batch,
        before_save=context.heartbeat.confirm,
        say=partial(_say, context.progress, trial.number),
    )


def _say(progress: Progress, number: int, message: str) -> None:
    progress.say(f"trial {number}: {message}")


def _record(study: OpenStudy, number: int, saved: SavedCheckpoint) -> None:
    record_checkpoint(
        study.storage,
        study.uuid,
        number,
        saved.kind,
        path=study.places.relative(saved.path),
        sha256=saved.sha256,
        epoch=saved.epoch,
    )


def _finish_checkpoint(
    context: TrialContext, number: int, best: SavedCheckpoint, payload: dict[str, Any], tuned: Tuned
) -> SavedCheckpoint:
    """The best checkpoint once more, with its thresholds in it: a file that can be used alone."""
    folder = CheckpointFolder(best.path.parent)
    saved = folder.save("best", best.epoch, {**payload, "thresholds": tuned.chosen.thresholds.as_dict()})
    _record(context.study, number, saved)
    folder.keep_only("best", [saved.path])
    return saved


def _value(study: StudyConfig, evaluation: Evaluation, crossfit: float | None) -> float:
    if study.objective == "crossfit" and crossfit is not None:
        return crossfit
    return evaluation.scores.competition.macro.hmean
