"""CLEval against the reference implementations' counts, and case by case where they decide something."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from optdet.metrics.cleval import (
    CLEvalCounts,
    cleval,
    count,
    count_rows,
    match,
    prepare_truth,
    scores_of_sums,
)
from optdet.structures import PROFILES

GOLDEN = Path(__file__).parents[1] / "golden" / "cleval_cases.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
COUNTS = ("num_char_gt", "num_char_det", "num_char_tp", "gran_recall", "gran_precision", "num_char_fp")


def rectangle(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


WORD = rectangle(10, 10, 100, 20)  # five pseudo characters, centres at x = 20, 40, ... 100


EXPECTATIONS = [
    pytest.param(case, profile, id=f"{index}-{case['tag'].replace(' ', '_')}-{profile}")
    for index, case in enumerate(CASES)
    for profile in case["expected"]
]


def test_the_golden_file_has_all_cases():
    assert len(CASES) == 49
    assert sum("official" in case["expected"] for case in CASES) == 33
    assert sum("competition" in case["expected"] for case in CASES) == 44


@pytest.mark.parametrize(("case", "profile"), EXPECTATIONS)
def test_golden(case, profile):
    result = cleval(case["gt"], case["det"], texts=case["texts"], ignored=case["ignored"], profile=profile)
    expected = case["expected"][profile]
    assert {name: getattr(result, name) for name in COUNTS} == {name: expected[name] for name in COUNTS}
    for name in ("precision", "recall", "hmean"):
        assert getattr(result, name) == pytest.approx(expected[name], abs=1e-12)


@pytest.mark.parametrize(("case", "profile"), EXPECTATIONS)
def test_relations_do_not_depend_on_their_batch(case, profile):
    truth = prepare_truth(case["gt"], case["texts"], case["ignored"], profile)
    together = truth.relate(case["det"])
    for index, polygon in enumerate(case["det"][:5]):
        alone = truth.relate([polygon])
        pairs = slice(together.pair_starts[index], together.pair_starts[index + 1])
        centres = slice(together.centre_starts[pairs.start], together.centre_starts[pairs.stop])
        assert (together.words[pairs] == alone.words).all()
        assert (together.centres[centres] == alone.centres).all()
        assert (together.near[pairs] == alone.near).all()
        for name in ("ignored", "merges", "costs", "n_near"):
            assert getattr(together, name)[index] == getattr(alone, name)[0]
    backwards = np.arange(len(together))[::-1]
    assert count(truth, together) == count(truth, together, backwards)


class TestMatching:
    """Each test is one rule; the word has five centres, 20 pixels apart."""

    def test_split_word_pays_in_recall(self):
        halves = [rectangle(10, 10, 40, 20), rectangle(50, 10, 60, 20)]
        assert cleval([WORD], halves) == CLEvalCounts(5, 5, 5, gran_recall=1, gran_precision=0, num_char_fp=0)

    def test_merged_words_pay_in_precision(self):
        other = rectangle(120, 10, 100, 20)
        merged = cleval([WORD, other], [rectangle(10, 10, 210, 20)])
        assert merged == CLEvalCounts(10, 10, 10, gran_recall=0, gran_precision=1, num_char_fp=0)

    def test_detection_too_large_for_its_word_matches_nothing(self):
        # Height 66 for 20 leaves an area precision of 0.303, 68 one of 0.294.
        assert cleval([WORD], [rectangle(10, 0, 100, 66)]).num_char_tp == 5
        assert cleval([WORD], [rectangle(10, 0, 100, 68)]).num_char_tp == 0

    def test_area_precision_of_exactly_the_threshold_suffices(self):
        word = rectangle(0, 0, 100, 30)
        assert cleval([word], [rectangle(0, 0, 100, 100)]).num_char_tp == 4

    def test_centre_on_the_right_edge_is_outside_and_on_the_left_inside(self):
        assert cleval([WORD], [rectangle(10, 10, 30, 20)]).num_char_tp == 1  # ends at x = 40
        assert cleval([WORD], [rectangle(40, 10, 70, 20)]).num_char_tp == 4  # begins there

    def test_detection_near_no_centre_is_a_false_positive(self):
        result = cleval([WORD], [WORD, rectangle(300, 300, 100, 20)])
        assert (result.num_char_fp, result.num_char_det) == (5, 10)

    def test_overlapping_detections_count_twice_in_det_and_once_in_tp(self):
        result = cleval([WORD], [WORD, WORD])
        assert (result.num_char_det, result.num_char_tp, result.gran_recall) == (10, 5, 1)


class TestIgnored:
    OTHER = rectangle(200, 10, 100, 20)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_ignored_word_and_its_detection_count_nowhere(self, profile):
        result = cleval([WORD, self.OTHER], [WORD, self.OTHER], ignored=[False, True], profile=profile)
        assert result == cleval([WORD], [WORD], profile=profile)

    def test_the_text_marks_ignored_words_in_the_official_profile_alone(self):
        texts = ["hello", "###"]
        assert cleval([WORD, self.OTHER], [], texts=texts, profile="official").num_char_gt == 5
        assert cleval([WORD, self.OTHER], [], texts=texts, profile="competition").num_char_gt == 10

    def test_ignored_region_gives_way_to_a_valid_word(self):
        # The detection lies on both; without the subtraction it would be ignored.
        around = rectangle(0, 0, 200, 40)
        assert cleval([WORD, around], [WORD], ignored=[False, True]).num_char_tp == 5

    def test_several_ignored_words_together_ignore_a_detection(self):
        detection = rectangle(0, 0, 100, 100)
        strips = [rectangle(0, 0, 100, 20), rectangle(0, 60, 100, 20)]
        assert cleval(strips, [detection], ignored=[True, True]).num_char_fp == 0
        assert cleval(strips[:1], [detection], ignored=[True]).num_char_fp == 1

    def test_an_ignored_detection_disturbs_a_one_to_one_match(self):
        # A detection on the word and, by 0.33, on an ignored one: ignored, yet the word's second detection.
        beside = rectangle(110, 10, 100, 20)
        astride = rectangle(50, 10, 90, 20)
        alone = cleval([WORD, beside], [WORD], ignored=[False, True])
        disturbed = cleval([WORD, beside], [WORD, astride], ignored=[False, True])
        assert (alone.num_char_tp, disturbed.num_char_tp) == (5, 0)
        assert disturbed.num_char_fp == 5


class TestOfficial:
    def test_text_length_counts_spaces(self):
        assert cleval([WORD], [], texts=["a b c"], profile="official").num_char_gt == 5

    def test_word_without_text_gets_a_pseudo_length(self):
        assert cleval([WORD], [], texts=[None], profile="official").num_char_gt == 5
        assert cleval([WORD], [], profile="official").num_char_gt == 5

    def test_word_with_empty_text_has_no_characters(self):
        result = cleval([WORD], [WORD], texts=[""], profile="official")
        assert (result.num_char_gt, result.num_char_tp) == (0, 0)

    def test_vertical_word_is_read_from_top_to_bottom(self):
        word, upper_half = rectangle(10, 10, 20, 100), rectangle(10, 10, 20, 50)
        assert cleval([word], [upper_half], texts=["abcd"], profile="official").num_char_tp == 2

    def test_polygon_is_stood_for_by_its_enclosing_rectangle(self):
        hexagon = [10, 10, 60, 10, 110, 10, 110, 30, 60, 30, 10, 30]
        assert cleval([hexagon], [hexagon], profile="official") == cleval([WORD], [WORD], profile="official")

    def test_flat_polygon_has_an_enclosing_line(self):
        flat = [10, 10, 60, 10, 110, 10, 60, 10, 30, 10]
        assert cleval([WORD], [flat], profile="official").num_char_fp == 1


class TestInputs:
    def test_polygons_of_fewer_than_four_points_are_dropped_in_the_competition(self):
        triangle = [10, 10, 110, 10, 60, 30]
        assert cleval([WORD, triangle, []], [WORD, triangle, [1, 2, 3, 4]]) == cleval([WORD], [WORD])

    def test_dropped_polygons_keep_the_indices_of_the_others(self):
        truth = prepare_truth([[1, 2, 3, 4], WORD])
        relations = truth.relate([[5, 6], WORD])
        assert relations.pair_starts.tolist() == [0, 0, 1]
        assert relations.words.tolist() == [1]

    def test_two_points_are_an_error_in_the_official_profile(self):
        with pytest.raises(ValueError, match=r"word 1: a polygon needs at least 3 points, got 2"):
            cleval([WORD, [1, 2, 3, 4]], [], profile="official")
        with pytest.raises(ValueError, match=r"detection 0: a polygon needs at least 3 points"):
            cleval([WORD], [[1, 2, 3, 4]], profile="official")

    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_not_finite(self, profile, bad):
        broken = [*WORD[:3], bad, *WORD[4:]]
        with pytest.raises(ValueError, match=r"detection 1: coordinates must be finite"):
            cleval([WORD], [WORD, broken], profile=profile)
        with pytest.raises(ValueError, match=r"word 0: coordinates must be finite"):
            cleval([broken], [WORD], profile=profile)

    @pytest.mark.parametrize("bad", [[1, 2, 3], [[1, 2, 3], [4, 5, 6]], 7.0])
    def test_shapes_that_are_no_polygons(self, bad):
        with pytest.raises(ValueError, match=r"word 0: expected x y x y"):
            cleval([bad], [])

    def test_lists_of_another_length(self):
        with pytest.raises(ValueError, match=r"texts must have one entry for each of the 1 words, got 2"):
            cleval([WORD], [], texts=["a", "b"], profile="official")
        with pytest.raises(ValueError, match=r"ignored must have one entry"):
            cleval([WORD], [], ignored=[])

    def test_unknown_profile(self):
        with pytest.raises(ValueError, match=r"profile must be one of competition, official, got 'icdar'"):
            cleval([WORD], [WORD], profile="icdar")

    @pytest.mark.parametrize("profile", PROFILES)
    def test_detections_without_area_cost_characters_and_match_nothing(self, profile):
        line = rectangle(10, 20, 100, 0)
        result = cleval([WORD], [line], profile=profile)
        assert (result.num_char_tp, result.num_char_fp) == (0, {"competition": 100, "official": 1}[profile])

    @pytest.mark.parametrize("profile", PROFILES)
    def test_word_without_area_is_never_found(self, profile):
        assert cleval([rectangle(10, 20, 100, 0)], [WORD], profile=profile).num_char_tp == 0

    @pytest.mark.parametrize("profile", PROFILES)
    def test_nothing_at_all_scores_zero(self, profile):
        result = cleval([], [], profile=profile)
        assert result == CLEvalCounts(0, 0, 0, 0, 0, 0)
        assert (result.precision, result.recall, result.hmean) == (0, 0, 0)

    def test_only_the_first_500_detections_are_read_in_the_competition(self):
        noise = [rectangle(300, 300, 20, 20)] * 500
        assert cleval([WORD], [*noise[1:], WORD]).num_char_tp == 5
        assert cleval([WORD], [*noise, WORD]).num_char_tp == 0
        assert cleval([WORD], [*noise, WORD], profile="official").num_char_tp == 5


def test_a_penalty_never_makes_a_score_negative():
    counts = CLEvalCounts(10, 10, 1, gran_recall=3, gran_precision=3, num_char_fp=0)
    assert (counts.precision, counts.recall) == (0, 0)


def test_float_and_integer_arrays_agree():
    assert (
        cleval([np.array(WORD, dtype=np.int32).reshape(4, 2)], [np.array(WORD, dtype=np.float32)]).hmean == 1
    )


def test_sums_are_scored_as_counts_are():
    per_image = [
        CLEvalCounts(9, 12, 7, 1, 2, 3),
        CLEvalCounts(0, 0, 0, 0, 0, 0),
        CLEvalCounts(5, 0, 0, 0, 0, 0),
        CLEvalCounts(0, 4, 0, 0, 0, 4),
        CLEvalCounts(4, 4, 2, 3, 3, 0),
    ]
    scored = scores_of_sums(count_rows(per_image))
    assert scored.tolist() == [[counts.precision, counts.recall, counts.hmean] for counts in per_image]
    total = sum(per_image[1:], per_image[0])
    assert scores_of_sums(count_rows(per_image).sum(axis=0)[None])[0, 2] == total.hmean


def test_a_matching_says_what_its_counts_rest_on():
    second = [x + 60 for x in WORD]
    truth = prepare_truth([WORD, second], texts=["abc", "de"], ignored=[False, True], profile="official")
    relations = truth.relate([WORD, second])
    matching = match(truth, relations)
    assert matching.counts == count(truth, relations)
    assert matching.covered.tolist() == [1] * 3 + [0] * (len(truth.centres) - 3)
    assert relations.words[matching.matched].tolist() == [0]
    nothing = match(truth, truth.relate([]))
    assert nothing.counts.num_char_gt == 3
    assert not nothing.covered.any()
    assert not len(nothing.matched)


def test_a_matching_of_some_detections_names_pairs_of_all():
    left, right = rectangle(10, 10, 50, 20), rectangle(60, 10, 50, 20)
    truth = prepare_truth([WORD])
    relations = truth.relate([[x + 500 for x in WORD], left, WORD, right])
    assert match(truth, relations, np.array([3, 1])).matched.tolist() == [True, False, True]
    assert match(truth, relations, np.array([2])).matched.tolist() == [False, True, False]
    assert match(truth, relations, np.array([3, 1, 2])).covered.max() == 2
