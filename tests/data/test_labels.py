import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from optdet.data import label_file
from optdet.data.labels import detect_format, read_labels, write_ufo
from optdet.errors import OptdetError
from optdet.structures import Word

SQUARE = [[1, 2], [30, 2], [30, 12.5], [1, 12]]


def ufo(path: Path, words: dict[str, object], name: str = "a.jpg") -> Path:
    path.write_text(json.dumps({"images": {name: {"words": words}}}), encoding="utf-8")
    return path


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.txt").write_text(text, encoding="utf-8")
    return path


def test_ufo_words_texts_and_ignored(tmp_path: Path) -> None:
    path = ufo(
        tmp_path / "labels.json",
        {
            "1": {"points": SQUARE, "transcription": "합계"},
            "2": {"points": SQUARE, "transcription": "###"},
            "3": {"points": SQUARE, "transcription": None, "illegibility": True},
            "4": {"points": SQUARE[:3], "illegibility": False},
        },
    )
    labels = read_labels(path)
    words = labels.words["a.jpg"]
    assert (labels.format, labels.problems, labels.names_are_stems) == ("ufo", (), False)
    assert [(word.text, word.ignored) for word in words] == [
        ("합계", False),
        ("###", True),
        (None, True),
        (None, False),
    ]
    assert words[0].polygon.dtype == np.float64
    np.testing.assert_array_equal(words[0].polygon, SQUARE)
    assert (labels.n_words, labels.n_ignored) == (4, 2)
    labels.require_usable()


def test_stated_sizes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"images": {"a.jpg": {"img_w": 40, "img_h": 30, "words": {}}, "b.jpg": {"img_w": "x"}}}')
    assert read_labels(path).sizes == {"a.jpg": (40, 30)}


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([[1, 2], [3, 4]], "2 points, expected 3 or more"),
        ([[1, 2], [3, float("nan")], [5, 9]], "point 1 holds nan, not a coordinate"),
        ([[1, 2], [3, float("inf")], [5, 9]], "point 1 holds inf, not a coordinate"),
        ([[1, 2], [3, 10**400], [5, 9]], "not a coordinate"),
        ([[1, 2], [3, 2e6], [5, 9]], "point 1 holds 2e\\+06, not a coordinate"),
        ([["1", 2], [3, 4], [5, 9]], "point 0 holds '1', not a number"),
        ([[True, 2], [3, 4], [5, 9]], "point 0 holds True, not a number"),
        ([[None, 2], [3, 4], [5, 9]], "point 0 holds None, not a number"),
        ([[1, 2, 3], [3, 4, 5], [5, 9, 1]], "point 0 is not \\[x, y\\]"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "point 0 is not \\[x, y\\]"),
        ([[1, 1], [2, 2], [3, 3], [9, 9]], "no area"),
        ([[4, 4]] * 4, "no area"),
        ("1 2 3", "no list of points"),
    ],
)
def test_a_bad_word_is_left_out_with_its_reason(tmp_path: Path, points: object, reason: str) -> None:
    path = ufo(tmp_path / "labels.json", {"bad": {"points": points}, "good": {"points": SQUARE}})
    labels = read_labels(path)
    (problem,) = labels.problems
    assert problem.file == str(path)
    assert problem.where == "images/a.jpg/words/bad"
    assert len(labels.words["a.jpg"]) == 1
    assert re.search(reason, problem.reason)


def test_words_that_start_on_a_line_but_have_area_are_kept(tmp_path: Path) -> None:
    path = ufo(tmp_path / "labels.json", {"1": {"points": [[0, 0], [5, 0], [10, 0], [10, 6], [0, 6]]}})
    assert read_labels(path).n_words == 1


def test_an_image_listed_twice_keeps_the_first(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    first, second = json.dumps({"1": {"points": SQUARE}}), "{}"
    path.write_text(f'{{"images": {{"a.jpg": {{"words": {first}}}, "a.jpg": {{"words": {second}}}}}}}')
    labels = read_labels(path)
    assert len(labels.words["a.jpg"]) == 1
    assert [str(problem) for problem in labels.problems] == [
        f"{path}:images/a.jpg: the image 'a.jpg' is listed twice (the first is kept)"
    ]


def test_nfd_and_nfc_spellings_are_one_image(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "영수증.jpg")
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": {nfd: {"words": {}}, "영수증.jpg": {"words": {}}}}))
    labels = read_labels(path)
    assert list(labels.words) == ["영수증.jpg"]
    assert "twice" in labels.problems[0].reason


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "..\\a.jpg", "C:\\a.jpg", "C:a.jpg", "\\a.jpg"]
)
def test_a_name_that_leaves_the_folder_stops_training(tmp_path: Path, name: str) -> None:
    path = tmp_path / "labels.json"
    entry = {"words": {"1": {"points": SQUARE}}}
    path.write_text(json.dumps({"images": {"good.jpg": entry, name: entry}}))
    labels = read_labels(path)
    assert list(labels.words) == ["good.jpg"]
    assert labels.unsafe_names == labels.problems
    with pytest.raises(OptdetError, match="leaves its folder"):
        labels.require_usable()


@pytest.mark.parametrize("name", ["..a.jpg", "a..jpg", "b/c..d/a.jpg"])
def test_dots_in_a_name_are_harmless(tmp_path: Path, name: str) -> None:
    assert list(read_labels(ufo(tmp_path / "labels.json", {}, name)).words) == [name]


@pytest.mark.parametrize("name", ["", " ", "a\nb.jpg", "a\x00.jpg", "\ud800.jpg"])
def test_a_name_that_is_no_name_is_a_problem(tmp_path: Path, name: str) -> None:
    labels = read_labels(ufo(tmp_path / "labels.json", {}, name))
    (problem,) = labels.problems
    assert str(problem).isprintable()
    assert not labels.words


def test_a_test_file_has_no_labels(tmp_path: Path) -> None:
    labels = read_labels(ufo(tmp_path / "test.json", {}))
    assert not labels.has_words
    with pytest.raises(OptdetError, match=r"no readable words in 1 images .*as in a test file"):
        labels.require_usable()


def test_only_ignored_words_are_not_usable(tmp_path: Path) -> None:
    labels = read_labels(ufo(tmp_path / "a.json", {"1": {"points": SQUARE, "transcription": "###"}}))
    assert labels.has_words
    with pytest.raises(OptdetError, match="all are ignored"):
        labels.require_usable()


def test_only_bad_words_say_the_first(tmp_path: Path) -> None:
    labels = read_labels(ufo(tmp_path / "a.json", {"1": {"points": [[0, 0], [1, 1]]}}))
    with pytest.raises(OptdetError, match=r"1 bad rows, the first at images/a\.jpg/words/1: 2 points"):
        labels.require_usable()


@pytest.mark.parametrize("entry", [None, [], {"words": []}, {"words": "x"}])
def test_an_entry_of_another_shape_is_a_problem(tmp_path: Path, entry: object) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": {"a.jpg": entry}}))
    assert [problem.reason for problem in read_labels(path).problems] == ['"words" is not an object']


def test_images_and_words_named_like_keys(tmp_path: Path) -> None:
    path = ufo(tmp_path / "labels.json", {"points": {"points": SQUARE}}, "points")
    assert read_labels(path).n_words == 1


def test_a_lone_surrogate_becomes_a_question_mark(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    words = json.dumps({"1": {"points": SQUARE, "transcription": "a\ud800b"}})
    path.write_text(f'{{"images": {{"a.jpg": {{"words": {words}}}}}}}')
    assert read_labels(path).words["a.jpg"][0].text == "a?b"


def test_broken_json_says_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"images": {\n  "a.jpg": {"words": }}}')
    with pytest.raises(OptdetError, match=r"labels\.json:2:22: broken JSON"):
        read_labels(path)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"images": ' + "9" * 5000 + "}"])
def test_json_that_would_break_the_parser_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(OptdetError, match="JSON that cannot be read"):
        read_labels(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [('{"images": [], "annotations": []}', "as in COCO"), ("{}", 'without "images"'), ("[1]", "without")],
)
def test_other_json_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(OptdetError, match=what):
        read_labels(path)


def test_icdar_folder(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "gt",
        gt_img_1="1,2,30,2,30,12.5,1,12,TOTAL, 1,200\r\n\r\n1,2,30,2,30,12,1,12,###\r\n1,2,30,2,30,12,1,12\n",
        gt_img_2="",
        gt_img_3="\ufeff1,2,30,2,30,12,1,12,1,234",
    )
    labels = read_labels(path)
    assert (labels.format, labels.names_are_stems, labels.problems) == ("icdar", True, ())
    assert list(labels.words) == ["img_1", "img_2", "img_3"]
    assert [(w.text, w.ignored) for w in labels.words["img_1"]] == [
        ("TOTAL, 1,200", False),
        ("###", True),
        (None, False),
    ]
    np.testing.assert_array_equal(labels.words["img_1"][0].polygon, SQUARE)
    # eight numbers then text is the rule, though the text looks like two more numbers
    assert (labels.words["img_3"][0].text, len(labels.words["img_3"][0].polygon)) == ("1,234", 4)


def test_an_icdar_row_of_sixteen_numbers_is_a_polygon(tmp_path: Path) -> None:
    row = "0,0,10,0,20,0,30,0,30,9,20,9,10,9,0,9"
    labels = read_labels(folder(tmp_path / "gt", a=f"{row},curved\n{row}\n{row},7"))
    assert [(len(w.polygon), w.text) for w in labels.words["a"]] == [(8, "curved"), (8, None), (8, "7")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,3,4,word", "4 numbers, then field 5 is 'word'; expected eight"),
        ("1,2,3,4", "4 numbers, then the row ends"),
        ("1,2,3,nan,5,6,7,8,x", "3 numbers, then field 4 is 'nan'"),
        ("1,2,3,1_0,5,6,7,8,x", "field 4 is '1_0'"),
        ("1,2,3,1e9,5,6,7,8,x", "1e\\+09, not a coordinate"),
        ("1,1,2,2,3,3,4,4,x", "no area"),
    ],
)
def test_a_bad_icdar_row_has_its_file_and_line(tmp_path: Path, row: str, reason: str) -> None:
    path = folder(tmp_path / "gt", a=f"1,2,30,2,30,12,1,12,x\n{row}\n")
    labels = read_labels(path)
    (problem,) = labels.problems
    assert (problem.file, problem.where) == (str(path / "a.txt"), "2")
    assert labels.n_words == 1
    assert re.search(reason, problem.reason)


@pytest.mark.parametrize(
    ("text", "read", "ignored"),
    [
        ('"TOTAL"', "TOTAL", False),
        (' "1,200 ""each""" ', '1,200 "each"', False),
        ('"###"', "###", True),
        ('""', "", False),
        ("", "", False),
        ('27" x 4"', '27" x 4"', False),
        ('"a" or "b"', '"a" or "b"', False),
        ('"', '"', False),
    ],
)
def test_a_wholly_quoted_icdar_text_loses_its_quotes(
    tmp_path: Path, text: str, read: str, ignored: bool
) -> None:
    labels = read_labels(folder(tmp_path / "gt", a=f"1,2,30,2,30,12,1,12,{text}\n"))
    assert [(word.text, word.ignored) for word in labels.words["a"]] == [(read, ignored)]


def test_an_image_may_be_named_with_the_prefix(tmp_path: Path) -> None:
    row = "1,2,30,2,30,12,1,12,x"
    assert list(read_labels(folder(tmp_path / "gt", gt_1=row, other=row)).words) == ["gt_1", "other"]


def test_one_icdar_file_is_one_image(tmp_path: Path) -> None:
    path = tmp_path / "gt_a.txt"
    path.write_text("1,2,30,2,30,12,1,12,x")
    labels = read_labels(path)
    assert (list(labels.words), labels.names_are_stems) == (["a"], True)


@pytest.mark.parametrize("header", ["", "filename,x1,y1,x2,y2,x3,y3,x4,y4,text\n"])
def test_icdar_table(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.csv"
    row = "1,2,30,2,30,12.5,1,12"
    path.write_text(
        f'{header}b.jpg,{row},"x, y"\na.jpg,{row},1,5\nb.jpg,{row},###\nb.jpg,1,2,z\n../c.jpg,{row},z\n'
    )
    labels = read_labels(path)
    assert (labels.format, labels.names_are_stems) == ("icdar", False)
    assert {name: [w.text for w in words] for name, words in labels.words.items()} == {
        "b.jpg": ["x, y", "###"],
        "a.jpg": ["1,5"],
    }
    first = 5 if header else 4
    assert [problem.where for problem in labels.problems] == [str(first), str(first + 1)]
    assert len(labels.unsafe_names) == 1


def test_paddle_lines(tmp_path: Path) -> None:
    path = tmp_path / "Label.txt"
    words = [
        {"transcription": "a\tb", "points": SQUARE},
        {"transcription": "*", "points": SQUARE},
        {"transcription": "###", "points": SQUARE},
        {"points": [[1, 2], [3, 4]]},
        {"transcription": "x"},
    ]
    path.write_text(
        f"images/1.jpg\t{json.dumps(words)}\r\nimages/2.jpg\t[]\nimages/3.jpg\t[{{\nimages/1.jpg\t[]\nx\n"
        "images/4.jpg\t{}\n"
    )
    labels = read_labels(path)
    assert labels.format == "paddle"
    assert list(labels.words) == ["images/1.jpg", "images/2.jpg"]
    assert [(w.text, w.ignored) for w in labels.words["images/1.jpg"]] == [
        ("a\tb", False),
        ("*", True),
        ("###", True),
    ]
    assert [(problem.where, problem.reason.split(":")[0]) for problem in labels.problems] == [
        ("1", "word 4"),
        ("1", "word 5"),
        ("3", "broken JSON"),
        ("4", "the image 'images/1.jpg' is listed twice (the first is kept)"),
        ("5", "no tab between the image and its words"),
        ("6", "the words are dict, expected a list"),
    ]


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    labels = read_labels(folder(tmp_path / "gt", a="1,2,30,2,30,12,1,12,x\u2028y\x0cz\u0085"))
    assert labels.words["a"][0].text == "x\u2028y\x0cz\u0085"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('  {"images": {}}', "ufo"),
        ("a.jpg\t[]", "paddle"),
        ("1,2,3,4,5,6,7,8,x", "icdar"),
        ("broken\n1,2,3,4,5,6,7,8", "icdar"),
        ("a.jpg,1,2,3,4,5,6,7,8,x", "icdar"),
        ("0 0.5 0.5 0.1 0.1", None),
        ("filename,polygons\na.jpg,1 2 3 4", None),
        ("", None),
    ],
)
def test_formats_are_told_by_content(text: str, expected: str | None) -> None:
    assert detect_format(text) == expected


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_another_encoding_says_byte_and_line(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "gt_a.txt"
    good = b"1,2,30,2,30,12,1,12,x\n"
    path.write_bytes(mark + good + "1,2,30,2,30,12,1,12,합계".encode("cp949"))
    byte = "합".encode("cp949")[0]
    offset = len(mark) + len(good) + len(b"1,2,30,2,30,12,1,12,")
    with pytest.raises(OptdetError, match=rf"gt_a\.txt:2: not UTF-8: byte 0x{byte:02X} at offset {offset}"):
        read_labels(path)


def test_utf16_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"images": {}}', encoding="utf-16")
    with pytest.raises(OptdetError, match="begins like UTF-16"):
        read_labels(path)


def test_utf8_with_a_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(b'\xef\xbb\xbf{"images":\r\n{"a.jpg": {"words": null}}}')
    assert list(read_labels(path).words) == ["a.jpg"]


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = ufo(tmp_path / "labels.json", {})
    with pytest.raises(OptdetError, match="over the limit"):
        read_labels(path, max_bytes=10)
    gt = folder(tmp_path / "gt", a="1,2,30,2,30,12,1,12,x", b="1,2,30,2,30,12,1,12,x")
    assert read_labels(gt, max_bytes=42).n_words == 2
    with pytest.raises(OptdetError, match="over the limit"):
        read_labels(gt, max_bytes=41)


def test_a_file_of_bad_rows_only_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_file, "MAX_PROBLEMS", 3)
    path = folder(tmp_path / "gt", a="x\n" * 4)
    with pytest.raises(OptdetError, match="more than 3 bad rows, the first at 1: 0 numbers"):
        read_labels(path)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    ufo(tmp_path / "train.json", {})
    with pytest.raises(OptdetError, match=r"does not exist; did you mean .*train\.json"):
        read_labels(tmp_path / "trian.json")


def test_wrong_uses_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "void.txt").write_text("\n")
    paddle = tmp_path / "paddle"
    paddle.mkdir()
    (paddle / "Label.txt").write_text("a.jpg\t[]\n")
    with pytest.raises(OptdetError, match="did you mean icdar"):
        read_labels(tmp_path, format="icdr")
    with pytest.raises(OptdetError, match=r"no \.txt or \.csv"):
        read_labels(tmp_path / "empty")
    with pytest.raises(OptdetError, match="it is empty"):
        read_labels(tmp_path / "void.txt")
    with pytest.raises(OptdetError, match=r"name .*Label\.txt"):
        read_labels(paddle)
    with pytest.raises(OptdetError, match="ufo labels are one file"):
        read_labels(paddle, format="ufo")


def test_write_ufo_is_read_back_and_leaves_its_input(tmp_path: Path) -> None:
    polygon = np.array([[0.1, 2], [30, 1 / 3], [30, 12]])
    words = {"가.jpg": (Word(polygon, 'x "1"', True), Word(polygon * 2)), "b.jpg": ()}
    before = polygon.copy()
    write_ufo(tmp_path / "out.json", words, sizes={"b.jpg": (3, 4)})
    labels = read_labels(tmp_path / "out.json")
    assert [(w.text, w.ignored) for w in labels.words["가.jpg"]] == [('x "1"', True), (None, False)]
    np.testing.assert_array_equal(labels.words["가.jpg"][0].polygon, before)
    np.testing.assert_array_equal(polygon, before)
    assert (labels.words["b.jpg"], labels.sizes) == ((), {"b.jpg": (3, 4)})


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.json"
    write_ufo(path, {"a.jpg": ()})
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OptdetError, match="No space left on device"):
        write_ufo(path, {"b.jpg": ()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_row_that_is_no_csv_is_a_problem_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"a.jpg,1,2,30,2,30,12,1,12,To\rtal\nb.jpg,1,2,30,2,30,12,1,12,Total\n")
    labels = read_labels(path)
    assert list(labels.words) == ["b.jpg"]
    assert [problem.where for problem in labels.problems] == ["1"]


@pytest.mark.parametrize("kind", ["ufo", "icdar", "table", "paddle"])
def test_an_image_of_whose_words_none_can_be_read_is_no_image_without_words(tmp_path, kind):
    """It would be learnt as background."""
    good, bad = "5,5,60,5,60,25,5,25,total", "10,10,50,30,foo"
    points, broken = [[5, 5], [60, 5], [60, 25], [5, 25]], [[5, 5], [60, 5]]
    path = tmp_path / "labels"
    if kind == "icdar":
        path.mkdir()
        for name, rows in (("a", f"{good}\n{bad}"), ("b", bad), ("c", "")):
            (path / f"{name}.txt").write_text(rows)
    elif kind == "table":
        path = tmp_path / "labels.csv"
        path.write_text(f"a.jpg,{good}\na.jpg,{bad}\nb.jpg,{bad}\n")
    elif kind == "ufo":
        path = tmp_path / "labels.json"
        words = {"a.jpg": [points, broken], "b.jpg": [broken], "c.jpg": []}
        images = {
            name: {"words": {str(n): {"points": each} for n, each in enumerate(of)}}
            for name, of in words.items()
        }
        path.write_text(json.dumps({"images": images}))
    else:
        path = tmp_path / "labels.txt"
        rows = (("a.jpg", [points, broken]), ("b.jpg", [broken]), ("c.jpg", []))
        path.write_text(
            "".join(
                f"{n}\t{json.dumps([{'points': p, 'transcription': 't'} for p in of])}\n" for n, of in rows
            )
        )
    labels = read_labels(path)
    counts = {name.partition(".")[0]: len(words) for name, words in labels.words.items()}
    assert counts == ({"a": 1} if kind == "table" else {"a": 1, "c": 0})
    assert len(labels.problems) == 2
