"""The search for weights."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.config import PostprocessConfig, TuneConfig
from optdet.data.source import load_source
from optdet.evaluation.scorer import N_PARTS
from optdet.inference.map_folder import MapFolder
from optdet.tuning.ensemble_maps import AveragedMember, _Means, search_weights, tune_mean
from optdet.tuning.ensemble_scores import Judge
from optdet.validation import validate

CURRENT = PostprocessConfig().thresholds()
SEARCH = validate(
    TuneConfig,
    {
        "space": {
            "thresh": {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1},
            "box_thresh": {"type": "float", "low": 0.1, "high": 0.6, "step": 0.1},
            "unclip_ratio": {"type": "float", "low": 1.0, "high": 2.5, "step": 0.5},
            "use_polygon": {"type": "categorical", "choices": [False]},
        }
    },
    "search",
)


def test_the_search_climbs_to_the_top_and_says_weights_in_their_smallest_numbers():
    target = (2, 1, 0)

    def score(weights):
        shares = [weight / sum(weights) for weight in weights]
        wanted = [weight / sum(target) for weight in target]
        return -sum((a - b) ** 2 for a, b in zip(shares, wanted, strict=True))

    assert search_weights((1, 1, 1), score) == target


def test_what_scores_no_higher_changes_nothing():
    asked = []
    assert search_weights((1, 1, 1, 1), lambda weights: asked.append(weights) or 0.5) == (1, 1, 1, 1)
    assert (0, 0, 0, 0) not in asked
    assert len(asked) == 1 + 4 * 3  # one round


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((1,), (1,)), ((1, 1), (1, 2)), ((1, 1, 1), (0, 1, 2)), ((2, 1), (1, 2)), ((1, 2), (0, 1))],
)
def test_two_members_are_left(sizes, expected):
    """Though the last group alone would score best; it may be of several views."""
    assert search_weights(sizes, lambda weights: weights[-1] / sum(weights)) == expected


def averaged(pages, samples):
    paths = [sample.image_path for sample in samples]
    folders = [MapFolder(pages / f"m{number}") for number in range(3)]
    return [
        AveragedMember([image.detector for image in folder.maps(paths)], group)
        for group, folder in enumerate(folders)
    ]


def test_an_image_is_scored_by_weights_and_thresholds_that_were_chosen_without_it(pages):
    """By hand: the search, and the tuning of the mean that it finds, on the other images alone."""
    samples = load_source(pages / "images", pages / "labels.json").samples
    judge = Judge(samples)
    mean = tune_mean(averaged(pages, samples), judge, SEARCH, CURRENT)
    assert mean.how == "tuned"
    all_means = _Means(averaged(pages, samples), judge, SEARCH, CURRENT, 1)
    for part in judge.parts:
        others = [sample for sample, of in zip(samples, judge.part_of, strict=True) if of != part]
        means = _Means(averaged(pages, others), Judge(others), SEARCH, CURRENT, 1)
        weights = search_weights(
            (1, 1, 1), lambda weights, means=means: float(means.coarse_hmeans(weights)[N_PARTS])
        )
        chosen = tune_mean(means.members, means.judge, SEARCH, CURRENT, weights=weights)
        for image in np.flatnonzero(judge.part_of == part).tolist():
            found = all_means.detectors(weights)[image].detect(chosen.thresholds)
            assert judge.hmean(image, found) == mean.scored.crossfit[image]
    assert mean.scored.crossfit.tolist() != mean.scored.evaluation.hmeans.tolist()
