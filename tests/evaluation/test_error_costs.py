"""What repairing one kind of error, or all of them, makes of the H-mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_crowds import box, crowds

from optdet.evaluation.error_costs import (
    KIND_TEXTS,
    counted_kind,
    image_cost,
    kind_costs,
    main_kind,
    mismatches,
    repaired,
)
from optdet.evaluation.error_kinds import ERROR_KINDS, find_errors
from optdet.metrics.bootstrap import bootstrap_interval
from optdet.metrics.cleval import CLEvalCounts
from optdet.structures import PROFILES, Word

WORD = Word(box(10, 10, 100, 20))  # five pseudo characters
NEXT = Word(box(120, 10, 100, 20))
FAR = box(10, 300, 100, 20)


@pytest.mark.parametrize(
    ("found", "kind", "after"),
    [
        ([NEXT.polygon], "miss", CLEvalCounts(10, 10, 10, 0, 0, 0)),
        ([NEXT.polygon, box(10, 10, 40, 20)], "partial", CLEvalCounts(10, 10, 10, 0, 0, 0)),
        (
            [NEXT.polygon, box(10, 10, 50, 20), box(60, 10, 50, 20)],
            "split",
            CLEvalCounts(10, 10, 10, 0, 0, 0),
        ),
        ([box(10, 10, 210, 20)], "merge", CLEvalCounts(10, 10, 10, 0, 0, 0)),
        ([NEXT.polygon, WORD.polygon, FAR], "false_positive", CLEvalCounts(10, 10, 10, 0, 0, 0)),
        ([NEXT.polygon, WORD.polygon, WORD.polygon], "overlap", CLEvalCounts(10, 10, 10, 1, 0, 0)),
    ],
)
def test_one_kind_repaired(found, kind, after):
    errors = find_errors([WORD, NEXT], found)
    assert repaired(errors, {kind}) == after
    assert repaired(errors, set()) == errors.counts
    assert image_cost(errors, {kind}) == after.hmean - errors.counts.hmean > 0
    for other in set(ERROR_KINDS) - {kind}:
        expected = errors.counts if not errors.lost[other] else repaired(errors, {other})
        assert repaired(errors, {other}) == expected


def test_found_words_are_detected_too():
    """A word that is found is one more detection that is right: both parts of precision grow."""
    errors = find_errors([WORD, NEXT], [NEXT.polygon, FAR])
    after = repaired(errors, {"miss"})
    assert (errors.counts.precision, after.precision) == (5 / 10, 10 / 15)
    assert after.recall == 1


@given(crowds, st.sampled_from(PROFILES))
@settings(max_examples=100, deadline=None)
def test_all_kinds_repaired_are_perfect_and_none_harms(crowd, profile):
    errors = find_errors(*crowd, profile)
    perfect = repaired(errors, ERROR_KINDS)
    if errors.counts.num_char_gt:
        assert perfect.hmean == 1
        assert perfect == CLEvalCounts(perfect.num_char_gt, perfect.num_char_gt, perfect.num_char_gt, 0, 0, 0)
    else:
        assert perfect.hmean == 0
    for kind in ERROR_KINDS:
        assert image_cost(errors, {kind}) >= -1e-12
        if not errors.lost[kind]:
            assert image_cost(errors, {kind}) == 0
    main = main_kind(errors)
    assert (main is None) == (not any(errors.lost.values()))
    assert main is None or errors.lost[main] > 0


def test_one_error_is_not_several():
    assert counted_kind(1, "miss") == "1 missed word"
    assert counted_kind(2, "partial") == "2 words found in part"
    for kind, text in KIND_TEXTS.items():
        assert counted_kind(1, kind) != f"1 {text}"
        assert counted_kind(0, kind) == f"0 {text}"


def test_costs_over_images():
    whole = find_errors([WORD, NEXT], [WORD.polygon, NEXT.polygon])
    half = find_errors([WORD, NEXT], [WORD.polygon])
    noisy = find_errors([WORD, NEXT], [WORD.polygon, NEXT.polygon, FAR])
    costs = kind_costs([whole, half, noisy])
    by_kind = {cost.kind: cost for cost in costs}
    assert set(by_kind) == set(ERROR_KINDS) == set(KIND_TEXTS)
    assert [cost.cost for cost in costs] == sorted((cost.cost for cost in costs), reverse=True)
    miss, false = by_kind["miss"], by_kind["false_positive"]
    gain = 1 - half.counts.hmean
    assert (miss.number, miss.n_characters, miss.n_images) == (1, 5, 1)
    assert miss.cost == pytest.approx(gain / 3)
    assert miss.interval == bootstrap_interval([0, gain, 0])
    assert (false.number, false.n_characters, false.n_images) == (1, 5, 1)
    assert false.cost == pytest.approx((1 - noisy.counts.hmean) / 3)
    assert (by_kind["split"].cost, by_kind["split"].interval) == (0, (0, 0))
    assert miss.as_json()["interval"] == list(miss.interval)


def test_penalties_beyond_what_was_found_still_have_a_main_kind():
    words = [Word(box(10 + 22 * i, 10, 20, 20)) for i in range(6)]
    errors = find_errors(words, [box(8, 8, 140, 24), np.array(FAR)])
    assert main_kind(errors) in ("merge", "false_positive")
    assert main_kind(find_errors([], [])) is None


def test_a_missed_word_under_a_false_detection_costs_twice():
    errors = find_errors([WORD, NEXT], [NEXT.polygon, box(0, -60, 119, 160), FAR])
    assert [word.kind for word in errors.words] == ["miss", "hit"]
    whole = find_errors([WORD, NEXT], [NEXT.polygon, WORD.polygon, FAR])
    found = mismatches([errors, whole])
    assert (found.n_words, found.n_detections) == (1, 1)
    assert found.cost == pytest.approx((whole.counts.hmean - errors.counts.hmean) / 2)
    assert image_cost(errors, {"miss", "false_positive"}) > 2 * found.cost > image_cost(errors, {"miss"})
    assert mismatches([whole]).n_detections == 0


def test_only_a_missed_word_and_a_false_detection_are_such_a_pair():
    found_all_the_same = find_errors([WORD], [WORD.polygon, box(0, -60, 119, 160)])
    assert [each.kind for each in found_all_the_same.detections] == ["hit", "false_positive"]
    assert found_all_the_same.detections[1].touching == (0,)
    ignored = Word(NEXT.polygon, ignored=True)
    under_an_ignored_one = find_errors([WORD, ignored], [box(95, 10, 125, 20)], "official")
    assert [each.kind for each in under_an_ignored_one.detections] == ["ignored"]
    assert under_an_ignored_one.words[0].touching == (0,)
    found = mismatches([found_all_the_same, under_an_ignored_one])
    assert (found.n_words, found.n_detections, found.cost) == (0, 0, 0)
