"""HTML files that hold all they show: data packed into them, written whole or not at all."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

from optdet.atomic import atomic_file
from optdet.errors import OptdetError


def packed_bytes(content: bytes) -> str:
    """gzip, then base64, the same text for the same bytes; a page unpacks it with ``DecompressionStream``."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def write_html(page: str, path: Path, *, what: str) -> int:
    """Write a page, making the folders above it, and give its size in bytes; a reader never sees half a file.

    Raises:
        OptdetError: The file cannot be written, as ``what`` names it; what stood there before still does.
    """
    content = page.encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(content)
    except OSError as error:
        raise OptdetError(
            f"{what} cannot be written: {error.strerror or error}",
            where=str(path),
            fix="check the folder's rights and the free space",
        ) from error
    return len(content)
