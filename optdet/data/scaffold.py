"""The files of a project folder, ``configs/`` and ``studies/``: which to write, and writing them.

Nothing that exists is replaced unasked: a file with the same content is left as it is, one with another is
kept or, where it would be in the way, refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optdet.data.files import write_atomically
from optdet.errors import OptdetError
from optdet.shipped import shipped_folder

_KINDS: tuple[Literal["configs", "studies"], ...] = ("configs", "studies")
State = Literal["new", "same", "other"]


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file to be: its place below the project folder, and its content."""

    place: str
    content: bytes


def shipped_files() -> tuple[ProjectFile, ...]:
    """The configs and studies that come with optdet."""
    return tuple(
        ProjectFile(f"{kind}/{path.name}", path.read_bytes())
        for kind in _KINDS
        for path in sorted(shipped_folder(kind).glob("*.yaml"))
    )


def write_files(
    folder: Path, files: Iterable[ProjectFile], *, force: bool = False, keep: bool = False
) -> list[str]:
    """Write files below ``folder``; what was done, a line for each kind of it.

    A file that exists with other content is replaced with ``force``, kept with ``keep``, and an OptdetError
    otherwise, before anything is written.
    """
    states = [(file, _state(folder, file)) for file in files]
    others = [file.place for file, state in states if state == "other"]
    if others and not force and not keep:
        raise OptdetError(
            "the file exists with other content",
            where=str(folder / others[0]),
            fix="replace it with --force, or give the new one another name with --name",
        )
    for file, state in states:
        if state == "new" or (state == "other" and force):
            make_folder((folder / file.place).parent)
            write_atomically(folder / file.place, file.content)
    return [
        *_line("wrote", [file.place for file, state in states if state == "new"]),
        *_line("replaced", others if force else []),
        *_line("there already:", [file.place for file, state in states if state == "same"]),
        *_line(
            "kept, with other content than optdet's (`optdet init --force` without --data replaces them):",
            [] if force else others,
        ),
    ]


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptdetError(
            f"the folder cannot be made ({error.strerror})",
            where=str(folder),
            fix="name another, or make its parent writable",
        ) from error


def next_commands(folder: Path, name: str | None) -> list[str]:
    """What to type after ``init``; ``name`` is that of a config for the user's own images."""
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    if name is None:
        return [*enter, "optdet study create", "optdet study run --trials 20"]
    return [
        *enter,
        f"optdet study create studies/{name}.yaml",
        f"optdet study run {name}",
        f"optdet train configs/{name}.yaml optimizer.lr=0.0004",
    ]


def _state(folder: Path, file: ProjectFile) -> State:
    path = folder / file.place
    try:
        return "same" if path.read_bytes() == file.content else "other"
    except FileNotFoundError:
        return "new"
    except OSError as error:
        raise OptdetError(
            f"cannot be read ({error.strerror})", where=str(path), fix="move it out of the way"
        ) from error


def _line(what: str, places: Sequence[str]) -> list[str]:
    return [f"{what} {', '.join(places)}"] if places else []
