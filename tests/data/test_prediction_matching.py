"""Which prediction belongs to which labelled image."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.data.prediction_matching import match_predictions
from optdet.errors import OptdetError

ONE, TWO = [np.eye(4, 2)], [np.ones((4, 2))]


def test_every_label_gets_its_prediction_and_the_rest_is_counted():
    predictions = {"z.jpg": ONE, "b.jpg": TWO}
    matched = match_predictions(["a.jpg", "b.jpg"], predictions)
    assert dict(matched.polygons) == {"b.jpg": TWO}
    assert (matched.missing, matched.extra) == (("a.jpg",), ("z.jpg",))
    assert list(predictions) == ["z.jpg", "b.jpg"], "inputs stay as they were"


def test_folders_and_stems_do_not_part_names():
    assert dict(match_predictions(["train/a.jpg"], {"a.jpg": ONE}).polygons) == {"train/a.jpg": ONE}
    assert dict(match_predictions(["a"], {"x/a.png": ONE}, by_stem=True).polygons) == {"a": ONE}


@pytest.mark.parametrize("order", [("a.jpg", "x/a.jpg"), ("x/a.jpg", "a.jpg")])
def test_the_exact_name_wins_in_any_order(order):
    matched = match_predictions(["a.jpg"], {name: ONE if name == "a.jpg" else TWO for name in order})
    assert dict(matched.polygons) == {"a.jpg": ONE}
    assert matched.extra == ("x/a.jpg",)


def test_two_that_could_both_be_meant_are_refused():
    with pytest.raises(OptdetError, match=r"found.csv: x/a.jpg and y/a.jpg could both be"):
        match_predictions(["a.jpg"], {"x/a.jpg": ONE, "y/a.jpg": TWO}, file="found.csv")


def test_another_data_sets_predictions_are_refused_but_none_at_all_are_empty():
    with pytest.raises(OptdetError, match=r"none of its 2 images is labelled: it has q.jpg"):
        match_predictions(["a.jpg"], {"q.jpg": ONE, "r.jpg": ONE})
    assert match_predictions(["a.jpg"], {}).missing == ("a.jpg",)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        (("a/1.jpg", "b/1.jpg"), ("1.jpg",), r"1.jpg could be the labelled image a/1.jpg or b/1.jpg; name"),
        (("a/1.jpg", "b/1.jpg", "2.jpg"), ("2.jpg", "1.jpg"), r"1.jpg could be .* a/1.jpg or b/1.jpg; name"),
        (("a/1.jpg", "b/1.jpg"), ("c/1.jpg",), r"c/1.jpg could be the labelled image a/1.jpg or b/1.jpg"),
        (("a/1.jpg", "1.jpg"), ("a/1.jpg", "b/1.jpg"), r"b/1.jpg could be the labelled image 1.jpg; name"),
    ],
)
def test_one_that_could_be_of_two_folders_is_refused(labels, predicted, message):
    for order in (predicted, predicted[::-1]):
        with pytest.raises(OptdetError, match=message):
            match_predictions(labels, dict.fromkeys(order, ONE))


def test_stems_of_two_folders_are_refused():
    with pytest.raises(OptdetError, match=r"1.jpg could be the labelled image a/1 or b/1"):
        match_predictions(["a/1", "b/1"], {"1.jpg": ONE}, by_stem=True)
    with pytest.raises(OptdetError, match=r"1.jpg and 1.png could both be the labelled image 1"):
        match_predictions(["1", "2"], {"1.jpg": ONE, "1.png": ONE}, by_stem=True)


def test_where_names_are_exact_no_image_of_another_folder_counts():
    predictions = {"a/1.jpg": ONE, "b/1.jpg": TWO, "b/2.jpg": TWO}
    matched = match_predictions(["a/1.jpg", "a/2.jpg"], predictions)
    assert dict(matched.polygons) == {"a/1.jpg": ONE}
    assert (matched.missing, matched.extra) == (("a/2.jpg",), ("b/1.jpg", "b/2.jpg"))
    nested = {"x/a/1.jpg": ONE, "x/b/1.jpg": TWO}
    assert dict(match_predictions(["a/1.jpg", "b/1.jpg"], nested).polygons) == {
        "a/1.jpg": ONE,
        "b/1.jpg": TWO,
    }
