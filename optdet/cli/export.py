"""``optdet export``: a detector as an ONNX file for a product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options

if TYPE_CHECKING:
    from optdet.tuning.detector_export import DetectorExport


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="STUDY, STUDY:TRIAL or a checkpoint.",
            autocompletion=completion.networks,
        ),
    ],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The file to write, FILE.onnx.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="With the thresholds of this config; what it leaves out is at its default.",
        ),
    ] = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="A threshold to replace, as thresh=0.24; may be repeated."),
    ] = None,
    opencv: Annotated[
        bool,
        typer.Option("--opencv", help="As cv2.dnn.TextDetectionModel_DB takes it: one image, one size."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Write a detector's network into an ONNX file, with its preprocessing and thresholds as metadata.

    The network takes RGB pixels of 0..255 and gives the probability map. That of a validation image is
    compared with torch's: where onnxruntime gives another, nothing is written. The file is a SOURCE itself.

    Examples:

      optdet export mine --onnx detector.onnx

      optdet export mine:12 --onnx detector.onnx --config configs/tuned.yaml

      optdet export detector.pt --onnx opencv.onnx --opencv -t box_thresh=0.5
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.config_io import load_config
    from optdet.tuning.detector_export import Wanted, export_detector
    from optdet.tuning.source import SourceOptions

    written = None if config is None else load_config(config).postprocess.thresholds()
    wanted = Wanted(onnx, thresholds or (), written, opencv, force)
    with image_bar("steps of the export") as on_step:
        exported = export_detector(source, wanted, SourceOptions(storage=storage, root=root), on_step=on_step)
    for note in exported.notes:
        typer.echo(f"note: {note}", err=True)
    if json:
        print_json(exported.as_json())
    else:
        _show(exported)


def _show(exported: DetectorExport) -> None:
    from optdet.cli.tables import file_size, pairs
    from optdet.inference.onnx_export import TOLERANCE

    pre = exported.preprocessing
    one_size = "" if "height" in exported.free_axes else " and no other size"
    typer.echo(f"{exported.source}: {exported.properties['backbone']}")
    typer.echo(f"images      {pre.size} x {pre.size}{one_size}, {pre.interpolation}, padded {pre.pad}")
    typer.echo(f"thresholds  {pairs(exported.thresholds.as_dict())}")
    typer.echo(
        f"checked     {exported.checked_on}: maps of onnxruntime and torch differ by "
        f"{exported.max_difference:.1e} at most ({TOLERANCE:g} is allowed)"
    )
    if exported.opencv_difference is not None:
        import cv2

        typer.echo(
            f"opencv      {cv2.__version__} runs it, {exported.opencv_difference:.1e} from torch at most"
        )
    size = file_size(exported.n_bytes)
    typer.echo(f"wrote {exported.out}, {size}; use it: optdet predict {exported.out}, or as the README shows")
