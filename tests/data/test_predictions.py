from pathlib import Path

import numpy as np
import pytest

from optdet.data.prediction_check import check_predictions, summarize_predictions
from optdet.data.predictions import read_predictions, write_predictions
from optdet.errors import OptdetError

QUAD = np.array([[1, 2], [30, 2], [30, 12], [1, 12]], np.int32)


def test_csv_is_the_competitions(tmp_path: Path) -> None:
    write_predictions(tmp_path / "out.csv", {"a.jpg": [QUAD, QUAD + 0.5], "b.jpg": []})
    assert (tmp_path / "out.csv").read_text() == (
        "filename,polygons\na.jpg,1 2 30 2 30 12 1 12|1.5 2.5 30.5 2.5 30.5 12.5 1.5 12.5\nb.jpg,\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "json", "JSON"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    predictions = {
        'a "x", b.jpg': [QUAD, np.array([[0.1, 1 / 3], [1e-7, 2e5], [3, 4]])],
        "영수증.jpg": [np.tile(QUAD, (9_000, 1))],
        "empty.jpg": [],
        "flat.jpg": [np.zeros((4, 2))],
    }
    path = tmp_path / f"out.{suffix}"
    write_predictions(path, predictions)
    read = read_predictions(path)
    assert list(read) == list(predictions)
    for name, polygons in predictions.items():
        assert len(read[name]) == len(polygons)
        for polygon, expected in zip(read[name], polygons, strict=True):
            assert polygon.dtype == np.float64
            np.testing.assert_array_equal(polygon, expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.jpg,1 2 3", r"out\.csv:2, a.jpg: polygon 1: 3 numbers, expected pairs"),
        ("a.jpg,1 2 3 4||1 2", "polygon 2: 0 numbers"),
        ("a.jpg,1 2 x 4", "polygon 1: could not convert"),
        ("a.jpg,1 2 nan 4", "polygon 1: point 1 holds nan, not a coordinate"),
        ("a.jpg,1 2\na.jpg,3 4", r"out\.csv:3: the image 'a.jpg' is listed twice"),
        ("../a.jpg,1 2", r"out\.csv:2: the file name '../a.jpg' leaves its folder"),
        ("a.jpg", r"out\.csv:2: no comma"),
        (",1 2\nb.jpg", r"out\.csv:2: an empty file name \(and 1 more bad rows\)"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text(f"filename,polygons\n{rows}\n")
    with pytest.raises(OptdetError, match=message):
        read_predictions(path)


def test_quoted_cells_crlf_and_a_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b'\xef\xbb\xbf"filename","polygons"\r\n"a.jpg","1 2 30 2 30 12 1 12"\r\n')
    np.testing.assert_array_equal(read_predictions(path)["a.jpg"], [QUAD])


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("name;boxes\n")
    with pytest.raises(OptdetError, match="not a prediction file: it begins 'name;boxes'"):
        read_predictions(path)
    path.write_text('{"images": {"a.jpg": {"words": {"1": {"points": [[1, NaN]]}}}}}')
    with pytest.raises(OptdetError, match=r"images/a\.jpg/words/1: point 0 holds nan"):
        read_predictions(path)
    with pytest.raises(OptdetError, match="a folder, not a prediction file"):
        read_predictions(tmp_path)
    with pytest.raises(OptdetError, match="does not exist"):
        read_predictions(tmp_path / "none.csv")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match=r"\.csv or \.json, not '\.txt'"):
        write_predictions(tmp_path / "out.txt", {})
    with pytest.raises(OptdetError, match=r"a polygon of a\.jpg is not"):
        write_predictions(tmp_path / "out.csv", {"a.jpg": [np.array([[1, np.nan]])]})
    with pytest.raises(OptdetError, match="control characters"):
        write_predictions(tmp_path / "out.csv", {"a\n.jpg": []})
    with pytest.raises(OptdetError, match="cannot be written"):
        write_predictions(tmp_path / "none" / "out.csv", {})
    assert not list(tmp_path.iterdir())


def test_a_sound_submission_has_no_problems() -> None:
    edge = np.array([[0, 0], [40, 0], [40, 30], [0, 30]])
    assert check_predictions({"a.jpg": [QUAD, edge], "b.jpg": []}, {"a.jpg": (40, 30), "b.jpg": (1, 1)}) == []


def test_every_rule_of_a_submission() -> None:
    nan = np.array([[1, 2], [3, np.nan], [5, 6], [7, 8]])
    predictions = {
        "a.jpg": [QUAD[:3], nan, QUAD + np.array([20, 0]), QUAD - np.array([2, 0]), np.arange(8)],
        "many.jpg": [QUAD] * 501,
        "x.jpg": [],
        "../y.jpg": [],
        "e\u0301.jpg": [],
        "é.jpg": [],
    }
    sizes = dict.fromkeys(["a.jpg", "many.jpg", "gone.jpg", "é.jpg"], (40, 30))
    problems = check_predictions(predictions, sizes, file="out.csv")
    assert {problem.file for problem in problems} == {"out.csv"}
    assert [(problem.where, problem.reason) for problem in problems] == [
        ("x.jpg", "no such image is expected"),
        ("../y.jpg", "the file name leaves its folder"),
        ("é.jpg", "the image is there twice"),
        ("a.jpg, polygon 1", "3 points, at least 4 are needed"),
        ("a.jpg, polygon 2", "a coordinate is not a finite number"),
        ("a.jpg, polygon 3", "(50, 2) lies outside the image of 40x30"),
        ("a.jpg, polygon 4", "(-1, 2) lies outside the image of 40x30"),
        ("a.jpg, polygon 5", "an array of shape (8,), expected (N, 2)"),
        ("many.jpg", "501 polygons, at most 500 are allowed"),
        ("gone.jpg", "the image is missing"),
    ]


def test_summary() -> None:
    summary = summarize_predictions({"a": [QUAD] * 3, "b": [], "c": [np.zeros((6, 2))]}, n_bytes=2_500_000)
    assert (summary.n_images, summary.n_empty, summary.n_polygons) == (3, 1, 4)
    assert (summary.median_polygons, summary.max_polygons) == (1.0, 3)
    assert (summary.median_points, summary.max_points) == (4.0, 6)
    assert "2.50 MB" in "\n".join(summary.lines())
    assert summarize_predictions({}, n_bytes=0).median_polygons == 0.0
