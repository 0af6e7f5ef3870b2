"""Train a detector, from nothing or from where a killed run stopped, and keep its best or its last epoch.

At the end of an epoch: the checkpoint is written, holding the score; then ``on_epoch_end`` hears of it and
may raise to stop. A run that goes on first replays ``on_epoch_end`` for the last epoch on disk, since it
cannot know how far its predecessor came. On the CPU a run that was cut off anywhere ends with the same bits
as one that was not: everything random comes from (seed, epoch, index).

A run may start from the best checkpoint of another: its first record is that epoch, scored anew, and it
trains from the next one on, at that point of the schedule, with an optimizer that knows nothing yet. With
``train.start`` it takes a file's weights for its first ones, and counts its epochs from 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from optdet.config import Config
from optdet.data.dataset import EpochSampler, TrainingSet, default_workers, training_loader
from optdet.data.sampling import SourcePart
from optdet.data.sets import DataSets
from optdet.errors import TrialFailed
from optdet.evaluation.landscape import SweepImage, coarse_lattice
from optdet.evaluation.scorer import ImageScorer, macro_hmean
from optdet.evaluation.sweep import sweep
from optdet.inference.detector import Detector, Normalizer
from optdet.inference.preprocessing import Preprocessing
from optdet.phrases import counted
from optdet.structures import Thresholds
from optdet.training.budget import Pace, planned_epochs
from optdet.training.callbacks import UNHEARD, FitCallbacks
from optdet.training.checkpoints import SavedCheckpoint
from optdet.training.compiled_model import is_of_compiler
from optdet.training.history import EpochRecord, SourceLoss, stops_early
from optdet.training.loop import EpochLosses, train_epoch, validation_scorers
from optdet.training.memory import forget_peak, peak_bytes
from optdet.training.recovery import (
    Batching,
    CardFull,
    CheckpointsLost,
    LoaderDeaths,
    LoaderDied,
    card_faults,
    free_memory,
    loader_faults,
)
from optdet.training.run import (
    Run,
    best_of,
    checkpoint_folder,
    load_initial,
    load_start,
    resume,
    save,
    set_up,
)


@dataclass(frozen=True, slots=True)
class FitResult:
    """The epochs, and the checkpoint of the one that is kept: the best, or with ``fixed`` the last."""

    history: tuple[EpochRecord, ...]
    best: SavedCheckpoint


def fit(
    config: Config,
    sets: DataSets,
    run_dir: Path,
    *,
    device: torch.device,
    callbacks: FitCallbacks = UNHEARD,
    start: SavedCheckpoint | None = None,
) -> FitResult:
    """Train as ``config`` says, from ``start`` on where one is given.

    Where the card is too small, with at most half the batch and more steps an update, down to one image;
    where a loader process was ended, with new ones; where its checkpoints were removed, once more from the
    newest that is of use, or from the first epoch. TrialFailed for a NaN loss, or where none of this helps;
    OptdetError for bad settings.
    """
    smaller: Batching | None = None
    deaths = LoaderDeaths()
    lost_before = False
    while True:
        try:
            return _fit(config, sets, run_dir, device, callbacks, start, smaller)
        except CardFull as full:
            smaller = _smaller_batch(full, config, callbacks)
        except LoaderDied as died:
            if not deaths.may_go_on(died):
                raise TrialFailed(
                    f"epoch {died.epoch} lost a process that loads images {deaths.n_deaths} times "
                    f"({died.reason}): free memory, or lower data.workers"
                ) from died
            callbacks.say(f"a process that loads images was ended ({died.reason}); epoch {died.epoch} again")
        except CheckpointsLost as lost:
            if lost_before:
                raise TrialFailed(
                    f"{lost}, for the second time: see who removes files in {run_dir}"
                ) from lost
            lost_before = True
            some = checkpoint_folder(run_dir).found("last")
            then = "going on from those that are left" if some else "training again from the first epoch"
            callbacks.say(f"{lost}; {then}")
        except RuntimeError as error:
            if not is_of_compiler(error):
                raise
            reason = " ".join(str(error).split("\n")[:2]).strip()
            raise TrialFailed(
                f"the network cannot be compiled here ({reason}): train.compile=false"
            ) from error
        free_memory(device)  # here, where the error that held its tensors is gone


def _smaller_batch(full: CardFull, config: Config, callbacks: FitCallbacks) -> Batching:
    batching, smaller = full.batching, full.batching.halved(full.smallest)
    reason = f"out of GPU memory with {counted(batching.batch_size, 'image')} of {config.data.size} pixels"
    if smaller is None:
        raise TrialFailed(f"{reason}{_other_words(full)}: lower data.size, or take a smaller model") from full
    callbacks.say(
        f"{reason} a batch; going on with {smaller.batch_size}, {smaller.accumulate} batches an update"
    )
    callbacks.on_smaller_batch(smaller)
    return smaller


def _other_words(full: CardFull) -> str:
    """What was said where it was not that the card is full: with a single image it may be something else."""
    cause = full.__cause__
    if cause is None or isinstance(cause, torch.cuda.OutOfMemoryError):
        return ""
    return f" ({str(cause).partition(chr(10))[0]})"


def _fit(
    config: Config,
    sets: DataSets,
    run_dir: Path,
    device: torch.device,
    callbacks: FitCallbacks,
    start: SavedCheckpoint | None,
    smaller: Batching | None,
) -> FitResult:
    run = set_up(config, run_dir, device, n_epochs=planned_epochs(config, sets.train.parts))
    resume(run, callbacks)
    run.batching = smaller or run.batching
    _require_enough_images(run)
    if start is not None and not run.history:
        _start_from(run, start, sets, callbacks)
    elif config.train.start is not None and not run.history:
        load_initial(run, Path(config.train.start), callbacks.say)
    sampler = EpochSampler(
        sets.train.parts,
        config.seed,
        never_one_of=run.batching.batch_size if run.smallest_batch > 1 else None,
    )
    dataset = TrainingSet(
        sets.train, config.augment, config.target, seed=config.seed, thresh_branch=config.model.thresh_branch
    )
    workers = default_workers(device) if config.data.workers == "auto" else config.data.workers
    loader = training_loader(
        dataset,
        sampler,
        batch_size=run.batching.batch_size,
        workers=workers,
        pin_memory=device.type == "cuda",
    )
    normalize = Normalizer(Preprocessing.of(config), device, channels_last=config.train.channels_last)
    pace = Pace.of(config, sets.train.parts)
    while not _finished(run):
        epoch = run.epoch + 1
        sampler.epoch, sampler.limit = epoch, run.images_left
        torch.manual_seed(config.seed + epoch)  # for layers that draw, as dropout does
        forget_peak(device)
        with loader_faults(epoch):
            with card_faults(run.batching, run.smallest_batch):
                losses = train_epoch(
                    run.state,
                    loader,
                    config,
                    epoch=epoch,
                    accumulate=run.batching.accumulate,
                    normalize=normalize,
                    device=device,
                    dtype=run.dtype,
                    pace=pace,
                    updates_before=run.n_updates,
                    n_sources=len(sets.train.parts),
                    on_batch=callbacks.on_batch,
                )
                record = _validate(run, sets, epoch, losses)
            save(run, record, callbacks)
            callbacks.on_epoch_end(record)
    return FitResult(tuple(run.history), best_of(run))


def _require_enough_images(run: Run) -> None:
    if run.batching.batch_size < run.smallest_batch:
        raise TrialFailed(
            f"{run.config.model.backbone} cannot be trained on one image a step, of which a batch norm would "
            "see a single value: train.batch_size=2 or more"
        )


def _finished(run: Run) -> bool:
    train = run.config.train
    if train.checkpoint == "best" and stops_early(run.history, train.patience):
        return True
    return run.epoch >= train.epochs if train.updates is None else run.n_updates >= train.updates


def _validate(run: Run, sets: DataSets, epoch: int, losses: EpochLosses) -> EpochRecord:
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
        peak_bytes=peak_bytes(run.device),
        updates=run.n_updates + losses.n_updates,
        sources=_by_source(sets.train.parts, losses),
    )


def _by_source(parts: Sequence[SourcePart], losses: EpochLosses) -> tuple[SourceLoss, ...]:
    if not losses.source_images:
        return ()
    return tuple(
        SourceLoss(part.name, n_images, total / n_images if n_images else None)
        for part, n_images, total in zip(parts, losses.source_images, losses.source_sums, strict=True)
    )


def _score(run: Run, sets: DataSets) -> tuple[float, Thresholds]:
    train = run.config.train
    detector = Detector(
        run.validated_model,
        Preprocessing.of(run.config),
        run.device,
        amp=train.amp,
        channels_last=train.channels_last,
    )
    return epoch_score(validation_scorers(detector, sets.val, run.batching.batch_size), run.config)


def epoch_score(scorers: Iterable[ImageScorer], config: Config) -> tuple[float, Thresholds]:
    """What an epoch is worth, and where: so that pruning and the choice of an epoch compare models, not
    thresholds. Maps that are made one by one are swept by threads while the next are made."""
    current = config.postprocess.thresholds()
    if config.train.epoch_thresholds == "current":
        return macro_hmean(list(scorers), current), current
    # Polygons would need processes, whose start costs more than this lattice.
    workers = 1 if current.use_polygon else torch.get_num_threads()
    images = (SweepImage.of(scorer) for scorer in scorers)
    best = sweep(images, coarse_lattice(current), workers=workers).best
    assert best is not None  # no constraint, so there is one
    return best.hmean, best.thresholds


def _start_from(run: Run, start: SavedCheckpoint, sets: DataSets, callbacks: FitCallbacks) -> None:
    """The weights of another run; scored here, since images, canvas or thresholds may be others."""
    started = time.perf_counter()
    found = load_start(run, start)
    with card_faults(run.batching, run.smallest_batch):
        hmean, thresholds = _score(run, sets)
    record = replace(
        found,
        hmean=hmean,
        thresholds=thresholds,
        seconds=time.perf_counter() - started,
    )
    callbacks.say(f"starting after epoch {record.epoch} of {start.path}")
    save(run, record, callbacks)
    callbacks.on_epoch_end(record)
