"""DBNet: backbone, neck and head put together.

Images are (B, 3, S, S), normalised, S a multiple of 32; maps come back as (B, S, S) float32. Any memory
format will do: ``model.to(memory_format=torch.channels_last)`` with images in the same.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from optdet.errors import OptdetError
from optdet.model.backbone import STRIDES, Backbone, build_backbone
from optdet.model.head import DBHead, DBOutput
from optdet.model.neck import FPN

SIDE_MULTIPLE = STRIDES[-1]


class DBNet(nn.Module):
    """The detector; calling it gives every map of the head, ``prob_maps`` what inference needs."""

    def __init__(self, backbone: Backbone, neck: FPN, head: DBHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head

    def forward(self, images: Tensor) -> DBOutput:
        output: DBOutput = self.head(self._features(images))
        return output

    def prob_maps(self, images: Tensor) -> Tensor:
        """Probability maps (B, S, S), 0..1; the mode and the gradient are the caller's business."""
        return self.head.prob_maps(self._features(images))

    def _features(self, images: Tensor) -> Tensor:
        _check_images(images)
        features: Tensor = self.neck(self.backbone(images))
        return features


def build_dbnet(
    *,
    backbone_name: str,
    pretrained: bool,
    weights: Path | None,
    inner_channels: int = 256,
    k: float = 50.0,
    thresh_branch: bool = True,
    image_size: int | None = None,
) -> DBNet:
    """A DBNet on a timm backbone; the random parts follow torch's global seed. Raises OptdetError.

    A backbone that takes images of one size alone is built for ``image_size``.
    """
    if inner_channels <= 0 or inner_channels % 16:
        raise OptdetError(
            f"inner_channels is {inner_channels}; the neck and the head each take a quarter of them",
            where="model.inner_channels",
            fix="set it to a multiple of 16, such as 256",
        )
    backbone = build_backbone(backbone_name, pretrained=pretrained, weights=weights, image_size=image_size)
    neck = FPN(backbone.channels, inner_channels)
    return DBNet(backbone, neck, DBHead(neck.out_channels, k=k, thresh_branch=thresh_branch))


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise OptdetError(f"images of shape {tuple(images.shape)}; (batch, 3, height, width) is expected")
    height, width = images.shape[2:]
    if height % SIDE_MULTIPLE or width % SIDE_MULTIPLE:
        raise OptdetError(
            f"images of {width} x {height} pixels; both sides must be multiples of {SIDE_MULTIPLE}",
            fix=f"take {_next_multiple(max(height, width))}",
        )


def _next_multiple(side: int) -> int:
    return -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE
