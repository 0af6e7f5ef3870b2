"""SHA-256 of a file's bytes, in hexadecimal: what names caches, checkpoints and data."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def file_sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of_equal_sizes(paths: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of the files that another one has the size of: the others equal none, and are not read."""
    by_size: defaultdict[int, set[Path]] = defaultdict(set)
    for path in paths:
        by_size[path.stat().st_size].add(path)
    return {path: file_sha256(path) for same in by_size.values() if len(same) > 1 for path in same}
