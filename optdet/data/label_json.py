"""JSON of labels, decoded word by word.

Each object with a list of ``points`` becomes a `Word` (or a `BadWord`) the moment that it closes, so that a
file is never held as nested lists: these would take ten times its size in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.data.label_file import IGNORED_TEXT, polygon_from, usable_word
from optdet.errors import OptdetError
from optdet.structures import Word

Pairs = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class BadWord:
    reason: str


class RepeatedKeys(dict[str, Any]):
    """An object in which some keys came twice; it holds the first value of each."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__()
        self.repeated: list[str] = []
        for key, value in pairs:
            if key in self:
                self.repeated.append(key)
            else:
                self[key] = value


def word_from(fields: dict[str, Any], *, ignored_texts: tuple[str, ...] = (IGNORED_TEXT,)) -> Word | BadWord:
    """A word of ``points``, ``transcription`` (or none) and ``illegibility`` (or none)."""
    polygon = polygon_from(fields["points"])
    if isinstance(polygon, str):
        return BadWord(polygon)
    text = fields.get("transcription")
    if text is not None and not isinstance(text, str):
        text = str(text)
    word = usable_word(polygon, text, fields.get("illegibility") is True or text in ignored_texts)
    return BadWord(word) if isinstance(word, str) else word


def decode_objects(text: str, make_word: Callable[[dict[str, Any]], object]) -> Any:
    """JSON with every word object replaced by ``make_word`` of it; `ValueError` or `RecursionError` as
    `json.loads`.
    """

    def hook(pairs: Pairs) -> object:
        fields = dict(pairs)
        # An image named "points" holds an object, never a list.
        if isinstance(fields.get("points"), list):
            return make_word(fields)
        return fields if len(fields) == len(pairs) else RepeatedKeys(pairs)

    return json.loads(text, object_pairs_hook=hook)


def decode_document(path: Path, text: str, make_word: Callable[[dict[str, Any]], object]) -> Any:
    """`decode_objects` of a whole file, its errors with line and column."""
    try:
        return decode_objects(text, make_word)
    except json.JSONDecodeError as error:
        raise OptdetError(
            f"broken JSON: {error.msg}",
            where=f"{path}:{error.lineno}:{error.colno}",
            fix="write the file again: it may be cut off",
        ) from error
    except (ValueError, RecursionError) as error:
        # An integer of thousands of digits; brackets nested without end.
        raise OptdetError(
            f"JSON that cannot be read ({error})", where=str(path), fix="write the file again"
        ) from error
