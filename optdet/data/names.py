"""Names of images as label and prediction files spell them.

Names are compared in Unicode NFC (macOS writes NFD), with ``/`` between folders. A name never leads out of
its folder: one that is absolute or climbs is unsafe, and is never joined to a path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def is_image_name(name: str) -> bool:
    """By its extension, hidden files excluded."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not PurePosixPath(name).name.startswith(".")


def unreadable_name(name: str) -> str | None:
    """Why a name can be no file's name, or None. Whether it leaves its folder is another question."""
    if not name.strip() or name.endswith("/"):
        return "an empty file name"
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        return f"the file name {name!r} has control characters"
    return None


def leaves_folder(name: str) -> bool:
    """Absolute, with a drive, or with a ``..`` part, in the spelling of either family of systems."""
    windows = PureWindowsPath(name)
    return bool(windows.drive or windows.root) or name.startswith("/") or ".." in windows.parts


def stem(name: str) -> str:
    """Without an image's extension; any other dot belongs to the name (``page.v2`` stays whole)."""
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def file_stem(name: str) -> str:
    """A name as part of another file's: of its last part letters, digits, ``-`` and ``_``, 60 at most."""
    last = stem(name.rpartition("/")[2])
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in last)[:60]


class NameIndex:
    """Finds the file that a name means: the same name, then without its leading folders, then by as many
    of its last parts as any indexed name ends in.

    ``by_stem`` also leaves the extension out, for formats whose files are named after the image. What fits
    two files finds neither.
    """

    def __init__(self, names: Iterable[str], *, by_stem: bool = False) -> None:
        self._by_stem = by_stem
        self._exact: dict[str, str] = {}
        self._loose: dict[str, str | None] = {}
        for name in names:
            self._exact[nfc(name)] = name
            for end in _ends(nfc(name)):
                for key in {end, stem(end)} if by_stem else {end}:
                    self._loose[key] = None if key in self._loose else name

    def fits_several(self, name: str) -> bool:
        """Whether ``find`` gives None since more than one indexed name ends so."""
        key = nfc(name).removeprefix("./")
        return self.find(name) is None and key in self._loose

    def find(self, name: str) -> str | None:
        """The indexed spelling, or None."""
        ends = _ends(nfc(name).removeprefix("./"))
        for end in ends:
            if end in self._exact:
                return self._exact[end]
        for end in ends:
            for key in (end, stem(end)) if self._by_stem else (end,):
                if self._loose.get(key) is not None:
                    return self._loose[key]
        return None


def _ends(name: str) -> list[str]:
    """The name, then without its first folder, and so on to its last part."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


@dataclass(frozen=True, slots=True)
class NameMatches:
    """Labelled names by file; ``refused`` are others with the reason, ``missing`` those of no file."""

    found: dict[str, str]
    refused: list[tuple[str, str]]
    missing: list[str]


def match_names(files: Iterable[str], labelled: Iterable[str], *, by_stem: bool = False) -> NameMatches:
    """The file of each labelled name. Of names that mean one file only an exact one is taken: where all of
    them merely resemble it (``shop0/scan.jpg`` and ``shop1/scan.jpg``, beside ``scan.jpg``), none is.
    """
    index = NameIndex(files, by_stem=by_stem)
    matches = NameMatches({}, [], [])
    claims: dict[str, list[str]] = {}
    for name in labelled:
        file = index.find(name)
        if file is None and index.fits_several(name):
            matches.refused.append((name, f"{name} could be any of several images (none is taken)"))
        elif file is None:
            matches.missing.append(name)
        else:
            claims.setdefault(file, []).append(name)
    for file, names in claims.items():
        exact = next((name for name in names if nfc(name) == nfc(file)), None)
        owner = names[0] if len(names) == 1 else exact
        if owner is not None:
            matches.found[file] = owner
            reason = f"a second label of the image {file} (the first is kept)"
        else:
            reason = f"{len(names)} labels could mean the image {file} (none is kept)"
        matches.refused.extend((name, reason) for name in names if name != owner)
    return matches
