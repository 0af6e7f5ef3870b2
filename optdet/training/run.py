"""A training run on disk: what an epoch leaves there, and what a run that goes on finds.

Of an epoch that is better than all before, first its ``best`` is written, then the ``last`` that names it.
Where ``train.checkpoint`` is ``fixed``, every epoch's weights stand as ``best``, until those of the next do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from optdet.atomic import remove_unfinished
from optdet.config import Config
from optdet.errors import OptdetError, TrialFailed
from optdet.inference.detector import config_in, load_weights, memory_format, new_model
from optdet.inference.device import amp_dtype
from optdet.inference.preprocessing import Preprocessing
from optdet.model.checkpoint_file import load_checkpoint
from optdet.model.dbnet import DBNet
from optdet.structures import CheckpointRule
from optdet.training.averaging import AveragedModel
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.compiled_model import compiled_model
from optdet.training.history import EpochRecord, kept_epoch
from optdet.training.loop import TrainingState
from optdet.training.optimizer import build_optimizer, load_optimizer
from optdet.training.recovery import Batching, CheckpointsLost, checkpoint_faults
from optdet.validation import validate


@dataclass(slots=True)
class Run:
    config: Config
    device: torch.device
    dtype: torch.dtype | None
    state: TrainingState
    folder: CheckpointFolder
    batching: Batching
    n_epochs: int
    history: list[EpochRecord] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The last one that is behind these weights."""
        return self.history[-1].epoch if self.history else 0

    @property
    def n_updates(self) -> int:
        """Updates that are behind these weights."""
        return self.history[-1].updates if self.history else 0

    @property
    def images_left(self) -> int | None:
        """How many the rest of a budget of updates has; None without one."""
        wanted = self.config.train.updates
        if wanted is None:
            return None
        return (wanted - self.n_updates) * self.batching.accumulate * self.batching.batch_size

    def kept_epoch(self, *, before: int = 0) -> int:
        """The epoch whose weights are kept, or were ``before`` so many epochs."""
        history = self.history[: len(self.history) - before]
        return kept_epoch(history, self.config.train.checkpoint)

    @property
    def smallest_batch(self) -> int:
        """Images that a step needs."""
        return self.state.model.backbone.smallest_batch

    @property
    def validated_model(self) -> DBNet:
        return self.state.average.model if self.state.average is not None else self.state.model


def set_up(config: Config, run_dir: Path, device: torch.device, *, n_epochs: int) -> Run:
    torch.manual_seed(config.seed)
    # Where every weight comes from a checkpoint, the backbone's need not be fetched.
    model = new_model(config, for_training=config.train.start is None).to(device)
    if config.train.channels_last:
        model = model.to(memory_format=memory_format(device))
    if config.train.compile:
        kind = (config.model, config.data.size, config.train.channels_last, config.train.amp, device)
        model = compiled_model(model, kind)
    dtype = amp_dtype(device, config.train.amp)
    state = TrainingState(
        model=model,
        optimizer=build_optimizer(model, config.optimizer, device),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        average=AveragedModel(model, config.train.ema_decay) if config.train.ema_decay > 0 else None,
    )
    batching = Batching(config.train.images_a_step, config.train.accumulate)
    return Run(config, device, dtype, state, checkpoint_folder(run_dir), batching, n_epochs)


def save(run: Run, record: EpochRecord, callbacks: FitCallbacks) -> None:
    """First the best, then the last that names it: a kill between the two repeats the epoch."""
    callbacks.before_save()
    run.history.append(record)
    with checkpoint_faults(run.folder.folder):
        common = {"config": run.config.model_dump(mode="json"), "epoch": record.epoch}
        if run.kept_epoch() == record.epoch:
            weights = run.validated_model.state_dict()
            payload = {
                **common,
                "model": weights,
                "n_threads": torch.get_num_threads(),
                # Those it was scored at: a run that ends here, pruned, is tuned no further.
                "thresholds": record.thresholds.as_dict(),
                # For a run that starts from here; without its times, so that equal runs leave equal files.
                "record": record.reproducible().as_dict(),
            }
            callbacks.on_checkpoint(run.folder.save("best", record.epoch, payload))
        elif not run.folder.has_best(run.kept_epoch()):  # now, not after the epochs that are still to come
            raise CheckpointsLost(_without_best(run.kept_epoch(), run.config.train.checkpoint))
        last = run.folder.save("last", record.epoch, {**common, **_resumable(run)})
        callbacks.on_checkpoint(last)
        lasts = run.folder.found("last")
        run.folder.keep_only("last", [checkpoint.path for checkpoint in lasts[:2]])
        # The epoch before may still be needed, and with it the best that it knew of.
        needed = {run.kept_epoch(), run.kept_epoch(before=1)}
        run.folder.keep_only(
            "best", [saved.path for saved in run.folder.found("best") if saved.epoch in needed]
        )


def _resumable(run: Run) -> dict[str, Any]:
    state = run.state
    return {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
        "average": None if state.average is None else state.average.model.state_dict(),
        "n_average_updates": 0 if state.average is None else state.average.n_updates,
        "history": [record.as_dict() for record in run.history],
        "batching": asdict(run.batching),
    }


def resume(run: Run, callbacks: FitCallbacks) -> None:
    """Load the newest whole checkpoint whose best is whole too, and let ``on_epoch_end`` hear of its epoch
    again."""
    callbacks.before_save()  # what is removed here may be what another worker has just written
    remove_unfinished(run.folder.folder)
    with checkpoint_faults(run.folder.folder):
        payload = run.folder.load_newest_last(callbacks.say, partial(_lost_best, run))
    if payload is None:
        callbacks.on_resume(())
        return
    # Read as a config: one that an earlier optdet wrote lacks settings that have come since.
    if validate(Config, payload["config"], str(run.folder.folder)) != run.config:
        raise OptdetError(
            "the checkpoints in this folder are of other settings",
            where=str(run.folder.folder),
            fix="remove it",
        )
    state = run.state
    state.model.load_state_dict(payload["model"])
    load_optimizer(state.optimizer, payload["optimizer"])
    if payload["scaler"]:  # a run in another precision, as on a newer card, has none
        state.scaler.load_state_dict(payload["scaler"])
    if state.average is not None:
        state.average.model.load_state_dict(payload["average"])
        state.average.n_updates = payload["n_average_updates"]
    run.history = [EpochRecord.from_dict(values) for values in payload["history"]]
    if "batching" in payload:  # an optdet that had no smaller batches wrote none
        run.batching = Batching(**payload["batching"])
    callbacks.say(f"going on after epoch {run.epoch} of {run.n_epochs}")
    callbacks.on_resume(run.history)
    callbacks.on_epoch_end(run.history[-1])


def _lost_best(run: Run, payload: dict[str, Any]) -> str | None:
    """Why a ``last`` is of no use: the best epoch that it knows of has no checkpoint any more."""
    rule = run.config.train.checkpoint
    epoch = kept_epoch([EpochRecord.from_dict(values) for values in payload["history"]], rule)
    return None if run.folder.load_best(epoch) is not None else _without_best(epoch, rule)


def _without_best(epoch: int, rule: CheckpointRule) -> str:
    which = rule if rule == "best" else "last"
    return f"the checkpoint of the {which} epoch, {epoch}, is missing or damaged"


def load_initial(run: Run, path: Path, say: Callable[[str], None]) -> None:
    """The weights of a checkpoint file, for a run that has no epoch yet; what its images were like is
    compared with what they are now."""
    payload = load_checkpoint(path)
    made = Preprocessing.of(config_in(payload, str(path))).as_json()
    for model in (run.state.model, *([run.state.average.model] if run.state.average is not None else [])):
        load_weights(model, payload["model"], str(path))
    now = Preprocessing.of(run.config).as_json()
    others = [f"data.{name} {then} (now {now[name]})" for name, then in made.items() if then != now[name]]
    say(f"beginning with the weights of {path}" + (f", made with {', '.join(others)}" if others else ""))


def load_start(run: Run, start: SavedCheckpoint) -> EpochRecord:
    """The weights of another run's best epoch, and what that run says of it."""
    payload = start.load()
    if "record" not in payload:
        raise TrialFailed(f"{start.path} says nothing of its epoch: an earlier optdet wrote it")
    try:
        run.state.model.load_state_dict(payload["model"])
    except RuntimeError as error:
        raise TrialFailed(f"the weights of {start.path} do not fit: {str(error).splitlines()[-1]}") from error
    if run.state.average is not None:
        run.state.average.model.load_state_dict(payload["model"])
    return EpochRecord.from_dict(payload["record"])


def best_of(run: Run) -> SavedCheckpoint:
    """The checkpoint of the epoch that is kept; CheckpointsLost where it is gone or damaged."""
    epoch = run.kept_epoch()
    best = run.folder.load_best(epoch)
    if best is None:
        raise CheckpointsLost(_without_best(epoch, run.config.train.checkpoint))
    return best


def checkpoint_folder(run_dir: Path) -> CheckpointFolder:
    return CheckpointFolder(run_dir / "checkpoints")
