"""Which vote is taken."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.evaluation.scorer import part_of
from optdet.structures import Detections, Sample, Word
from optdet.tuning.ensemble_scores import Judge, TunedDetections
from optdet.tuning.ensemble_votes import VoteSettings, tune_votes


def box(x, y, width=40, height=12):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.int32)


NAMES = [f"{number}.png" for number in range(200)]
WORDS = [box(60 * column, 20 * row) for row in range(3) for column in range(2)]


def judge_of(names):
    words = tuple(Word(word.astype(float)) for word in WORDS)
    return Judge([Sample(name, None, words) for name in names])


def member(found_in_each):
    found = [Detections(tuple(found), np.full(len(found), 0.9)) for found in found_in_each]
    return TunedDetections(None, {None: found})


def test_where_each_member_finds_other_words_one_vote_is_enough():
    judge = judge_of(NAMES[:10])
    members = [member([WORDS[number::3] for _ in range(10)]) for number in range(3)]
    vote = tune_votes(members, judge)
    assert (vote.settings.min_votes, vote.how) == (1, "tuned")
    assert vote.scored.hmean == vote.scored.hmean_crossfit == 1.0
    assert vote.grid[VoteSettings(2, 0.5)] == 0.0
    assert tune_votes(members, judge, min_votes=2).settings.min_votes == 2


def test_of_equals_the_usual_vote():
    judge = judge_of(NAMES[:10])
    vote = tune_votes([member([WORDS] * 10)] * 5, judge)
    assert (vote.settings, vote.how) == (VoteSettings(3, 0.5), "usual")
    assert len(vote.grid) == 25
    assert set(vote.grid.values()) == {1.0}
    both = tune_votes([member([WORDS] * 10)] * 5, judge, min_votes=4, iou_thresh=0.6)
    assert (both.settings, both.how) == (VoteSettings(4, 0.6), "given")


def test_what_does_not_hold_on_other_images_is_not_taken():
    """In four of ten images, all of one part, one vote is best by far, and so it is on all images. In the
    others it is worse than two; and chosen without that part, it is not taken."""
    part = part_of(NAMES[0])
    own = [name for name in NAMES if part_of(name) == part][:16]
    judge = judge_of([*own, *[name for name in NAMES if part_of(name) != part][:24]])
    noise = [box(200 + 50 * n, 200) for n in range(6)]
    members = [
        member(
            [
                WORDS[number::3] if sample.name in own else [*WORDS, *noise[number::3]]
                for sample in judge.samples
            ]
        )
        for number in range(3)
    ]
    vote = tune_votes(members, judge)
    by_votes = {each.min_votes: hmean for each, hmean in vote.grid.items() if each.iou_thresh == 0.5}
    assert by_votes[1] > by_votes[2] == 0.6
    assert (vote.settings.min_votes, vote.how) == (2, "usual")
    assert vote.scored.hmean_crossfit == pytest.approx(by_votes[2], abs=1e-12)


def test_members_tuned_without_a_part_are_what_votes_on_it():
    """Thresholds chosen on an image may not score it: here they find everything in all images but one part's
    when that part was left out."""
    judge = judge_of(NAMES[:10])
    part = judge.parts[0]
    good, bad = object(), object()
    found = {
        good: [Detections(tuple(WORDS), np.ones(6))] * 10,
        bad: [Detections((), np.zeros(0))] * 10,
    }
    members = [TunedDetections(good, found, {part: bad})] * 3
    scored = tune_votes(members, judge).scored
    assert scored.hmean == 1.0
    assert scored.crossfit.tolist() == [0.0 if p == part else 1.0 for p in judge.part_of]
    assert members[0].scored(judge).crossfit.tolist() == scored.crossfit.tolist()
