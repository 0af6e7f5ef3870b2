"""UFO: ``{"images": {name: {"words": {id: {"points": [[x, y], ...], "transcription": str | null}}}}}``.

A word of transcription ``###`` or with ``"illegibility": true`` is ignored. ``img_w`` and ``img_h`` of an
image are kept as its stated size, and ``group`` (a text or a whole number) as what it belongs to: images of
one group never come into different folds. Other keys are left unread. The place of a problem is
``images/NAME/words/ID``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optdet.data.files import write_atomically
from optdet.data.label_file import LabelCollector, LabelFile
from optdet.data.label_json import BadWord, RepeatedKeys, decode_document, word_from
from optdet.errors import OptdetError
from optdet.structures import Word


def parse_ufo(
    path: Path, text: str, *, make_word: Callable[[dict[str, Any]], Word | BadWord] = word_from
) -> LabelFile:
    document = decode_document(path, text, make_word)
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, dict):
        raise OptdetError(
            _not_ufo(images), where=str(path), fix='expected {"images": {name: {"words": ...}}}'
        )
    labels = LabelCollector(path)
    for name in getattr(images, "repeated", ()):
        labels.problem(f"images/{name}", f"the image {name!r} is listed twice (the first is kept)")
    for name, entry in images.items():
        image = labels.image(name, f"images/{name}")
        if image is not None:
            _read_image(labels, image, f"images/{name}", entry)
    return labels.finish("ufo")


def _not_ufo(images: object) -> str:
    if isinstance(images, list):
        return 'not UFO: "images" is a list, as in COCO'
    return 'JSON without "images"' if images is None else f'not UFO: "images" is {type(images).__name__}'


def _read_image(labels: LabelCollector, image: str, where: str, entry: object) -> None:
    words = entry.get("words") if isinstance(entry, dict) else entry
    if not isinstance(entry, dict) or not (words is None or isinstance(words, dict)):
        labels.problem(where, '"words" is not an object')
        return
    labels.state_size(image, entry.get("img_w"), entry.get("img_h"))
    group = entry.get("group")
    if isinstance(group, str | int) and not isinstance(group, bool):
        if str(group).strip():  # a field that was left blank says nothing
            labels.state_group(image, str(group))
    elif group is not None:
        labels.problem(where, '"group" is neither a text nor a whole number')
    if isinstance(words, RepeatedKeys):
        for key in words.repeated:
            labels.problem(f"{where}/words/{key}", "the word is listed twice (the first is kept)")
    found = []
    for key, word in (words or {}).items():
        if isinstance(word, Word):
            found.append(word)
        else:
            reason = word.reason if isinstance(word, BadWord) else "no list of points"
            labels.bad_word(image, f"{where}/words/{key}", reason)
    labels.add_words(image, found)


def write_ufo(
    path: Path,
    words_by_name: Mapping[str, Sequence[Word]],
    *,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    groups: Mapping[str, str] | None = None,
) -> None:
    """Written at once or not at all; reading it gives the same words, numbers exactly. ``sizes`` are (width,
    height).
    """
    write_atomically(path, encode_ufo(words_by_name, sizes=sizes, groups=groups))


def encode_ufo(
    words_by_name: Mapping[str, Sequence[Word]],
    *,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    groups: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of such a file."""
    images: dict[str, dict[str, Any]] = {}
    for name, words in words_by_name.items():
        images[name] = {
            "words": {f"{index:04d}": _word_fields(word) for index, word in enumerate(words, start=1)}
        }
        if sizes is not None and name in sizes:
            images[name]["img_w"], images[name]["img_h"] = sizes[name]
        if groups is not None and name in groups:
            images[name]["group"] = groups[name]
    document = json.dumps({"images": images}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return document.encode()


def _word_fields(word: Word) -> dict[str, Any]:
    points = [[int(v) if v.is_integer() else v for v in point] for point in word.polygon.tolist()]
    return {"transcription": word.text, "points": points, "illegibility": word.ignored}
