"""What holds for any members of a vote."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.detection.voting import Ballots, vote
from optdet.metrics.iou import iou_matrix
from optdet.structures import Detections

VOTING = settings(deadline=None, max_examples=60)
THRESHOLDS = st.sampled_from([0.3, 0.5, 0.7])


@st.composite
def polygons(draw):
    """A quad, or an outline of up to 8 points, that crowds with others in a few places; it may begin at any
    of its points."""
    n_points = draw(st.integers(4, 8))
    angles = np.linspace(0, 2 * np.pi, n_points, endpoint=False)
    centre = np.array([draw(st.integers(0, 3)) * 12, draw(st.integers(0, 2)) * 12])
    radii = [draw(st.integers(10, 16)), draw(st.integers(7, 12))]
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + centre + 20
    return np.roll(np.round(outline).astype(np.int32), draw(st.integers(0, n_points - 1)), axis=0)


@st.composite
def detections(draw, max_size=6):
    found = draw(st.lists(polygons(), max_size=max_size))
    scores = draw(st.lists(st.sampled_from([0.5, 0.7, 0.9]), min_size=len(found), max_size=len(found)))
    return Detections(tuple(found), np.array(scores, dtype=np.float64))


MEMBERS = st.lists(detections(), min_size=1, max_size=5)


def as_set(found):
    pairs = zip(found.polygons, found.scores.tolist(), strict=True)
    return sorted((polygon.tolist(), round(score, 9)) for polygon, score in pairs)


def in_order(found):
    return [polygon.tolist() for polygon in found.polygons], found.scores.tolist()


@VOTING
@given(detections(), st.integers(1, 5), THRESHOLDS, st.data())
def test_identical_members_give_the_member_back(found, n_members, iou_thresh, data):
    """Whatever of its own overlaps: a copy is nearer than a neighbour."""
    min_votes = data.draw(st.integers(1, n_members))
    assert as_set(vote([found] * n_members, min_votes=min_votes, iou_thresh=iou_thresh)) == as_set(found)


@VOTING
@given(MEMBERS, st.integers(1, 5), THRESHOLDS, st.randoms(use_true_random=False))
def test_neither_the_order_of_members_nor_of_detections_matters(members, min_votes, iou_thresh, random):
    expected = vote(members, min_votes=min_votes, iou_thresh=iou_thresh)
    shuffled = []
    for found in random.sample(members, len(members)):
        order = random.sample(range(len(found)), len(found))
        shuffled.append(Detections(tuple(found.polygons[i] for i in order), found.scores[order]))
    assert in_order(vote(shuffled, min_votes=min_votes, iou_thresh=iou_thresh)) == in_order(expected)


@VOTING
@given(MEMBERS, THRESHOLDS)
def test_as_many_votes_as_members_is_the_intersection(members, iou_thresh):
    found = vote(members, min_votes=len(members), iou_thresh=iou_thresh)
    for polygon in found.polygons:
        for each in members:
            assert iou_matrix([polygon], each.polygons).max() >= iou_thresh - 1e-8
    assert len(found) <= min(map(len, members))


@VOTING
@given(MEMBERS, THRESHOLDS)
def test_what_every_member_has_once_and_apart_is_in_the_intersection(members, iou_thresh):
    polygons = [polygon for each in members for polygon in each.polygons]
    member_of = [number for number, each in enumerate(members) for _ in each.polygons]
    voted = vote(members, min_votes=len(members), iou_thresh=iou_thresh)
    found = [polygon.tolist() for polygon in voted.polygons]
    ious = iou_matrix(polygons, polygons) if polygons else np.zeros((0, 0))
    for row in ious >= iou_thresh - 1e-8:
        near = np.flatnonzero(row).tolist()
        apart = all((ious[index] >= iou_thresh - 1e-8).sum() == len(near) for index in near)
        agree = bool(near) and ious[np.ix_(near, near)].min() >= iou_thresh + 1e-8
        if apart and agree and sorted(member_of[index] for index in near) == list(range(len(members))):
            assert any(polygons[index].tolist() in found for index in near)


@VOTING
@given(MEMBERS, st.integers(1, 5), THRESHOLDS)
def test_a_result_is_a_members_own_polygon(members, min_votes, iou_thresh):
    """So that none has more points than its source."""
    sources = [polygon.tolist() for each in members for polygon in each.polygons]
    for polygon in vote(members, min_votes=min_votes, iou_thresh=iou_thresh).polygons:
        assert polygon.tolist() in sources


@VOTING
@given(MEMBERS, THRESHOLDS)
def test_every_two_in_a_cluster_overlap_and_are_of_two_members(members, iou_thresh):
    ballots = Ballots.of(members, lowest_iou=0.3)
    clusters = ballots.clusters(iou_thresh).members
    assert sorted(index for cluster in clusters for index in cluster) == list(range(len(ballots.polygons)))
    for cluster in clusters:
        chosen = [ballots.polygons[index] for index in cluster]
        assert iou_matrix(chosen, chosen).min() >= iou_thresh - 1e-8
        assert len({ballots.member_of[index] for index in cluster}) == len(cluster)


@VOTING
@given(MEMBERS, THRESHOLDS)
def test_what_was_read_stays_as_it_was_and_a_known_threshold_costs_no_new_pairs(members, iou_thresh):
    before = [[polygon.copy() for polygon in each.polygons] for each in members]
    found = vote(members, min_votes=1, iou_thresh=iou_thresh)
    wide = Ballots.of(members, lowest_iou=0.1)
    assert in_order(wide.detections(wide.clusters(iou_thresh).elect(1))) == in_order(found)
    for each, polygons_before in zip(members, before, strict=True):
        for polygon, old in zip(each.polygons, polygons_before, strict=True):
            np.testing.assert_array_equal(polygon, old)
