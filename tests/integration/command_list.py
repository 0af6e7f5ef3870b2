"""The program's commands as its own parser knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import typer

from optdet.cli.app import app


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the program as its words and its click object, groups left out."""
    command = command if command is not None else typer.main.get_command(app)
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield path, command
