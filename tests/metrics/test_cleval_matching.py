"""Detections counted one by one, in any order: what the rules say of them all at once."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.metrics import cleval_competition, cleval_official
from optdet.metrics.cleval import count
from optdet.metrics.cleval_matching import add_in_order, count_all
from optdet.metrics.cleval_truth import prepare_truth
from optdet.metrics.matching import N_TOTALS, matching_state
from optdet.metrics.rings import points_inside, regions, shared_areas, stack_rings

N_WORDS = 12


def box(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=float)


def some_words(rng):
    """Three rows of words, some of which overlap."""
    return [
        box(
            5 + 45 * (i % 4) + rng.integers(-9, 9),
            5 + 22 * (i // 4),
            rng.integers(15, 50),
            rng.integers(8, 16),
        )
        for i in range(N_WORDS)
    ]


def some_detections(rng, words, n):
    """Words found as a whole, in parts, several at once, and things that are no words."""
    detections = []
    for _ in range(n):
        word = words[rng.integers(len(words))]
        x, y = word[0] + rng.integers(-3, 4, 2)
        width, height = (word[2] - word[0]).tolist()
        kind = rng.integers(4)
        if kind == 0:
            detections.append(box(x, y, width, height))
        elif kind == 1:
            detections.append(box(x + rng.integers(0, 20), y, rng.integers(3, 25), height))
        elif kind == 2:
            detections.append(box(x, y, rng.integers(40, 140), height + rng.integers(0, 30)))
        else:
            detections.append(rng.integers(0, 180, (4, 2)).astype(float))
    return detections


class Reference:
    """CLEval's matrices of words (rows) and detections, and its matching, step by step."""

    def __init__(self, truth, detections):
        rings = stack_rings(detections, "detection").truncated()
        n_words, n_detections = len(truth.ignored), len(detections)
        owner = np.repeat(np.arange(n_words), np.diff(truth.centre_starts))
        self.inside = [[set() for _ in range(n_detections)] for _ in range(n_words)]
        for detection, centre in zip(*points_inside(truth.centres, rings), strict=True):
            self.inside[owner[centre]][detection].add(int(centre))
        words, shapes = truth.regions(np.arange(n_words)), regions(rings)
        grid = np.repeat(words, n_detections), np.tile(shapes, n_words)
        areas = np.tile(rings.outline_areas(), n_words)
        shared = shared_areas(*grid)
        share = np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0).astype(np.float32)
        self.share = share.reshape(n_words, n_detections)
        self.word_ignored = truth.ignored
        rules = cleval_competition if truth.profile == "competition" else cleval_official
        ratios = rules.aspect_ratios(stack_rings(detections, "detection"))
        self.costs = rules.false_positive_costs(ratios)

    def totals(self, chosen):
        """(centres in matches, distinct ones, recall penalty, precision penalty, false positives)."""
        words = range(len(self.word_ignored))
        limit = np.float32(0.3)
        near = self.share >= limit
        n = np.array([[len(held) for held in row] for row in self.inside]).reshape(self.share.shape)
        valid_word = ~self.word_ignored
        ignored = set()
        for d in chosen:
            several = self.share[self.word_ignored & (n[:, d] > 0), d].astype(np.float64).sum()
            if near[self.word_ignored, d].any() or np.float32(several) >= limit:
                ignored.add(d)
        valid = [d for d in chosen if d not in ignored]
        pair = near & (n > 0)
        matches = set()
        for g in words:
            if not valid_word[g]:
                continue
            in_row = [d for d in chosen if pair[g, d]]
            if len(in_row) == 1 and in_row[0] in valid and pair[:, in_row[0]].sum() == 1:
                matches.add((g, in_row[0]))
            held = [d for d in valid if pair[g, d]]
            if len(held) >= 2:
                matches.update((g, d) for d in held)
        for d in valid:
            covered = [g for g in words if valid_word[g] and n[g, d] > 0]
            if len(covered) >= 2 and self.share[covered, d].astype(np.float64).sum() >= 0.3:
                matches.update((g, d) for g in covered)
        by_word = [sum(1 for g, _ in matches if g == word) for word in words]
        by_detection = {d: sum(1 for _, other in matches if other == d) for d in valid}
        found = set().union(*(self.inside[g][d] for g, d in matches)) if matches else set()
        return [
            sum(int(n[g, d]) for g, d in matches),
            len(found),
            sum(max(count - 1, 0) for count in by_word),
            sum(max(count - 1, 0) for count in by_detection.values()),
            sum(int(self.costs[d]) for d in valid if by_detection[d] == 0),
        ]


def some_case(rng, profile):
    words = some_words(rng)
    ignored = rng.random(N_WORDS) < rng.choice([0, 0.3])
    texts = [str(rng.choice(["abc", "total sum", "###", "x"])) if rng.random() < 0.8 else None for _ in words]
    truth = prepare_truth(words, texts=texts, ignored=ignored, profile=profile)
    detections = some_detections(rng, words, rng.integers(1, 16))
    return truth, detections


@pytest.mark.parametrize("profile", ["competition", "official"])
def test_one_by_one_in_any_order_is_all_at_once_is_what_the_rules_say(profile):
    rng = np.random.default_rng(0)
    seen = np.zeros(N_TOTALS, dtype=np.int64)
    n_ignored = 0
    for _ in range(60):
        truth, detections = some_case(rng, profile)
        reference, relations = Reference(truth, detections), truth.relate(detections)
        tables = relations.tables()
        n_ignored += int(relations.ignored.sum())
        own = np.array([0, N_WORDS]), np.array([0, len(truth.centres)])
        state = matching_state(*own, len(relations.words), len(detections))
        for _ in range(2):
            order = rng.permutation(len(detections))
            steps = np.insert(order, len(order) // 2, -1)  # a step that adds nothing
            totals = np.empty((len(steps), N_TOTALS), dtype=np.int64)
            add_in_order(steps, tables, state, totals)
            for n in range(1, len(steps) + 1):
                added = steps[:n][steps[:n] >= 0]
                expected = reference.totals(added.tolist())
                assert totals[n - 1].tolist() == expected
                at_once = count_all(np.sort(added), N_WORDS, len(truth.centres), tables)
                assert at_once.tolist() == expected
                seen += totals[n - 1]
    assert (seen > 100).all()
    assert profile == "competition" or n_ignored > 50


def test_count_reads_the_totals():
    truth, detections = some_case(np.random.default_rng(8), "official")
    held, found, splits, merges, wrong = Reference(truth, detections).totals(range(len(detections)))
    counts = count(truth, truth.relate(detections))
    assert (counts.num_char_det, counts.num_char_fp) == (held + wrong, wrong)
    assert (counts.num_char_tp, counts.gran_recall, counts.gran_precision) == (found, splits, merges)


def test_an_ignored_detection_stands_in_the_way_of_a_match():
    # The second one lies on both words, which is enough to be ignored and to be near the first word.
    words = [box(0, 0, 40, 10), box(40, 0, 40, 10)]
    truth = prepare_truth(words, texts=["abcd", "###"], profile="official")
    detections = [box(0, 0, 40, 10), box(15, 0, 50, 10)]
    alone, both = (count(truth, truth.relate(detections[:n])) for n in (1, 2))
    assert (alone.num_char_tp, alone.num_char_fp) == (4, 0)
    assert (both.num_char_tp, both.num_char_fp) == (0, 1)
    assert Reference(truth, detections).totals([0, 1]) == [0, 0, 0, 0, 1]


def test_images_behind_one_another_do_not_disturb_each_other():
    rng = np.random.default_rng(3)
    truth, detections = some_case(rng, "competition")
    relations = truth.relate(detections)
    by_detection, by_pair, centres = relations.tables()
    n, n_pairs, n_centres = len(detections), len(by_pair) - 1, len(truth.centres)
    twice = (
        np.concatenate([by_detection[:-1], by_detection + np.array([n_pairs, 0, 0, 0, 0], np.int32)]),
        np.concatenate([by_pair[:-1], by_pair + np.array([N_WORDS, 0, 0, len(centres)], np.int32)]),
        np.concatenate([centres, centres + np.int32(n_centres)]),
    )
    for image in range(2):
        own = np.array([0, N_WORDS]) + image * N_WORDS, np.array([0, n_centres]) + image * n_centres
        totals = np.empty((n, N_TOTALS), dtype=np.int64)
        add_in_order(rng.permutation(n) + image * n, twice, matching_state(*own, n_pairs, n), totals)
        assert totals[-1].tolist() == Reference(truth, detections).totals(range(n))
