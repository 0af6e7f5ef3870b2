"""One batch through everything, before a night is spent on it: train, validate, tune, predict, check."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from optdet.config import Config
from optdet.data.images import image_size
from optdet.data.prediction_check import check_predictions
from optdet.data.sets import DataSets, ImageSet, open_sets
from optdet.errors import OptdetError
from optdet.inference.detector import open_checkpoint
from optdet.inference.device import choose_device
from optdet.training.fit import FitCallbacks, FitResult, fit
from optdet.tuning.objective import final_scorers
from optdet.tuning.study import OpenStudy
from optdet.tuning.thresholds import tune_thresholds

_N_VAL = 4
_N_TRIED = 10


def smoke_test(study: OpenStudy) -> Iterator[str]:
    """Lines that say what was done and how long the study will take; raises what a trial would raise."""
    config = study.config.base_config()
    places = study.places
    sets = open_sets(
        config.data,
        data_root=study.data_root,
        data_dir=places.data_dir,
        cache_dir=places.cache_dir,
        max_cache_gb=config.cache.max_gb,
    )
    yield f"data      {len(sets.train)} training and {len(sets.val)} validation images"
    places.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".smoke-", dir=places.root) as folder:
        fitted, small = _fit_one_batch(config, sets, Path(folder))
        first, second = fitted.history
        yield f"train     1 batch of {len(small.train)} images, loss {first.loss:.3f} then {second.loss:.3f}"
        trained = open_checkpoint(fitted.best.path, choose_device(config.device))
        started = time.perf_counter()
        scorers = final_scorers(trained, small.val, None)
        tune = config.postprocess.tune.model_copy(update={"trials": _N_TRIED})
        tuned = tune_thresholds(scorers, tune, config.postprocess.thresholds(), seed=0)
        tune_s = (time.perf_counter() - started) / len(small.val)
        if tune.method != "exhaustive":
            tune_s *= (config.postprocess.tune.trials + len(tuned.tried) - _N_TRIED) / len(tuned.tried)
    yield f"validate  {len(small.val)} images, H-mean {second.hmean:.4f} after two updates"
    yield f"tune      {len(tuned.tried)} configurations, best H-mean {tuned.chosen.scores.hmean:.4f}"
    found = {scorer.name: scorer.detector.detect(tuned.chosen.thresholds).polygons for scorer in scorers}
    sizes = {sample.name: image_size(sample.image_path) for sample in small.val.samples}
    problems = check_predictions(found, sizes)
    if problems:
        raise OptdetError(f"the predictions are not sound: {problems[0]}", where=f"study {study.name}")
    yield f"predict   {sum(map(len, found.values()))} polygons on {len(found)} images, checked"
    yield _estimate(study, sets, small, second.images_per_s, second.seconds, tune_s)


def _fit_one_batch(config: Config, sets: DataSets, folder: Path) -> tuple[FitResult, DataSets]:
    """Two epochs over one batch: the second is timed, warm."""
    small = replace(sets, train=_first(sets.train, config.train.batch_size), val=_first(sets.val, _N_VAL))
    short = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 2, "patience": 0})})
    fitted = fit(short, small, folder, device=choose_device(config.device), callbacks=FitCallbacks())
    return fitted, small


def _first(images: ImageSet, n_images: int) -> ImageSet:
    return replace(
        images,
        samples=images.samples[:n_images],
        letterboxes=images.letterboxes[:n_images],
        weights=(1.0,) * min(n_images, len(images)),
    )


def _estimate(
    study: OpenStudy, sets: DataSets, small: DataSets, images_per_s: float, epoch_s: float, tune_s: float
) -> str:
    config = study.config.base_config()
    validate_s = max(0.0, epoch_s - len(small.train) / images_per_s) / len(small.val)
    one_epoch = sum(sets.train.weights) / images_per_s + len(sets.val) * validate_s
    trial_s = config.train.epochs * one_epoch + len(sets.val) * tune_s
    total = study.config.trials * trial_s
    return (
        f"time      about {_span(one_epoch)} an epoch, {_span(trial_s)} a trial, {_span(total)} for "
        f"{study.config.trials} trials if none is pruned or stops early, with one worker"
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
