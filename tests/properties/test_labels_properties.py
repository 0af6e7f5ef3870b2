"""Labels and predictions round-trip through their files; no bytes end in an error of another kind."""

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.data.labels import read_labels, write_ufo
from optdet.data.names import nfc
from optdet.data.predictions import read_predictions, write_predictions
from optdet.errors import OptdetError
from optdet.structures import FloatArray, Word

SOME = settings(max_examples=40, deadline=None)

coordinates = st.one_of(
    st.integers(-1000, 100_000).map(float), st.floats(-1000, 100_000, allow_nan=False, width=64)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: text != "###")
row_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff"), max_size=20)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=12
).map(lambda name: nfc(f"{name}.jpg"))


@st.composite
def polygons(draw: st.DrawFn) -> FloatArray:
    """Star-shaped around a middle, so that there is always an area."""
    n_points = draw(st.integers(3, 9))
    x, y = draw(coordinates), draw(coordinates)
    radii = draw(st.lists(st.floats(0.5, 500), min_size=n_points, max_size=n_points))
    angles = [2 * math.pi * index / n_points for index in range(n_points)]
    return np.array([[x + r * math.cos(a), y + r * math.sin(a)] for r, a in zip(radii, angles, strict=True)])


# Gives an area to four points of which the last repeats the first.
SKEW = np.array([[0, 0], [0, 0], [0, 0], [3, 1]])
words = st.builds(Word, polygons(), st.none() | texts, st.booleans())


def same_words(one: tuple[Word, ...], other: tuple[Word, ...]) -> bool:
    return len(one) == len(other) and all(
        (a.text, a.ignored) == (b.text, b.ignored) and np.array_equal(a.polygon, b.polygon)
        for a, b in zip(one, other, strict=True)
    )


@SOME
@given(st.dictionaries(names, st.lists(words, max_size=4).map(tuple), max_size=4))
def test_ufo_round_trips(labels: dict[str, tuple[Word, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.json"
        write_ufo(path, labels)
        read = read_labels(path)
    assert read.problems == ()
    assert list(read.words) == list(labels)
    assert all(same_words(read.words[name], labels[name]) for name in labels)


@SOME
@given(st.lists(st.tuples(polygons(), row_texts), max_size=5))
def test_icdar_rows_keep_numbers_and_text(rows: list[tuple[FloatArray, str]]) -> None:
    quads = [(np.resize(polygon, (4, 2)) + SKEW, f"t{text}") for polygon, text in rows]
    with tempfile.TemporaryDirectory() as folder:
        lines = [",".join([*map(repr, quad.ravel().tolist()), text]) for quad, text in quads]
        (Path(folder) / "gt_a.txt").write_text("\r\n".join(lines), encoding="utf-8", newline="")
        read = read_labels(Path(folder))
    assert read.problems == ()
    assert same_words(read.words["a"], tuple(Word(quad, text) for quad, text in quads))


@SOME
@given(st.lists(words, max_size=5))
def test_paddle_lines_keep_numbers_and_text(found: list[Word]) -> None:
    found = [word for word in found if word.text != "*"]
    fields = [
        {"points": w.polygon.tolist(), "transcription": w.text, "illegibility": w.ignored} for w in found
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Label.txt"
        path.write_text(f"images/a.jpg\t{json.dumps(fields)}\n")
        read = read_labels(path)
    assert same_words(read.words["images/a.jpg"], tuple(found))


@SOME
@given(
    st.dictionaries(names, st.lists(polygons(), max_size=4), max_size=4),
    st.sampled_from(["out.csv", "out.json"]),
)
def test_predictions_round_trip_and_stay_unchanged(
    predictions: dict[str, list[FloatArray]], file: str
) -> None:
    before = {name: [polygon.copy() for polygon in found] for name, found in predictions.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_predictions(Path(folder) / file, predictions)
        read = read_predictions(Path(folder) / file)
    assert list(read) == list(predictions)
    for name, found in before.items():
        assert all(np.array_equal(a, b) for a, b in zip(found, predictions[name], strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(found, read[name], strict=True))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["images", "words", "points", "transcription", "img_w", "a\n"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def refusal(read: Callable[[Path], object], path: Path) -> str:
    try:
        read(path)
    except OptdetError as error:
        return str(error)
    return ""


@SOME
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"images": value}).encode()))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels"
        path.write_bytes(content)
        for read in (read_labels, read_predictions):
            assert "\n" not in refusal(read, path)
