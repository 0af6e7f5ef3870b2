"""One trial, from its parameters to its value: train, freeze, tune thresholds, score, keep.

Nothing here is random or timed but through the trial's config, so running it again from any point gives the
same attributes and the same value.
"""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
import torch

from optdet.atomic import remove_unfinished
from optdet.config import Config
from optdet.config_io import apply_params
from optdet.data.sets import DataSets, ImageSet
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.scorer import ImageScorer, evaluate_at
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.detector import TrainedDetector, open_checkpoint
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import prob_maps
from optdet.store.registry import InnerTrial, record_checkpoint, save_inner_trials
from optdet.study_config import StudyConfig
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.fit import FitCallbacks, FitResult, fit
from optdet.training.history import EpochRecord
from optdet.tuning import attributes as attr
from optdet.tuning.artifacts import Illustrated, attach_artifacts
from optdet.tuning.extension import starting_point
from optdet.tuning.progress import Progress
from optdet.tuning.sampler import derived_seed
from optdet.tuning.space import suggest
from optdet.tuning.study import OpenStudy
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.tried import Tuned


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a worker gives each of its trials. ``on_epoch`` may raise to leave the trial to another worker."""

    study: OpenStudy
    device: torch.device
    progress: Progress
    open_sets: Callable[[Config], DataSets]
    on_epoch: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Result:
    """A complete trial's value, and its final checkpoint."""

    value: float
    checkpoint: SavedCheckpoint


def trial_config(study: StudyConfig, number: int, params: dict[str, Any]) -> Config:
    """The whole config of a trial; its seed is derived from the study's, or the config's own."""
    config = apply_params(study.base_config(), params, f"trial {number}")
    seed = derived_seed(study.seed, number) if study.vary_seed else config.seed
    return config.model_copy(update={"seed": seed})


def run_objective(context: TrialContext, trial: optuna.Trial, *, taken_over: bool) -> Result:
    """Train and tune; TrialPruned, TrialFailed and what ``on_epoch`` raises pass through."""
    study = context.study
    params = suggest(trial, study.config.space)
    start = starting_point(study, trial.user_attrs)
    config = start.config if start is not None else trial_config(study.config, trial.number, params)
    context.progress.trial_started(trial.number, params, config.train.epochs, taken_over=taken_over)
    sets = context.open_sets(config)
    _set_attributes(trial, _start_attributes(config, sets))
    run_dir = study.places.run_dir(study.name, trial.number)
    remove_unfinished(run_dir)  # this worker holds the trial's lease: nobody else writes there
    callbacks = _callbacks(context, trial, run_dir, n_epochs=config.train.epochs)
    fitted = fit(
        config,
        sets,
        run_dir,
        device=context.device,
        callbacks=callbacks,
        start=None if start is None else start.checkpoint,
    )
    started = time.perf_counter()
    trained = open_checkpoint(fitted.best.path, context.device)
    map_key = trained.detector.key()
    cache = MapCache.of(
        study.places.cache_dir,
        map_key,
        title=f"{study.name}:{trial.number}",
        preprocessing=trained.detector.preprocessing.as_json(),
    )
    remove_unfinished(cache.folder)
    scorers = final_scorers(trained, sets.val, cache)
    evict(list_cache(study.places.cache_dir), config.cache.max_gb, keep=map_key)
    task = TuningTask(
        scorers,
        config.postprocess.tune,
        config.postprocess.thresholds(),
        seed=derived_seed(config.seed, "postprocess"),
    )
    tuned = tune_thresholds(task, on_trial=context.progress.tuning)
    evaluation = evaluate_at(scorers, tuned.chosen.thresholds)
    inner = [InnerTrial(index, entry.thresholds, entry.scores) for index, entry in enumerate(tuned.tried)]
    save_inner_trials(study.storage, study.uuid, trial.number, inner)
    checkpoint = _finish_checkpoint(context, trial.number, fitted, tuned)
    attach_artifacts(
        trial,
        study,
        Illustrated(
            evaluation,
            scorers,
            sets.val,
            tuned.chosen.thresholds,
            tuned.tried,
            fitted.history,
            run_dir,
        ),
    )
    _set_attributes(
        trial,
        _end_attributes(
            fitted=fitted,
            tuned=tuned,
            evaluation=evaluation,
            checkpoint=study.places.relative(checkpoint.path),
            map_key=map_key,
            tuning_seconds=time.perf_counter() - started,
        ),
    )
    return Result(_value(study.config, evaluation, tuned.crossfit), checkpoint)


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


def _callbacks(context: TrialContext, trial: optuna.Trial, run_dir: Path, *, n_epochs: int) -> FitCallbacks:
    study = context.study
    reported = dict(trial.study._storage.get_trial(trial._trial_id).intermediate_values)

    def report(record: EpochRecord) -> None:
        # Against the epochs before it alone: one that is replayed decides as it did the first time.
        if all(record.hmean > value for epoch, value in reported.items() if epoch < record.epoch):
            _set_attributes(trial, {attr.EPOCH_THRESHOLDS: record.thresholds.as_dict()})
        if record.epoch not in reported:  # a trial that goes on replays its last epoch
            trial.report(record.hmean, record.epoch)
            reported[record.epoch] = record.hmean

    def on_resume(history: Sequence[EpochRecord]) -> None:
        for record in history:
            report(record)

    def on_epoch_end(record: EpochRecord) -> None:
        report(record)
        context.progress.epoch(record)
        context.on_epoch()
        # After the last epoch pruning saves seconds of tuning, and loses a value. And what somebody asked to
        # go on is not stopped where it was stopped before.
        if record.epoch < n_epochs and attr.EXTENDED_FROM not in trial.user_attrs and trial.should_prune():
            raise optuna.TrialPruned

    def on_checkpoint(saved: SavedCheckpoint) -> None:
        _record(study, trial.number, saved)

    return FitCallbacks(
        on_resume=on_resume,
        on_epoch_end=on_epoch_end,
        on_checkpoint=on_checkpoint,
        on_batch=context.progress.batch,
        say=lambda message: context.progress.say(f"trial {trial.number}: {message}"),
    )


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
    context: TrialContext, number: int, fitted: FitResult, tuned: Tuned
) -> SavedCheckpoint:
    """The best checkpoint once more, with its thresholds in it: a file that can be used alone."""
    folder = CheckpointFolder(fitted.best.path.parent)
    payload = {**fitted.best.load(), "thresholds": tuned.chosen.thresholds.as_dict()}
    saved = folder.save("best", fitted.best.epoch, payload)
    _record(context.study, number, saved)
    folder.keep_only("best", [saved.path])
    return saved


def _value(study: StudyConfig, evaluation: Evaluation, crossfit: float | None) -> float:
    if study.objective == "crossfit" and crossfit is not None:
        return crossfit
    return evaluation.scores.competition.macro.hmean


def _set_attributes(trial: optuna.Trial, values: dict[str, Any]) -> None:
    known = trial.user_attrs
    for name, value in values.items():
        if known.get(name) != value:
            trial.set_user_attr(name, value)


def _start_attributes(config: Config, sets: DataSets) -> dict[str, Any]:
    return {
        attr.CONFIG: config.model_dump(mode="json"),
        attr.SEED: config.seed,
        attr.DATA_FINGERPRINT: sets.fingerprint,
        attr.VERSIONS: _versions(),
    }


def _end_attributes(
    *,
    fitted: FitResult,
    tuned: Tuned,
    evaluation: Evaluation,
    checkpoint: str,
    map_key: str,
    tuning_seconds: float,
) -> dict[str, Any]:
    scores = evaluation.scores
    history = fitted.history
    speeds = [record.images_per_s for record in history if record.images_per_s > 0]
    return {
        attr.THRESHOLDS: tuned.chosen.thresholds.as_dict(),
        attr.SCORES: scores.as_json(),
        attr.CROSSFIT: tuned.crossfit,
        attr.INTERVAL: list(evaluation.interval()),
        attr.CHECKPOINT: checkpoint,
        attr.MAP_KEY: map_key,
        attr.EPOCHS: history[-1].epoch,
        attr.BEST_EPOCH: fitted.best.epoch,
        attr.SECONDS: round(sum(record.seconds for record in history) + tuning_seconds, 1),
        attr.IMAGES_PER_S: round(sum(speeds) / len(speeds), 1) if speeds else None,
        "precision": scores.competition.macro.precision,
        "recall": scores.competition.macro.recall,
        "official_hmean": scores.official.macro.hmean,
    }


@cache
def _versions() -> dict[str, str]:
    names = ("optdet", "torch", "timm", "optuna", "albumentations", "opencv-python-headless", "numpy")
    found = {name: version(name) for name in names}
    return {"python": platform.python_version(), **found, "commit": _git_commit()}


def _git_commit() -> str:
    """The commit of the working directory, with + where it was changed; empty outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip()
