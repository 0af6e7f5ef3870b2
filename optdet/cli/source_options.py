"""Options that say how a SOURCE is read: an ONNX file, or a folder of maps. Those of a study are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from optdet.inference.map_folder import MapPlacement
    from optdet.inference.onnx_options import Activation, Channels, Pad
    from optdet.tuning.source import SourceOptions

SOURCE_HELP = (
    "STUDY, STUDY:TRIAL, STUDY:oof, a checkpoint, an ONNX file, a folder of maps, or an ensemble's YAML."
)

Augmentation = Annotated[
    list[str] | None,
    typer.Option(
        "--tta", help="More views of each image: scale:SIDE, hflip, vflip; with commas, or repeated."
    ),
]

Mean = Annotated[
    str | None,
    typer.Option(
        "--mean", help="ONNX: one number or three, 0..1, as 0.5. Default: ImageNet's.", show_default=False
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        "--std", help="ONNX: one number or three, 0..1, as 0.5. Default: ImageNet's.", show_default=False
    ),
]
Size = Annotated[int, typer.Option("--size", help="ONNX: side of the canvas, a multiple of 32.")]
ChannelOrder = Annotated[str, typer.Option("--channels", help="ONNX: rgb or bgr.")]
Padding = Annotated[
    str, typer.Option("--pad", help="ONNX and maps: where the image lies on the canvas, center or topleft.")
]
OutputActivation = Annotated[
    str, typer.Option("--activation", help="ONNX: none, sigmoid, or auto by the first output.")
]
Placement = Annotated[
    str,
    typer.Option(
        "--placement", help="Maps: letterbox (a square canvas), stretch (the whole image), or auto by shape."
    ),
]


def source_options(
    *,
    device: str,
    storage: str | None,
    root: str | None,
    mean: str | None,
    std: str | None,
    size: int,
    channels: str,
    pad: str,
    activation: str,
    placement: str,
) -> SourceOptions:
    """The options of a command as :func:`optdet.tuning.source.open_source` takes them."""
    from optdet.inference.onnx_options import OnnxOptions
    from optdet.tuning.source import SourceOptions

    normal = OnnxOptions()
    onnx = OnnxOptions(
        mean=normal.mean if mean is None else _numbers("--mean", mean),
        std=normal.std if std is None else _numbers("--std", std),
        size=size,
        channels=cast("Channels", channels),
        pad=cast("Pad", pad),
        activation=cast("Activation", activation),
    )
    return SourceOptions(
        device=device,
        storage=storage,
        root=root,
        onnx=onnx,
        placement=cast("MapPlacement", placement),
        say=lambda message: typer.echo(f"note: {message}", err=True),
    )


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from optdet.errors import OptdetError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptdetError(
            f"{text!r} is no number", where=option, fix="write 0.5, or 0.485,0.456,0.406"
        ) from None
