"""``optdet data``: check labelled images, make synthetic receipts."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from optdet.cli import options

app = typer.Typer(no_args_is_help=True)
_LISTED = 20


@app.command()
def check(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="Check all sources of this config.", show_default=False),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of images.")] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label file, or folder of one file an image.")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="auto, ufo, icdar or paddle.")] = "auto",
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=1, help="Side that training scales to.", show_default="config's, else 1024"
        ),
    ] = None,
    headers: Annotated[
        bool, typer.Option("--headers", help="Read no pixels: quick, but misses images that are cut short.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="List every problem, not the first 20.")] = False,
    json: options.Json = False,
) -> None:
    """Say what labelled images hold and what is wrong with them; exit 1 for bad rows, and where
    training would refuse them.

    Examples:

      optdet data check configs/mine.yaml

      optdet data check --images train/images --labels train/labels.json --size 1024
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.config import SourceConfig
    from optdet.config_io import load_config, validate
    from optdet.data.check import check_source, check_sources, first_fault, shared_images

    with image_bar("reading images") as on_image:
        if config is not None and images is None and labels is None:
            data = load_config(config).data
            checks = check_sources(data, size=size, decode=not headers, on_image=on_image)
        elif config is None and images is not None and labels is not None:
            values = {"images": str(images), "labels": str(labels), "format": format}
            source = validate(SourceConfig, values, "data check")
            checks = [
                check_source(source, "labels", size=size or 1024, decode=not headers, on_image=on_image)
            ]
        else:
            raise typer.BadParameter("give either a config, or --images and --labels")
    shared = shared_images(checks)
    if not checks:
        typer.echo("the config's images are synthetic receipts: there is nothing to check", err=True)
    if json:
        print_json({"sources": [found.as_json() for found in checks], "shared": shared})
    else:
        for found in checks:
            for line in [*found.lines(), *_listed(found.problems, all_), ""]:
                typer.echo(line)
        for line in shared:
            typer.echo(f"warning: {line}")
    if fault := first_fault(checks):
        raise fault


def _listed(problems: tuple[str, ...], all_: bool) -> list[str]:
    """The problems as lines, the first few of many."""
    shown = problems if all_ else problems[:_LISTED]
    rest = len(problems) - len(shown)
    lines = [f"  - {problem}" for problem in shown]
    return [*lines, f"  ... and {rest} more: --all lists them"] if rest else lines


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or one made the same way.")],
    train: Annotated[int | None, typer.Option("--train", help="Training images.", show_default="64")] = None,
    val: Annotated[int | None, typer.Option("--val", help="Validation images.", show_default="24")] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="Longer side in pixels.", show_default="512")
    ] = None,
    difficulty: Annotated[
        float | None,
        typer.Option("--difficulty", help="0 is a clean scan, 1 a bad photograph.", show_default="0.6"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="The same seed gives the same bytes.", show_default="0"),
    ] = None,
) -> None:
    """Make synthetic receipts with exact word quads, as image and UFO label files.

    Examples:

      optdet data synth receipts

      optdet data synth receipts-hard --train 400 --val 60 --image-size 1024 --difficulty 0.9 --seed 7
    """
    from optdet.cli.progress import image_bar
    from optdet.config import SyntheticConfig
    from optdet.config_io import validate
    from optdet.data.located import synthesize

    values = {"train": train, "val": val, "image_size": image_size, "difficulty": difficulty, "seed": seed}
    given = {key: value for key, value in values.items() if value is not None}
    settings = validate(SyntheticConfig, given, "data synth")
    with image_bar("drawing receipts") as on_image:
        made = synthesize(settings, folder, on_image)
    typer.echo(f"{settings.train} training images in {made.train_images}, labels in {made.train_labels}")
    typer.echo(f"{settings.val} validation images in {made.val_images}, labels in {made.val_labels}")
    typer.echo(f"a config for them: optdet init --data {quote(str(folder))}")
