"""A sweep's axes, its best point, and what it refuses."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from optdet.detection import lattice as candidate_lattice
from optdet.detection.lattice import find_candidates
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.landscape import SweepImage, SweepLattice, detections_by_image
from optdet.evaluation.scorer import ImageScorer, evaluate_at, macro_hmean, macro_scores, part_of
from optdet.evaluation.sweep import shortest_between, sweep
from optdet.evaluation.truth import ImageTruth
from optdet.geometry.letterbox import Letterbox
from optdet.metrics.scores import PRH
from optdet.structures import METRICS, Word

SIZE = 96
LATTICE = SweepLattice((0.3, 0.5), (0.1, 0.5, 0.9), (1.0, 1.5), (5, 15), use_polygon=False, min_side=3.0)


def rectangle(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=float)


def some_image(seed):
    """Words of many scores in rows, some of them only noise, some found in two pieces."""
    rng = np.random.default_rng(seed)
    prob_map, words = np.zeros((SIZE, SIZE), np.float32), []
    for y in range(4, SIZE - 12, 14):
        for x in (4, 36, 68):
            score = rng.uniform(0.35, 1)
            prob_map[y : y + 6, x : x + 20] = score * rng.uniform(0.9, 1, (6, 20))
            if rng.random() < 0.3:
                prob_map[y : y + 6, x + 9] = 0
            if rng.random() < score:
                words.append(Word(rectangle(x - 2, y - 2, 24, 10), "word"))
    return SweepImage(f"{seed}.jpg", prob_map.astype(np.float16), Letterbox(SIZE, SIZE, SIZE), tuple(words))


IMAGES = [some_image(seed) for seed in range(6)]
SCORERS = [ImageScorer(i.name, MapDetector(i.prob_map, i.letterbox), i.words) for i in IMAGES]


def every_box_thresh(lattice):
    """All values up to which something holds, within the lattice's range: scores and the range's ends."""
    scores = {lattice.box_thresh[0], lattice.box_thresh[-1]}
    for image in IMAGES[:3]:
        found = find_candidates(
            image.prob_map,
            image.letterbox,
            lattice.thresh,
            (1.0,),
            use_polygon=lattice.use_polygon,
            min_side=0,
        )
        scores |= {*found.scores.tolist()}
    return sorted(score for score in scores if lattice.box_thresh[0] <= score <= lattice.box_thresh[-1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("box_thresh", [(0.1, 0.9), (0.62, 0.64), (0.7,)], ids=["wide", "narrow", "a point"])
@pytest.mark.thin(6)
def test_the_best_is_the_best_of_every_box_thresh_there_is(use_polygon, box_thresh, metric):
    lattice = replace(LATTICE, box_thresh=box_thresh, use_polygon=use_polygon)
    best = sweep(IMAGES[:3], lattice, metric=metric).best
    tried = [
        macro_hmean(SCORERS[:3], replace(lattice.at(k, u, m, 0), box_thresh=value), metric)
        for k, u, m in np.ndindex(2, 2, 2)
        for value in every_box_thresh(lattice)
    ]
    assert len(tried) >= 8
    assert best.hmean == pytest.approx(max(tried), abs=1e-11)
    assert box_thresh[0] <= best.thresholds.box_thresh <= box_thresh[-1]
    assert macro_hmean(SCORERS[:3], best.thresholds, metric) == pytest.approx(best.hmean, abs=1e-11)


def test_the_best_holds_throughout_its_interval_and_not_beyond():
    lattice = replace(LATTICE, box_thresh=(0.0, 1.0))
    best = sweep(IMAGES, lattice).best
    low, high = best.box_interval
    assert low < best.thresholds.box_thresh <= high

    def hmean(box_thresh):
        return macro_hmean(SCORERS, replace(best.thresholds, box_thresh=float(box_thresh)))

    for inside in (np.nextafter(low, 2), (low + high) / 2, high):
        assert hmean(inside) == pytest.approx(best.hmean, abs=1e-11)
    assert hmean(low) != pytest.approx(best.hmean, abs=1e-6)


@pytest.mark.parametrize(
    ("thresh", "box_thresh", "found"),
    [
        ((0.3, 0.4), (0.3, 0.5), 2),
        ((0.3, 0.4), (0.3, 0.7), 1),
        ((0.3, 0.4), (0.92, 0.99), 0),
        ((0.3, 0.7), (0.3, 0.5), 1),
    ],
)
def test_the_best_lies_within_the_range_of_box_thresh(thresh, box_thresh, found):
    # A word, and a smear that only a thresh or a box_thresh above 0.6 leaves out.
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    prob_map[10:20, 10:50], prob_map[40:50, 10:50] = 0.9, 0.6
    image = SweepImage("a.jpg", prob_map, Letterbox(SIZE, SIZE, SIZE), (Word(rectangle(8, 8, 44, 14)),))
    best = sweep([image], replace(LATTICE, thresh=thresh, box_thresh=box_thresh)).best
    assert box_thresh[0] <= best.thresholds.box_thresh <= box_thresh[1]
    detections = MapDetector(prob_map, image.letterbox).detect(best.thresholds)
    assert len(detections) == found
    assert best.hmean == pytest.approx(
        ImageTruth(image.words).cleval(detections.polygons, "competition").hmean
    )
    assert (best.hmean == 1) == (found == 1)


def test_a_score_equal_to_box_thresh_is_kept():
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    prob_map[10:20, 10:50] = 0.75
    image = SweepImage("a.jpg", prob_map, Letterbox(SIZE, SIZE, SIZE), (Word(rectangle(8, 8, 44, 14)),))
    boxes = (0.5, 0.75, float(np.nextafter(0.75, 1)), 0.9)
    landscape = sweep([image], replace(LATTICE, box_thresh=boxes))
    assert landscape.n_detections[0, 0, 0].tolist() == [1, 1, 0, 0]
    assert landscape.hmean[0, 0, 0].tolist() == [1, 1, 0, 0]
    assert landscape.best.box_interval == (-1, 0.75)


def test_parts_add_up():
    landscape = sweep(IMAGES, LATTICE, by_image=True)
    assert landscape.part_sizes.sum() == len(IMAGES)
    parts = np.array([part_of(name) for name in landscape.names])
    for part in range(len(landscape.part_sizes)):
        of_part = landscape.image_hmeans[..., parts == part].astype(np.float64).sum(axis=-1)
        np.testing.assert_allclose(landscape.part_hmeans[..., part], of_part, atol=1e-6)


def test_limits_that_cut_nothing_off_are_left_out():
    wide = sweep(IMAGES, replace(LATTICE, max_candidates=(5, 500, 600, 1000)))
    assert wide.lattice.max_candidates == (5, 500)
    assert wide.hmean.shape == (2, 2, 2, 3)


def test_axes():
    landscape = sweep(IMAGES, LATTICE)
    assert len(LATTICE) == 24
    assert landscape.hmean.shape == (2, 2, 2, 3)
    assert landscape.image_hmeans is None
    point = LATTICE.at(1, 0, 1, 2)
    assert (point.thresh, point.box_thresh, point.unclip_ratio, point.max_candidates) == (0.5, 0.9, 1.0, 15)
    assert landscape.hmean[1, 0, 1, 2] == pytest.approx(macro_hmean(SCORERS, point), abs=1e-11)


@pytest.mark.parametrize("metric", METRICS)
def test_global_scores_are_those_of_the_counts_of_all_images(metric):
    landscape = sweep(IMAGES, LATTICE, metric=metric)
    precision, recall, hmean = landscape.global_scores()
    for point in np.ndindex(landscape.hmean.shape):
        expected = evaluate_at(SCORERS, LATTICE.at(*point)).scores.of(metric).global_
        found = PRH(precision[point], recall[point], hmean[point])
        assert astuple(found) == pytest.approx(astuple(expected), abs=1e-12)


@pytest.mark.parametrize("profile", ["competition", "official"])
def test_outlines_of_three_points_count_as_they_do_elsewhere(profile):
    # A triangle with a line at its foot: grown by next to nothing it loses the line, and what is left has too
    # few points for the competition to read it.
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    for row in range(30):
        prob_map[20 + row, 20 : 21 + row] = 1
    prob_map[49, 20:80] = 1
    image = SweepImage("a.jpg", prob_map, Letterbox(SIZE, SIZE, SIZE), (Word(rectangle(20, 30, 40, 10)),))
    lattice = SweepLattice((0.5,), (0.5,), (0.001,), (10,), use_polygon=True, min_side=0.0)
    polygons = MapDetector(prob_map, image.letterbox).detect(lattice.at(0, 0, 0, 0)).polygons
    assert [len(polygon) for polygon in polygons] == [3]
    landscape = sweep([image], lattice, metric=profile)
    counts = ImageTruth(image.words).cleval(polygons, profile)
    assert landscape.global_counts[0, 0, 0, 0, -1] == counts.num_char_fp
    assert landscape.hmean[0, 0, 0, 0] == pytest.approx(counts.hmean)
    assert (counts.num_char_det > 0) == (profile == "official")


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
def test_libraries_that_the_loops_do_not_follow_change_nothing(use_polygon, monkeypatch):
    lattice = replace(LATTICE, use_polygon=use_polygon)
    compiled = sweep(IMAGES, lattice)
    monkeypatch.setattr(candidate_lattice, "compiled_is_exact", lambda: False)
    plain = sweep(IMAGES, lattice)
    for name in ("hmean", "precision", "recall", "n_detections", "global_counts", "part_hmeans"):
        assert np.array_equal(getattr(plain, name), getattr(compiled, name)), name
    assert plain.best == compiled.best


@pytest.mark.slow
def test_polygons_by_processes(monkeypatch):
    monkeypatch.setattr("optdet.evaluation.sweep._WORTH_PROCESSES", 1)
    polygons = replace(LATTICE, use_polygon=True)
    seen = []
    together = sweep(IMAGES, polygons, workers=2, on_image=lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(IMAGES)) for done in range(1, len(IMAGES) + 1)]
    alone = sweep(IMAGES, polygons)
    assert together.best == alone.best
    np.testing.assert_array_equal(together.global_counts, alone.global_counts)
    np.testing.assert_array_equal(together.hmean, alone.hmean)


def test_progress_and_workers():
    seen = []
    together = sweep(IMAGES, LATTICE, workers=3, on_image=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]
    assert np.array_equal(together.hmean, sweep(IMAGES, LATTICE).hmean)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_on_the_map_and_nothing_to_find(metric):
    empty = SweepImage("a.jpg", np.zeros((SIZE, SIZE), np.float16), Letterbox(SIZE, SIZE, SIZE), ())
    landscape = sweep([empty, replace(empty, name="b.jpg")], LATTICE, metric=metric)
    assert (landscape.hmean == 0).all()
    assert (landscape.n_detections == 0).all()
    assert landscape.best.hmean == 0
    assert LATTICE.box_thresh[0] <= landscape.best.thresholds.box_thresh <= LATTICE.box_thresh[-1]


@pytest.mark.parametrize("name", ["thresh", "box_thresh", "unclip_ratio", "max_candidates"])
@pytest.mark.parametrize("values", [(), (2, 1), (1, 1)])
def test_axes_must_ascend(name, values):
    with pytest.raises(ValueError, match=f"{name} must hold ascending values"):
        replace(LATTICE, **{name: values})


def test_what_a_sweep_does_not_take():
    with pytest.raises(ValueError, match="no images to score"):
        sweep([], LATTICE)
    with pytest.raises(ValueError, match="expected a float16 map"):
        sweep([replace(IMAGES[0], prob_map=IMAGES[0].prob_map.astype(np.float32))], LATTICE)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.9, 0.5),
        (0.31, 0.33, 0.32),
        (0.3, 0.36, 0.33),
        (0.5, 0.5, 0.5),
        (0.25, np.nextafter(0.25, 1), None),
    ],
)
def test_short_numbers(low, high, expected):
    value = shortest_between(low, float(high))
    assert value == (float(high) if expected is None else expected)


def test_detections_by_image_leave_nothing_behind():
    landscape = sweep(IMAGES, LATTICE)
    on, off = LATTICE.at(0, 1, 1, 1), replace(LATTICE.at(0, 1, 1, 1), thresh=0.42)
    for index, (on_lattice, anew) in enumerate(detections_by_image(SCORERS, [landscape], (on, off))):
        detector = SCORERS[index].detector
        assert "prob_map" not in vars(detector)
        for found, thresholds in ((on_lattice, on), (anew, off)):
            expected = MapDetector(IMAGES[index].prob_map, IMAGES[index].letterbox).detect(thresholds)
            np.testing.assert_array_equal(found.polygons, expected.polygons)
            np.testing.assert_array_equal(found.scores, expected.scores)
    assert index == len(IMAGES) - 1


@pytest.mark.parametrize("text", ["recall>=0.9", "precision>=0.85", "recall<=0.6", "boxes<=20"])
def test_the_best_under_a_constraint_is_the_best_of_every_box_thresh_that_keeps_it(text):
    lattice, constraint = replace(LATTICE, box_thresh=(0.1, 0.9)), Constraint.parse(text)
    tried = []
    for k, u, m in np.ndindex(2, 2, 2):
        for value in every_box_thresh(lattice):
            point = replace(lattice.at(k, u, m, 0), box_thresh=value)
            scores = macro_scores(SCORERS[:3], point)
            n_boxes = sum(len(scorer.detector.detect(point)) for scorer in SCORERS[:3])
            bounded = n_boxes if constraint.metric == "boxes" else getattr(scores, constraint.metric)
            if constraint.allows(np.array(bounded)):
                tried.append(scores.hmean)
    landscape = sweep(IMAGES[:3], lattice, constraint=constraint)
    free = sweep(IMAGES[:3], lattice)
    if not tried:
        assert landscape.best is None
        return
    assert landscape.best.hmean == pytest.approx(max(tried), abs=1e-11)
    assert np.array_equal(landscape.hmean, free.hmean)
    sums = landscape.part_bounded.sum(axis=-1)
    whole = free.n_detections if constraint.metric == "boxes" else getattr(free, constraint.metric) * 3
    np.testing.assert_allclose(sums, whole, atol=1e-9)


def test_no_point_keeps_the_constraint():
    assert sweep(IMAGES, LATTICE, constraint=Constraint("recall", at_least=True, value=1.1)).best is None
