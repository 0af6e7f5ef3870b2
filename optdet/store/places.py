"""Where a study's files lie, under one root.

``<root>/runs/<study>/t0007/`` for a trial, ``logs/`` beside it for runs in the background, and
``<root>/cache/``, ``<root>/data/``, ``<root>/artifacts/``. A path that is stored is relative to the root
where it lies inside, so that the folder can be moved, and absolute otherwise; its separators are ``/``.
Nothing here makes a folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from optdet.errors import OptdetError

LOGS = "logs"
"""Beside the trials in a study's run folder."""
_STUDY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_MAX_NAME_LENGTH = 200  # file systems take 255 bytes, and an inner study's name adds to the outer one's


def valid_study_name(name: str) -> str:
    """The name as it came; OptdetError for one that could not name a folder everywhere."""
    if len(name) > _MAX_NAME_LENGTH:
        raise OptdetError(
            f"a study name of {len(name)} characters",
            where=name[:40] + "...",
            fix=f"at most {_MAX_NAME_LENGTH}",
        )
    if not _STUDY_NAME.fullmatch(name):
        raise OptdetError(
            f"{name!r} is no study name", fix="use letters, digits, '.', '_' and '-', and no '.' at the start"
        )
    return name


@dataclass(frozen=True, slots=True)
class Places:
    """The places under a root."""

    root: Path

    @property
    def cache_dir(self) -> Path:
        return self.root / "cache"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def artifacts_dir(self) -> Path:
        return self.root / "artifacts"

    @property
    def runs_dir(self) -> Path:
        return self.root / "runs"

    def runs_of(self, study: str) -> Path:
        return self.runs_dir / valid_study_name(study)

    def logs_of(self, study: str) -> Path:
        """What runs of a study in the background have said."""
        return self.runs_of(study) / LOGS

    def run_dir(self, study: str, number: int) -> Path:
        return self.runs_of(study) / f"t{number:04d}"

    def relative(self, path: str | Path) -> str:
        """The path as it is stored; relative ones are taken from the working directory."""
        lexical, root = Path(os.path.abspath(path)), Path(os.path.abspath(self.root))
        # As written first, for a link in the root to a larger disk belongs to it; then as the disk has it.
        for inside, of in ((lexical, root), (Path(path).resolve(), root.resolve())):
            if inside.is_relative_to(of):
                return inside.relative_to(of).as_posix()
        return lexical.as_posix()

    def absolute(self, stored: str) -> Path:
        """The place of a stored path, absolute."""
        return Path(os.path.abspath(self.root)) / stored
