"""``optdet data``: check labelled images, make synthetic receipts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options

if TYPE_CHECKING:
    from optdet.data.check import SourceCheck
    from optdet.data.duplicates import Overlap

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
    also: Annotated[
        list[Path] | None,
        typer.Option(
            "--also", metavar="DIR", help="Look for copies of this folder's images, too: a test set."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FILE.jpg", help="Draw copies side by side, the least alike first."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Say what labelled images hold, what is wrong with them, and which are there twice; exit 1 for bad
    rows, and where training would refuse them.

    Copies are searched for within and across all sources: the same bytes, the same pixels, and near copies
    (recompressed, resized, slightly cropped, turned or brighter).

    Examples:

      optdet data check configs/mine.yaml

      optdet data check --images train/images --labels train/labels.json --size 1024

      optdet data check configs/mine.yaml --also test/images --pairs copies.jpg
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.config import SourceConfig
    from optdet.config_io import load_config
    from optdet.data.check import check_source, check_sources, first_fault, read_folder
    from optdet.data.duplicates import find_duplicates
    from optdet.validation import validate

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
        others = [read_folder(folder, decode=not headers, on_image=on_image) for folder in also or []]
    with image_bar("comparing likely copies") as on_pair:
        files = [*(found.image_files for found in checks), *others]
        overlaps = find_duplicates(files, on_pair=on_pair)
    if not checks:
        typer.echo("the config's images are synthetic receipts: there is nothing to check", err=True)
    if json:
        shared = [str(overlap) for overlap in overlaps if overlap.first != overlap.second]
        duplicates = [overlap.as_json() for overlap in overlaps]
        sources = [found.as_json() for found in checks]
        print_json({"sources": sources, "shared": shared, "duplicates": duplicates})
    else:
        _print(checks, overlaps, all_)
    if pairs is not None:
        _draw(overlaps, pairs)
    if fault := first_fault(checks):
        raise fault


def _print(checks: Sequence[SourceCheck], overlaps: Sequence[Overlap], all_: bool) -> None:
    lines: list[str] = []
    for found in checks:
        lines += [*found.lines(), *_listed(found.problems, all_), ""]
    for overlap in overlaps:
        lines += [f"warning: {overlap}", *_listed([str(pair) for pair in overlap.pairs], all_)]
    if checks and not overlaps:
        lines.append("no copies of images")
    for line in lines:
        typer.echo(line)


def _draw(overlaps: Sequence[Overlap], path: Path) -> None:
    from optdet.drawing.copies import write_copies

    n_drawn = write_copies(overlaps, path)
    typer.echo(f"drew {n_drawn} pairs: {path}" if n_drawn else "no copies: nothing to draw", err=True)


def _listed(problems: Sequence[str], all_: bool) -> list[str]:
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
    from optdet.data.located import synthesize
    from optdet.validation import validate

    values = {"train": train, "val": val, "image_size": image_size, "difficulty": difficulty, "seed": seed}
    given = {key: value for key, value in values.items() if value is not None}
    settings = validate(SyntheticConfig, given, "data synth")
    with image_bar("drawing receipts") as on_image:
        made = synthesize(settings, folder, on_image)
    typer.echo(f"{settings.train} training images in {made.train_images}, labels in {made.train_labels}")
    typer.echo(f"{settings.val} validation images in {made.val_images}, labels in {made.val_labels}")
    typer.echo(f"a config for them: optdet init --data {quote(str(folder))}")
