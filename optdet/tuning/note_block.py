"""The part of a note that optdet writes anew: all else in a note is somebody's own words, and stays.

It stands between two lines that Markdown does not show (link definitions, apart from what they are between,
that nothing refers to). The first holds a digest of what stands between: where that was changed by hand it
has become somebody's own words too. Its links become plain text: their ids may come to mean another study.
"""

from __future__ import annotations

import hashlib
import re

_BEGIN = "[//]: # (optdet {digest}: down to the next such line is written anew, your words elsewhere stay)"
_END = "[//]: # (optdet: end)"
_BLOCK = re.compile(
    r"^\[//\]: # \(optdet (?P<digest>[0-9a-f]{8}):[^\n]*\)\n\n(?P<text>.*?)\n\n" + re.escape(_END) + "$",
    re.MULTILINE | re.DOTALL,
)

_LINK = re.compile(r"\[([^\]]*)\]\(/dashboard/studies/[^)]*\)")


def block(text: str) -> str:
    """The text between its two lines."""
    return f"{_BEGIN.format(digest=_digest(text))}\n\n{text}\n\n{_END}"


def with_block(note: str, text: str) -> str:
    """The note with ``text`` in its block; the note as it is where somebody took the block out.

    A block that was changed by hand stays as it was changed, without its lines, below a new one.
    """
    found = _BLOCK.search(note)
    if found is None:
        return note
    own_words = "" if _digest(found["text"]) == found["digest"] else f"\n\n{_without_links(found['text'])}"
    return note[: found.start()] + block(text) + own_words + note[found.end() :]


def _without_links(text: str) -> str:
    return _LINK.sub(r"\1", text).strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
