"""Train a detector, from nothing or from where a killed run stopped, and keep its best epoch.

At the end of an epoch: the checkpoint is written, holding the score; then ``on_epoch_end`` hears of it and
may raise to stop. A run that goes on first replays ``on_epoch_end`` for the last epoch on disk, since it
cannot know how far its predecessor came. On the CPU a run that was cut off anywhere ends with the same bits
as one that was not: everything random comes from (seed, epoch, index).

A run may start from the best checkpoint of another: its first record is that epoch, scored anew, and it
trains from the next one on, at that point of the schedule, with an optimizer that knows nothing yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from optdet.atomic import remove_unfinished
from optdet.config import Config
from optdet.data.dataset import EpochSampler, TrainingSet, default_workers, training_loader
from optdet.data.sets import DataSets
from optdet.errors import OptdetError, TrialFailed
from optdet.evaluation.landscape import SweepImage, coarse_lattice
from optdet.evaluation.scorer import ImageScorer, macro_hmean
from optdet.evaluation.sweep import sweep
from optdet.inference.detector import Detector, Normalizer, memory_format, new_model
from optdet.inference.device import amp_dtype
from optdet.inference.preprocessing import Preprocessing
from optdet.model.dbnet import DBNet
from optdet.structures import Thresholds
from optdet.training.averaging import AveragedModel
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.history import EpochRecord, best_epoch, stops_early
from optdet.training.loop import EpochLosses, OnBatch, TrainingState, train_epoch, validation_scorers
from optdet.training.optimizer import build_optimizer


def _nothing(*_: Any) -> None:
    """The default of every callback."""


@dataclass(frozen=True, slots=True)
class FitCallbacks:
    """Who hears what. ``on_epoch_end`` may raise; what it raises leaves :func:`fit` as it is.

    ``on_resume`` is given the epochs on disk, of which a database that was restored may know less.
    """

    on_epoch_end: Callable[[EpochRecord], None] = _nothing
    on_checkpoint: Callable[[SavedCheckpoint], None] = _nothing
    on_batch: OnBatch = _nothing
    say: Callable[[str], None] = _nothing
    on_resume: Callable[[Sequence[EpochRecord]], None] = _nothing


@dataclass(frozen=True, slots=True)
class FitResult:
    """The epochs, and the checkpoint of the best one."""

    history: tuple[EpochRecord, ...]
    best: SavedCheckpoint


@dataclass(slots=True)
class _Run:
    config: Config
    device: torch.device
    dtype: torch.dtype | None
    state: TrainingState
    folder: CheckpointFolder
    history: list[EpochRecord] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The last one that is behind these weights."""
        return self.history[-1].epoch if self.history else 0

    @property
    def validated_model(self) -> DBNet:
        return self.state.average.model if self.state.average is not None else self.state.model


def fit(
    config: Config,
    sets: DataSets,
    run_dir: Path,
    *,
    device: torch.device,
    callbacks: FitCallbacks = FitCallbacks(),
    start: SavedCheckpoint | None = None,
) -> FitResult:
    """Train as ``config`` says, from ``start`` on where one is given.

    TrialFailed for a NaN loss or a full card, OptdetError for bad settings.
    """
    try:
        return _fit(config, sets, run_dir, device, callbacks, start)
    except torch.cuda.OutOfMemoryError as error:
        reason = (
            f"out of GPU memory with {config.train.batch_size} images of {config.data.size} pixels a batch"
        )
        raise TrialFailed(f"{reason}: lower train.batch_size and raise train.accumulate") from error


def _fit(
    config: Config,
    sets: DataSets,
    run_dir: Path,
    device: torch.device,
    callbacks: FitCallbacks,
    start: SavedCheckpoint | None,
) -> FitResult:
    run = _set_up(config, run_dir, device)
    _resume(run, callbacks)
    if start is not None and not run.history:
        _start_from(run, start, sets, callbacks)
    sampler = EpochSampler(sets.train.weights, config.seed)
    dataset = TrainingSet(
        sets.train, config.augment, config.target, seed=config.seed, thresh_branch=config.model.thresh_branch
    )
    workers = default_workers(device) if config.data.workers == "auto" else config.data.workers
    loader = training_loader(
        dataset,
        sampler,
        batch_size=config.train.batch_size,
        workers=workers,
        pin_memory=device.type == "cuda",
    )
    normalize = Normalizer(Preprocessing.of(config), device)
    while not _finished(run):
        epoch = run.epoch + 1
        sampler.epoch = epoch
        torch.manual_seed(config.seed + epoch)  # for layers that draw, as dropout does
        losses = train_epoch(
            run.state,
            loader,
            config,
            epoch=epoch,
            normalize=normalize,
            device=device,
            dtype=run.dtype,
            on_batch=callbacks.on_batch,
        )
        record = _validate(run, sets, epoch, losses)
        _save(run, record, callbacks)
        callbacks.on_epoch_end(record)
    return FitResult(tuple(run.history), _best(run))


def _set_up(config: Config, run_dir: Path, device: torch.device) -> _Run:
    torch.manual_seed(config.seed)
    model = new_model(config, for_training=True).to(device)
    if config.train.channels_last:
        model = model.to(memory_format=memory_format(device))
    dtype = amp_dtype(device, config.train.amp)
    state = TrainingState(
        model=model,
        optimizer=build_optimizer(model, config.optimizer, device),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        average=AveragedModel(model, config.train.ema_decay) if config.train.ema_decay > 0 else None,
    )
    return _Run(config, device, dtype, state, CheckpointFolder(run_dir / "checkpoints"))


def _finished(run: _Run) -> bool:
    train = run.config.train
    return run.epoch >= train.epochs or stops_early(run.history, train.patience)


def _validate(run: _Run, sets: DataSets, epoch: int, losses: EpochLosses) -> EpochRecord:
    started = time.perf_counter()
    hmean, thresholds = _score(run, sets)
    return EpochRecord(
        epoch=epoch,
        loss=losses.total,
        prob_loss=losses.prob,
        thresh_loss=losses.thresh,
        binary_loss=losses.binary,
        lr=losses.lr,
        hmean=hmean,
        thresholds=thresholds,
        seconds=losses.seconds + time.perf_counter() - started,
        images_per_s=losses.n_images / losses.seconds,
    )


def _score(run: _Run, sets: DataSets) -> tuple[float, Thresholds]:
    detector = Detector(
        run.validated_model, Preprocessing.of(run.config), run.device, amp=run.config.train.amp
    )
    return epoch_score(validation_scorers(detector, sets.val), run.config)


def epoch_score(scorers: Sequence[ImageScorer], config: Config) -> tuple[float, Thresholds]:
    """What an epoch is worth, and where: so that pruning and the choice of an epoch compare models, not
    thresholds."""
    current = config.postprocess.thresholds()
    if config.train.epoch_thresholds == "current":
        return macro_hmean(scorers, current), current
    best = sweep([SweepImage.of(scorer) for scorer in scorers], coarse_lattice(current)).best
    assert best is not None  # no constraint, so there is one
    return best.hmean, best.thresholds


def _save(run: _Run, record: EpochRecord, callbacks: FitCallbacks) -> None:
    """First the best, then the last that names it: a kill between the two repeats the epoch."""
    run.history.append(record)
    common = {"config": run.config.model_dump(mode="json"), "epoch": record.epoch}
    if best_epoch(run.history) == record.epoch:
        weights = run.validated_model.state_dict()
        payload = {
            **common,
            "model": weights,
            "n_threads": torch.get_num_threads(),
            # Those it was scored at: a run that ends here, pruned, is tuned no further.
            "thresholds": record.thresholds.as_dict(),
            # For a run that starts from here; without its times, so that equal runs leave equal files.
            "record": replace(record, seconds=0.0, images_per_s=0.0).as_dict(),
        }
        callbacks.on_checkpoint(run.folder.save("best", record.epoch, payload))
    last = run.folder.save("last", record.epoch, {**common, **_resumable(run)})
    callbacks.on_checkpoint(last)
    lasts = run.folder.found("last")
    run.folder.keep_only("last", [checkpoint.path for checkpoint in lasts[:2]])
    # The epoch before may still be needed, and with it the best that it knew of.
    needed = {best_epoch(run.history), best_epoch(run.history[:-1])}
    run.folder.keep_only("best", [saved.path for saved in run.folder.found("best") if saved.epoch in needed])


def _resumable(run: _Run) -> dict[str, Any]:
    state = run.state
    return {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
        "average": None if state.average is None else state.average.model.state_dict(),
        "n_average_updates": 0 if state.average is None else state.average.n_updates,
        "history": [record.as_dict() for record in run.history],
    }


def _resume(run: _Run, callbacks: FitCallbacks) -> None:
    """Load the newest whole checkpoint, and let ``on_epoch_end`` hear of its epoch again."""
    remove_unfinished(run.folder.folder)
    payload = run.folder.load_newest_last(callbacks.say)
    if payload is None:
        return
    if payload["config"] != run.config.model_dump(mode="json"):
        raise OptdetError(
            "the checkpoints in this folder are of other settings",
            where=str(run.folder.folder),
            fix="remove it",
        )
    state = run.state
    state.model.load_state_dict(payload["model"])
    state.optimizer.load_state_dict(payload["optimizer"])
    state.scaler.load_state_dict(payload["scaler"])
    if state.average is not None:
        state.average.model.load_state_dict(payload["average"])
        state.average.n_updates = payload["n_average_updates"]
    run.history = [EpochRecord.from_dict(values) for values in payload["history"]]
    callbacks.say(f"going on after epoch {run.epoch} of {run.config.train.epochs}")
    callbacks.on_resume(run.history)
    callbacks.on_epoch_end(run.history[-1])


def _start_from(run: _Run, start: SavedCheckpoint, sets: DataSets, callbacks: FitCallbacks) -> None:
    """The weights of another run; scored here, since images, canvas or thresholds may be others."""
    started = time.perf_counter()
    payload = start.load()
    if "record" not in payload:
        raise TrialFailed(f"{start.path} says nothing of its epoch: an earlier optdet wrote it")
    try:
        run.state.model.load_state_dict(payload["model"])
    except RuntimeError as error:
        raise TrialFailed(f"the weights of {start.path} do not fit: {str(error).splitlines()[-1]}") from error
    if run.state.average is not None:
        run.state.average.model.load_state_dict(payload["model"])
    hmean, thresholds = _score(run, sets)
    record = replace(
        EpochRecord.from_dict(payload["record"]),
        hmean=hmean,
        thresholds=thresholds,
        seconds=time.perf_counter() - started,
    )
    callbacks.say(f"starting after epoch {record.epoch} of {start.path}")
    _save(run, record, callbacks)
    callbacks.on_epoch_end(record)


def _best(run: _Run) -> SavedCheckpoint:
    epoch = best_epoch(run.history)
    best = run.folder.load_best(epoch)
    if best is None:
        raise TrialFailed(f"the checkpoint of the best epoch, {epoch}, is missing or damaged")
    return best
