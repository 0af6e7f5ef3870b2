"""Files at the border: text read whole, with a limit and an encoding that is said; files written at once or
not at all.

Every failure is an `OptdetError` that names the file, and for a missing one the nearest name that exists.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from optdet.atomic import atomic_file
from optdet.errors import OptdetError

MAX_LABEL_BYTES = 2**30
_ALIKE = 0.5
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def nearest_existing(path: Path) -> Path | None:
    """The existing path that resembles a missing one most, looked for where the two part ways."""
    parent = path.absolute()
    missing = parent.name
    while not parent.exists() and parent != parent.parent:
        missing, parent = parent.name, parent.parent
    if not parent.is_dir():
        return None
    names = difflib.get_close_matches(missing, os.listdir(parent), cutoff=_ALIKE)
    # The same suffix alone makes short names alike, as gone.csv and found.csv.
    near = (name for name in names if _likeness(Path(name).stem, Path(missing).stem) >= _ALIKE)
    found = next(near, None)
    return None if found is None else parent / found


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def require_folder(path: Path, *, what: str = "folder") -> Path:
    if path.is_dir():
        return path
    if path.exists():
        raise OptdetError(f"the {what} is a file, not a folder", where=str(path), fix="name its folder")
    raise _missing(path, what)


def require_path(path: Path, *, what: str) -> Path:
    """A file or a folder that exists."""
    if path.exists():
        return path
    raise _missing(path, what)


def _missing(path: Path, what: str) -> OptdetError:
    near = nearest_existing(path)
    begins = "" if path.is_absolute() else f", which begins in {Path.cwd()}"
    return OptdetError(
        f"the {what} does not exist",
        where=str(path),
        fix=f"did you mean {near}?" if near else f"check the path{begins}",
    )


def read_text(path: Path, *, max_bytes: int = MAX_LABEL_BYTES) -> str:
    """The whole file as UTF-8, a byte-order mark removed, line ends as they are."""
    try:
        n_bytes = path.stat().st_size
        if n_bytes > max_bytes:
            raise OptdetError(
                f"{n_bytes / 2**20:,.0f} MiB, over the limit of {max_bytes / 2**20:,.0f} MiB",
                where=str(path),
                fix="split the file, or raise the limit",
            )
        raw = path.read_bytes()
    except OSError as error:
        raise OptdetError(
            f"cannot be read ({error.strerror})", where=str(path), fix="check the path and its permissions"
        ) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, raw, error) from error


def _wrong_encoding(path: Path, raw: bytes, error: UnicodeDecodeError) -> OptdetError:
    # With a byte-order mark the decoder counts from behind it.
    mark = 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    position = error.start + mark
    line = raw.count(b"\n", 0, position) + 1
    guess = " (it begins like UTF-16)" if raw.startswith(_UTF16_MARKS) else ""
    return OptdetError(
        f"not UTF-8: byte 0x{raw[position]:02X} at offset {position}{guess}",
        where=f"{path}:{line}",
        fix="save the file as UTF-8",
    )


def split_lines(text: str) -> list[str]:
    """Lines at LF or CRLF only: `str.splitlines` would also cut a text at U+2028, U+0085 and form feeds."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def write_atomically(path: Path, content: bytes) -> None:
    """The file with this content, or the one that was there before; OptdetError where the disk refuses."""
    try:
        with atomic_file(path) as file:
            file.write(content)
    except OSError as error:
        raise OptdetError(
            f"cannot be written ({error.strerror})",
            where=str(path),
            fix="check the folder, its permissions and the space left",
        ) from error
