"""What CLEval decides of each word and detection: by hand, and added up to its own counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_crowds import box, crowds

from optdet.evaluation.error_kinds import ERROR_KINDS, ImageErrors, find_errors
from optdet.metrics.cleval import CLEvalCounts, cleval
from optdet.structures import PROFILES, Word

GOLDEN = Path(__file__).parents[1] / "golden" / "cleval_cases.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]


WORD = Word(box(10, 10, 100, 20))  # five pseudo characters, centres at x = 20, 40, ... 100
NEXT = Word(box(120, 10, 100, 20))


def added_up(errors: ImageErrors) -> CLEvalCounts:
    """An image's counts, from its outcomes alone."""
    return CLEvalCounts(
        num_char_gt=sum(word.n_characters for word in errors.words),
        num_char_det=sum(each.n_held + each.n_false for each in errors.detections),
        num_char_tp=sum(word.n_found for word in errors.words),
        gran_recall=sum(word.n_splits for word in errors.words),
        gran_precision=sum(each.n_merges for each in errors.detections),
        num_char_fp=sum(each.n_false for each in errors.detections),
    )


def agrees(errors: ImageErrors) -> None:
    """Everything that must hold of any image."""
    assert added_up(errors) == errors.counts
    lost, counts = errors.lost, errors.counts
    assert tuple(lost) == tuple(errors.numbers) == ERROR_KINDS
    assert lost["miss"] + lost["partial"] == counts.num_char_gt - counts.num_char_tp
    assert lost["overlap"] == counts.num_char_det - counts.num_char_fp - counts.num_char_tp
    for kind in ERROR_KINDS:
        assert (lost[kind] > 0) == (errors.numbers[kind] > 0)
    for index, word in enumerate(errors.words):
        for detection in word.detections:
            assert index in errors.detections[detection].words
        for detection in word.touching:
            assert index in errors.detections[detection].touching
        assert not set(word.detections) & set(word.touching)
        assert word.merged == any(errors.detections[each].n_merges for each in word.detections)
    assert sum(len(word.detections) for word in errors.words) == sum(
        len(each.words) for each in errors.detections
    )


def kinds(errors: ImageErrors) -> tuple[list[str], list[str]]:
    return [word.kind for word in errors.words], [each.kind for each in errors.detections]


@pytest.mark.parametrize(
    ("words", "found", "expected", "lost"),
    [
        ([WORD], [box(10, 10, 100, 20)], (["hit"], ["hit"]), {}),
        ([WORD], [], (["miss"], []), {"miss": 5}),
        ([], [box(10, 10, 100, 20)], ([], ["false_positive"]), {"false_positive": 5}),
        ([WORD], [box(10, 10, 40, 20)], (["partial"], ["hit"]), {"partial": 3}),
        ([WORD], [box(10, 10, 50, 20), box(60, 10, 50, 20)], (["split"], ["split", "split"]), {"split": 1}),
        (
            [WORD],
            [box(10, 10, 65, 20), box(50, 10, 60, 20)],
            (["split"], ["overlap", "overlap"]),
            {"split": 1, "overlap": 1},
        ),
        ([WORD, NEXT], [box(10, 10, 210, 20)], (["merge", "merge"], ["merge"]), {"merge": 1}),
        (
            [WORD, NEXT],
            [box(10, 10, 210, 20), box(10, 10, 100, 20)],
            (["split", "merge"], ["merge", "overlap"]),
            {"merge": 1, "split": 1, "overlap": 5},
        ),
    ],
)
def test_each_kind(words, found, expected, lost):
    errors = find_errors(words, found)
    assert kinds(errors) == expected
    assert {kind: n for kind, n in errors.lost.items() if n} == lost
    agrees(errors)


def test_a_detection_that_is_too_large_touches_what_it_does_not_match():
    errors = find_errors([WORD], [box(0, 0, 300, 200)])
    assert kinds(errors) == (["miss"], ["false_positive"])
    assert errors.words[0].touching == errors.detections[0].touching == (0,)
    assert find_errors([WORD], [box(10, 100, 100, 20)]).words[0].touching == ()
    agrees(errors)


def test_what_a_profile_does_not_read_counts_for_nothing():
    triangle = np.array([[10.0, 10], [110, 10], [110, 30]])
    errors = find_errors([Word(triangle), WORD], [triangle, WORD.polygon])
    assert kinds(errors) == (["unread", "hit"], ["unread", "hit"])
    assert not errors.words[0].counts
    assert not errors.detections[0].counts
    many = find_errors([WORD], [box(500, 500, 10, 10)] * 500 + [WORD.polygon])
    assert kinds(many)[0] == ["miss"]
    assert kinds(many)[1][-1] == "unread"
    for each in (errors, many):
        agrees(each)


def test_ignored_words_and_what_lies_on_them():
    ignored = Word(NEXT.polygon, "###", ignored=True)
    found = [WORD.polygon, NEXT.polygon]
    assert kinds(find_errors([WORD, ignored], found, "official")) == (["hit", "ignored"], ["hit", "ignored"])
    assert kinds(find_errors([WORD, ignored], found)) == (["hit", "hit"], ["hit", "hit"])
    agrees(find_errors([WORD, ignored], found, "official"))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_reference_cases_add_up(profile):
    for case in CASES:
        if profile not in case["expected"]:
            continue
        words = [
            Word(np.array(polygon).reshape(-1, 2), text, bool(flag))
            for polygon, text, flag in zip(
                case["gt"],
                case["texts"] or [None] * len(case["gt"]),
                case["ignored"] or [False] * len(case["gt"]),
                strict=True,
            )
        ]
        errors = find_errors(words, [np.array(polygon).reshape(-1, 2) for polygon in case["det"]], profile)
        agrees(errors)
        expected = case["expected"][profile]
        if profile == "competition" and case["ignored"] and any(case["ignored"]):
            continue  # the profile knows no ignored words where an image is scored
        assert errors.counts.num_char_tp == expected["num_char_tp"], case["tag"]
        assert errors.counts.hmean == pytest.approx(expected["hmean"], abs=1e-12), case["tag"]


@given(crowds, st.sampled_from(PROFILES))
@settings(max_examples=150, deadline=None)
def test_outcomes_add_up_to_the_scorers_counts(crowd, profile):
    words, found = crowd
    errors = find_errors(words, found, profile)
    agrees(errors)
    ignored = [word.ignored for word in words] if profile == "official" else None
    polygons = [word.polygon for word in words]
    assert errors.counts == cleval(polygons, found, ignored=ignored, profile=profile)
    assert len(errors.words) == len(words)
    assert len(errors.detections) == len(found)
