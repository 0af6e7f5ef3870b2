"""The H-mean by the minutes that a training has taken: which recipe is worth its time.

    python tests/benchmarks/accuracy.py \\
        --variant resnet50 receipts.yaml model.backbone=resnet50 \\
        --variant b4 receipts.yaml model.backbone=efficientnet_b4 \\
        --variant pages pages.yaml \\
        --variant "b4 after pages" receipts.yaml model.backbone=efficientnet_b4 after=pages

A variant is a name, a config and settings; ``after`` names a variant before it, whose kept epoch it begins
with (``train.start``): its minutes count too, in the second row. Trainings are as `optdet train` does them,
on sets that are read before the clock starts. Said of each: the H-mean at the best thresholds of the best
epoch so far, by minutes of training and validation; at the end the tuned H-mean and what cross-fitting leaves
of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from optdet.config import Config
from optdet.config_io import load_config
from optdet.data.sets import open_sets
from optdet.inference.detector import restore
from optdet.inference.device import choose_device
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import SavedCheckpoint
from optdet.training.fit import fit
from optdet.training.history import EpochRecord
from optdet.tuning.objective import final_scorers
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds

MINUTES = (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
AFTER = "after="


@dataclass(frozen=True, slots=True)
class Trained:
    """``epochs``: minutes since the start and the H-mean, of each."""

    epochs: tuple[tuple[float, float], ...]
    best: SavedCheckpoint

    @property
    def minutes(self) -> float:
        return self.epochs[-1][0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", nargs="+", action="append", required=True, metavar="NAME CONFIG K=V")
    parser.add_argument("--cache", type=Path, help="folder of letterboxed images, to keep them")
    options = parser.parse_args()
    done: dict[str, Trained] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config_file, *given in options.variant:
            before = [setting.removeprefix(AFTER) for setting in given if setting.startswith(AFTER)]
            settings = [setting for setting in given if not setting.startswith(AFTER)]
            settings += [f"train.start={done[earlier].best.path}" for earlier in before]
            config = load_config(Path(config_file), settings)
            device = choose_device(config.device)
            print(f"{name}: {config.model.backbone}, {config.data.size} pixels, {device}", flush=True)
            done[name] = trained(config, Path(folder) / str(len(done)), options.cache or Path(folder), device)
            print(by_minutes(done[name].epochs), flush=True)
            for earlier in before:
                shift = done[earlier].minutes
                print(f"with the {shift:.1f} min of {earlier}: ", end="")
                print(by_minutes([(minutes + shift, hmean) for minutes, hmean in done[name].epochs]))


def trained(config: Config, folder: Path, cache: Path, device: torch.device) -> Trained:
    folder.mkdir()
    sets = open_sets(
        config.data, data_root=Path(), data_dir=folder, cache_dir=cache, max_cache_gb=config.cache.max_gb
    )
    epochs: list[tuple[float, float]] = []
    began = time.perf_counter()

    def hear(record: EpochRecord) -> None:
        epochs.append(((time.perf_counter() - began) / 60, record.hmean))
        print(f"  epoch {record.epoch}, {epochs[-1][0]:.2f} min: {record.hmean:.4f}", flush=True)

    fitted = fit(config, sets, folder / "run", device=device, callbacks=FitCallbacks(on_epoch_end=hear))
    scorers = final_scorers(restore(fitted.best.load(), device, str(fitted.best.path)), sets.val, None)
    task = TuningTask(scorers, config.postprocess.tune, config.postprocess.thresholds())
    tuned = tune_thresholds(task, workers=torch.get_num_threads())
    crossfit = "" if tuned.choice.crossfit is None else f", cross-fitted {tuned.choice.crossfit:.4f}"
    print(f"  tuned {tuned.chosen.scores.hmean:.4f}{crossfit}; {len(sets.train)} images learnt from")
    return Trained(tuple(epochs), fitted.best)


def by_minutes(epochs: Sequence[tuple[float, float]]) -> str:
    """The best H-mean at each of a few times."""
    shown = []
    for limit in MINUTES:
        so_far = [hmean for minutes, hmean in epochs if minutes <= limit]
        if so_far:
            shown.append(f"{limit:g} min {max(so_far):.4f}")
        if epochs[-1][0] <= limit:
            break
    return ", ".join(shown)


if __name__ == "__main__":
    main()
