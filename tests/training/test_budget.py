"""A run whose length is counted in updates: it ends with the last of them, and takes the same course."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optdet.config import Config
from optdet.config_io import set_dotted
from optdet.data.sampling import SourcePart
from optdet.data.sets import DataSets
from optdet.errors import OptdetError
from optdet.model.checkpoint_file import load_checkpoint
from optdet.training.budget import Pace, epoch_updates, planned_epochs, updates_behind
from optdet.training.callbacks import FitCallbacks
from optdet.training.fit import FitResult, fit
from optdet.training.history import EpochRecord
from optdet.training.optimizer import learning_rate
from optdet.validation import validate

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands in for the end of the process at a callback."""


def changed(config: Config, **settings: Any) -> Config:
    tree = config.model_dump(mode="json")
    for name, value in settings.items():
        tree = set_dotted(tree, name.replace("__", "."), value)
    return Config.model_validate(tree)


def settings(**values: Any) -> Config:
    return changed(Config(), **values)


# --- counting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_images", "batch_size", "accumulate", "expected"),
    [(8, 4, 1, 2), (9, 4, 1, 3), (9, 4, 2, 2), (9, 4, 3, 1), (1, 4, 5, 1)],
)
def test_updates_of_an_epoch(n_images: int, batch_size: int, accumulate: int, expected: int) -> None:
    config = settings(train__batch_size=batch_size, train__accumulate=accumulate)
    assert epoch_updates(config, (SourcePart("a", n_images),), 1) == expected


def test_images_of_a_fractional_weight_are_counted_as_they_are_drawn() -> None:
    config = settings(train__batch_size=1)
    parts = (SourcePart("a", 40, 0.5),)
    each = [epoch_updates(config, parts, epoch) for epoch in (1, 2, 3)]
    assert len(set(each)) > 1
    assert updates_behind(config, parts, 3) == sum(each)


@given(n_images=st.integers(1, 30), batch_size=st.integers(1, 9), updates=st.integers(1, 60))
def test_the_epochs_are_as_many_as_hold_the_updates(n_images: int, batch_size: int, updates: int) -> None:
    config = settings(train__batch_size=batch_size, train__updates=updates, train__epochs=3)
    parts = (SourcePart("a", n_images),)
    n_epochs = planned_epochs(config, parts)
    assert updates_behind(config, parts, n_epochs - 1) < updates <= updates_behind(config, parts, n_epochs)
    assert planned_epochs(settings(train__epochs=3), parts) == 3


def rates(config: Config, n_images: int) -> list[float]:
    """The learning rate of each update of a run over so many images."""
    parts = (SourcePart("a", n_images),)
    pace, found = Pace.of(config, parts), []
    for epoch in range(1, planned_epochs(config, parts) + 1):
        n_updates = epoch_updates(config, parts, epoch)
        for index in range(n_updates):
            progress = pace.progress(epoch - 1 + index / n_updates, len(found))
            found.append(learning_rate(config.scheduler, config.optimizer.lr, progress, pace.epochs))
    return found[: config.train.updates]


@pytest.mark.parametrize("t_max", [None, 7.0])
@pytest.mark.parametrize("n_images", [5, 8, 13, 31])
def test_the_rate_takes_the_same_course_on_any_number_of_images(t_max: float | None, n_images: int) -> None:
    """Ten epochs of five updates, told in updates: the rate of each is the one that it had."""
    base = settings(
        train__batch_size=2, train__epochs=10, scheduler__warmup_epochs=1.5, scheduler__t_max=t_max
    )
    course = rates(base, 10)
    assert len(course) == 50
    assert len(set(course)) > 30
    told = changed(base, train__updates=37, scheduler__epoch_updates=5.0, scheduler__t_max=t_max or 10.0)
    assert rates(told, n_images) == pytest.approx(course[:37], abs=1e-15)


def test_without_a_length_of_an_epoch_the_first_one_counts() -> None:
    """A cosine ends with the last update, in the midst of an epoch too."""
    config = settings(train__batch_size=1, train__updates=25, scheduler__eta_min=0.0)
    course = rates(config, 10)
    assert len(course) == 25
    expected = [0.001 * (1 + math.cos(math.pi * update / 25)) / 2 for update in range(25)]
    assert course == pytest.approx(expected, abs=1e-12)


# --- training ----------------------------------------------------------------------------------------------


@pytest.fixture
def fixed(config: Config) -> Config:
    """Five updates over four images, two a batch: two epochs and a half, none of them chosen."""
    return changed(
        config,
        train__updates=5,
        train__epochs=1,
        train__patience=1,
        train__checkpoint="fixed",
        scheduler__epoch_updates=1.6,
    )


def run(
    config: Config, sets: DataSets, folder: Path, die_at: int | None = None
) -> tuple[FitResult, list[str]]:
    heard: list[str] = []

    def note(event: str) -> None:
        heard.append(event)
        if len(heard) - 1 == die_at:
            raise Killed(event)

    callbacks = FitCallbacks(
        on_epoch_end=lambda record: note(f"epoch {record.epoch}"),
        on_checkpoint=lambda saved: note(f"{saved.kind} {saved.epoch}"),
        on_batch=lambda done, n_batches, loss: note(f"batch {done}/{n_batches}"),
        say=heard.append if die_at is None else lambda message: None,
    )
    return fit(config, sets, folder, device=CPU, callbacks=callbacks), heard


@pytest.fixture(scope="module")
def without_times() -> Any:
    def cleared(history: tuple[EpochRecord, ...]) -> list[dict[str, Any]]:
        return [record.reproducible().as_dict() for record in history]

    return cleared


EPOCH = ["batch 1/2", "batch 2/2"]


def test_a_fixed_run_ends_with_its_last_update_wherever_it_is_killed(
    fixed: Config, sets: DataSets, tmp_path: Path, without_times: Any
) -> None:
    whole, heard = run(fixed, sets, tmp_path / "whole")
    epochs = [[f"best {n}", f"last {n}", f"epoch {n}"] for n in (1, 2, 3)]
    assert heard == [*EPOCH, *epochs[0], *EPOCH, *epochs[1], "batch 1/1", *epochs[2]]
    assert [record.updates for record in whole.history] == [2, 4, 5]
    rates = [
        learning_rate(fixed.scheduler, fixed.optimizer.lr, before / 1.6, 5 / 1.6) for before in (1, 3, 4)
    ]
    assert [record.lr for record in whole.history] == rates
    hmeans = [record.hmean for record in whole.history]
    assert hmeans[-1] < max(hmeans)  # so the last one is not the best
    assert whole.best.epoch == 3
    expected = load_checkpoint(whole.best.path)
    for die_at in (5, 10, 11, 12):  # in the second epoch, in the one that is cut short, around its end
        folder = tmp_path / str(die_at)
        with pytest.raises(Killed):
            run(fixed, sets, folder, die_at)
        again, _ = run(fixed, sets, folder)
        assert without_times(again.history) == without_times(whole.history)
        found = load_checkpoint(again.best.path)
        weights = found.pop("model")
        assert found == {name: value for name, value in expected.items() if name != "model"}
        assert all(torch.equal(weights[name], tensor) for name, tensor in expected["model"].items())


def test_it_says_how_many_epochs_there_are(fixed: Config, sets: DataSets, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(fixed, sets, tmp_path, die_at=4)
    assert "going on after epoch 1 of 3" in run(fixed, sets, tmp_path)[1]


def test_the_best_of_a_budget_of_updates(fixed: Config, sets: DataSets, tmp_path: Path) -> None:
    """The same epochs, of which the best is kept; and they end early where that is asked for."""
    best = changed(fixed, train__checkpoint="best", train__patience=0)
    result, _ = run(best, sets, tmp_path / "best")
    hmeans = [record.hmean for record in result.history]
    assert result.best.epoch == hmeans.index(max(hmeans)) + 1 < 3
    early = changed(best, train__patience=1, train__updates=50, optimizer__lr=1e-6)
    assert len(run(early, sets, tmp_path / "early")[0].history) < 10


def test_a_lost_checkpoint_of_the_last_epoch_is_said(fixed: Config, sets: DataSets, tmp_path: Path) -> None:
    result, _ = run(fixed, sets, tmp_path)
    result.best.path.unlink()
    _, heard = run(fixed, sets, tmp_path)
    assert any(
        "the checkpoint of the last epoch, 3, is missing or damaged; going on" in line for line in heard
    )


def test_a_budget_that_is_none_is_refused() -> None:
    with pytest.raises(OptdetError, match=r"train\.updates"):
        validate(Config, {"train": {"updates": 0}}, "config")
