"""Batches: what is in them, and that workers and restarts do not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from optdet.config import AugmentConfig, DataConfig, SourceConfig, TargetConfig
from optdet.data.dataset import (
    Batch,
    Draw,
    EpochSampler,
    PackedTargets,
    TrainingSet,
    default_workers,
    training_loader,
)
from optdet.data.labels import write_ufo
from optdet.data.sampling import SourcePart, epoch_order
from optdet.data.sets import ImageSet, open_sets
from optdet.detection.compiled_targets import BORDER, CORE
from optdet.detection.targets import build_targets
from optdet.errors import OptdetError
from optdet.structures import Word

SIZE = 64
N = 5
AUGMENT = AugmentConfig(flip_prob=0.5, color_prob=0.5, blur_prob=0.5, noise_prob=0.5)
STILL = AugmentConfig(geometry_prob=0, color_prob=0, blur_prob=0, noise_prob=0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    words = {}
    for number in range(N):
        name = f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(root / name)
        quads = [np.array([[5.0, y], [60, y], [60, y + 14], [5, y + 14]]) for y in (4, 24)]
        words[name] = (Word(quads[0], "a"), Word(quads[1], "b", ignored=number == 0))
    write_ufo(root / "labels.json", words, sizes=dict.fromkeys(words, (80, 60)))
    source = SourceConfig(images=str(root), labels=str(root / "labels.json"))
    sets = open_sets(
        DataConfig(train=(source,), val=source, size=SIZE),
        data_root=root,
        data_dir=root / "data",
        cache_dir=root / "cache",
        max_cache_gb=1,
    )
    return sets.train


def training_set(images: ImageSet, augment: AugmentConfig = AUGMENT, **more: object) -> TrainingSet:
    return TrainingSet(images, augment, TargetConfig(), **{"seed": 3, **more})  # type: ignore[arg-type]


def assert_same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.images, other.images)
    for mine, theirs in zip(one.targets, other.targets, strict=True):
        assert torch.equal(mine, theirs)


def test_a_sample_is_an_image_and_its_targets(images: ImageSet) -> None:
    image, targets, number = training_set(images, STILL)[Draw(1, 0)]
    assert int(number) == 0
    assert (image.dtype, tuple(image.shape)) == (torch.uint8, (SIZE, SIZE, 3))
    np.testing.assert_array_equal(image.numpy(), images.canvases[0])
    expected = build_targets(images.canvas_polygons(0), (False, True), SIZE)
    for got, wanted in zip(targets, PackedTargets.of(expected), strict=True):
        assert got.dtype == wanted.dtype
        assert torch.equal(got, wanted)
    whole = targets.unpacked(thresh_min=0.2, thresh_max=0.9)
    for name in ("shrink_map", "shrink_mask", "thresh_mask"):
        assert getattr(whole, name).dtype == torch.float32
        np.testing.assert_array_equal(getattr(whole, name).numpy(), getattr(expected, name))
    thresh_map = expected.thresh_map(thresh_min=0.2, thresh_max=0.9)
    np.testing.assert_allclose(whole.thresh_map.numpy(), thresh_map, atol=1e-6)
    assert torch.equal(targets.closeness, torch.from_numpy(expected.closeness))  # left as it was
    assert expected.shrink_map.sum() > 0
    assert (expected.shrink_mask == 0).any()


def test_settings_of_the_targets_reach_them(images: ImageSet) -> None:
    sample = TrainingSet(images, STILL, TargetConfig(shrink_ratio=0.8), seed=3)[Draw(1, 1)]
    before = training_set(images, STILL)[Draw(1, 1)]
    assert (sample.targets.regions & CORE).sum() > (before.targets.regions & CORE).sum()
    bare = training_set(images, STILL, thresh_branch=False)[Draw(1, 1)]
    assert not (bare.targets.regions & BORDER).any()
    assert not bare.targets.closeness.any()


def test_a_sample_depends_on_seed_epoch_and_index_alone(images: ImageSet) -> None:
    first, second = training_set(images), training_set(images)
    second[Draw(7, 4)]
    assert_same(first[Draw(2, 3)], second[Draw(2, 3)])
    others = [first[Draw(3, 3)], first[Draw(2, 2)], training_set(images, seed=4)[Draw(2, 3)]]
    assert all(not torch.equal(other.images, first[Draw(2, 3)].images) for other in others)


def test_cached_images_are_not_changed_by_augmenting_them(images: ImageSet) -> None:
    before = images.canvases[1].copy()
    for epoch in range(1, 6):
        training_set(images)[Draw(epoch, 1)]
    np.testing.assert_array_equal(images.canvases[1], before)


def batches(images: ImageSet, workers: int, epochs: tuple[int, ...] = (1, 2)) -> list[list[Batch]]:
    sampler = EpochSampler(images.parts, 3)
    loader = training_loader(training_set(images), sampler, batch_size=2, workers=workers, pin_memory=False)
    given = []
    for epoch in epochs:
        sampler.epoch = epoch
        given.append(list(loader))
    return given


def test_the_last_batch_is_kept_though_smaller(images: ImageSet) -> None:
    sampler = EpochSampler((SourcePart("receipts", N),), 3)
    loader = training_loader(training_set(images), sampler, batch_size=2, workers=0, pin_memory=False)
    assert [len(batch.images) for batch in loader] == [2, 2, 1]
    assert len(loader) == 3


@pytest.mark.parametrize(("batch_size", "expected"), [(2, [2, 2, 2]), (4, [4, 2]), (3, [3, 2]), (9, [5])])
def test_an_image_that_would_be_alone_has_the_epochs_first_beside_it(
    images: ImageSet, batch_size: int, expected: list[int]
) -> None:
    sampler = EpochSampler(images.parts, 3, never_one_of=batch_size)
    loader = training_loader(
        training_set(images), sampler, batch_size=batch_size, workers=0, pin_memory=False
    )
    assert [len(batch.images) for batch in loader] == expected
    assert len(loader) == len(expected)
    order = [draw.index for draw in sampler]
    assert sorted(order[:N]) == list(range(N))
    assert order[N:] == order[: sum(expected) - N]


def test_a_batch_holds_the_samples_of_the_epochs_order(images: ImageSet) -> None:
    order = epoch_order(images.parts, 3, 2)
    samples = [training_set(images)[Draw(2, int(index))] for index in order[:2]]
    batch = batches(images, 0, (2,))[0][0]
    assert torch.equal(batch.images, torch.stack([sample.images for sample in samples]))
    assert torch.equal(batch.targets.regions, torch.stack([sample.targets.regions for sample in samples]))


def test_the_sampler_tells_the_length_of_the_epoch_that_is_set() -> None:
    sampler = EpochSampler((SourcePart("receipts", 20, 0.5),), 0)
    lengths = []
    for epoch in range(1, 6):
        sampler.epoch = epoch
        assert len(sampler) == len(list(sampler))
        lengths.append(len(sampler))
    assert len(set(lengths)) > 1


def test_epochs_differ_and_come_again_after_a_restart(images: ImageSet) -> None:
    (first, second), ((again,)) = batches(images, 0), batches(images, 0, (2,))
    assert not torch.equal(first[0].images, second[0].images)
    for one, other in zip(second, again, strict=True):
        assert_same(one, other)


@pytest.mark.slow
def test_worker_processes_give_the_batches_of_none(images: ImageSet) -> None:
    for alone, together in zip(batches(images, 0), batches(images, 2), strict=True):
        for one, other in zip(alone, together, strict=True):
            assert_same(one, other)


def test_a_loader_leaves_torchs_random_state_alone(images: ImageSet) -> None:
    """Else layers that draw, as dropout does, would draw otherwise after a restart with worker processes."""
    before = torch.get_rng_state()
    batches(images, 0)
    assert torch.equal(before, torch.get_rng_state())


def test_a_batch_moves_whole(images: ImageSet) -> None:
    batch = batches(images, 0, (1,))[0][0]
    moved = batch.to(torch.device("meta"))
    assert {part.device.type for part in (moved.images, *moved.targets)} == {"meta"}
    assert batch.images.device.type == "cpu"


def test_how_many_workers() -> None:
    assert default_workers(torch.device("cpu")) == 0
    assert 1 <= default_workers(torch.device("cuda")) <= 8


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_one_line_from_a_worker_too(tmp_path, workers: int) -> None:
    for number in range(2):
        Image.new("RGB", (80, 60)).save(tmp_path / f"{number}.png")
    quad = np.array([[5.0, 4], [60, 4], [60, 18], [5, 18]])
    words = {f"{number}.png": (Word(quad, "a"),) for number in range(2)}
    write_ufo(tmp_path / "labels.json", words, sizes=dict.fromkeys(words, (80, 60)))
    source = SourceConfig(images=str(tmp_path), labels=str(tmp_path / "labels.json"))
    train = open_sets(
        DataConfig(train=(source,), val=source, size=SIZE),
        data_root=tmp_path,
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        max_cache_gb=0,
    ).train
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    loader = training_loader(
        training_set(train), EpochSampler(train.parts, 3), batch_size=2, workers=workers, pin_memory=False
    )
    with pytest.raises(OptdetError) as caught:
        list(loader)
    error = caught.value
    assert "\n" not in str(error)
    assert error.what.startswith("the image cannot be read (")
    assert (error.where, error.fix) == (str(damaged), "replace it, or remove it and its labels")
