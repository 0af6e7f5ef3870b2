"""Options that say how a SOURCE is read: an ONNX file, or a folder of maps. Those of a study are its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from optdet.cli import options

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

LabelledImages = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of images. Default: the validation images of the study."),
]
Labels = Annotated[Path | None, typer.Option("--labels", help="Label file, or folder of one file an image.")]

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


def reads_sources(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes ``opening: SourceOptions`` as one that takes the options which make it.

    They stand in the place of ``opening``, of which Typer, that reads the signature, knows nothing.
    """
    made_of = _signature(_source_options).parameters
    signature = _signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += made_of.values() if parameter.name == "opening" else [parameter]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        own = {name: given.pop(name) for name in made_of}
        command(**given, opening=_source_options(**own))

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """With annotations that are evaluated, but for the one that is imported for type checkers alone."""
    return inspect.signature(function, eval_str=True, locals={"SourceOptions": object})


def _source_options(
    *,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    mean: Mean = None,
    std: Std = None,
    size: Size = 1024,
    channels: ChannelOrder = "rgb",
    pad: Padding = "center",
    activation: OutputActivation = "auto",
    placement: Placement = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
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
