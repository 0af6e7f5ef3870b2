"""A study copied to another database is the same study, on SQLite and PostgreSQL, whatever cuts it short."""

from __future__ import annotations

import math
import os
import shutil

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.trial import TrialState, create_trial
from optuna_dashboard import get_note, save_note

from optdet.errors import OptdetError
from optdet.metrics.scores import PRH
from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.store.registry import (
    InnerTrial,
    checkpoint_of,
    load_inner_trials,
    record_checkpoint,
    save_inner_trials,
)
from optdet.store.submissions import (
    BoardScore,
    SubmissionRecord,
    kept_content,
    list_board_scores,
    list_submissions,
    record_board_score,
    save_submission,
)
from optdet.structures import SubmissionSource, Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning import study_copy as module
from optdet.tuning.cleaning import UNFINISHED, clean
from optdet.tuning.housekeeping import inner_study_name, save_inner_study
from optdet.tuning.run import run_study
from optdet.tuning.space import distributions, suggest
from optdet.tuning.study import find_study, load_study, open_database, outer_studies
from optdet.tuning.study_copy import copy_study
from optdet.tuning.study_creation import create_study

OURS = {attr.UUID, attr.DEFINITION, attr.DATA_ROOT, attr.COPIED_FROM}
THRESHOLDS = Thresholds(0.1 + 0.2, 1 / 3, 1.5, 1000, False, 3.0)


@pytest.fixture
def original(database, define):
    """A study with a trial of every state, and everything that can hang on one; nothing was trained."""
    create_study(database, define("mine", queue=({"optimizer.lr": 0.02},)))
    other = optuna.create_study(storage=database.storage, study_name="other")
    other.enqueue_trial({"x": 1})  # so that ids and numbers differ
    study = load_study(database, "mine")
    running = study.study.ask()
    suggest(running, study.config.space)
    running.report(0.5, 1)
    running.report(math.inf, 2)
    save_note(running, "a note of a trial")
    run_dir = study.places.run_dir("mine", 0)
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / "best.pt").write_bytes(b"weights")
    stored = study.places.relative(run_dir / "checkpoints" / "best.pt")
    record_checkpoint(study.storage, study.uuid, 0, "best", path=stored, sha256="abc", epoch=2)
    running.set_user_attr(attr.CHECKPOINT, stored)
    running.set_user_attr("letters", {"é": [1.0, None, True], "zero": "\0"})
    save_inner_trials(
        study.storage, study.uuid, 0, [InnerTrial(n, THRESHOLDS, PRH(0.1, 0.7, n / 7)) for n in range(9)]
    )
    save_inner_study(study, study.study.trials[0])
    study.places.artifacts_dir.mkdir()
    store = FileSystemArtifactStore(str(study.places.artifacts_dir))
    upload_artifact(
        artifact_store=store,
        file_path=str(run_dir / "checkpoints" / "best.pt"),
        study_or_trial=running,
        storage=study.storage,
    )
    params = {"optimizer.lr": 0.01, "train.batch_size": 2, "loss.negative_ratio": 2.0}
    known = distributions(study.config.space)
    for state, value in ((TrialState.COMPLETE, 1 / 3), (TrialState.PRUNED, 0.2), (TrialState.FAIL, None)):
        reports = {1: math.nan, 7: 0.25}
        study.study.add_trial(
            create_trial(
                state=state, value=value, params=params, distributions=known, intermediate_values=reports
            )
        )
    study.study.enqueue_trial({"optimizer.lr": 0.005})
    for sha256, sources in SUBMITTED.items():
        save_submission(study.storage, submission(sha256, [(name, study.uuid) for name in sources]))
        record_board_score(study.storage, sha256, "public", BoardScore(0.96), content=sha256.encode())
    return study


SUBMITTED = {"a" * 64: ["mine:0"], "b" * 64: []}
"""Submissions by their SHA-256, with the trials that detected; one is of another source."""


def submission(sha256, sources):
    return SubmissionRecord(
        sha256=sha256,
        paths=(f"../{sha256[0]}.csv",),
        command="predict",
        created=1.5,
        written=2.5,
        n_images=3,
        n_polygons=4,
        n_bytes=5,
        image_set="i" * 64,
        sources=(*(SubmissionSource(*source) for source in sources), SubmissionSource("maps")),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(request, tmp_path):
    """A database elsewhere, with a root of its own and a study in it."""
    url = (
        tmp_path / "there" / "all.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    database = open_database(str(url), str(tmp_path / "there"), create=True)
    optuna.create_study(storage=database.storage, study_name="elder").ask()
    yield database
    close_storage(database.storage)


def contents(study):
    """All of a study, as Optuna, its dashboard and our registry tell it: but for ids, names and places."""
    name = study.name
    trials = []
    for trial in study.study.get_trials():
        told = {key: value for key, value in vars(trial).items() if key != "_trial_id"}
        told["_user_attrs"] = {**trial.user_attrs, attr.CHECKPOINT: None}
        told["intermediate_values"] = repr(trial.intermediate_values)  # NaN is not equal to itself
        trials.append(
            (
                told,
                get_note(optuna.Trial(study.study, trial._trial_id))
                if not trial.state.is_finished()
                else None,
                [(m.filename, m.artifact_id) for m in get_all_artifact_meta(trial, storage=study.storage)],
                load_inner_trials(study.storage, study.uuid, trial.number),
            )
        )
    inner = optuna.load_study(storage=study.storage, study_name=inner_study_name(name, 0))
    attributes = {key: value for key, value in study.study.user_attrs.items() if key not in OURS}
    inner_trials = [
        (t.number, t.params, t.values, t.user_attrs, t.datetime_complete) for t in inner.get_trials()
    ]
    return trials, attributes, inner_trials, inner.user_attrs[attr.INNER_OF].replace(name, "NAME")


def check_copy(study, original):
    assert contents(study) == contents(original)
    assert study.config == original.config.model_copy(update={"name": study.name})
    assert study.uuid != original.uuid
    assert study.data_root == original.data_root
    record = checkpoint_of(study.storage, study.uuid, 0, "best")
    assert record.created == checkpoint_of(original.storage, original.uuid, 0, "best").created
    assert record.path == study.study.trials[0].user_attrs[attr.CHECKPOINT]
    (submitted,) = list_submissions(study.storage)
    assert submitted.sources == (SubmissionSource(f"{study.name}:0", study.uuid), SubmissionSource("maps"))
    places = study.places.absolute(submitted.path), original.places.absolute("../a.csv")
    assert os.path.normpath(places[0]) == os.path.normpath(places[1])
    assert list_board_scores(study.storage) == {submitted.sha256: {"public": BoardScore(0.96)}}
    assert kept_content(study.storage, submitted.sha256) == submitted.sha256.encode()
    assert record.path == f"runs/{study.name}/t0000/checkpoints/best.pt"
    assert study.places.absolute(record.path).read_bytes() == b"weights"
    (artifact,) = get_all_artifact_meta(study.study.trials[0], storage=study.storage)
    assert (study.places.artifacts_dir / artifact.artifact_id).read_bytes() == b"weights"
    left = [path.name for path in (study.places.root / "runs").iterdir() if path.suffix != ".lock"]
    assert left == [study.name]
    assert [path.name for path in study.places.runs_of(study.name).iterdir()] == ["t0000"]


def test_it_goes_there_and_back_and_stays_the_same(original, target, tmp_path):
    before = contents(original)
    copied = copy_study(original, target)
    assert (copied.name, copied.n_trials, copied.n_inner_studies) == ("mine", 5, 1)
    assert (copied.n_submissions, copied.shares_files) == (1, False)
    there = load_study(target, "mine")
    check_copy(there, original)
    back = open_database(str(tmp_path / "back" / "optdet.db"), create=True)
    copy_study(there, back, "again")
    check_copy(load_study(back, "again"), original)
    assert contents(original) == before
    close_storage(back.storage)


@pytest.mark.slow
def test_the_copy_goes_on(original, target, recorder):
    """Trials in their order: the one that ran, the queued one, then a new one."""
    copy_study(original, target, "mine-2")
    study = load_study(target, "mine-2")
    heard = recorder()
    assert run_study(study, heard, total=5).reason == "full"
    assert heard.started == [(0, True), (4, False), (5, False)]
    assert [trial.number for trial in study.study.get_trials()] == list(range(6))
    assert study.study.trials[4].params["optimizer.lr"] == 0.005
    assert original.study.trials[0].state == TrialState.RUNNING


def test_a_submission_of_several_studies_is_named_by_those_that_are_there(original, target, define):
    create_study(original.database, define("yours"))
    yours = load_study(original.database, "yours")
    (original.places.root / "m0").mkdir()
    of_both = submission("c" * 64, [("mine:0", original.uuid), ("yours:3", yours.uuid), ("m0",)])
    save_submission(original.storage, of_both)

    def sources():
        (found,) = [each for each in list_submissions(target.storage) if each.sha256 == "c" * 64]
        return [(source.source, source.study_uuid) for source in found.sources]

    copy_study(original, target)
    mine = ("mine:0", load_study(target, "mine").uuid)
    files = [("../studies/m0", None), ("maps", None)]  # as the other root has them; what is gone stays
    assert sources() == [mine, ("yours:3", yours.uuid), *files]
    copy_study(yours, target, "theirs")
    theirs = ("theirs:3", load_study(target, "theirs").uuid)
    assert sources() == [mine, theirs, *files]


def test_within_one_root_under_another_name(original):
    copy_study(original, original.database, "mine-2")
    study = load_study(original.database, "mine-2")
    assert contents(study) == contents(original)
    sources = [source.source for each in list_submissions(original.storage) for source in each.sources]
    assert sorted(sources) == ["maps", "maps", "mine:0"]  # of the same bytes there is one submission
    assert study.places.run_dir("mine-2", 0).is_dir()
    assert study.places.run_dir("mine", 0).is_dir()


def test_within_one_root_under_the_same_name_the_files_are_shared(original, tmp_path):
    other = open_database(str(tmp_path / "other.db"), str(original.places.root), create=True)
    assert copy_study(original, other).shares_files
    assert contents(load_study(other, "mine")) == contents(original)
    close_storage(other.storage)


def test_the_note_is_the_copys_own_and_what_somebody_wrote_comes_along(original, target):
    save_inner_study(original, original.study.trials[0])
    copy_study(original, target, "mine-2")
    copy, inner = load_study(target, "mine-2"), inner_study_name("mine-2", 0)
    note, inner_id = get_note(copy.study), target.storage.get_study_id_from_name(inner)
    assert "# mine-2\n" in note
    assert f"[{inner}](/dashboard/studies/{inner_id})" in note
    assert "mine.t0000" not in note
    save_note(original.study, "my own words")
    copy_study(original, target, "mine-3")
    assert get_note(load_study(target, "mine-3").study) == "my own words"


def refused(message, *arguments):
    with pytest.raises(OptdetError, match=message):
        copy_study(*arguments)


def test_what_is_refused(original, target):
    refused("'elder' is there already", original, target, "elder")
    refused("'mine' is there already", original, original.database)
    refused("is no study name", original, target, "a/b")
    target.places.runs_of("mine").mkdir(parents=True)
    refused("the run folder of another study", original, target)
    target.places.runs_of("mine").rmdir()
    optuna.create_study(storage=target.storage, study_name=inner_study_name("mine", 0))
    refused("or one of its inner studies, is there already", original, target)
    assert "mine" not in optuna.get_all_study_names(target.storage)
    slot = Leases(original.storage, original.study_id, original.uuid).reserve(9)
    refused(f"process {os.getpid()} on .* works on it; stop it", original, target)
    Leases(original.storage, original.study_id, original.uuid).release(slot)
    shutil.rmtree(original.places.root / "runs")
    refused("the study's run folder is not there; name its root with --from-root", original, target)


def test_a_study_that_is_worked_on_meanwhile_is_not_copied(original, target, monkeypatch):
    copy_artifacts = module._copy_artifacts

    def work_and_copy(*arguments):
        original.study.trials  # noqa: B018
        optuna.Trial(original.study, original.study.trials[0]._trial_id).report(0.9, 3)
        copy_artifacts(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_copy_artifacts", work_and_copy)
        refused("was worked on while it was copied", original, target)
    assert "mine" not in optuna.get_all_study_names(target.storage)
    copy_study(original, target)
    check_copy(load_study(target, "mine"), original)


class Killed(BaseException):
    """Not an Exception: nothing may handle it."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "shutil.copytree",
        "_copy_artifacts",
        "write_rows",
        "copy_submissions",
        "os.rename",
        "optuna.Study.set_user_attr",
    ],
)
@pytest.mark.thin(3)
def test_a_copy_that_is_cut_short_is_made_again(original, target, monkeypatch, name, after):
    holder = module
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part)
    function = getattr(holder, last)

    def deadly(*args, **kwargs):
        if name.endswith("set_user_attr") and args[1] != attr.READY:
            return function(*args, **kwargs)
        if after:
            function(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(holder, last, deadly)
        if name.startswith("optuna"):
            patch.setattr(optuna.Study, last, deadly)
        with pytest.raises(Killed):
            copy_study(original, target)
    if name.endswith("set_user_attr") and after:
        assert [row.name for row in outer_studies(target)] == ["mine"]
        refused("'mine' is there already", original, target)
        return
    assert outer_studies(target) == []
    if "mine" in optuna.get_all_study_names(target.storage):
        assert find_study(target, "mine") == "mine"
        with pytest.raises(OptdetError, match="run `copy` again"):
            load_study(target, "mine")
        with pytest.raises(OptdetError, match="a copy that was cut short"):
            create_study(target, original.config)
    copy_study(original, target)
    check_copy(load_study(target, "mine"), original)
    assert len(optuna.get_all_study_names(target.storage)) == 3


def test_cleaning_leaves_the_files_of_a_copy_in_work_and_takes_those_of_one_that_was_killed(
    original, tmp_path, monkeypatch
):
    target = open_database(str(tmp_path / "there" / "optdet.db"), create=True)
    artifacts = module._copy_artifacts
    cleaned = []

    def clean_meanwhile(*given):
        for path in (staged := target.places.runs_dir / ".mine.copying", *staged.rglob("*")):
            os.utime(path, (0, 0))  # a large study takes its time
        cleaned.append(clean(target))
        artifacts(*given)

    monkeypatch.setattr(module, "_copy_artifacts", clean_meanwhile)
    copy_study(original, target)
    assert cleaned[0].waste == ()
    assert (target.places.run_dir("mine", 0) / "checkpoints" / "best.pt").read_bytes() == b"weights"
    left = target.places.runs_dir / ".other.copying" / "t0000"
    left.mkdir(parents=True)
    (left / "best.pt").write_bytes(b"weights")
    for path in (left / "best.pt", left, left.parent):
        os.utime(path, (0, 0))
    [waste] = clean(target).waste
    assert (waste.what, waste.name) == (UNFINISHED, str(left.parent))
    close_storage(target.storage)


def test_inner_studies_of_a_former_study_of_the_name_are_not_copied(original, tmp_path):
    stale = optuna.create_study(storage=original.storage, study_name="mine.t0099.postprocess")
    for key, value in ((attr.INNER_OF, "mine:99"), (attr.INNER_OF_UUID, "of another"), (attr.READY, True)):
        stale.set_user_attr(key, value)
    target = open_database(str(tmp_path / "there" / "optdet.db"), create=True)
    copy_study(original, target)
    assert "mine.t0099.postprocess" not in optuna.get_all_study_names(storage=target.storage)
    close_storage(target.storage)
