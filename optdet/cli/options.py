"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from optdet.cli import completion

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Database: a path or a URL. Default: $OPTDET_STORAGE, else studies/optdet.db.",
        show_default=False,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        help="Folder of runs, cache and data. Default: the folder of the SQLite file.",
        show_default=False,
    ),
]
DataRoot = Annotated[
    str | None,
    typer.Option(
        "--data-root",
        help="Folder that data paths are relative to. Default: where the study was created.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="auto, cpu, cuda or cuda:1. Default: the config's, which is auto.",
        show_default=False,
    ),
]
AcceptChangedData = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data",
        help="Go on although images or labels have changed since the trials so far.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
StudyName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="The study; the newest unfinished one if left out.",
        show_default=False,
        autocompletion=completion.studies,
    ),
]
OneStudy = Annotated[
    str, typer.Argument(metavar="NAME", help="The study.", autocompletion=completion.studies)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=VALUE...", help="Settings to replace, as optimizer.lr=0.0004."),
]
