"""``optdet init``: a project folder, and a config for the images that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The project folder, made where missing.")
    ] = Path(),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of labelled images to write a config for.")
    ] = None,
    size: Annotated[
        int, typer.Option("--size", help="Side in pixels that training scales images to; 32, 64, ...")
    ] = 1024,
    name: Annotated[str, typer.Option("--name", help="Name of the config and of its study.")] = "mine",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace what exists: with --data the files that it writes for it, else the shipped ones.",
        ),
    ] = False,
) -> None:
    """Write configs/ and studies/ into a folder.

    With --data, say what labelled images are there and write a config and a first study for them.

    Labels are UFO JSON, ICDAR text or PaddleOCR lines. One image is drawn with its labels, to be looked at.

    Examples:

      optdet init

      optdet init --data ~/receipts --size 1280

      optdet init project --data scans --name scans
    """
    from optdet.data.scaffold import next_commands, shipped_files, write_files

    lines: list[str] = []
    if data is not None:
        from optdet.data.files import write_atomically
        from optdet.data.project import plan_project
        from optdet.drawing.preview import draw_preview
        from optdet.drawing.typeface import font_note

        project = plan_project(folder, data, name=name, size=size)
        for line in project.lines:
            typer.echo(line)
        # Drawn before anything is written: its image may be cut short, which only its pixels show.
        drawn = draw_preview(project.typical)
        lines += write_files(folder, project.files, force=force)
        preview = folder / f"{name}-preview.jpg"
        write_atomically(preview, drawn)
        lines.append(f"drew {preview}: do the outlines lie on the words?")
        note = font_note([project.typical.name])
        lines += [] if note is None else [f"note: {note}"]
    # With --data, --force is about the config for these images: what was changed elsewhere is not in the way.
    lines += write_files(folder, shipped_files(), force=force and data is None, keep=True)
    commands = next_commands(folder, name if data is not None else None)
    for line in [*lines, "next:", *(f"  {command}" for command in commands)]:
        typer.echo(line)
