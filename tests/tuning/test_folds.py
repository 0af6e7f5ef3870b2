"""Studies of folds: made from a trial or a config, their maps pooled, their folds side by side."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial

from optdet.config import SourceConfig
from optdet.config_io import apply_params
from optdet.data.split import split_data, write_split
from optdet.data.synthetic.dataset import make_dataset
from optdet.errors import OptdetError
from optdet.evaluation.scorer import evaluate_at, hmeans
from optdet.search_space import Choice
from optdet.store.engine import close_storage
from optdet.store.submissions import LocalScores
from optdet.structures import SubmissionSource, Thresholds
from optdet.study_config import StudyConfig
from optdet.training.budget import Budget
from optdet.tuning import attributes as attr
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.detector_export import Wanted as Exported
from optdet.tuning.detector_export import export_detector
from optdet.tuning.ensemble_members import open_members
from optdet.tuning.ensemble_scores import no_bar
from optdet.tuning.extension import extend_trial
from optdet.tuning.fold_members import find_fold_study, fold_members, fold_numbers, is_fold_study
from optdet.tuning.fold_report import fold_report, rank_folds, tune_pooled
from optdet.tuning.fold_scores import store_scores, stored_scores
from optdet.tuning.fold_source import judge_samples, open_out_of_fold
from optdet.tuning.fold_study import FoldBase, base_of_config, base_of_trial, plan_fold_study
from optdet.tuning.housekeeping import keep_best
from optdet.tuning.in_sample import n_trained_on
from optdet.tuning.labelled import judging_samples
from optdet.tuning.overview import study_rows
from optdet.tuning.pack import portable
from optdet.tuning.progress import Progress
from optdet.tuning.ranking import best_trials
from optdet.tuning.results import best_json, best_trial, relocated, study_json
from optdet.tuning.run import run_study
from optdet.tuning.source import SourceOptions, labelled_samples, open_source
from optdet.tuning.space import distributions
from optdet.tuning.study import OpenStudy, load_study, open_database
from optdet.tuning.study_creation import create_study
from optdet.tuning.study_source import find_source
from optdet.tuning.submission_predict import Wanted, predict_submission
from optdet.tuning.thresholds import replace_thresholds
from optdet.tuning.warm_start import WarmStart
from optdet.validation import validate

SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "data": {
        "train": {"images": "data/train/images", "labels": "data/train/labels.json"},
        "val": {"images": "data/val/images", "labels": "data/val/labels.json"},
        "size": 64,
        "workers": 0,
    },
    "augment": {"geometry_prob": 0.0},
    "model": {
        "backbone": "test_efficientnet",
        "pretrained": False,
        "inner_channels": 16,
        "thresh_branch": False,
    },
    "optimizer": {"lr": 0.02},
    "train": {"epochs": 4, "batch_size": 2, "patience": 0},
    "postprocess": {
        "thresh": 0.25,
        "box_thresh": 0.1,
        "tune": {
            "method": "random",
            "trials": 5,
            "space": {"use_polygon": {"type": "categorical", "choices": [False]}},
        },
    },
}
"""Seven images to part into three folds, and two to judge by."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    make_dataset(folder / "data", n_train=7, n_val=2, seed=0, image_size=192, difficulty=0.0)
    train, val = (
        SourceConfig(
            images=str(folder / f"data/{part}/images"), labels=str(folder / f"data/{part}/labels.json")
        )
        for part in ("train", "val")
    )
    write_split(split_data([train], val, n_folds=3), folder / "folds")
    return folder


@pytest.fixture(scope="module")
def database(place: Path) -> Any:
    database = open_database(str(place / "studies" / "optdet.db"), create=True)
    yield database
    close_storage(database.storage)


def made(database: Any, config: StudyConfig, place: Path) -> OpenStudy:
    create_study(database, config, data_root=place)
    return load_study(database, config.name)


@pytest.fixture(scope="module")
def base(database: Any, place: Path) -> OpenStudy:
    """A study of one complete trial."""
    tree = {"name": "base", "config": SETTINGS, "trials": 1, "keep": {"overlays": 0, "inner_studies": 0}}
    study = made(database, validate(StudyConfig, tree, "base"), place)
    assert run_study(study, Progress()).reason == "full"
    return study


def planned(base: FoldBase, place: Path, *overrides: str, name: str = "folds") -> StudyConfig:
    return plan_fold_study(
        place / "folds/folds.json",
        base,
        name=name,
        data_root=place,
        data_dir=place / "studies/data",
        overrides=overrides,
    )


@pytest.fixture(scope="module")
def folds(base: OpenStudy, database: Any, place: Path) -> OpenStudy:
    """Three folds with its settings. Tests must leave it as it is."""
    config = planned(
        base_of_trial(base, base.study.trials[0]), place, "keep.overlays=0", "keep.inner_studies=0"
    )
    study = made(database, config, place)
    assert run_study(study, Progress()).reason == "full"
    return study


@pytest.fixture
def options(database: Any) -> SourceOptions:
    return SourceOptions(storage=database.url)


# --- made --------------------------------------------------------------------------------------------------


def test_the_budget_is_what_the_best_epoch_had_seen(base: OpenStudy, place: Path) -> None:
    trial = base.study.trials[0]
    best = trial.user_attrs[attr.BEST_EPOCH]
    assert trial.user_attrs[attr.UPDATES] == 4 * best  # seven images, two a batch
    found = base_of_trial(base, trial)
    assert found.budget == Budget(4 * best, 4.0)
    study = planned(found, place)
    config = study.config
    assert config.train.updates == 4 * best
    assert config.train.checkpoint == "fixed"
    assert config.scheduler.epoch_updates == 4.0
    assert config.scheduler.t_max == 4  # where the cosine would have ended there
    assert config.train.epochs == -(
        -4 * best // 2
    )  # four or five images learnt: two updates an epoch, or three
    assert config.data.folds == "folds/folds.json"
    assert (config.data.train, config.data.val) == ((), None)
    assert config.optimizer == trial_config(base).optimizer
    assert config.seed == trial_config(base).seed
    assert study.space == {"data.fold": Choice(type="categorical", choices=(0, 1, 2))}
    assert (study.trials, study.keep.maps, study.pruner.name, study.vary_seed) == (3, 3, "none", False)
    assert study.queue == tuple({"data.fold": fold} for fold in range(3))


def trial_config(study: OpenStudy) -> Any:
    from optdet.tuning.results import config_of

    return config_of(study.study.trials[0], study)


def test_a_trial_by_an_earlier_version_has_its_updates_counted(base: OpenStudy) -> None:
    trial = copy.deepcopy(base.study.trials[0])
    del trial.user_attrs[attr.UPDATES]
    assert base_of_trial(base, trial) == base_of_trial(base, base.study.trials[0])


def test_the_settings_of_a_config(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from optdet.settings_yaml import dump_yaml

    path = tmp_path / "mine.yaml"
    path.write_text(dump_yaml(SETTINGS))
    found = base_of_config(path, data_root=place, data_dir=place)
    assert found.budget == Budget(16, 4.0)
    assert planned(found, place).config.train.epochs == 8
    path.write_text("train: {epochs: 3}\n")
    with pytest.raises(OptdetError, match="names no images"):
        base_of_config(path, data_root=place, data_dir=place)
    for data in ("{synthetic: {train: 10}}", "{folds: folds/folds.json}"):
        path.write_text(f"data: {data}\ntrain: {{epochs: 3, batch_size: 2}}\n")
        n_updates = 5 if "synthetic" in data else 3  # the five images outside of fold 0
        assert base_of_config(path, data_root=place, data_dir=place).budget == Budget(
            3 * n_updates, n_updates
        )


def test_settings_are_replaced_and_a_budget_in_epochs_is_asked_for_in_full(
    base: OpenStudy, place: Path
) -> None:
    found = base_of_trial(base, base.study.trials[0])
    study = planned(found, place, "optimizer.lr=0.5", "train.updates=9", "train.checkpoint=best", "trials=6")
    assert (study.config.optimizer.lr, study.config.train.updates, study.trials) == (0.5, 9, 6)
    assert study.config.train.checkpoint == "best"
    assert study.config.train.epochs == 5
    with pytest.raises(OptdetError, match=r"give train.updates=N, or train.updates=null beside it"):
        planned(found, place, "train.epochs=3")
    study = planned(found, place, "train.epochs=3", "train.updates=null")
    assert (study.config.train.epochs, study.config.train.updates) == (3, None)
    with pytest.raises(OptdetError, match="varied by the study's space"):
        planned(found, place, "data.fold=1")


def test_folds_begin_with_no_weights(base: OpenStudy, place: Path, tmp_path: Path) -> None:
    """A file's weights may have learnt what a fold holds out, whoever named them."""
    from optdet.settings_yaml import dump_yaml

    path = tmp_path / "mine.yaml"
    path.write_text(dump_yaml(SETTINGS | {"train": {**SETTINGS["train"], "start": "seen.pt"}}))
    from_config = base_of_config(path, data_root=place, data_dir=place)
    trial = copy.deepcopy(base.study.trials[0])
    trial.user_attrs[attr.CONFIG]["train"]["start"] = "seen.pt"
    from_trial = base_of_trial(base, trial)
    given = base_of_trial(base, base.study.trials[0]), "train.start=seen.pt"
    for found, *overrides in ((from_config,), (from_trial,), given):
        with pytest.raises(
            OptdetError,
            match=r"weights of seen\.pt, which may have learnt .*; add train\.start=null to train every fold",
        ):
            planned(found, place, *overrides)
    for found in (from_config, from_trial):
        assert planned(found, place, "train.start=null").config.train.start is None


def test_a_trial_that_is_not_complete_is_no_base(folds: OpenStudy, base: OpenStudy) -> None:
    trial = copy.deepcopy(base.study.trials[0])
    trial.state = trial.state.__class__.PRUNED
    with pytest.raises(OptdetError, match="trial 0 is pruned"):
        base_of_trial(base, trial)


def test_which_studies_are_of_folds(folds: OpenStudy, base: OpenStudy) -> None:
    assert is_fold_study(folds)
    assert not is_fold_study(base)
    assert fold_members(folds) == {0: 0, 1: 1, 2: 2}
    assert find_fold_study(folds.database, None) == "folds"
    with pytest.raises(OptdetError, match="base is no study of folds"):
        open_out_of_fold(base, SourceOptions())


VALUES = ((0, 0.1, 0.5), (0, 0.2, 0.6), (1, 0.1, 0.95), (1, 0.2, 0.9), (2, 0.1, 0.7))
"""Fold, learning rate and value of trials: those of fold 1 are all above the others."""


@pytest.fixture(scope="module")
def swept(base: OpenStudy, database: Any, place: Path) -> OpenStudy:
    """A study over folds and learning rates, two to a fold."""
    tree = planned(base_of_trial(base, base.study.trials[0]), place).as_dict()
    rates = {"type": "categorical", "choices": [0.1, 0.2]}
    tree |= {"name": "swept", "space": {**tree["space"], "optimizer.lr": rates}, "queue": []}
    study = made(
        database, validate(StudyConfig, tree | {"keep": {"maps": 3, "inner_studies": 0}}, "swept"), place
    )
    known = distributions(study.config.space)
    for number, (fold, rate, value) in enumerate(VALUES):
        params = {"data.fold": fold, "optimizer.lr": rate}
        attrs = {attr.MAP_KEY: f"swept-{number}"}
        study.study.add_trial(create_trial(value=value, params=params, distributions=known, user_attrs=attrs))
        (study.places.cache_dir / f"maps/swept-{number}").mkdir(parents=True)
    return study


def test_what_varies_beside_the_fold_makes_no_trial_the_best(
    swept: OpenStudy, database: Any, options: SourceOptions
) -> None:
    """The easiest fold would have it."""
    for ask in (lambda: best_json(swept), lambda: open_source("swept", options)):
        with pytest.raises(
            OptdetError,
            match=r"none of them is the best; name one, as swept:0; see `optdet study show swept`",
        ):
            ask()
    assert study_json(swept)["best"] is None
    assert {row["study"]: row["best"] for row in study_rows(database)}["swept"] is None
    new = swept.config.model_copy(update={"name": "new"})
    with pytest.raises(OptdetError, match=r"the folds of swept hold out different images.*study enqueue"):
        create_study(database, new, warm_start=WarmStart(database, "swept", 1))
    with pytest.raises(
        OptdetError, match=r"no study of folds: it varies optimizer\.lr too.*--from swept:TRIAL"
    ):
        open_out_of_fold(swept, options)


def test_one_fold_alone_has_a_best_trial(swept: OpenStudy, database: Any, place: Path) -> None:
    tree = swept.config.as_dict() | {"name": "third", "trials": 2}
    tree["space"]["data.fold"]["choices"] = [2]
    third = made(database, validate(StudyConfig, tree, "third"), place)
    for value, rate in ((0.3, 0.1), (0.4, 0.2)):
        params = {"data.fold": 2, "optimizer.lr": rate}
        known = distributions(third.config.space)
        third.study.add_trial(create_trial(value=value, params=params, distributions=known))
    assert best_trial(third).number == 1


def test_of_every_fold_the_best_trials_maps_are_kept(swept: OpenStudy) -> None:
    assert [trial.number for trial in best_trials(swept, 5)] == [1, 2, 4, 0, 3]
    keep_best(swept)
    kept = [n for n in range(5) if (swept.places.cache_dir / f"maps/swept-{n}").is_dir()]
    assert kept == [1, 2, 4]


def test_folds_may_be_a_range(base: OpenStudy, database: Any, place: Path) -> None:
    tree = planned(base_of_trial(base, base.study.trials[0]), place).as_dict()
    tree |= {"name": "range", "space": {"data.fold": {"type": "int", "low": 0, "high": 2}}}
    study = made(database, validate(StudyConfig, tree, "range"), place)
    assert is_fold_study(study)
    assert fold_numbers(study) == [0, 1, 2]


# --- trained -----------------------------------------------------------------------------------------------


def test_every_fold_trains_for_its_budget_and_keeps_the_last_weights(folds: OpenStudy) -> None:
    for fold, trial in enumerate(folds.study.trials):
        assert trial.params == {"data.fold": fold}
        assert trial.user_attrs[attr.UPDATES] == folds.config.config.train.updates
        assert trial.user_attrs[attr.BEST_EPOCH] == trial.user_attrs[attr.EPOCHS]
        assert trial.user_attrs[attr.CONFIG]["data"]["folds_sha256"]
    assert len({trial.user_attrs[attr.SEED] for trial in folds.study.trials}) == 1
    assert len({trial.user_attrs[attr.DATA_FINGERPRINT] for trial in folds.study.trials}) == 3


def test_no_fold_is_called_the_best(folds: OpenStudy, options: SourceOptions) -> None:
    for ask in (
        lambda: best_json(folds),
        lambda: find_source(folds.database, "folds"),
        lambda: open_source("folds", options),
    ):
        with pytest.raises(OptdetError, match="hold out different images, so none of them is the best"):
            ask()
    assert study_json(folds)["best"] is None
    best = {row["study"]: row["best"] for row in study_rows(folds.database)}
    assert best["folds"] is None
    assert best["base"] is not None


def test_a_config_of_folds_is_moved_with_its_file(
    folds: OpenStudy, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "studies")
    assert relocated(folds.config.config, place).data.folds == "../folds/folds.json"
    absolute = apply_params(folds.config.config, {"data.folds": str(place / "folds/folds.json")})
    assert portable(absolute, place).data.folds == "folds/folds.json"


# --- pooled maps -------------------------------------------------------------------------------------------


def test_a_study_of_folds_is_exported_fold_by_fold(
    folds: OpenStudy, options: SourceOptions, tmp_path: Path
) -> None:
    out = tmp_path / "detector.onnx"
    for source, fix in (("folds:oof", "give one of them, as folds:0"), ("folds", "name one, as folds:0")):
        with pytest.raises(OptdetError, match=fix):
            export_detector(source, Exported(out), options)
    assert export_detector("folds:1", Exported(out), options).source == "folds:1"


def test_each_image_has_the_map_of_the_fold_that_held_it_out(
    folds: OpenStudy, options: SourceOptions
) -> None:
    pooled = open_source("folds:oof", options)
    assert pooled.title == "folds:oof"
    assert pooled.labelled is not None
    samples = labelled_samples(pooled, None, None)
    assert len(samples) == 7
    shuffled = [samples[index] for index in (3, 6, 0, 5, 1, 2, 4)]
    found = {
        image.path: np.array(image.detector.prob_map)
        for image in pooled.maps.maps([s.image_path for s in shuffled])
    }
    n_compared = 0
    for fold in range(3):
        single = open_source(f"folds:{fold}", options)
        held_out = labelled_samples(single, None, None)
        for sample, image in zip(held_out, single.maps.maps([s.image_path for s in held_out]), strict=True):
            np.testing.assert_array_equal(found[sample.image_path], image.detector.prob_map)
            n_compared += 1
    assert n_compared == 7
    assert len({each.tobytes() for each in found.values()}) == 7


def test_maps_that_are_gone_are_made_again(folds: OpenStudy, options: SourceOptions, tmp_path: Path) -> None:
    pooled = open_source("folds:oof", options)
    paths = [sample.image_path for sample in labelled_samples(pooled, None, None)]
    before = [np.array(image.detector.prob_map) for image in pooled.maps.maps(paths)]
    maps = folds.places.cache_dir / "maps"
    kept = maps.with_name("kept")
    maps.rename(kept)
    try:
        done: list[tuple[int, int]] = []
        again = open_source("folds:oof", options).maps.maps(paths, on_image=lambda *now: done.append(now))
        np.testing.assert_array_equal(before, [np.array(image.detector.prob_map) for image in again])
        assert done == [(number, 7) for number in range(1, 8)]
    finally:
        shutil.rmtree(maps)
        kept.rename(maps)


def test_images_of_no_fold(folds: OpenStudy, options: SourceOptions, place: Path) -> None:
    strangers = sorted((place / "data/val/images").iterdir())
    with pytest.raises(
        OptdetError, match=r"2 images are in no fold, the first is .*no detector alone held it out"
    ):
        list(open_source("folds:oof", options).maps.maps(strangers))


def test_the_pooled_thresholds_are_kept_and_taken(
    folds: OpenStudy, options: SourceOptions, place: Path
) -> None:
    said: list[str] = []
    opened = open_out_of_fold(folds, options)
    assert stored_scores(folds, opened.members) is None
    untuned = open_source("folds:oof", SourceOptions(storage=options.storage, say=said.append))
    assert untuned.thresholds == folds.config.config.postprocess.thresholds()
    assert said[0].endswith("`optdet study folds folds` tunes them")
    scorers = opened.scorers()
    scores = tune_pooled(opened, scorers)
    evaluation = evaluate_at(scorers, scores.thresholds)
    assert scores.hmean == evaluation.scores.competition.macro.hmean
    assert scores.hmean >= hmeans(scorers, untuned.thresholds).mean()
    weighted = sum(scores.hmeans[fold] * len(opened.pool.held_out(fold)) for fold in range(3)) / 7
    assert scores.hmean == pytest.approx(weighted)
    assert scores.hmean_crossfit is not None
    store_scores(folds, opened.members, scores)
    assert stored_scores(folds, opened.members) == scores
    tuned = open_source("folds:oof", options)
    assert tuned.thresholds == scores.thresholds
    assert tuned.origins == (SubmissionSource("folds:oof", folds.uuid),)
    assert local_of(tuned, scores.thresholds, options, place).crossfit == scores.hmean_crossfit
    other = replace_thresholds(scores.thresholds, ["unclip_ratio=3.7"])
    assert local_of(tuned, other, options, place).crossfit is None
    assert stored_scores(folds, {**opened.members, 0: 1}) is None

    ranking = rank_folds(opened, judge_samples(opened, None, None), scores.thresholds, workers=2)
    assert [each.hmean for each in ranking] == sorted((each.hmean for each in ranking), reverse=True)
    for each in ranking:
        single = open_source(f"folds:{each.fold}", options)
        images = judge_samples(opened, None, None)
        maps = single.maps.maps([sample.image_path for sample in images])
        from optdet.evaluation.scorer import ImageScorer

        alone = [ImageScorer(s.name, m.detector, s.words) for s, m in zip(images, maps, strict=True)]
        assert each.hmean == hmeans(alone, scores.thresholds).mean()
    report = fold_report(opened, scores, ranking, 2).as_json()
    assert report["missing"] == []
    assert [fold["images"] for fold in report["folds"]] == [
        len(opened.pool.held_out(fold)) for fold in range(3)
    ]
    pooled = [fold["pooled"] for fold in report["folds"]]
    assert report["pooled"]["mean"] == pytest.approx(np.mean(pooled))
    assert report["pooled"]["std"] == pytest.approx(np.std(pooled, ddof=1))
    assert report["pooled"]["worst"] == int(np.argmin(pooled))
    assert [fold["own"] for fold in report["folds"]] == [trial.value for trial in folds.study.trials]
    assert sorted(fold["judge"]["rank"] for fold in report["folds"]) == [1, 2, 3]
    assert max(fold["judge"]["behind"] for fold in report["folds"]) == 0


def local_of(source: OpenSource, thresholds: Thresholds, options: SourceOptions, place: Path) -> LocalScores:
    """What is noted with predictions of the folds' images."""
    wanted = Wanted(place / "data/train/images", place / "oof.csv")
    found = predict_submission(source, source.title, thresholds, wanted, options, bar=no_bar)
    assert found.local is not None, found.notes
    return found.local


def test_folds_are_not_ranked_on_what_they_have_learnt_from(
    folds: OpenStudy, options: SourceOptions, place: Path
) -> None:
    opened = open_out_of_fold(folds, options)
    assert [sample.name for sample in judge_samples(opened, None, None)] == sorted(
        path.name for path in (place / "data/val/images").iterdir()
    )
    with pytest.raises(OptdetError, match="7 images of them are in the folds"):
        judge_samples(opened, place / "data/train/images", place / "data/train/labels.json")


# --- on the way --------------------------------------------------------------------------------------------


def test_an_unfinished_study_says_what_is_missing(
    base: OpenStudy, database: Any, place: Path, options: SourceOptions
) -> None:
    found = base_of_trial(base, base.study.trials[0])
    config = planned(found, place, "train.updates=2", "keep.overlays=0", "keep.inner_studies=0", name="half")
    study = made(database, config, place)
    run_study(study, Progress(), total=2)
    opened = open_out_of_fold(study, options)
    assert opened.missing() == [2]
    report = fold_report(opened, None, None, 0)
    assert [row.state for row in report.rows] == ["complete", "complete", "waiting"]
    assert report.summary("own") is None
    for ask in (opened.samples, lambda: labelled_samples(open_source("half:oof", options), None, None)):
        with pytest.raises(OptdetError, match=r"fold 2 is not finished.*optdet study run half"):
            ask()
    for change in ("data.fold=1", "data.folds=other.json", "data={folds: folds/folds.json, fold: 2}"):
        with pytest.raises(
            OptdetError, match=r"half:0: data\.folds? cannot change: the weights have learnt what"
        ):
            extend_trial(study, study.study.trials[0], [change], epochs=1)
    # A fold that goes on as another trial is that one's from then on.
    extended = extend_trial(study, study.study.trials[0], ["data.fold=0"], epochs=1)
    assert extended.number == 3
    run_study(study, Progress(), total=4)
    assert fold_members(study) == {0: 3, 1: 1, 2: 2}
    trial = study.study.trials[3]
    assert trial.user_attrs[attr.EPOCHS] == study.study.trials[0].user_attrs[attr.EPOCHS] + 1
    assert trial.user_attrs[attr.BEST_EPOCH] == trial.user_attrs[attr.EPOCHS]


def test_a_fold_whose_trial_failed_is_given_again(base: OpenStudy, database: Any, place: Path) -> None:
    """By the grid, which takes no fold that is queued, running or complete."""
    found = base_of_trial(base, base.study.trials[0])
    study = made(database, planned(found, place, name="failing"), place)
    waiting = [study.study.ask() for _ in range(3)]  # none has looked at its fold yet
    study.study.tell(waiting[1], state=TrialState.FAIL)
    assert study.study.ask().suggest_categorical("data.fold", [0, 1, 2]) == 1


# --- as members of an ensemble -----------------------------------------------------------------------------


def test_an_ensemble_of_the_study_is_its_folds(folds: OpenStudy, options: SourceOptions) -> None:
    found = open_members(["folds"], method="maps", options=options)

    assert [member.name for member in found.members] == ["folds:0", "folds:1", "folds:2"]
    assert found.notes == ()
    with pytest.raises(OptdetError, match="base"):
        open_members(["folds:0", "base:7"], method="maps", options=options)


def test_folds_are_judged_by_the_images_that_were_kept_apart(
    folds: OpenStudy, options: SourceOptions
) -> None:
    members = open_members(["folds"], method="maps", options=options).members
    judged = judging_samples([member.opened for member in members], None, None)

    assert judged is not None
    assert len(judged) == 2
    for member in members:
        assert isinstance(member.opened, OpenSource)
        learnt, held_out = member.opened.trained_on, member.opened.labelled
        assert learnt is not None
        assert held_out is not None
        assert n_trained_on(learnt(), judged) == 0
        assert n_trained_on(learnt(), held_out()) == 0
        assert len(learnt()) + len(held_out()) == 7
