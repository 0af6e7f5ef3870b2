"""One batch through everything, before a night is spent on it: train, validate, tune, predict, check."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from optdet.config import Config
from optdet.data.images import image_size
from optdet.data.prediction_check import check_predictions
from optdet.data.sampling import SourcePart, expected_length
from optdet.data.sets import DataSets, ImageSet, open_sets
from optdet.errors import OptdetError, TrialFailed
from optdet.evaluation.scorer import ImageScorer
from optdet.inference.detector import open_checkpoint
from optdet.inference.device import choose_device
from optdet.phrases import counted
from optdet.structures import Thresholds
from optdet.training.budget import planned_epochs
from optdet.training.callbacks import FitCallbacks
from optdet.training.fit import FitResult, epoch_score, fit
from optdet.training.fitted_batch import fitted_batch, with_batch
from optdet.tuning.objective import final_scorers
from optdet.tuning.study import OpenStudy
from optdet.tuning.target_maps import target_scorers
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.tried import Tuned

_N_VAL = 4
_N_TRIED = 10


def smoke_test(study: OpenStudy, *, device: str | None = None, trials: int | None = None) -> Iterator[str]:
    """Lines that say what was done and how long the study will take; OptdetError for what fails a trial."""
    try:
        yield from _smoke_test(study, device, trials if trials is not None else study.config.trials)
    except TrialFailed as failure:
        raise OptdetError(failure.reason, where=f"study {study.name}") from failure


def _smoke_test(study: OpenStudy, device_name: str | None, trials: int) -> Iterator[str]:
    config = study.config.base_config()
    device = choose_device(device_name or config.device)
    places = study.places
    sets = open_sets(
        config.data,
        data_root=study.data_root,
        data_dir=places.data_dir,
        cache_dir=places.cache_dir,
        max_cache_gb=config.cache.max_gb,
    )
    yield f"data      {len(sets.train)} training and {len(sets.val)} validation images"
    if config.train.batch_size == "auto":
        largest = fitted_batch(config, device, len(sets.train))
        config = with_batch(config, largest.batch_size)
        yield f"batch     {largest.in_words()}"
    places.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".smoke-", dir=places.root) as folder:
        fitted, small = _fit_one_batch(config, sets, Path(folder), device)
        first, second = fitted.history
        yield f"train     1 batch of {len(small.train)} images, loss {first.loss:.3f} then {second.loss:.3f}"
        trained = open_checkpoint(fitted.best.path, device)
        final_scorers(trained, replace(small.val, samples=small.val.samples[:1]), None)  # warms up
        started = time.perf_counter()
        scorers = final_scorers(trained, small.val, None)
        map_s = (time.perf_counter() - started) / len(small.val)
    yield f"validate  {len(small.val)} images, H-mean {second.hmean:.4f} after two updates"
    tuned, _ = _tune(scorers, config)
    # Once on one image: what is compiled on its first use is not counted into a whole study's time.
    _epoch_and_tune(target_scorers(_first(small.val, 1), config.target), config)
    targets = target_scorers(small.val, config.target)
    ideal, epoch_s, tune_s = _epoch_and_tune(targets, config)
    yield (
        f"tune      {len(ideal.tried)} configurations, best H-mean {tuned.chosen.scores.hmean:.4f} on the "
        f"network's maps, {ideal.chosen.scores.hmean:.4f} on maps like the targets; neither is a forecast"
    )
    n_network, n_targets = (
        _checked(each, which.chosen.thresholds, small.val, study.name)
        for each, which in ((scorers, tuned), (targets, ideal))
    )
    yield (
        f"predict   {n_network} polygons on the network's maps, {n_targets} on maps like the targets, "
        f"of {len(small.val)} images, checked"
    )
    one_epoch = expected_length(sets.train.parts) / second.images_per_s + len(sets.val) * (map_s + epoch_s)
    n_epochs = planned_epochs(config, sets.train.parts)
    trial_s = n_epochs * one_epoch + len(sets.val) * (map_s + tune_s)
    yield (
        f"time      about {_span(one_epoch)} an epoch, {_span(trial_s)} a trial, "
        f"{_span(trials * trial_s)} for {counted(trials, 'trial')} with one worker, if none ends early"
    )


def _epoch_and_tune(scorers: Sequence[ImageScorer], config: Config) -> tuple[Tuned, float, float]:
    """What tuning chooses; the seconds an image of an epoch's score, and of the tuning at the end."""
    started = time.perf_counter()
    epoch_score(scorers, config)
    epoch_s = (time.perf_counter() - started) / len(scorers)
    tuned, tune_s = _tune(scorers, config)
    return tuned, epoch_s, tune_s


def _tune(scorers: Sequence[ImageScorer], config: Config) -> tuple[Tuned, float]:
    """The tuning of a trial, cut to a few points where it is a search; seconds an image if it were not."""
    full = config.postprocess.tune
    started = time.perf_counter()
    tune = full.model_copy(update={"trials": _N_TRIED})
    task = TuningTask(scorers, tune, config.postprocess.thresholds())
    tuned = tune_thresholds(task, workers=torch.get_num_threads())
    seconds = (time.perf_counter() - started) / len(scorers)
    if full.method in ("tpe", "random"):
        seconds *= max(1.0, (full.trials + len(tuned.tried) - _N_TRIED) / len(tuned.tried))
    return tuned, seconds


def _checked(scorers: Sequence[ImageScorer], thresholds: Thresholds, images: ImageSet, study: str) -> int:
    """How many polygons are predicted; OptdetError where a submission of them would be refused."""
    found = {scorer.name: scorer.detector.detect(thresholds).polygons for scorer in scorers}
    sizes = {sample.name: image_size(sample.image_path) for sample in images.samples}
    problems = check_predictions(found, sizes)
    if problems:
        raise OptdetError(f"the predictions are not sound: {problems[0]}", where=f"study {study}")
    return sum(map(len, found.values()))


def _fit_one_batch(
    config: Config, sets: DataSets, folder: Path, device: torch.device
) -> tuple[FitResult, DataSets]:
    """Two epochs over one batch: the second is timed, warm."""
    small = replace(sets, train=_first(sets.train, config.train.images_a_step), val=_first(sets.val, _N_VAL))
    short = config.model_copy(
        update={
            "train": config.train.model_copy(update={"epochs": 2, "updates": None, "patience": 0}),
            # A warm-up's first rate is 0: the first update would change nothing.
            "scheduler": config.scheduler.model_copy(update={"name": "constant", "warmup_epochs": 0}),
        }
    )
    return fit(short, small, folder, device=device, callbacks=FitCallbacks()), small


def _first(images: ImageSet, n_images: int) -> ImageSet:
    return replace(
        images,
        samples=images.samples[:n_images],
        letterboxes=images.letterboxes[:n_images],
        parts=(SourcePart(images.parts[0].name, min(n_images, len(images))),),
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
