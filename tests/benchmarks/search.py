"""Nested thresholds against thresholds as ordinary parameters, on trainings that really took place.

    python tests/benchmarks/search.py train TABLE.npz [--config FILE.yaml] [--set K=V ...]
    python tests/benchmarks/search.py compare TABLE.npz [--seeds 200]

``train`` trains a detector at every point of a grid of learning rate, weight decay and hard negatives, and
keeps of every epoch the H-mean of each image at each point of a lattice of thresholds. ``compare`` then
searches the table, with Optuna's own samplers: a trial costs its epochs in both ways, and looking one up
costs nothing, so that hundreds of seeds can be had where a training each would allow five. A table that was
interrupted is gone on with.

- flat: learning rate, weight decay, hard negatives, thresh, box_thresh and unclip_ratio are one space, and a
  trial is worth what it scores at its own thresholds (as cloud sweeps do it);
- nested: the first three are searched, and a trial is worth its best thresholds.

Said: the best score by trials spent with 95 % intervals over seeds, after how many trials nested reaches the
flat search's best of 20; what a median pruner saves in epochs and costs in score, where epochs are reported
at their own best thresholds and at fixed ones; and what a warm start of the three best of other data would
give. Scores are on the images that thresholds are chosen on, and, in a second column, cross-fitted: chosen on
half the images, scored on the other.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from optdet.config import Config
from optdet.config_io import apply_params, load_config
from optdet.data.dataset import EpochSampler, TrainingSet, training_loader
from optdet.data.sets import DataSets, open_sets
from optdet.evaluation.landscape import SweepImage, SweepLattice
from optdet.evaluation.sweep import sweep
from optdet.inference.detector import Detector, Normalizer
from optdet.inference.device import choose_device
from optdet.inference.preprocessing import Preprocessing
from optdet.shipped import shipped_folder
from optdet.training.loop import train_epoch, validation_scorers
from optdet.training.run import set_up

GRID: dict[str, tuple[float, ...]] = {
    "optimizer.lr": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016),
    "optimizer.weight_decay": (1e-5, 1e-3),
    "loss.negative_ratio": (2.0, 3.0, 5.0),
}
THRESH = tuple(round(0.1 + 0.05 * k, 2) for k in range(13))
BOX_THRESH = tuple(round(0.1 + 0.05 * k, 2) for k in range(15))
UNCLIP_RATIO = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0)
FIXED = (THRESH.index(0.3), UNCLIP_RATIO.index(1.5), BOX_THRESH.index(0.6))
N_TRIALS = 20
N_STARTUP = 5
GOAL = 7
"""Trials that nested is to need for what flat reaches in N_TRIALS."""


@dataclass(frozen=True, slots=True)
class Table:
    """``scores`` (trainings, epochs, thresh, unclip_ratio, box_thresh, images), the H-mean of each image."""

    scores: NDArray[np.float32]

    @property
    def n_epochs(self) -> int:
        return int(self.scores.shape[1])

    def means(self, images: NDArray[np.intp] | slice = slice(None)) -> NDArray[np.float64]:
        """(trainings, epochs, thresh, unclip_ratio, box_thresh), over some images."""
        return np.asarray(self.scores[..., images].mean(axis=-1, dtype=np.float64))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("table", type=Path)
    train.add_argument("--config", type=Path, default=shipped_folder("configs") / "quickstart.yaml")
    train.add_argument("--set", dest="overrides", nargs="+", default=(), metavar="K=V")
    compare = commands.add_parser("compare")
    compare.add_argument("table", type=Path)
    compare.add_argument("--seeds", type=int, default=200)
    compare.add_argument("--other", type=Path, help="a table of other data, whose best are queued first")
    options = parser.parse_args()
    if options.command == "train":
        make_table(options.table, load_config(options.config, options.overrides))
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table(np.load(options.table)["scores"])
    compare_searches(table, options.seeds)
    compare_pruning(table, options.seeds)
    if options.other is not None:
        compare_warm_start(table, Table(np.load(options.other)["scores"]), options.seeds)


# --- trainings ---------------------------------------------------------------------------------------------


def make_table(path: Path, config: Config) -> None:
    device = choose_device(config.device)
    made_with = repr((config.model_dump(mode="json"), GRID, THRESH, BOX_THRESH, UNCLIP_RATIO))
    rows = begun_rows(path, made_with) if path.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        sets = open_sets(
            config.data,
            data_root=Path(),
            data_dir=Path(folder),
            cache_dir=Path(folder),
            max_cache_gb=config.cache.max_gb,
        )
        points = list(itertools.product(*GRID.values()))
        for number, point in list(enumerate(points))[len(rows) :]:
            began = time.perf_counter()
            settings = apply_params(config, dict(zip(GRID, point, strict=True)), f"training {number}")
            rows.append(trained(settings, sets, Path(folder), device))
            best = rows[-1][-1].mean(axis=-1).max()
            print(
                f"{number + 1} of {len(points)}: {point}, H-mean {best:.4f}, "
                f"{time.perf_counter() - began:.0f} s",
                flush=True,
            )
            np.savez_compressed(path, scores=np.stack(rows), made_with=made_with)


def begun_rows(path: Path, made_with: str) -> list[NDArray[np.float32]]:
    with np.load(path) as begun:
        if str(begun["made_with"]) != made_with:
            raise SystemExit(f"{path}: begun with another config or another grid; name another file")
        return list(begun["scores"])


def trained(config: Config, sets: DataSets, folder: Path, device: torch.device) -> NDArray[np.float32]:
    """(epochs, thresh, unclip_ratio, box_thresh, images)."""
    run = set_up(config, folder / "run", device, n_epochs=config.train.epochs)
    sampler = EpochSampler(sets.train.parts, config.seed)
    loader = training_loader(
        TrainingSet(sets.train, config.augment, config.target, seed=config.seed),
        sampler,
        batch_size=config.train.images_a_step,
        workers=0,
        pin_memory=device.type == "cuda",
    )
    lattice = SweepLattice(THRESH, BOX_THRESH, UNCLIP_RATIO, (1000,), False, config.postprocess.min_side)
    epochs = []
    for epoch in range(1, config.train.epochs + 1):
        sampler.epoch = epoch
        train_epoch(
            run.state,
            loader,
            config,
            epoch=epoch,
            accumulate=1,
            normalize=Normalizer(Preprocessing.of(config), device),
            device=device,
            dtype=run.dtype,
        )
        detector = Detector(run.validated_model, Preprocessing.of(config), device, amp=config.train.amp)
        scorers = validation_scorers(detector, sets.val, config.train.images_a_step)
        images = [SweepImage.of(scorer) for scorer in scorers]
        found = sweep(images, lattice, workers=torch.get_num_threads(), by_image=True).image_hmeans
        assert found is not None
        epochs.append(found[:, :, 0])
    return np.stack(epochs)


# --- searches ----------------------------------------------------------------------------------------------

Objective = Callable[[optuna.Trial], float]


def study_of(seed: int, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_STARTUP)
    return optuna.create_study(
        direction="maximize", sampler=sampler, pruner=pruner or optuna.pruners.NopPruner()
    )


def training_of(trial: optuna.Trial) -> int:
    """The row of the table; the learning rate lies on a scale, as it does for a sampler of floats."""
    places = [trial.suggest_int(name, 0, len(values) - 1) for name, values in GRID.items()]
    return int(np.ravel_multi_index(places, [len(values) for values in GRID.values()]))


def thresholds_of(trial: optuna.Trial) -> tuple[int, int, int]:
    return (
        trial.suggest_int("thresh", 0, len(THRESH) - 1),
        trial.suggest_int("unclip_ratio", 0, len(UNCLIP_RATIO) - 1),
        trial.suggest_int("box_thresh", 0, len(BOX_THRESH) - 1),
    )


def running_best(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(np.maximum.accumulate(np.asarray(values, dtype=np.float64)))


def compare_searches(table: Table, n_seeds: int) -> None:
    means = table.means()[:, -1]
    n_images = table.scores.shape[-1]
    curves: dict[str, list[NDArray[np.float64]]] = {"flat": [], "nested": []}
    crossfit: dict[str, list[float]] = {"flat": [], "nested": []}
    for seed in range(n_seeds):
        half = np.random.default_rng(seed).permutation(n_images)
        first, second = (table.means(part)[:, -1] for part in (half[: n_images // 2], half[n_images // 2 :]))
        for name, objective in (("flat", flat), ("nested", nested)):
            curves[name].append(searched(objective(means), seed))
            crossfit[name].append(held_out(objective(first), first, second, seed, nested=name == "nested"))
    for name, found in curves.items():
        stacked = np.stack(found)
        shown = ", ".join(
            f"{n}: {np.median(stacked[:, n - 1]):.4f} "
            f"[{np.quantile(stacked[:, n - 1], 0.025):.4f}, {np.quantile(stacked[:, n - 1], 0.975):.4f}]"
            for n in (1, 3, 5, 7, 10, 15, N_TRIALS)
        )
        print(f"{name}, best by trials: {shown}")
        print(f"{name}, chosen on half the images, scored on the others: {np.mean(crossfit[name]):.4f}")
    goal = np.stack(curves["flat"])[:, -1]
    reached = [
        int(np.argmax(curve >= target)) + 1 if curve[-1] >= target else N_TRIALS + 1
        for curve, target in zip(curves["nested"], goal, strict=True)
    ]
    low, median, high = np.quantile(reached, [0.025, 0.5, 0.975])
    soon = np.mean([n <= GOAL for n in reached])
    print(
        f"nested reaches the flat search's best of {N_TRIALS} after {median:.0f} trials"
        f" [{low:.0f}, {high:.0f}]; within {GOAL} for {soon:.0%} of the seeds"
    )


def flat(means: NDArray[np.float64]) -> Objective:
    return lambda trial: float(means[(training_of(trial), *thresholds_of(trial))])


def nested(means: NDArray[np.float64]) -> Objective:
    return lambda trial: float(means[training_of(trial)].max())


def searched(objective: Objective, seed: int) -> NDArray[np.float64]:
    study = study_of(seed)
    study.optimize(objective, n_trials=N_TRIALS)
    return running_best([float(trial.value or 0.0) for trial in study.trials])


def held_out(
    objective: Objective,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    seed: int,
    *,
    nested: bool,
) -> float:
    """What the winner of a search on some images scores on the others."""
    study = study_of(seed)
    study.optimize(objective, n_trials=N_TRIALS)
    best = optuna.trial.FixedTrial(study.best_params)
    row = training_of(best)  # type: ignore[arg-type]
    if not nested:
        return float(second[(row, *thresholds_of(best))])  # type: ignore[arg-type, index]
    return float(second[row].flat[int(first[row].argmax())])


def compare_pruning(table: Table, n_seeds: int) -> None:
    """A median pruner on what epochs report: at their best thresholds, or at fixed ones."""
    means = table.means()
    tuned = means.reshape(*means.shape[:2], -1).max(axis=-1)
    fixed = means[(slice(None), slice(None), *FIXED)]
    for name, reports in (("tuned reports", tuned), ("fixed thresholds", fixed)):
        saved, lost = [], []
        for seed in range(n_seeds):
            pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
            spent = [0]

            def objective(
                trial: optuna.Trial, reports: NDArray[np.float64] = reports, spent: list[int] = spent
            ) -> float:
                row = training_of(trial)
                for epoch in range(1, table.n_epochs + 1):
                    spent[0] += 1
                    trial.report(float(reports[row, epoch - 1]), epoch)
                    if epoch < table.n_epochs and trial.should_prune():
                        raise optuna.TrialPruned
                return float(tuned[row, -1])

            study = study_of(seed, pruner)
            study.optimize(objective, n_trials=N_TRIALS)
            saved.append(1 - spent[0] / (N_TRIALS * table.n_epochs))
            lost.append(searched(nested(means[:, -1]), seed)[-1] - study.best_value)
        print(
            f"median pruner, {name}: {100 * np.mean(saved):.0f} % of the epochs saved, best lost "
            f"{np.mean(lost):+.4f} [{np.quantile(lost, 0.025):+.4f}, {np.quantile(lost, 0.975):+.4f}]"
        )


def compare_warm_start(table: Table, other: Table, n_seeds: int) -> None:
    """The three best trainings of the other table first."""
    means, others = table.means()[:, -1], other.means()[:, -1]
    shape = [len(values) for values in GRID.values()]
    queue = np.argsort(-others.reshape(len(others), -1).max(axis=-1))[:3]
    cold, warm = [], []
    for seed in range(n_seeds):
        cold.append(searched(nested(means), seed))
        study = study_of(seed)
        for row in queue:
            places: Any = np.unravel_index(int(row), shape)
            study.enqueue_trial({name: int(at) for name, at in zip(GRID, places, strict=True)})
        study.optimize(nested(means), n_trials=N_TRIALS)
        warm.append(running_best([float(trial.value or 0.0) for trial in study.trials]))
    for n in (3, 5, 10, N_TRIALS):
        gains = np.stack(warm)[:, n - 1] - np.stack(cold)[:, n - 1]
        print(
            f"warm start, best after {n}: {gains.mean():+.4f} "
            f"[{np.quantile(gains, 0.025):+.4f}, {np.quantile(gains, 0.975):+.4f}]"
        )


if __name__ == "__main__":
    main()
