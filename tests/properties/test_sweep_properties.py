"""A sweep gives what the plain pipeline gives, count for count: thousands of images x configurations.

Maps are made to be awkward: turned receipts, blur, noise, ties, saturation, specks, lines, holes, words
that leave the map. Every point of a small lattice is asked of ``MapDetector`` and ``ImageTruth`` too.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.data.synthetic.receipts import render_receipt
from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.evaluation.landscape import SweepImage, SweepLattice
from optdet.evaluation.sweep import sweep
from optdet.evaluation.truth import ImageTruth
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Stretch
from optdet.structures import PROFILES, Word

SIZE = 96


def turned_words(rng, size=SIZE):
    """Quads in lines across a canvas, the whole page turned; some leave it."""
    turn = np.deg2rad(rng.choice([0, 0, rng.uniform(-20, 20), 45, 90, rng.uniform(0, 360)]))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    quads, y = [], rng.uniform(-8, 8)
    while y < size:
        height, x = rng.uniform(5, 14), rng.uniform(-12, 12)
        while x < size:
            width = rng.uniform(4, 40)
            box = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
            quads.append((box - size / 2) @ rotation + size / 2)
            x += width + rng.uniform(0.5, 9)
        y += height + rng.uniform(1, 8)
    return [quads[index] for index in np.sort(rng.permutation(len(quads))[: rng.integers(1, 16)])]


def drawn(rng, quads, size=SIZE):
    prob_map = np.zeros((size, size), np.float32)
    for quad in quads:
        shrunk = quad.mean(axis=0) + (quad - quad.mean(axis=0)) * rng.uniform(0.5, 0.95)
        cv2.fillPoly(prob_map, [np.round(shrunk).astype(np.int32)], float(rng.uniform(0.3, 1)))
    return prob_map


def blurred(rng, quads):
    return cv2.GaussianBlur(drawn(rng, quads), (0, 0), rng.uniform(0.5, 2.5))


def noisy(rng, quads):
    noise = cv2.GaussianBlur(rng.normal(0, 1, (SIZE, SIZE)), (0, 0), rng.uniform(0.3, 1.5))
    return blurred(rng, quads) + noise * rng.uniform(0.05, 0.5)


def tied(rng, quads):
    return np.round(noisy(rng, quads) * 4) / 4


def holed(rng, quads):
    prob_map = drawn(rng, quads)
    inner = [quad.mean(axis=0) + (quad - quad.mean(axis=0)) * 0.4 for quad in quads]
    for quad in inner[::2]:
        cv2.fillPoly(prob_map, [np.round(quad).astype(np.int32)], 0.1)
    return prob_map


def random_pixels(rng, _):
    return (rng.random((SIZE, SIZE)) < rng.uniform(0.05, 0.9)) * rng.random((SIZE, SIZE))


def specks_and_lines(rng, _):
    prob_map = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(30):
        a, b = rng.integers(-5, SIZE + 5, (2, 2))
        cv2.line(
            prob_map, a.tolist(), (a + (b - a) // rng.integers(1, 9)).tolist(), float(rng.uniform(0.2, 1))
        )
    prob_map[tuple(rng.integers(0, SIZE, (2, 20)))] = 0.9
    return prob_map


def saturated(rng, _):
    board = np.indices((SIZE, SIZE)).sum(axis=0) // rng.integers(1, 7) % 2
    kinds = (np.ones((SIZE, SIZE)), np.zeros((SIZE, SIZE)), board, 1.0 - board * 0.5)
    return kinds[rng.integers(len(kinds))]


MAPS = (drawn, blurred, noisy, tied, holed, random_pixels, specks_and_lines, saturated)


def some_letterbox(rng, size=SIZE):
    width, height = rng.integers(20, 400, 2).tolist() if rng.random() < 0.8 else (size, size)
    if rng.random() < 0.1:
        return Stretch(width, height, size, size)
    return Letterbox(width, height, size, str(rng.choice(["center", "topleft"])))


def labelled(rng, quads, letterbox):
    """Words roughly where the quads are, some missing, some ignored, some without a text."""
    words = []
    for quad in quads:
        if rng.random() < 0.9:
            text = str(rng.choice(["total", "12.50", "a", "###", ""]))
            near = letterbox.to_image(quad + rng.normal(0, 1, quad.shape))
            words.append(Word(near, text, ignored=bool(rng.random() < 0.15)))
    if len(words) > 2 and rng.random() < 0.3:
        words.append(Word(words[0].polygon + 5.0, "###", ignored=True))
    return tuple(words)


def some_image(rng, make, name):
    letterbox, quads = some_letterbox(rng), turned_words(rng)
    prob_map = np.clip(make(rng, quads), 0, 1).astype(np.float16)
    return SweepImage(name, prob_map, letterbox, labelled(rng, quads, letterbox))


def some_lattice(rng, *, use_polygon):
    def some(low, high, n, decimals):
        return tuple(np.unique(rng.uniform(low, high, n).round(decimals)).tolist())

    return SweepLattice(
        thresh=some(0.05, 0.95, rng.integers(1, 4), rng.choice([1, 2, 5])),
        box_thresh=some(0, 1, rng.integers(1, 6), rng.choice([1, 2, 5])),
        unclip_ratio=some(0.1, 3, rng.integers(1, 4), 1),
        max_candidates=tuple(
            np.unique(rng.integers(1, rng.choice([8, 60, 1000]), rng.integers(1, 3))).tolist()
        ),
        use_polygon=use_polygon,
        min_side=float(rng.choice([0, 3, 3, 2.5])),
    )


def points(lattice):
    axes = (lattice.thresh, lattice.unclip_ratio, lattice.max_candidates, lattice.box_thresh)
    return np.ndindex(*(len(axis) for axis in axes))


def check(image, lattice, profile):
    """Compare one image at all points; how many there were."""
    landscape = sweep([image], lattice, profile=profile, by_image=True)
    detector, truth = MapDetector(image.prob_map, image.letterbox), ImageTruth(image.words)
    for k, u, m, b in points(lattice):
        thresholds = lattice.at(k, u, m, b)
        detections = detector.detect(thresholds)
        counts = truth.cleval(detections.polygons, profile)
        held = counts.num_char_det - counts.num_char_fp
        expected = [held, counts.num_char_tp, counts.gran_recall, counts.gran_precision, counts.num_char_fp]
        # Limits above the number of contours have no place of their own.
        point = (k, u, min(m, landscape.hmean.shape[2] - 1), b)
        assert landscape.n_detections[point] == len(detections), thresholds
        assert landscape.global_counts[point].tolist() == expected, thresholds
        assert landscape.image_hmeans[point].tolist() == [np.float32(counts.hmean)], thresholds
        for name in ("precision", "recall", "hmean"):
            assert getattr(landscape, name)[point] == pytest.approx(getattr(counts, name), abs=1e-11)
        same = landscape.detect(0, thresholds)
        assert same.scores.tolist() == detections.scores.tolist()
        assert all(map(np.array_equal, same.polygons, detections.polygons))
    return len(lattice)


def check_many(make, seed, *, n_images, use_polygon):
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        image = some_image(rng, make, f"{number}.jpg")
        profile = PROFILES[number % 2]
        check(image, some_lattice(rng, use_polygon=use_polygon), profile)


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("make", MAPS, ids=lambda make: make.__name__)
def test_counts_are_those_of_the_plain_pipeline(make, use_polygon):
    check_many(make, 1, n_images=8 if use_polygon else 20, use_polygon=use_polygon)


@pytest.mark.slow
@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("make", MAPS, ids=lambda make: make.__name__)
def test_counts_are_those_of_the_plain_pipeline_many_times(make, use_polygon):
    check_many(make, 2, n_images=150 if use_polygon else 400, use_polygon=use_polygon)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_cap_keeps_the_highest_scores(profile):
    # 24 x 24 squares: 576 detections. A quarter of them ties, so that the order of contours decides as well.
    size, step = 192, 8
    shades = np.random.default_rng(3).choice([0.5, 0.6, 0.7, 0.8], (size // step, size // step))
    prob_map = np.kron(shades, np.pad(np.ones((4, 4)), ((2, 2), (2, 2)))).astype(np.float16)
    # The words are squares of the top row, whose contours come last.
    quads = [np.array([[x, 1], [x + 6, 1], [x + 6, 7], [x, 7]], float) for x in range(1, size, step)]
    image = SweepImage(
        "many", prob_map, Letterbox(size, size, size), tuple(Word(quad, "word") for quad in quads)
    )
    lattice = SweepLattice((0.3,), (0.3, 0.55, 0.65), (1.0, 1.5), (3, 499, 501, 1000), False, 3.0)
    landscape = sweep([image], lattice, profile=profile)
    assert landscape.hmean[0, 0, -1, 0] > 0
    assert landscape.n_detections[0, :, :, 0].tolist() == [[3, 499, 500, 500]] * 2
    check(image, lattice, profile)


def test_images_together_are_the_mean_of_images_alone():
    rng = np.random.default_rng(4)
    images = [some_image(rng, MAPS[number % len(MAPS)], f"{number}.jpg") for number in range(16)]
    lattice = SweepLattice((0.2, 0.4), (0.2, 0.5, 0.7), (1.0, 2.0), (4,), False, 3.0)
    together = sweep(images, lattice, by_image=True, workers=2)
    alone = [sweep([image], lattice, by_image=True) for image in images]
    assert np.array_equal(
        together.image_hmeans, np.concatenate([each.image_hmeans for each in alone], axis=-1)
    )
    for name in ("n_detections", "global_counts", "part_sizes"):
        assert np.array_equal(getattr(together, name), sum(getattr(each, name) for each in alone))
    for name in ("precision", "recall", "hmean"):
        mean = np.mean([getattr(each, name) for each in alone], axis=0)
        np.testing.assert_allclose(getattr(together, name), mean, atol=1e-11, rtol=0)
    np.testing.assert_allclose(
        together.part_hmeans, sum(each.part_hmeans for each in alone), atol=1e-11, rtol=0
    )


def test_rendered_receipts():
    """Maps as a trained network gives them: the shrunk words of a drawn page, blurred."""
    rng = np.random.default_rng(6)
    n_compared = 0
    for number in range(2):
        receipt = render_receipt(6, number, size=320, difficulty=0.8)
        height, width = receipt.image.shape[:2]
        letterbox = Letterbox(width, height, 320, "center")
        quads = [letterbox.to_canvas(word.polygon) for word in receipt.words]
        prob_map = cv2.GaussianBlur(build_targets(quads, [False] * len(quads), 320).shrink_map, (0, 0), 1.0)
        prob_map = np.clip(prob_map + rng.normal(0, 0.08, prob_map.shape), 0, 1).astype(np.float16)
        image = SweepImage(f"{number}.jpg", prob_map, letterbox, receipt.words)
        lattice = SweepLattice((0.2, 0.35, 0.5), (0.3, 0.5, 0.6), (1.5, 2.0), (100, 1000), False, 3.0)
        n_compared += check(image, lattice, PROFILES[number % 2])
    assert n_compared == 72
