"""``optdet data split``: labelled images into folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optdet.cli import options

if TYPE_CHECKING:
    from optdet.data.split import Split


def split(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="Part the images of this config.", show_default=False),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of images.")] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label file, or folder of one file an image.")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="auto, ufo, icdar or paddle.")] = "auto",
    folds: Annotated[int, typer.Option("--folds", min=2, help="How many.")] = 5,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for folds.json and the folds' label files.")
    ] = Path("folds"),
    with_val: Annotated[
        bool,
        typer.Option(
            "--with-val", help="Also the config's validation images, which else stay apart as the judge."
        ),
    ] = False,
    groups: Annotated[
        Path | None,
        typer.Option("--groups", help="CSV (name,group): images of a group stay in one fold."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another partition.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace another partition that is there.")] = False,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Part labelled images into folds that are alike in words an image and in image size.

    Images of one group never part: those of a `group` in a UFO label file or of --groups, and images of the
    same pixels. Near copies in different folds are warned of. The same images, folds and seed give the same
    partition. Its file knows the images and labels: where one changes, the folds are refused.

    Examples:

      optdet data split configs/mine.yaml --folds 5 --out folds

      optdet data split configs/mine.yaml --folds 5 --with-val --out folds-all

      optdet data split --images scans --labels scans.json --groups shops.csv --out folds
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.data.split import split_data, write_split
    from optdet.data.split_copies import copies_across

    asked = _sources(config, images, labels, format, storage, root)
    with image_bar("reading images") as on_image:
        made = split_data(
            **asked, n_folds=folds, seed=seed, with_val=with_val, groups=groups, on_image=on_image
        )
    with image_bar("comparing likely copies") as on_pair:
        copies = copies_across(made.samples, made.folds.images, made.looks, on_pair)
    state = write_split(made, out, force=force)
    for note in (*made.notes, *copies):
        typer.echo(note, err=True)
    if json:
        print_json({"path": str(out / "folds.json"), **made.as_json()})
        return
    _table(made)
    typer.echo(f"{state}: {out / 'folds.json'}, and label files of each fold for other programs")
    typer.echo(f"their names begin at {made.images_dir}")
    typer.echo(f"train all of them: optdet study create CONFIG --folds {out / 'folds.json'}")


def _sources(
    config: Path | None,
    images: Path | None,
    labels: Path | None,
    format: str,
    storage: str | None,
    root: str | None,
) -> dict[str, Any]:
    """The sources to part, as ``split_data`` takes them."""
    from optdet.config import SourceConfig
    from optdet.config_io import load_config
    from optdet.data.located import locate
    from optdet.errors import OptdetError
    from optdet.store.places import Places
    from optdet.store.url import root_of, storage_url
    from optdet.validation import validate

    if config is None and images is not None and labels is not None:
        values = {"images": str(images), "labels": str(labels), "format": format}
        return {"train": (validate(SourceConfig, values, "data split"),), "val": None}
    if config is None or images is not None or labels is not None:
        raise typer.BadParameter("give either a config, or --images and --labels")
    data = load_config(config).data
    if data.folds is not None:
        raise OptdetError("its images are in folds already", where=str(config), fix=f"use {data.folds}")
    places = Places(root_of(storage_url(storage), root))
    located = locate(data, data_root=Path(), data_dir=places.data_dir)
    return {"train": located.train, "val": located.val, "synthetic": data.synthetic}


def _table(made: Split) -> None:
    from optdet.cli.text_table import TextTable, print_table

    table = TextTable(("fold", "images", "words", "words an image", "longer side"))
    for row in made.rows():
        spreads = (str(row.words_per_image), str(row.longer_side))
        table.add_row(str(row.fold), f"{row.images:,}", f"{row.words:,}", *spreads)
    print_table(table)
    typer.echo("words an image, longer side in pixels: min / median / max")
