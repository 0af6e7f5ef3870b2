"""Threshold tuning kept as an Optuna study: the same result as in memory, and no trial lost, doubled or mixed
with another search."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import optuna_dashboard
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from optdet.config import TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.errors import OptdetError
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.scorer import ImageScorer, macro_scores
from optdet.geometry.letterbox import Letterbox
from optdet.search_space import Choice, FloatRange, ThresholdSpace
from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.structures import Thresholds, Word
from optdet.tuning import attributes as attr
from optdet.tuning.postprocess import tune_postprocess
from optdet.tuning.postprocess_study import PostprocessStudy
from optdet.tuning.study import all_studies, open_database, outer_studies
from optdet.tuning.task import TuningTask
from optdet.tuning.threshold_search import SearchSampler, fixed_points, space_of
from optdet.tuning.thresholds import tune_thresholds

SIZE = 160
CURRENT = Thresholds(0.3, 0.5, 1.7, 500, False, 3.0)
SPACE = ThresholdSpace(
    thresh=FloatRange(type="float", low=0.1, high=0.8, step=0.025),
    box_thresh=FloatRange(type="float", low=0.1, high=0.8, step=0.025),
    unclip_ratio=Choice(type="categorical", choices=(1.7,)),  # which rules out the usual points
    max_candidates=Choice(type="categorical", choices=(500,)),
    use_polygon=Choice(type="categorical", choices=(False,)),
)
HIGH = FloatRange(type="float", low=0.9, high=0.95, step=0.05)
TPE = TuneConfig(method="tpe", trials=12, space=SPACE)
EXHAUSTIVE = TuneConfig(method="exhaustive", select="best", space=SPACE)
NAMED = {"inside": replace(CURRENT, thresh=0.7), "outside": replace(CURRENT, max_candidates=600)}


def make_scorers(n_images=3, *, seed=0):
    """Words and smears of every strength, so that no thresholds find all of these and none of those."""
    dice = np.random.default_rng(seed)
    found = []
    for index in range(n_images):
        prob_map = np.zeros((SIZE, SIZE), dtype=np.float32)
        words = []
        for y in range(8, SIZE - 24, 24):
            left, right = dice.uniform(6, 30), dice.uniform(70, SIZE - 6)
            polygon = np.array([[left, y], [right, y], [right, y + 16], [left, y + 16]])
            is_word = dice.random() < 0.7
            peak = dice.uniform(0.25, 0.95) if is_word else dice.uniform(0.1, 0.6)
            noise = dice.uniform(0.8, 1.0, prob_map.shape)
            prob_map += build_targets([polygon], [False], SIZE).shrink_map * noise * peak
            words += [Word(polygon)] if is_word else []
        detector = MapDetector(prob_map.astype(np.float16), Letterbox(SIZE, SIZE, SIZE))
        found.append(ImageScorer(f"{index}.jpg", detector, words))
    return found


@pytest.fixture
def scorers():
    return make_scorers()


def kept(
    database,
    scorers,
    tune,
    *,
    seed=0,
    metric="competition",
    candidates=None,
    current=CURRENT,
    say=lambda said: None,
    on_trial=None,
):
    """One run of the tuning: what it found, and its study."""
    study = PostprocessStudy(database, "maps", say=say)
    task = TuningTask(scorers, tune, current, seed=seed, metric=metric, candidates=candidates or {})
    return study.tune(task, on_trial=on_trial), newest(database)


def newest(database):
    return optuna.load_study(study_name=all_studies(database)[-1].name, storage=database.storage)


def rows(study):
    return [(trial.number, trial.params, trial.values, trial.user_attrs) for trial in study.trials]


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_result_is_that_of_a_search_in_memory(database, scorers, method):
    tune = TPE.model_copy(update={"method": method})
    tuned, study = kept(database, scorers, tune, seed=3, candidates=NAMED)
    assert tuned == tune_thresholds(TuningTask(make_scorers(), tune, CURRENT, seed=3, candidates=NAMED))
    assert len(set(study.trials[0].user_attrs["part_hmeans"])) > 1
    for entry in tuned.tried:
        assert entry.scores == macro_scores(scorers, entry.thresholds)


def test_a_search_for_another_metric_is_another_study_that_keeps_its_scores(database, scorers):
    _, usual = kept(database, scorers, TPE)
    tuned, study = kept(database, scorers, TPE, metric="iou")
    assert study.study_name != usual.study_name
    assert study.study_name.endswith("-3-iou")
    assert tuned == tune_thresholds(TuningTask(make_scorers(), TPE, CURRENT, seed=0, metric="iou"))
    for entry in tuned.tried:
        assert entry.scores == macro_scores(scorers, entry.thresholds, "iou")


def test_queued_points_come_first_and_carry_their_names(database, scorers):
    _, study = kept(database, scorers, TPE, candidates=NAMED)
    first = study.trials[:3]
    assert [trial.user_attrs["name"] for trial in first] == ["current", "inside", "outside"]
    assert [trial.params.get("thresh") for trial in first] == [0.3, 0.7, None]
    assert first[2].user_attrs["max_candidates"] == 600  # no parameter can say it: outside the space
    queued = [trial for trial in study.trials if "fixed_params" in trial.system_attrs]
    assert len(study.trials) == len(queued) + TPE.trials
    assert len(queued) == 3
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert set(study.trials[-1].params) == set(ThresholdSpace.model_fields)


def test_a_candidate_outside_the_space_is_tried_but_not_chosen(database, scorers):
    """Wherever it lies: this one is the best of all, since nothing else finds a word."""
    tune = TPE.model_copy(update={"space": SPACE.model_copy(update={"box_thresh": HIGH})})
    current = replace(CURRENT, box_thresh=0.95)
    tuned, study = kept(database, scorers, tune, current=current, candidates={"good": CURRENT})
    assert study.best_trial.user_attrs["name"] == "good"
    assert study.best_value > tuned.best.scores.hmean
    assert CURRENT not in [entry.thresholds for entry in tuned.tried]


def test_a_point_outside_does_not_stop_tpe_from_drawing_parameters_together(scorers, monkeypatch):
    """Optuna's guess of the space would be what all trials have in common: nothing."""

    def independent(self, study, trial, name, distribution):
        drawn.append((trial.number, name))
        return original(self, study, trial, name, distribution)

    drawn, original = [], SearchSampler.sample_independent
    monkeypatch.setattr(SearchSampler, "sample_independent", independent)
    tune = TPE.model_copy(update={"trials": 12})
    tuned = tune_thresholds(TuningTask(scorers, tune, CURRENT, seed=0, candidates=NAMED))
    assert len(tuned.tried) > 11
    assert {number for number, _ in drawn} == set(range(3, 10))  # Optuna's first ten trials are random


def test_a_finished_search_is_shown_without_running_again(database, scorers, monkeypatch):
    tuned, study = kept(database, scorers, TPE)
    monkeypatch.setattr("optdet.tuning.threshold_search.macro_scores", None)
    heard = []
    again, same = kept(database, make_scorers(), TPE, say=heard.append)
    assert again == tuned
    assert rows(same) == rows(study)
    [line] = heard
    assert f"{study.study_name} is finished: {len(study.trials)} trials" in line
    assert "-s trials=N, above 12" in line


def test_more_trials_go_on_where_it_ended(database, scorers, tmp_path):
    kept(database, scorers, TPE)
    more = TPE.model_copy(update={"trials": 15, "select": "best"})
    heard = []
    tuned, study = kept(database, scorers, more, say=heard.append)
    assert len(all_studies(database)) == 1
    assert f"goes on after {len(study.trials) - 3} of {len(study.trials)} trials" in heard[0]
    assert tuned == tune_thresholds(TuningTask(make_scorers(), more, CURRENT, seed=0))
    fewer, _ = kept(database, scorers, TPE)  # what is there is not thrown away
    assert fewer.tried == tuned.tried


def moved_word(scorers):
    first = scorers[0]
    words = (Word(first.words[0].polygon + 1), *first.words[1:])
    return [ImageScorer(first.name, first.detector, words), *scorers[1:]]


def other_text(scorers):
    """CLEval's `official` profile counts characters of the text."""
    first = scorers[0]
    words = (Word(first.words[0].polygon, text="another"), *first.words[1:])
    return [ImageScorer(first.name, first.detector, words), *scorers[1:]]


def other_map(scorers):
    first = scorers[0]
    prob_map = first.detector.half_map.copy()
    prob_map[0, 0] = 1
    return [
        ImageScorer(first.name, MapDetector(prob_map, first.detector.letterbox), first.words),
        *scorers[1:],
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"tune": TPE.model_copy(update={"method": "random"})},
        {"tune": TPE.model_copy(update={"space": SPACE.model_copy(update={"thresh": HIGH})})},
        {"candidates": NAMED},
        {"current": replace(CURRENT, thresh=0.4)},
        {"scorers": make_scorers(2)},
        {"scorers": moved_word(make_scorers())},
        {"scorers": other_map(make_scorers())},
        {"scorers": other_text(make_scorers())},
    ],
    ids=["seed", "method", "space", "candidates", "current", "fewer images", "a word", "a pixel", "a text"],
)
@pytest.mark.thin(2)
def test_another_search_is_another_study(database, scorers, change):
    _, study = kept(database, scorers, TPE)
    before = rows(study)
    kept(database, **{"scorers": make_scorers(), "tune": TPE} | change)
    assert len(all_studies(database)) == 2
    assert rows(optuna.load_study(study_name=study.study_name, storage=database.storage)) == before


def test_a_name_that_another_study_has_is_refused(database, scorers):
    _, study = kept(database, scorers, TPE)
    name = study.study_name
    optuna.delete_study(study_name=name, storage=database.storage)
    other = optuna.create_study(study_name=name, storage=database.storage)
    other.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(OptdetError, match="another study has the name"):
        kept(database, scorers, TPE)
    assert len(other.trials) == 1


class CutOff(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize(
    ("method", "call"),
    [
        pytest.param("enqueue_trial", 1, marks=pytest.mark.slow),
        ("enqueue_trial", 3),
        pytest.param("set_user_attr", 2, marks=pytest.mark.slow),
        pytest.param("set_user_attr", 4, marks=pytest.mark.slow),
        ("ask", 9),
    ],
)
def test_a_study_that_was_cut_off_ends_as_one_that_was_not(
    database, scorers, tmp_path, monkeypatch, method, call
):
    whole = open_database(str(tmp_path / "whole.db"), create=True)
    tuned, study = kept(whole, make_scorers(), TPE, candidates=NAMED)
    expected = rows(study)
    close_storage(whole.storage)
    original, n_calls = getattr(optuna.Study, method), 0

    def deadly(self, *args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        if n_calls == call:
            raise CutOff
        return original(self, *args, **kwargs)

    monkeypatch.setattr(optuna.Study, method, deadly)
    with pytest.raises(CutOff):
        kept(database, scorers, TPE, candidates=NAMED)
    monkeypatch.undo()
    again, completed = kept(database, make_scorers(), TPE, candidates=NAMED)
    assert again == tuned
    assert rows(completed) == expected
    assert len(expected) == 3 + TPE.trials


def test_two_at_once_share_the_trials(database):
    """Each with a storage of its own, as processes have."""
    found = []
    databases = [open_database(database.url) for _ in range(2)]

    def run(own):
        found.append(kept(own, make_scorers(), TPE)[0])

    threads = [threading.Thread(target=run, args=(own,)) for own in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in databases:
        close_storage(own.storage)
    assert found[0] == found[1]
    study = newest(database)
    n_queued = sum("fixed_params" in trial.system_attrs for trial in study.trials)
    assert len(study.trials) == n_queued + TPE.trials
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_tpe_comes_close_to_the_exhaustive_optimum_and_never_beats_it(seed):
    """200 trials on the same lattice of 17 661 points: within 0.01 of H-mean of the best, which lies 0.04 or
    more above all that was queued."""
    scorers = make_scorers(8, seed=seed)
    space = SPACE.model_copy(update={"unclip_ratio": ThresholdSpace().unclip_ratio})
    best, found = (
        tune_thresholds(
            TuningTask(
                scorers, TuneConfig(method=method, select="best", trials=200, space=space), CURRENT, seed=seed
            )
        ).chosen.scores.hmean
        for method in ("exhaustive", "tpe")
    )
    queued = max(
        macro_scores(scorers, point).hmean
        for point in fixed_points(CURRENT, space_of(TuneConfig(space=space)))
    )
    assert queued < best - 0.04
    assert best - 0.01 <= found <= best < 1


def completed(database, scorers, tune, constraint=None):
    study = PostprocessStudy(database, "maps")
    task = TuningTask(scorers, tune, CURRENT, candidates=NAMED, constraint=constraint)
    report = tune_postprocess("maps", task, find=study.tune)
    name = study.complete(report)
    return report, optuna.load_study(study_name=name, storage=database.storage)


def files_of(study, database):
    """The attached files' contents by name."""
    found = {}
    for meta in get_all_artifact_meta(study, storage=database.storage):
        assert meta.filename not in found
        found[meta.filename] = (database.places.artifacts_dir / meta.artifact_id).read_bytes()
    return found


def test_an_exhaustive_study_has_points_of_its_landscape_and_all_of_it_attached(database, scorers, tmp_path):
    report, study = completed(database, scorers, EXHAUSTIVE)
    assert study.best_value == report.entry("best").evaluation.scores.competition.macro.hmean
    assert [trial.value for trial in study.trials] == [entry.scores.hmean for entry in report.tuned.tried]
    assert 60 < len(study.trials) < 80
    files = files_of(study, database)
    assert set(files) == {"landscape-quads.npz", "landscape-quads.png", "landscape-quads.html"}
    (tmp_path / "landscape.npz").write_bytes(files["landscape-quads.npz"])
    with np.load(tmp_path / "landscape.npz") as stored:
        assert stored["hmean"].shape == report.landscapes[0].hmean.shape
        assert stored["hmean"].max() == np.float32(report.landscapes[0].hmean.max())
    assert files["landscape-quads.png"].startswith(b"\x89PNG")
    _, again = completed(database, scorers, EXHAUSTIVE)
    assert files_of(again, database) == files
    assert rows(again) == rows(study)
    assert len(list(database.places.artifacts_dir.iterdir())) == len(files)


@pytest.mark.slow
def test_a_constraint_has_a_study_of_its_own(database, scorers):
    completed(database, scorers, EXHAUSTIVE)
    completed(database, scorers, EXHAUSTIVE, Constraint.parse("recall>=0.3"))
    assert len(all_studies(database)) == 2
    with pytest.raises(OptdetError, match="no thresholds keep"):
        completed(database, scorers, EXHAUSTIVE, Constraint.parse("boxes>=9999"))
    with pytest.raises(OptdetError, match="needs the whole landscape"):
        completed(database, scorers, TPE, Constraint.parse("recall>=0.3"))
    assert len(all_studies(database)) == 2, "what was refused leaves no study"


@pytest.mark.slow
def test_more_trials_bring_a_new_picture(database, scorers):
    report, study = completed(database, scorers, TPE)
    assert set(files_of(study, database)) == {f"landscape-{len(report.tuned.tried)}-points.png"}
    completed(database, scorers, TPE)
    assert len(files_of(study, database)) == 1
    completed(database, scorers, TPE.model_copy(update={"trials": 15}))
    assert len(files_of(study, database)) == 2


def test_the_dashboard_shows_it_and_studies_of_people_do_not_meet_it(database, scorers):
    _, study = completed(database, scorers, TPE)
    assert study.user_attrs[attr.INNER_OF] == "maps"
    assert outer_studies(database) == []
    pages = optuna_dashboard.wsgi(database.url)
    answer = {}

    def start(status, headers, error=None):
        answer["status"] = status

    environ = {"PATH_INFO": f"/api/studies/{study._study_id}"}
    setup_testing_defaults(environ)
    body = b"".join(pages(environ, start)).decode()
    assert answer["status"].startswith("200")
    for shown in ('"name"', "inside", "part_hmeans", "Thresholds of maps", "landscape-"):
        assert shown in body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_search_that_goes_on(database, scorers, number):
    def interrupt(done, _total):
        if done == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        kept(database, scorers, TPE, on_trial=interrupt)
    [name] = [row.name for row in all_studies(database)]
    begun = optuna.load_study(study_name=name, storage=database.storage)
    assert 3 <= len(begun.trials) < TPE.trials
    assert Leases(database.storage, begun._study_id, begun.user_attrs[attr.UUID]).live() == []
    _, study = kept(database, scorers, TPE)
    assert study.study_name == name
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
