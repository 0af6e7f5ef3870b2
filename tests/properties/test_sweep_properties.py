"""A sweep gives what the plain pipeline gives, count for count: thousands of images x configurations.

Maps are made to be awkward: turned receipts, blur, noise, ties, saturation, specks, lines, holes, words
that leave the map. Every point of a small lattice is asked of ``MapDetector`` and ``ImageTruth`` too.
"""

from __future__ import annotations

from dataclasses import replace

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
from optdet.metrics.iou import match_iou
from optdet.metrics.rings import regions, shared_areas, stack_rings
from optdet.structures import METRICS, Word

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


def crowded(rng, words):
    """Words again, nearly in their places and of about their size, in any order: detections match several."""

    def moved(polygon):
        centre = polygon.mean(axis=0)
        return centre + rng.normal(0, 1.5, 2) + (polygon - centre) * rng.uniform(0.7, 1.2)

    again = [
        replace(word, polygon=moved(word.polygon), ignored=bool(rng.random() < 0.1))
        for word in words
        for _ in range(rng.integers(0, 3))
    ]
    every = [*words, *again]
    return tuple(every[index] for index in rng.permutation(len(every)))


def some_image(rng, make, name):
    letterbox, quads = some_letterbox(rng), turned_words(rng)
    prob_map = np.clip(make(rng, quads), 0, 1).astype(np.float16)
    words = labelled(rng, quads, letterbox)
    kind = rng.random()
    if kind < 0.1:
        words = tuple(replace(word, ignored=True) for word in words)
    elif kind < 0.6:
        words = crowded(rng, words)
    return SweepImage(name, prob_map, letterbox, words)


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


class CharactersOneByOne:
    """CLEval of an image by the plain path: counts, and the totals that a landscape has of them."""

    def __init__(self, words, profile):
        self.truth, self.profile = ImageTruth(words), profile

    def __call__(self, polygons):
        counts = self.truth.cleval(polygons, self.profile)
        held = counts.num_char_det - counts.num_char_fp
        totals = [held, counts.num_char_tp, counts.gran_recall, counts.gran_precision, counts.num_char_fp]
        return counts, totals


class WordsOneByOne:
    """IoU matching by its rule: every overlap is shapely's, each word in its turn looks for a detection."""

    def __init__(self, words):
        self.ignored = [word.ignored for word in words]
        self.polygons = [word.polygon for word in words]
        self.regions = regions(stack_rings(self.polygons, "word"))
        self.known = {}
        self.n_contested = 0

    def overlaps(self, polygon):
        """The words that a detection matches, and whether it is left out."""
        key = polygon.tobytes()
        if key not in self.known:
            own = np.repeat(regions(stack_rings([polygon.astype(float)], "detection")), len(self.regions))
            shared = shared_areas(self.regions, own).tolist()
            matched, left_out = set(), False
            for word, (part, region) in enumerate(zip(shared, self.regions, strict=True)):
                area = own[word].area
                if self.ignored[word]:
                    left_out |= area > 0 and part / area > 0.5
                elif part > 0 and part / (region.area + area - part) > 0.5:
                    matched.add(word)
            self.known[key] = matched, left_out
        return self.known[key]

    def __call__(self, polygons):
        found = [self.overlaps(polygon) for polygon in polygons]
        free = [matched for matched, left_out in found if not left_out]
        self.n_contested += sum(len(matched) > 1 for matched in free)
        n_valid, n_matched = len(free), 0
        for word in range(len(self.polygons)):
            taker = next((index for index, matched in enumerate(free) if word in matched), None)
            if taker is not None:
                n_matched += 1
                del free[taker]
        counts = match_iou(self.polygons, polygons, ignored=self.ignored)
        assert (counts.n_matched, counts.n_detections) == (n_matched, n_valid)
        assert counts.n_words == self.ignored.count(False)
        return counts, [n_matched, n_matched, 0, 0, n_valid - n_matched]


def one_by_one(words, metric):
    return WordsOneByOne(words) if metric == "iou" else CharactersOneByOne(words, metric)


def check(image, lattice, metric):
    """Compare one image at all points; how many there were."""
    return compare(image, lattice, metric, one_by_one(image.words, metric))


def compare(image, lattice, metric, plain):
    landscape = sweep([image], lattice, metric=metric, by_image=True)
    detector = MapDetector(image.prob_map, image.letterbox)
    for k, u, m, b in points(lattice):
        thresholds = lattice.at(k, u, m, b)
        detections = detector.detect(thresholds)
        counts, expected = plain(detections.polygons)
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
        check(image, some_lattice(rng, use_polygon=use_polygon), METRICS[number % len(METRICS)])


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("make", MAPS, ids=lambda make: make.__name__)
@pytest.mark.thin(6)
def test_counts_are_those_of_the_plain_pipeline(make, use_polygon):
    check_many(make, 1, n_images=12 if use_polygon else 30, use_polygon=use_polygon)


@pytest.mark.slow
@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("make", MAPS, ids=lambda make: make.__name__)
def test_counts_are_those_of_the_plain_pipeline_many_times(make, use_polygon):
    check_many(make, 2, n_images=225 if use_polygon else 600, use_polygon=use_polygon)


def framed(rng, quads):
    """Words as frames: the outer border and that of the hole are two detections of one word."""
    prob_map = np.zeros((SIZE, SIZE), np.float32)
    for quad in quads:
        for scale, value in ((0.95, rng.uniform(0.5, 1)), (rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.3))):
            shrunk = quad.mean(axis=0) + (quad - quad.mean(axis=0)) * scale
            cv2.fillPoly(prob_map, [np.round(shrunk).astype(np.int32)], value)
    return prob_map


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
def test_words_that_share_their_detections(use_polygon):
    rng = np.random.default_rng(7)
    n_contested = n_compared = 0
    for number in range(30):
        quads = [quad for quad in turned_words(rng) if np.ptp(quad, axis=0).max() > 12]
        words = crowded(rng, crowded(rng, [Word(quad) for quad in quads]))
        prob_map = (framed if number % 2 else drawn)(rng, quads).astype(np.float16)
        image = SweepImage(f"{number}.jpg", prob_map, Letterbox(SIZE, SIZE, SIZE), words)
        lattice = SweepLattice(
            (0.05, 0.4), (0.0, 0.3, 0.5, 0.7), (0.3, 0.9, 1.4), (9, 1000), use_polygon, 3.0
        )
        plain = WordsOneByOne(image.words)
        n_compared += compare(image, lattice, "iou", plain)
        n_contested += plain.n_contested
    assert n_compared == 1440
    assert n_contested > 1500


@pytest.mark.parametrize("metric", METRICS)
def test_the_cap_keeps_the_highest_scores(metric):
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
    landscape = sweep([image], lattice, metric=metric)
    assert landscape.hmean[0, 0, -1, 0] > 0
    assert landscape.n_detections[0, :, :, 0].tolist() == [[3, 499, 500, 500]] * 2
    check(image, lattice, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_images_together_are_the_mean_of_images_alone(metric):
    rng = np.random.default_rng(4)
    images = [some_image(rng, MAPS[number % len(MAPS)], f"{number}.jpg") for number in range(16)]
    lattice = SweepLattice((0.2, 0.4), (0.2, 0.5, 0.7), (1.0, 2.0), (4,), False, 3.0)
    together = sweep(images, lattice, metric=metric, by_image=True, workers=2)
    alone = [sweep([image], lattice, metric=metric, by_image=True) for image in images]
    assert together.hmean.max() > 0
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
    for number in range(3):
        receipt = render_receipt(6, number, size=320, difficulty=0.8)
        height, width = receipt.image.shape[:2]
        letterbox = Letterbox(width, height, 320, "center")
        quads = [letterbox.to_canvas(word.polygon) for word in receipt.words]
        cores = build_targets(quads, [False] * len(quads), 320).shrink_map.astype(np.float32)
        prob_map = cv2.GaussianBlur(cores, (0, 0), 1.0)
        prob_map = np.clip(prob_map + rng.normal(0, 0.08, prob_map.shape), 0, 1).astype(np.float16)
        image = SweepImage(f"{number}.jpg", prob_map, letterbox, receipt.words)
        lattice = SweepLattice((0.2, 0.35, 0.5), (0.3, 0.5, 0.6), (1.5, 2.0), (100, 1000), False, 3.0)
        n_compared += check(image, lattice, METRICS[number])
    assert n_compared == 108
