"""PaddleOCR label lines: the image's path, a tab, then ``[{"transcription": ..., "points": [[x, y], ...]},
...]``.

``###`` and ``*`` are ignored, as PaddleOCR's own label encoder does. The path often begins with the images
folder's name; `optdet.data.names.NameIndex` finds the file either way. The place of a problem is its line,
counted from 1.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from optdet.data.files import split_lines
from optdet.data.label_file import IGNORED_TEXT, LabelCollector, LabelFile
from optdet.data.label_json import BadWord, decode_objects, word_from
from optdet.structures import Word

_WORD = partial(word_from, ignored_texts=(IGNORED_TEXT, "*"))


def is_line(line: str) -> bool:
    _, tab, rest = line.partition("\t")
    return bool(tab) and rest.lstrip().startswith("[")


def parse_paddle(path: Path, text: str) -> LabelFile:
    labels = LabelCollector(path)
    for number, line in enumerate(split_lines(text), start=1):
        if line.strip():
            _read_line(labels, str(number), line)
    return labels.finish("paddle")


def _read_line(labels: LabelCollector, where: str, line: str) -> None:
    name, tab, annotations = line.partition("\t")
    if not tab:
        labels.problem(where, "no tab between the image and its words")
        return
    try:
        words = decode_objects(annotations, _WORD)
    except (ValueError, RecursionError) as error:
        labels.problem(where, f"broken JSON: {error}")
        return
    if not isinstance(words, list):
        labels.problem(where, f"the words are {type(words).__name__}, expected a list")
        return
    image = labels.image(name, where)
    if image is None:
        return
    for index, word in enumerate(words, start=1):
        if isinstance(word, Word):
            labels.add_words(image, [word])
        else:
            reason = word.reason if isinstance(word, BadWord) else "no list of points"
            labels.bad_word(image, where, f"word {index}: {reason}")
