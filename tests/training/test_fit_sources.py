"""A run on several sources: what each epoch took from them, after a kill and in old checkpoints too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optdet.config import Config
from optdet.data.sampling import SourcePart
from optdet.data.sets import DataSets
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import CheckpointFolder
from optdet.training.fit import FitResult, fit
from optdet.training.history import EpochRecord

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture(scope="module")
def two(sets: DataSets) -> DataSets:
    """The four training images as two sources."""
    return replace(sets, train=replace(sets.train, parts=(SourcePart("one", 2), SourcePart("two", 2, 0.5))))


def run(config: Config, sets: DataSets, folder: Path, *, die_after: int = 0) -> FitResult:
    def end(record: EpochRecord) -> None:
        if record.epoch == die_after:
            raise Killed

    return fit(config, sets, folder, device=CPU, callbacks=FitCallbacks(on_epoch_end=end))


def shown(result: FitResult) -> list[EpochRecord]:
    return [record.reproducible() for record in result.history]


def test_counts_and_losses_by_source_are_kept_and_come_again_after_a_kill(
    config: Config, two: DataSets, tmp_path: Path
) -> None:
    whole = run(config, two, tmp_path / "whole")
    for record in whole.history:
        assert [(source.name, source.n_images) for source in record.sources] == [("one", 2), ("two", 1)]
        assert all(source.loss is not None and source.loss > 0 for source in record.sources)
    with pytest.raises(Killed):
        run(config, two, tmp_path / "killed", die_after=2)
    assert shown(run(config, two, tmp_path / "killed")) == shown(whole)


def test_one_source_has_no_figures_of_its_own(config: Config, sets: DataSets, tmp_path: Path) -> None:
    result = run(
        config.model_copy(update={"train": config.train.model_copy(update={"epochs": 1})}), sets, tmp_path
    )
    assert [record.sources for record in result.history] == [()]


def test_checkpoints_of_before_go_on(config: Config, two: DataSets, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(config, two, tmp_path, die_after=1)
    folder = CheckpointFolder(tmp_path / "checkpoints")
    payload = folder.load_newest_last(lambda _: None)
    assert payload is not None
    payload["history"] = [{k: v for k, v in row.items() if k != "sources"} for row in payload["history"]]
    folder.save("last", 1, payload)
    counts = Counter(len(record.sources) for record in run(config, two, tmp_path).history)
    assert counts == {0: 1, 2: 2}
