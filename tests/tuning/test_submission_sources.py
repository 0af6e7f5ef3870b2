"""What a submission is noted to be of: the trials of studies behind it, whatever combines them."""

from __future__ import annotations

import pytest

from optdet.inference.views import View
from optdet.settings_yaml import dump_yaml
from optdet.store.engine import close_storage
from optdet.store.submissions import list_submissions
from optdet.structures import SubmissionSource
from optdet.tuning.detection_source import origins_of
from optdet.tuning.ensemble_members import open_members
from optdet.tuning.ensemble_output import untuned_vote
from optdet.tuning.ensemble_scores import no_bar
from optdet.tuning.ensemble_source import with_views
from optdet.tuning.ensemble_submission import about_ensemble
from optdet.tuning.results import best_trial
from optdet.tuning.source import SourceOptions, open_detections
from optdet.tuning.study import open_database
from optdet.tuning.study_copy import copy_study
from optdet.tuning.submission_predict import Wanted, predict_submission, submit


@pytest.fixture
def options(finished):
    return SourceOptions(storage=finished.database.url)


@pytest.fixture
def trial(finished):
    """The best trial, as the registry names it."""
    return SubmissionSource(f"finished:{best_trial(finished).number}", finished.uuid)


def images_of(source):
    return source.labelled()[0].image_path.parent


def noted(finished, path):
    (found,) = [each for each in list_submissions(finished.storage) if each.name == path.name]
    return found


def test_a_study_seen_in_other_views_is_its_trial(finished, options, trial, tmp_path):
    """Its best one may be another tomorrow."""
    source = with_views(open_detections("finished", options), [View("hflip")])
    wanted = Wanted(images_of(source), tmp_path / "seen.csv", score=False, tta=("hflip",))
    predict_submission(source, "finished", source.thresholds, wanted, options, bar=no_bar)
    found = noted(finished, wanted.out)
    assert found.sources == (trial,)
    assert found.settings["tta"] == ["hflip"]
    assert found.local is None  # its own scores are those without the views


@pytest.mark.parametrize("method", ["maps", "votes"])
def test_an_ensembles_file_and_the_trials_in_it(method, options, trial, pages, tmp_path):
    members = [{"source": "finished"}, {"source": str(pages / "m0")}]
    inner, outer = tmp_path / "inner.yaml", tmp_path / "outer.yaml"
    inner.write_text(dump_yaml({"method": method, "members": members}))
    outer.write_text(dump_yaml({"method": "votes", "members": [{"source": "inner.yaml"}, members[1]]}))
    opened = open_detections(str(inner), options)
    assert origins_of(opened, "as asked") == (SubmissionSource(str(inner)), trial)
    opened = open_detections(str(outer), options)
    assert origins_of(opened, "as asked") == (
        SubmissionSource(str(outer)),
        SubmissionSource(str(inner)),
        trial,
    )
    assert origins_of(open_detections(members[1]["source"]), "m0") == (SubmissionSource("m0"),)


def test_what_an_ensemble_writes_goes_along_with_its_studies(finished, options, trial, pages, tmp_path):
    members = open_members(
        ["finished", str(pages / "m0")], method="votes", views=[View("hflip")], options=options
    ).members
    vote = untuned_vote(members[:2])  # of maps of other images
    about = about_ensemble(vote, members, None, ())
    assert list(about.sources) == [trial, SubmissionSource(str(pages / "m0"))]
    wanted = Wanted(images_of(open_detections("finished", options)), tmp_path / "voted.csv")
    submit(vote, None, wanted, about, options, bar=no_bar)
    target = open_database(str(tmp_path / "there" / "optdet.db"), create=True)
    copied = copy_study(finished, target, "copied")
    assert copied.n_submissions >= 1
    (found,) = [each for each in list_submissions(target.storage) if each.name == "voted.csv"]
    assert found.sources[0].source == trial.source.replace("finished", "copied")
    close_storage(target.storage)
