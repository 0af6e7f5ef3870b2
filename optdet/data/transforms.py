"""Random changes to a training image on its canvas, and to its words with it.

A word cut by the frame is clipped; one with less than ``min_visible_ratio`` of its area left is ignored, and
so masked; none is silently dropped while a part of it is in sight. All randomness comes from one integer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdet.config import AugmentConfig
from optdet.geometry.polygons import area, clip_to_frame, signed_area
from optdet.structures import FloatArray

# albumentations asks a package index for its newest version when it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A


@dataclass(frozen=True, slots=True)
class CanvasSample:
    """An image (S, S, 3) uint8 RGB and its words, in canvas pixels."""

    image: NDArray[np.uint8]
    polygons: tuple[FloatArray, ...]
    ignored: tuple[bool, ...]


class Augmentation:
    """The albumentations pipeline of an :class:`AugmentConfig`."""

    def __init__(self, config: AugmentConfig) -> None:
        self._min_visible_ratio = config.min_visible_ratio
        shift = config.shift_ratio
        self._compose = A.Compose(
            [
                A.HorizontalFlip(p=config.flip_prob),
                A.Affine(
                    scale=(config.scale_min, config.scale_max),
                    rotate=(-config.rotate_degrees, config.rotate_degrees),
                    translate_percent=(-shift, shift),
                    balanced_scale=True,
                    p=config.geometry_prob,
                ),
                A.RandomBrightnessContrast(brightness_limit=0.25, contrast_limit=0.25, p=config.color_prob),
                A.HueSaturationValue(p=config.color_prob / 2),
                A.GaussianBlur(sigma_limit=(0.4, 1.2), p=config.blur_prob),
                A.GaussNoise(std_range=(0.02, 0.08), per_channel=False, p=config.noise_prob),
            ],
            keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
        )

    def __call__(self, sample: CanvasSample, seed: int) -> CanvasSample:
        self._seed(seed)
        points = np.concatenate(sample.polygons) if sample.polygons else np.zeros((0, 2))
        changed = self._compose(image=sample.image, keypoints=points)
        ends = np.cumsum([len(polygon) for polygon in sample.polygons])[:-1]
        moved = np.split(np.asarray(changed["keypoints"], dtype=np.float64).reshape(-1, 2), ends)
        polygons, ignored = [], []
        for before, after, was_ignored in zip(sample.polygons, moved, sample.ignored, strict=False):
            kept = _clip(_turned_like(after, before), len(sample.image), self._min_visible_ratio)
            if kept is not None:
                polygons.append(kept.polygon)
                ignored.append(was_ignored or not kept.visible)
        return CanvasSample(np.asarray(changed["image"]), tuple(polygons), tuple(ignored))

    def _seed(self, seed: int) -> None:
        """A stream for each transform: a pipeline hands one seed to all of them, and an image that is blurred
        would always be noisy, too.
        """
        transforms = self._compose.transforms
        streams = np.random.SeedSequence(seed).generate_state(len(transforms))
        for transform, stream in zip(transforms, streams, strict=True):
            transform.set_random_seed(int(stream))


@dataclass(frozen=True, slots=True)
class _Clipped:
    polygon: FloatArray
    visible: bool


def _clip(polygon: FloatArray, size: int, min_visible_ratio: float) -> _Clipped | None:
    inside = clip_to_frame(polygon, size, size)
    if inside is None:
        return None
    return _Clipped(inside, area(inside) >= min_visible_ratio * area(polygon))


def _turned_like(after: FloatArray, before: FloatArray) -> FloatArray:
    """A mirrored polygon runs the other way round, and from the end of its top side: mend both."""
    if signed_area(after) * signed_area(before) >= 0:
        return after
    return np.roll(after[::-1], len(after) // 2, axis=0)


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The random state of one image in one epoch, from nothing but these three numbers."""
    return int(np.random.SeedSequence((seed, epoch, index)).generate_state(1)[0])
