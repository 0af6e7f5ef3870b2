"""The checkpoints of one training run: ``last-0007-<sha>.pt`` and ``best-0005-<sha>.pt`` in its folder.

A name carries the epoch and the first 16 hex digits of the file's SHA-256: a damaged file gives itself away
without a database. The two newest ``last`` are kept: where the newest is damaged, or names a best that is
gone, the run goes on from the epoch before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optdet.digest import file_sha256
from optdet.errors import OptdetError

Kind = Literal["last", "best"]
_NAME = re.compile(r"^(last|best)-(\d{4,})-([0-9a-f]{16})\.pt$")


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A file on disk; ``sha256`` is whole after a save, its first 16 digits when found by name."""

    kind: Kind
    epoch: int
    sha256: str
    path: Path

    def is_whole(self) -> bool:
        """Whether the file's SHA-256 is that of its name; OptdetError when the file cannot be read."""
        try:
            return file_sha256(self.path).startswith(self.sha256[:16])
        except OSError as error:
            raise OptdetError(
                f"the checkpoint cannot be read ({error.strerror})", where=str(self.path)
            ) from error

    def load(self) -> dict[str, Any]:
        if not self.is_whole():
            raise OptdetError(
                "the checkpoint is damaged: its SHA-256 is not that of its name", where=str(self.path)
            )
        # Not above: finding and clearing files needs no torch, which this brings.
        from optdet.model.checkpoint_file import load_checkpoint

        return load_checkpoint(self.path)


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """Saves, finds and clears the checkpoints of a run."""

    folder: Path

    def save(self, kind: Kind, epoch: int, payload: Mapping[str, Any]) -> SavedCheckpoint:
        from optdet.model.checkpoint_file import save_checkpoint

        self.folder.mkdir(parents=True, exist_ok=True)
        unnamed = self.folder / f".{kind}-{epoch:04d}.tmp"
        sha256 = save_checkpoint(unnamed, payload)
        path = self.folder / f"{kind}-{epoch:04d}-{sha256[:16]}.pt"
        os.replace(unnamed, path)
        # A killed run may have left this epoch's file with other bits, as on CUDA: there is one an epoch.
        self.keep_only(kind, [path, *(other.path for other in self.found(kind) if other.epoch != epoch)])
        return SavedCheckpoint(kind, epoch, sha256, path)

    def found(self, kind: Kind) -> list[SavedCheckpoint]:
        """The files of a kind, newest epoch first, and of one epoch the newest file first."""
        if not self.folder.is_dir():
            return []
        matches = [(path, _NAME.match(path.name)) for path in self.folder.iterdir()]
        saved = [
            SavedCheckpoint(kind, int(match[2]), match[3], path)
            for path, match in matches
            if match is not None and match[1] == kind
        ]
        return sorted(saved, key=lambda checkpoint: (-checkpoint.epoch, -_modified(checkpoint.path)))

    def load_newest_last(
        self, say: Callable[[str], None], fault_of: Callable[[dict[str, Any]], str | None] = lambda _: None
    ) -> dict[str, Any] | None:
        """The newest ``last`` that is whole, and whose content has no fault; others are said and removed."""
        lasts = self.found("last")
        for n_seen, checkpoint in enumerate(lasts, start=1):
            payload = checkpoint.load() if checkpoint.is_whole() else None
            fault = "the checkpoint is damaged" if payload is None else fault_of(payload)
            if fault is None:
                return payload
            others = n_seen < len(lasts)
            then = "going on from the epoch before" if others else "training again from the first epoch"
            say(f"{checkpoint.path}: {fault}; {then}")
            checkpoint.path.unlink(missing_ok=True)
        return None

    def has_best(self, epoch: int) -> bool:
        """Whether the best checkpoint of an epoch is there, whole or not: nothing is read."""
        return any(checkpoint.epoch == epoch for checkpoint in self.found("best"))

    def load_best(self, epoch: int) -> SavedCheckpoint | None:
        """The best checkpoint of an epoch, where it is there and whole."""
        for checkpoint in self.found("best"):
            if checkpoint.epoch == epoch and checkpoint.is_whole():
                return checkpoint
        return None

    def keep_final(self) -> None:
        """What stays of a run that has ended: the best, of which a pruned one has kept the one before too."""
        self.keep_only("last", [])
        self.keep_only("best", [saved.path for saved in self.found("best")[:1]])

    def keep_only(self, kind: Kind, keep: list[Path]) -> None:
        for checkpoint in self.found(kind):
            if checkpoint.path not in keep:
                checkpoint.path.unlink(missing_ok=True)


def _modified(path: Path) -> int:
    """In nanoseconds; 0 for a file that was removed just now."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
