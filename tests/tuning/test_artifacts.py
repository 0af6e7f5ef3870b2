"""Pictures that a trial carries into the dashboard."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import pytest
from optuna.artifacts import get_all_artifact_meta

from optdet.config import PostprocessConfig
from optdet.training.history import EpochRecord, SourceLoss
from optdet.tuning.artifacts import chosen, epoch_point
from optdet.tuning.results import trial_rows


def with_hmeans(*hmeans):
    return SimpleNamespace(names=[str(index) for index in range(len(hmeans))], hmeans=hmeans)


@pytest.mark.parametrize(
    ("n_overlays", "expected"),
    [(0, []), (1, [3]), (2, [0, 3]), (4, [0, 5, 3, 1]), (6, [0, 2, 5, 3, 1, 4]), (9, [0, 2, 3, 5, 1, 4])],
)
def test_half_of_the_images_are_the_worst_and_half_the_same_in_every_trial(n_overlays, expected):
    assert chosen(with_hmeans(0.9, 0.3, 0.8, 0.1, 0.5, 0.7), n_overlays) == expected


def test_a_complete_trial_carries_its_curve_its_table_and_its_overlays_once(finished):
    for trial in finished.study.trials:
        names = [meta.filename for meta in get_all_artifact_meta(trial, storage=finished.storage)]
        assert len(names) == len(set(names)) == 5
        assert {"curve.png", "images.csv", "landscape.png"} < set(names)
        stored = finished.places.artifacts_dir
        for meta in get_all_artifact_meta(trial, storage=finished.storage):
            assert (stored / meta.artifact_id).stat().st_size > 0


def test_the_table_lists_every_image(finished):
    for row in trial_rows(finished):
        path = finished.places.run_dir("finished", row.number) / "artifacts" / "images.csv"
        with path.open(newline="") as file:
            images = list(csv.DictReader(file))
        assert len(images) == 3
        mean = sum(float(image["hmean"]) for image in images) / 3
        assert mean == pytest.approx(row.value, abs=1e-4)


def test_a_source_that_is_called_like_a_term_of_the_loss_has_a_curve_of_its_own():
    record = EpochRecord(
        epoch=1,
        loss=3.0,
        prob_loss=1.0,
        thresh_loss=1.5,
        binary_loss=0.5,
        lr=0.1,
        hmean=0.5,
        thresholds=PostprocessConfig().thresholds(),
        seconds=1.0,
        images_per_s=1.0,
        sources=(SourceLoss("prob", 2, 9.0), SourceLoss("scans", 1, None)),
    )
    assert epoch_point(record).losses == {"prob": 1.0, "thresh": 1.5, "binary": 0.5, "source prob": 9.0}
