"""An ensemble's file as a SOURCE, and the members that it is made of."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.inference.views import View, parse_views
from optdet.settings_yaml import dump_yaml
from optdet.tuning.ensemble_members import open_members
from optdet.tuning.ensemble_output import ensemble_config, untuned_vote, write_ensemble
from optdet.tuning.ensemble_source import with_views
from optdet.tuning.results import best_trial
from optdet.tuning.source import SourceOptions, labelled_samples, open_detections, open_source


@pytest.fixture
def options(finished):
    return SourceOptions(storage=finished.database.url)


@pytest.fixture
def folder(pages, tmp_path):
    """The pages with a file of predictions beside them, as a folder of a test's own."""
    for name in ("m0", "m1", "m2", "images"):
        (tmp_path / name).symlink_to(pages / name)
    shutil.copy(pages / "labels.json", tmp_path)
    rows = [f"page_{n}.png,10 10 40 10 40 20 10 20" for n in range(10)]
    (tmp_path / "theirs.csv").write_text("\n".join(["filename,polygons", *rows]))
    return tmp_path


def write(folder, tree, name="e.yaml"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump_yaml(tree))
    return str(path)


def paths_of(folder):
    return [sample.image_path for sample in load_source(folder / "images", folder / "labels.json").samples]


def points(found):
    return [[polygon.tolist() for polygon in each.polygons] for each in found]


def test_a_mean_has_maps_and_a_vote_detections(folder):
    members = [{"source": "m0"}, {"source": "m2", "weight": 3.0}]
    mean = open_source(write(folder, {"method": "maps", "members": members}))
    (first, *_) = mean.maps.maps(paths_of(folder))
    own = [np.load(folder / name / "page_0.npy").astype(float) for name in ("m0", "m2")]
    np.testing.assert_array_equal(first.detector.given_map, ((own[0] + 3 * own[1]) / 4).astype(np.float16))
    vote = write(folder, {"method": "votes", "members": [{"source": "m0"}, {"source": "theirs.csv"}]})
    with pytest.raises(OptdetError, match="an ensemble by votes has no probability maps; give one of its"):
        open_source(vote)
    opened = open_detections(vote)
    assert (opened.min_votes, opened.iou_thresh, opened.thresholds) == (2, 0.5, None)
    alone = open_detections(str(folder / "m0"))
    assert points(opened.detect(paths_of(folder), None)) != points(alone.detect(paths_of(folder)))


def test_members_are_relative_to_the_file_and_ensembles_are_members(folder, monkeypatch):
    inner = write(folder / "configs", {"method": "maps", "members": [{"source": "../m0"}]}, "inner.yaml")
    outer = {"method": "votes", "members": [{"source": "configs/inner.yaml"}], "min_votes": 1}
    monkeypatch.chdir("/")
    paths = paths_of(folder)
    expected = points(open_detections(str(folder / "m0")).detect(paths))
    found = {
        frozenset(map(str, page))
        for page in points(open_detections(write(folder, outer)).detect(paths, None))
    }
    assert found == {frozenset(map(str, page)) for page in expected}
    assert points(open_source(inner).detect(paths)) == expected


def test_thresholds_of_voters(folder):
    strict = open_detections(str(folder / "m0")).thresholds.as_dict() | {"box_thresh": 0.9}
    members = [{"source": "m0", "thresholds": strict}]
    found = open_detections(write(folder, {"method": "votes", "members": members}))
    usual = open_detections(write(folder, {"method": "votes", "members": [{"source": "m0"}]}))
    n_found, n_usual = (sum(map(len, each.detect(paths_of(folder), None))) for each in (found, usual))
    assert n_found < n_usual


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"data": {"size": 640}}, "not the file of an ensemble: it names no members; give a study"),
        ({"method": "maps", "members": [{"source": "nothing/here"}]}, "nothing/here: no such file or folder"),
        (
            {"method": "maps", "members": [{"source": "theirs.csv"}]},
            "theirs.csv has no probability maps",
        ),
        ({"method": "maps", "members": [{"source": "e.yaml"}]}, "more than 4 ensembles inside one another"),
        ({"method": "votes", "members": [{"source": "m0", "view": "hflip"}]}, "hflip needs a detector"),
        ({"method": "votes", "members": [{"source": "m0", "view": "turn"}]}, "'turn' is no augmentation"),
        ({"method": "votes", "members": [{"source": "m0", "view": "hflip,vflip"}]}, "is not one view"),
    ],
)
def test_files_that_are_no_ensemble(tree, message, folder):
    with pytest.raises(OptdetError, match=message):
        open_detections(write(folder, tree))


def test_thresholds_where_there_are_none_to_replace(folder):
    in_use = open_detections(str(folder / "m0")).thresholds.as_dict()
    members = [{"source": "theirs.csv", "thresholds": in_use}]
    with pytest.raises(OptdetError, match=r"theirs.csv has no thresholds to replace; remove them"):
        open_detections(write(folder, {"method": "votes", "members": members}))


# --- members -----------------------------------------------------------------------------------------------


def test_views_are_members_of_their_detector(finished, options):
    best = best_trial(finished).number
    other = (best + 1) % 3
    found = open_members(
        ["finished", f"finished:{other}"],
        method="maps",
        views=parse_views(["scale:96,hflip"]),
        options=options,
    )
    names = [f"finished:{best}", f"finished:{best} scale:96", f"finished:{best} hflip"]
    assert [member.name for member in found.members][:3] == names
    assert [member.group for member in found.members] == [0, 0, 0, 1, 1, 1]
    assert [member.sets_canvas for member in found.members] == [True, False, True] * 2
    assert len(open_members(["finished"], method="maps", views=[View("hflip")], options=options).members) == 2


def test_what_has_no_views_says_so(folder):
    found = open_members(
        [str(folder / "m0"), str(folder / "theirs.csv")], method="votes", views=[View("hflip")]
    )
    assert len(found.members) == 2
    assert [note.rpartition("/")[2] for note in found.notes] == [
        "m0 is no detector: it has no other views",
        "theirs.csv is no detector: it has no other views",
    ]


def test_members_that_cannot_be(finished, options, folder):
    best = best_trial(finished).number
    m0 = str(folder / "m0")
    with pytest.raises(OptdetError, match=rf"finished:{best} and finished:{best} are the same member; name"):
        open_members(["finished", f"finished:{best}"], method="maps", options=options)
    with pytest.raises(OptdetError, match="are the same member"):
        open_members([m0, f"{m0}/"], method="maps")
    with pytest.raises(OptdetError, match="an ensemble needs two members; name another source, or add --tta"):
        open_members([m0], method="votes")
    with pytest.raises(OptdetError, match="a prediction file has no probability maps to average; use --met"):
        open_members([m0, str(folder / "theirs.csv")], method="maps")
    with pytest.raises(OptdetError, match="no study named 'elsewhere'"):
        open_members([m0, "elsewhere"], method="maps", options=options)


def test_a_folder_that_is_called_as_a_study_hides_nothing(finished, options, tmp_path, monkeypatch):
    (tmp_path / "finished").mkdir()
    monkeypatch.chdir(tmp_path)
    found = open_members(["finished"], method="maps", views=[View("hflip")], options=options)
    assert found.members[0].source == f"finished:{best_trial(finished).number}"


def test_members_know_what_they_were_trained_on(finished, options, tmp_path):
    source = open_source("finished", options)
    mean = open_source(write(tmp_path, {"method": "maps", "members": [{"source": "finished"}]}), options)
    assert mean.trained_on() == source.trained_on()
    paths = source.trained_on()
    assert len(paths) == 4
    assert all(path.is_file() for path in paths)
    assert {path.parent for path in paths}.isdisjoint({s.image_path.parent for s in source.labelled()})


# --- the mean of views, and what is written ----------------------------------------------------------------


def test_a_source_with_views_is_the_mean_of_its_maps(finished, options):
    source = open_source("finished", options)
    samples = labelled_samples(source, None, None)
    paths = [sample.image_path for sample in samples]
    both = with_views(source, [View("hflip")])
    assert both.title == f"{source.title} with hflip"
    (seen,) = open_members(["finished"], method="maps", views=[View("hflip")], options=options).members[1:]
    maps = [next(each.maps.maps(paths)).detector.given_map.astype(float) for each in (source, seen.opened)]
    np.testing.assert_array_equal(
        next(both.maps.maps(paths)).detector.given_map, (sum(maps) / 2).astype(np.float16)
    )
    assert not np.array_equal(*maps)
    assert with_views(source, ()) is source


def test_a_view_at_another_scale_leaves_the_canvas_as_it_is(finished, options, tmp_path):
    source = open_source("finished", options)
    paths = [sample.image_path for sample in source.labelled()]
    (own, *_) = source.maps.maps(paths)
    members = [{"source": "finished"}, {"source": "finished", "view": "scale:96"}]
    saved = open_source(write(tmp_path, {"method": "maps", "members": members}), options)
    for mean in (saved, with_views(source, [View("scale", 96)])):
        (first, *_) = mean.maps.maps(paths)
        assert first.detector.letterbox == own.detector.letterbox
        assert not np.array_equal(first.detector.given_map, own.detector.given_map)


def test_what_is_written_opens_as_what_it_was(finished, options, folder):
    sources = [f"finished:{best_trial(finished).number}", str(folder / "m0"), str(folder / "theirs.csv")]
    reading = replace(options, placement="letterbox", onnx=replace(options.onnx, pad="topleft"))
    found = open_members(sources, method="votes", views=[View("hflip")], options=reading)
    path = folder / "configs" / "vote.yaml"
    config = ensemble_config(untuned_vote(found.members), found.members, path, reading)
    write_ensemble(config, path, ["a remark"])
    assert path.read_text().startswith("# a remark\nmethod: votes\n")
    members = config.as_tree()["members"]
    assert [member["source"] for member in members][2:] == ["../m0", "../theirs.csv"]
    assert members[1]["view"] == "hflip"
    assert members[2]["reading"] == {"pad": "topleft", "placement": "letterbox"}
    assert "reading" not in members[0]
    opened = open_detections(str(path), options)
    assert (len(opened.voters), opened.min_votes) == (4, 3)
    assert opened.voters[2].source.maps.pad == "topleft"
    assert opened.labelled is not None
    names = [sample.image_path for sample in opened.labelled()]
    assert names == [sample.image_path for sample in open_source("finished", options).labelled()]
