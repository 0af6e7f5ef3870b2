"""The feature pyramid against the formula written out."""

import pytest
import torch
from torch.nn import functional as F

from optdet.model.neck import FPN

CHANNELS = (3, 5, 7, 9)


def _levels() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, 16 >> i, 24 >> i, generator=generator) for i, c in enumerate(CHANNELS)]


def _twice(level: torch.Tensor, times: int) -> torch.Tensor:
    return level.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def test_the_papers_pyramid() -> None:
    neck = FPN(CHANNELS, 32)
    p2, p3, p4, p5 = (F.conv2d(x, neck.inners[i].weight) for i, x in enumerate(_levels()))
    s4 = p4 + _twice(p5, 2)
    s3 = p3 + _twice(s4, 2)
    s2 = p2 + _twice(s3, 2)
    weights = [neck.state_dict()[name] for name in (f"outers.{i}.0.weight" for i in range(3))]
    weights.append(neck.state_dict()["outers.3.weight"])
    outs = [F.conv2d(s, w, padding=1) for s, w in zip((p5, s4, s3, s2), weights, strict=True)]
    expected = torch.cat([_twice(out, t) for out, t in zip(outs, (8, 4, 2, 1), strict=True)], dim=1)

    torch.testing.assert_close(neck(_levels()), expected, atol=1e-5, rtol=1e-5)


def test_parameter_names_are_those_of_db_checkpoints() -> None:
    assert list(FPN(CHANNELS, 32).state_dict()) == [
        *(f"inners.{i}.weight" for i in range(4)),
        *(f"outers.{i}.0.weight" for i in range(3)),
        "outers.3.weight",
    ]


def test_inputs_stay_as_they_are() -> None:
    levels, before = _levels(), _levels()
    FPN(CHANNELS, 32)(levels)
    assert all(torch.equal(one, other) for one, other in zip(levels, before, strict=True))


@pytest.mark.parametrize(("channels", "inner"), [((3, 5, 7), 32), (CHANNELS, 30), (CHANNELS, 0)])
def test_a_wrong_shape_is_refused(channels: tuple[int, ...], inner: int) -> None:
    with pytest.raises(ValueError, match="expected 4 levels"):
        FPN(channels, inner)
