"""Which metric knows what of a word, and how detections count in each."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.evaluation.truth import ImageTruth
from optdet.metrics.cleval import cleval
from optdet.metrics.iou import match_iou
from optdet.structures import METRICS, Word


def rectangle(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


WORDS = [
    Word(rectangle(10.0, 10, 80, 20), "total"),
    Word(rectangle(100.0, 10, 60, 20), ""),
    Word(rectangle(10.0, 50, 60, 20), "smudge", ignored=True),
    Word(rectangle(100.0, 50, 60, 20), "###"),
]


def some_detections(rng, n):
    corners = rng.integers(0, 120, (n, 2))
    return [rectangle(x, y, *rng.integers(5, 80, 2)).astype(np.int32) for x, y in corners]


def test_each_metric_knows_its_own_part_of_a_word():
    detections = some_detections(np.random.default_rng(9), 6)
    counts = ImageTruth(WORDS).counts(detections)
    polygons = [word.polygon for word in WORDS]
    ignored = [False, False, True, False]
    texts = ["total", None, "smudge", "###"]
    assert counts.competition == cleval(polygons, detections)
    assert counts.official == cleval(polygons, detections, texts=texts, ignored=ignored, profile="official")
    assert counts.iou == match_iou(polygons, detections, ignored=ignored)


def test_more_detections_than_the_competition_reads():
    far = [rectangle(500 + 3 * index, 500, 2, 2).astype(np.int32) for index in range(500)]
    late = [*far, rectangle(10, 10, 80, 20).astype(np.int32)]
    polygons = [word.polygon for word in WORDS]
    counts = ImageTruth(WORDS).counts(late)
    assert counts.competition == cleval(polygons, late)
    assert counts.competition.num_char_tp == 0
    assert counts.official.num_char_tp > 0


def test_nothing_detected_and_nothing_to_detect():
    assert ImageTruth(WORDS).counts([]).competition.hmean == 0
    empty = ImageTruth([])
    assert empty.counts([]).competition.hmean == 0
    assert empty.counts(some_detections(np.random.default_rng(0), 2)).official.num_char_fp > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_characters_of_words_add_up_to_the_competitions_counts(seed):
    random = np.random.default_rng(seed)
    truth = ImageTruth(WORDS)
    found = some_detections(random, 30)
    [(counts, characters)] = truth.counts_and_characters([found])
    assert counts == truth.counts(found)
    assert characters.n_characters.sum() == counts.competition.num_char_gt
    assert characters.n_found.sum() == counts.competition.num_char_tp > 0
    assert (characters.n_found <= characters.n_characters).all()


def test_the_characters_of_each_word_are_its_own():
    truth = ImageTruth([*WORDS, Word(rectangle(0.0, 0, 9, 9)[:3])])
    [(_, characters)] = truth.counts_and_characters([[WORDS[1].polygon, rectangle(10, 10, 40, 20)]])
    assert characters.n_characters.tolist() == [4, 3, 3, 3, 0]  # a triangle is dropped
    assert characters.n_found.tolist() == [2, 3, 0, 0, 0]
    [(_, characters)] = truth.counts_and_characters([[]])
    assert characters.n_found.tolist() == [0] * 5


def test_sets_that_share_polygons_count_as_each_alone():
    truth = ImageTruth(WORDS)
    first = some_detections(np.random.default_rng(0), 600)  # more than the competition reads
    second = [*first[598:], first[0], first[0], rectangle(100, 10, 30, 20)]
    sets = (first, second, [], [polygon.astype(np.float64) for polygon in second])
    found = truth.counts_and_characters(sets)
    assert [counts for counts, _ in found] == [truth.counts(each) for each in sets]
    alone = [truth.counts_and_characters([each])[0][1].n_found.tolist() for each in sets]
    assert [characters.n_found.tolist() for _, characters in found] == alone
    assert alone[0] != alone[1] == alone[3] != alone[2]


@pytest.mark.parametrize("metric", METRICS)
def test_one_metric_can_be_asked_for_alone(metric):
    detections = some_detections(np.random.default_rng(4), 25)
    truth = ImageTruth(WORDS)
    assert truth.counts_of(metric, detections) == truth.counts(detections).of(metric)


@pytest.mark.parametrize("metric", METRICS)
def test_polygons_are_related_once_and_counted_in_any_choice(metric):
    truth, rng = ImageTruth(WORDS), np.random.default_rng(3)
    detections = some_detections(rng, 30)
    count = truth.relate(metric, detections)
    for n in (0, 1, 7, 30):
        chosen = rng.choice(30, n, replace=False)
        assert count(chosen) == truth.counts_of(metric, [detections[index] for index in chosen])


def test_the_competition_counts_the_first_500_of_a_choice():
    truth, far = ImageTruth(WORDS), rectangle(500, 500, 10, 10)
    detections = [*[far] * 500, WORDS[0].polygon]
    count = truth.relate("competition", detections)
    assert count(np.arange(501)) == truth.cleval(detections, "competition")
    assert count(np.arange(501)) != count(np.arange(500, 501))
