"""What a training step costs and whether its images come in time: loader, fixed batch and loop in one run.

    python tests/benchmarks/training.py --images DIR --labels FILE --backbone mobilenetv3_small_050 \\
        --size 640 --batch 8 --workers 0 1
    python tests/benchmarks/training.py ... --backbone efficientnet_b4 --size 1024 --workers 8 15

For each number of loader processes: images/s of the loader alone, of the step on one fixed batch, and of the
loop that `optdet train` runs, with the loop's share of the slower of the two. The bound of the loop on a CPU
is lower: there the two share the cores, so the sum of their times is printed beside it. ``--variants`` adds
the step in float32, without channels-last and compiled (with the seconds until the first compiled step is
done). Medians of ``--rounds`` rounds, taken in turn; peak memory on CUDA.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from optdet.config import Config
from optdet.data.dataset import Batch, EpochSampler, TrainingSet, training_loader
from optdet.data.sets import DataSets, open_sets
from optdet.inference.detector import Normalizer
from optdet.inference.device import choose_device
from optdet.inference.preprocessing import Preprocessing
from optdet.training.loop import train_epoch
from optdet.training.run import Run, set_up

VARIANTS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "float32": {"amp": False},
    "not channels-last": {"channels_last": False},
    "compiled": {"compile": True},
}


def main() -> None:
    options = arguments()
    device = choose_device(options.device)
    config = config_of(options)
    with tempfile.TemporaryDirectory() as folder:
        sets = open_sets(
            config.data,
            data_root=Path(),
            data_dir=Path(folder),
            cache_dir=options.cache or Path(folder),
            max_cache_gb=50,
        )
        print(
            f"{options.backbone} at {options.size}, {options.batch} images a batch, {len(sets.train)} images,"
            f" torch {torch.__version__}, {device_name(device)}"
        )
        run = set_up(config, Path(folder) / "run", device, n_epochs=1)
        loop(run, [fixed_batch(config, sets)] * 2)  # warms up
        fixed = [fixed_batch(config, sets)] * options.steps
        if options.variants:
            compare_variants(config, device, fixed, options.rounds, Path(folder))
        for workers in options.workers:
            compare_loop(run, sets, fixed, workers, options.rounds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--backbone", default="mobilenetv3_small_050")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--inner-channels", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=10, help="of the fixed batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="folder of letterboxed images, to keep them")
    parser.add_argument("--variants", action="store_true")
    return parser.parse_args()


def config_of(options: argparse.Namespace) -> Config:
    source = {"images": options.images, "labels": options.labels}
    return Config.model_validate(
        {
            "data": {"train": source, "val": source, "size": options.size},
            "model": {
                "backbone": options.backbone,
                "pretrained": False,
                "inner_channels": options.inner_channels,
            },
            "train": {"batch_size": options.batch},
        }
    )


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def fixed_batch(config: Config, sets: DataSets) -> Batch:
    return next(iter(batches(config, sets, 0)))


def batches(config: Config, sets: DataSets, workers: int) -> Any:
    dataset = TrainingSet(sets.train, config.augment, config.target, seed=0)
    return training_loader(
        dataset,
        EpochSampler(sets.train.parts, 0),
        batch_size=config.train.images_a_step,
        workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


def compare_variants(
    config: Config, device: torch.device, fixed: list[Batch], rounds: int, folder: Path
) -> None:
    """The step alone, each variant with a network of its own, one after the other."""
    first = None
    for name, changes in VARIANTS.items():
        train = config.train.model_copy(update=changes)
        run = set_up(config.model_copy(update={"train": train}), folder / name, device, n_epochs=1)
        began = time.perf_counter()
        loop(run, fixed[:2])
        warm = time.perf_counter() - began
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        rate = median_rate(lambda run=run: loop(run, fixed), rounds)  # type: ignore[misc]
        first = first or rate
        peak = f", {torch.cuda.max_memory_allocated() / 1e9:.2f} GB" if device.type == "cuda" else ""
        print(
            f"step {name:18} {rate:7.2f} images/s, {rate / first:5.2f} x; two first steps {warm:.1f} s{peak}"
        )


def compare_loop(run: Run, sets: DataSets, fixed: list[Batch], workers: int, rounds: int) -> None:
    loader = batches(run.config, sets, workers)
    for _ in loader:  # starts the processes
        break
    rates: dict[str, list[float]] = {"loader": [], "step": [], "loop": []}
    for _ in range(rounds):
        rates["loader"].append(timed(lambda: sum(len(batch.images) for batch in loader)))
        rates["step"].append(timed(lambda: loop(run, fixed)))
        rates["loop"].append(timed(lambda: loop(run, loader)))
    loading, step, whole = (statistics.median(rates[name]) for name in ("loader", "step", "loop"))
    in_turn = 1 / (1 / loading + 1 / step)
    print(
        f"{workers} loader processes: loader {loading:.1f}, step {step:.2f}, loop {whole:.2f} images/s: "
        f"{whole / min(loading, step):.3f} of the slower, {whole / in_turn:.3f} of one after the other"
    )


def loop(run: Run, batches: Any) -> int:
    """The images that the loop trained on."""
    counted = Counted(batches)
    train_epoch(
        run.state,
        counted,  # type: ignore[arg-type]
        run.config,
        epoch=1,
        accumulate=1,
        normalize=Normalizer(Preprocessing.of(run.config), run.device),
        device=run.device,
        dtype=run.dtype,
    )
    if run.device.type == "cuda":
        torch.cuda.synchronize()
    return counted.n_images


class Counted:
    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.n_images = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            self.n_images += len(batch.images)
            yield batch


def timed(work: Callable[[], int]) -> float:
    began = time.perf_counter()
    n_images = work()
    return n_images / (time.perf_counter() - began)


def median_rate(work: Callable[[], int], rounds: int) -> float:
    return statistics.median(timed(work) for _ in range(rounds))


if __name__ == "__main__":
    main()
