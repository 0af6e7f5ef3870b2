"""Training images as torch batches: uint8 images (B, S, S, 3), targets (B, S, S), sources (B,).

What travels from the loader's processes to the card is small, 6 bytes a pixel, images among them; it becomes
float32 where it is used. The random state of a sample comes from (seed, epoch, index) alone: neither workers
nor a restart change it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from optdet.config import AugmentConfig, TargetConfig
from optdet.data.sampling import SourcePart, epoch_order, source_of_images
from optdet.data.sets import ImageSet
from optdet.data.transforms import Augmentation, CanvasSample, sample_seed
from optdet.detection.compiled_targets import BORDER, CORE, FULL, UNLEARNT
from optdet.detection.targets import TargetMaps, build_targets
from optdet.errors import OptdetError
from optdet.model.losses import Targets


class PackedTargets(NamedTuple):
    """The maps of :class:`optdet.detection.targets.TargetMaps`, (B, S, S) uint8 and int16."""

    regions: torch.Tensor
    closeness: torch.Tensor

    @classmethod
    def of(cls, maps: TargetMaps) -> PackedTargets:
        return cls(torch.from_numpy(maps.regions), torch.from_numpy(maps.closeness))

    def to(self, device: torch.device) -> PackedTargets:
        regions, closeness = (part.to(device, non_blocking=True) for part in self)
        return self._replace(regions=regions, closeness=closeness)

    def unpacked(self, *, thresh_min: float, thresh_max: float) -> Targets:
        """What the losses read, float32, on the device where these are."""
        core, border, unlearnt = (self.regions & bit > 0 for bit in (CORE, BORDER, UNLEARNT))
        thresh_map = self.closeness.float().mul_((thresh_max - thresh_min) / FULL).add_(thresh_min)
        return Targets(core.float(), (core | ~unlearnt).float(), thresh_map, border.float())


class Batch(NamedTuple):
    """Images (B, S, S, 3) uint8 RGB, what to learn from them, and the places of their sources, (B,) int64."""

    images: torch.Tensor
    targets: PackedTargets
    sources: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        images, sources = (part.to(device, non_blocking=True) for part in (self.images, self.sources))
        return Batch(images, self.targets.to(device), sources)


@dataclass(frozen=True, slots=True)
class Draw:
    """Which image, in which epoch: all that a sample's randomness depends on beside the seed."""

    epoch: int
    index: int


class TrainingSet(Dataset[Batch]):
    """Augmented samples with their targets; indexed by :class:`Draw`."""

    def __init__(
        self,
        images: ImageSet,
        augment: AugmentConfig,
        target: TargetConfig,
        *,
        seed: int,
        thresh_branch: bool = True,
    ) -> None:
        self._images = images
        self._augment = augment
        self._augmentation: Augmentation | None = None
        self._target = target
        self._seed = seed
        self._thresh_branch = thresh_branch
        self._sources = source_of_images(images.parts)

    def __getitem__(self, draw: Draw) -> Batch:
        words = self._images.samples[draw.index].words
        sample = CanvasSample(
            self._images.canvases[draw.index],
            self._images.canvas_polygons(draw.index),
            tuple(word.ignored for word in words),
        )
        if self._augmentation is None:  # made in the worker: a pipeline does not travel between processes
            self._augmentation = Augmentation(self._augment)
        sample = self._augmentation(sample, sample_seed(self._seed, draw.epoch, draw.index))
        maps = build_targets(
            sample.polygons,
            sample.ignored,
            len(sample.image),
            shrink_ratio=self._target.shrink_ratio,
            min_side=self._target.min_side,
            thresh_branch=self._thresh_branch,
        )
        source = torch.tensor(self._sources[draw.index])
        return Batch(torch.from_numpy(sample.image), PackedTargets.of(maps), source)


class EpochSampler(Sampler[Draw]):
    """The draws of the epoch that was set last, ``limit`` of them where it is cut short; kept by persistent
    workers from epoch to epoch. Where ``never_one_of`` so many images of a batch may be drawn alone, one that
    would be has the epoch's first once more beside it."""

    def __init__(self, parts: Sequence[SourcePart], seed: int, *, never_one_of: int | None = None) -> None:
        self._parts = tuple(parts)
        self._seed = seed
        self._never_one_of = never_one_of
        self.epoch = 1
        self.limit: int | None = None

    def __iter__(self) -> Iterator[Draw]:
        for index in self._order():
            yield Draw(self.epoch, int(index))

    def __len__(self) -> int:
        return len(self._order())

    def _order(self) -> NDArray[np.int64]:
        order = epoch_order(self._parts, self._seed, self.epoch, self.limit)
        alone = self._never_one_of is not None and len(order) % self._never_one_of == 1
        return np.append(order, order[0]) if alone else order


class _Carried(Dataset[Batch | OptdetError]):
    """A set whose errors are returned: torch would rebuild a raised one around a worker's whole traceback."""

    def __init__(self, dataset: TrainingSet) -> None:
        self._dataset = dataset

    def __getitem__(self, draw: Draw) -> Batch | OptdetError:
        try:
            return self._dataset[draw]
        except OptdetError as error:
            return error


class _Loader(DataLoader[Batch]):
    """Raises, in the process that trains, what its workers carried there."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, OptdetError):
                raise batch
            yield batch


def _collate_carried(samples: list[Batch | OptdetError]) -> Batch | OptdetError:
    """A batch, or the first error in it."""
    whole: list[Batch] = []
    for sample in samples:
        if isinstance(sample, OptdetError):
            return sample
        whole.append(sample)
    return collate(whole)


def collate(samples: list[Batch]) -> Batch:
    images = torch.stack([sample.images for sample in samples])
    sources = torch.stack([sample.sources for sample in samples])
    targets = PackedTargets(*map(torch.stack, zip(*(sample.targets for sample in samples), strict=True)))
    return Batch(images, targets, sources)


def default_workers(device: torch.device) -> int:
    """Loader processes: none beside a CPU that trains on every core itself, up to 8 beside a GPU."""
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def training_loader(
    dataset: TrainingSet, sampler: EpochSampler, *, batch_size: int, workers: int, pin_memory: bool
) -> DataLoader[Batch]:
    """Batches of an epoch; the last, smaller one is kept."""
    return _Loader(
        _Carried(dataset),  # type: ignore[arg-type]
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_carried,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        # Else each new set of workers draws from torch's global state, which a resumed run has once more.
        generator=torch.Generator(),
        # Never fork: a child must not inherit an open database or a heartbeat thread's locks.
        multiprocessing_context="spawn" if workers else None,
    )
