"""The whole detector: shapes, image sizes, memory formats, and that it can learn."""

import pytest
import torch

from optdet.errors import OptdetError
from optdet.model.dbnet import DBNet, build_dbnet
from optdet.model.losses import DBLoss, Targets


def _build(name: str = "test_efficientnet", **kwargs: object) -> DBNet:
    torch.manual_seed(0)
    return build_dbnet(backbone_name=name, pretrained=False, weights=None, **{"inner_channels": 64, **kwargs})


@pytest.mark.parametrize("name", ["test_efficientnet", "mobilenetv3_small_050", "resnet18"])
def test_maps_have_the_images_size(name: str) -> None:
    model = _build(name)
    output = model(torch.rand(2, 3, 64, 64))
    assert [tuple(m.shape) for m in output] == [(2, 64, 64)] * 4
    with torch.no_grad():
        maps = model.eval().prob_maps(torch.rand(1, 3, 64, 64))
    assert maps.shape == (1, 64, 64)
    assert float(maps.min()) >= 0.0
    assert float(maps.max()) <= 1.0


def test_prob_maps_equal_the_full_forward_pass() -> None:
    model, images = _build().eval(), torch.rand(1, 3, 64, 64)
    assert torch.equal(model.prob_maps(images), model(images).prob_map)


@pytest.mark.parametrize("side", [65, 48, 31])
def test_sides_that_are_no_multiple_of_32(side: int) -> None:
    next_multiple = -(-side // 32) * 32
    message = f"images of {side} x {side} pixels; both sides must be multiples of 32; take {next_multiple}"
    with pytest.raises(OptdetError, match=message):
        _build().prob_maps(torch.rand(1, 3, side, side))


@pytest.mark.parametrize("shape", [(1, 3, 64, 48), (1, 3, 48, 64)])
def test_each_side_counts(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptdetError, match="both sides must be multiples of 32; take 64"):
        _build()(torch.rand(*shape))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64)])
def test_images_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptdetError, match=r"\(batch, 3, height, width\) is expected"):
        _build()(torch.rand(*shape))


@pytest.mark.parametrize("inner_channels", [0, -16, 250, 8])
def test_inner_channels_that_cannot_be_divided(inner_channels: int) -> None:
    with pytest.raises(OptdetError, match=rf"inner_channels is {inner_channels}; .* multiple of 16"):
        _build(inner_channels=inner_channels)


def test_channels_last_gives_the_same_maps() -> None:
    model, images = _build().eval(), torch.rand(2, 3, 64, 64)
    expected = model.prob_maps(images)
    model = model.to(memory_format=torch.channels_last)
    actual = model.prob_maps(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0.0)


def _blob(side: int = 64) -> tuple[torch.Tensor, Targets]:
    images = torch.zeros(1, 3, side, side)
    images[:, :, 20:44, 12:52] = 1.0
    shrink, band = torch.zeros(1, side, side), torch.zeros(1, side, side)
    shrink[:, 24:40, 16:48] = 1.0
    band[:, 16:48, 8:56] = 1.0
    band -= shrink
    return images, Targets(shrink, torch.ones_like(shrink), 0.3 + 0.4 * band, band)


@pytest.mark.parametrize("thresh_branch", [True, False])
def test_it_overfits_one_blob(thresh_branch: bool) -> None:
    model, loss = _build(thresh_branch=thresh_branch), DBLoss()
    images, targets = _blob()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    totals = []
    for _ in range(40):
        terms = loss(model(images), targets)
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
        totals.append(float(terms.total.detach()))
    assert totals[-1] * 3.0 < totals[0]
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_on_the_cpu_stays_finite(dtype: torch.dtype) -> None:
    model, (images, targets) = _build(), _blob()
    with torch.autocast("cpu", dtype=dtype):
        terms = DBLoss()(model(images), targets)
    terms.total.backward()
    assert bool(terms.total.isfinite())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.head.parameters())
