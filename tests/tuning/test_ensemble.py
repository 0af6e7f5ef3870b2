"""An ensemble beside its members: fair, cross-fitted, and never said to be better than it is."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from optdet.config import PostprocessConfig, TuneConfig
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import evaluate
from optdet.evaluation.scorer import part_of
from optdet.inference.map_folder import MapFolder
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.ensemble import build_ensemble
from optdet.tuning.ensemble_members import open_members
from optdet.tuning.ensemble_output import as_source
from optdet.tuning.postprocess import tune_postprocess
from optdet.tuning.source import scorers_of
from optdet.tuning.task import TuningTask
from optdet.validation import validate

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

CURRENT = PostprocessConfig().thresholds()


@pytest.fixture(scope="module")
def samples(pages):
    return load_source(pages / "images", pages / "labels.json").samples


def built(pages, samples, method, names=("m0", "m1", "m2"), **settings):
    members = open_members([str(pages / name) for name in names], method=method).members
    return build_ensemble(members, samples, method=method, search=SEARCH, **settings)


@pytest.fixture(scope="module")
def mean(pages, samples):
    return built(pages, samples, "maps")


@pytest.fixture(scope="module")
def voted(pages, samples):
    return built(pages, samples, "votes")


def without_places(report):
    """What is the same wherever the files lie, and in whatever order members are named."""
    tree = report.as_json()
    tree["members"] = {Path(each["source"]).name: {**each, "source": ""} for each in tree["members"]}
    for each in tree["members"].values():
        each["name"] = ""
    del tree["ensemble"]["weights"]
    return tree


@pytest.mark.parametrize("kind", ["mean", "voted"])
def test_an_ensemble_beats_its_members_where_they_err_apart(kind, request):
    report = request.getfixturevalue(kind)
    assert report.best.scored.hmean_crossfit == max(each.scored.hmean_crossfit for each in report.members)
    assert report.ensemble.hmean > report.best.scored.hmean + 0.01
    assert report.beats_best
    assert report.verdict.startswith("the ensemble beats its best member, ")
    assert report.difference.interval[0] > 0


@pytest.mark.parametrize("kind", ["mean", "voted"])
def test_the_source_detects_what_was_scored(kind, request, samples):
    report = request.getfixturevalue(kind)
    source = as_source(report)
    found = source.detect([sample.image_path for sample in samples], None)
    polygons = {sample.name: each.polygons for sample, each in zip(samples, found, strict=True)}
    evaluation = evaluate({sample.name: sample.words for sample in samples}, polygons)
    assert evaluation.scores == report.ensemble.evaluation.scores
    each = source.detect_each([sample.image_path for sample in samples], [None, None], workers=2)
    for sample, (one, two) in zip(samples, each, strict=True):
        assert [polygon.tolist() for polygon in one.polygons] == [p.tolist() for p in polygons[sample.name]]
        assert two.scores.tolist() == one.scores.tolist()


@pytest.mark.parametrize("method", ["maps", "votes"])
def test_the_order_of_the_members_decides_nothing(method, pages, samples, request):
    expected = request.getfixturevalue("mean" if method == "maps" else "voted")
    other = built(pages, random.Random(1).sample(samples, len(samples)), method, ("m2", "m0", "m1"))
    assert without_places(other) == without_places(expected)


def test_copies_of_a_member_beat_nothing(pages, samples, tmp_path):
    """The same maps twice: the difference is 0, and said to be none."""
    shutil.copytree(pages / "m0", tmp_path / "copy")
    members = open_members([str(pages / "m0"), str(tmp_path / "copy")], method="maps").members
    report = build_ensemble(members, samples, method="maps", search=SEARCH)
    assert report.ensemble.evaluation.scores == report.best.scored.evaluation.scores
    assert (report.difference.difference, report.beats_best) == (0.0, False)
    assert report.as_json()["beats_best"] is False
    assert "does not beat its best member" in report.verdict
    assert "beyond chance: +0.0000" in report.verdict


def test_an_ensemble_that_is_worse_is_said_to_be(pages, samples):
    report = built(pages, samples, "votes", min_votes=3, iou_thresh=0.7)
    assert report.difference.interval[1] < 0
    assert report.verdict.startswith("the ensemble is worse than its best member")
    assert (report.how, report.beats_best) == ("given", False)
    assert [(each["min_votes"], each["iou_thresh"]) for each in report.as_json()["votes"]] == [(3, 0.7)]


def test_members_are_compared_at_their_own_tuned_thresholds(mean, voted, pages, samples):
    """As `postprocess tune` finds and cross-fits them."""
    for number, name in enumerate(("m0", "m1", "m2")):
        source = OpenSource(name, MapFolder(pages / name), CURRENT)
        tuned = tune_postprocess(name, TuningTask(scorers_of(source, samples), SEARCH, CURRENT))
        robust = tuned.entry("robust")
        for report in (mean, voted):
            member = report.members[number]
            assert member.thresholds == robust.thresholds
            assert member.scored.evaluation.scores == robust.evaluation.scores
            assert member.scored.hmean_crossfit == pytest.approx(robust.crossfit, abs=1e-9)


@pytest.mark.parametrize(
    ("method", "settings"),
    [("votes", {"min_votes": 2, "iou_thresh": 0.5}), ("maps", {"weights": (1, 1, 1)})],
)
def test_cross_fitting_by_hand(method, settings, pages, samples):
    """Each image scores what an ensemble finds in it that was tuned, members and all, without its part."""
    report = built(pages, samples, method, **settings)
    part = part_of(samples[0].name)
    own = [sample for sample in samples if part_of(sample.name) == part]
    chosen = built(pages, [sample for sample in samples if sample not in own], method, **settings)
    found = as_source(chosen).detect([sample.image_path for sample in own], None)
    for sample, each in zip(own, found, strict=True):
        score = evaluate({"a": sample.words}, {"a": each.polygons}).hmeans[0]
        assert score == report.ensemble.crossfit[report.names.index(sample.name)]


def test_tuned_weights_are_taken_where_they_score_higher_cross_fitted(mean):
    tuned = mean.mean
    assert mean.how == "tuned"
    assert tuned.weights != (1.0, 1.0, 1.0)
    assert mean.ensemble.hmean_crossfit > tuned.equal.hmean_crossfit


def test_weights_by_source_and_views_that_share_them(pages, samples, mean):
    given = built(pages, samples, "maps", weights=(2, 1, 0))
    assert [member.weight for member in given.members] == [2, 1, 0]
    assert given.how == "given"
    equal = built(pages, samples, "maps", weights=(1, 1, 1))
    assert equal.ensemble.evaluation.scores == mean.mean.equal.evaluation.scores
    alone = built(pages, samples, "maps", weights=(1, 0, 0))
    assert alone.ensemble.evaluation.scores == alone.members[0].scored.evaluation.scores
    np.testing.assert_array_equal(alone.ensemble.crossfit, alone.members[0].scored.crossfit)


def test_too_few_images_to_cross_fit(pages, samples):
    one = [sample for sample in samples if part_of(sample.name) == part_of(samples[0].name)]
    for method in ("maps", "votes"):
        report = built(pages, one, method)
        assert report.ensemble.crossfit is None
        assert report.as_json()["ensemble"]["hmean_crossfit"] is None
        assert report.how == "usual"
        assert any(note.startswith("not cross-fitted") for note in report.notes)


def test_rows_by_image(mean):
    rows = mean.image_rows()
    assert [row["image"] for row in rows] == list(mean.names)
    ensemble = [row["hmean"]["ensemble"] for row in rows]
    assert np.mean(ensemble) == pytest.approx(mean.ensemble.hmean, abs=1e-12)
    fair = [row["hmean_crossfit"][mean.best.member.name] for row in rows]
    assert np.mean(fair) == pytest.approx(mean.best.scored.hmean_crossfit, abs=1e-12)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("votes", {"weights": (1, 1, 1)}, "every vote counts the same; use --method maps"),
        ("maps", {"min_votes": 2}, "a mean has no votes"),
        ("maps", {"weights": (1, 1)}, "2 weights for 3 sources"),
        ("votes", {"min_votes": 4}, "4 votes of 3 members; give 1 to 3"),
    ],
)
def test_settings_that_cannot_be(method, settings, message, pages, samples):
    with pytest.raises(OptdetError, match=message):
        built(pages, samples, method, **settings)


@pytest.mark.parametrize(
    ("search", "method", "message"),
    [("tpe", "votes", "cannot be cross-fitted by method tpe"), ("none", "maps", "leaves a mean map without")],
)
def test_searches_that_cannot_be(search, method, message, pages, samples):
    members = open_members([str(pages / name) for name in ("m0", "m1")], method=method).members
    with pytest.raises(OptdetError, match=message):
        build_ensemble(members, samples, method=method, search=SEARCH.model_copy(update={"method": search}))


def test_method_none_keeps_the_thresholds_in_use(pages, samples):
    members = open_members([str(pages / name) for name in ("m0", "m1")], method="votes").members
    report = build_ensemble(
        members, samples, method="votes", search=SEARCH.model_copy(update={"method": "none"})
    )
    for member in report.members:
        assert member.thresholds == member.member.maps.thresholds
        np.testing.assert_array_equal(member.scored.crossfit, member.scored.evaluation.hmeans)
