"""Fit: a run that was killed anywhere and started again ends with the bits of one that was not."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from optdet.config import Config
from optdet.config_io import set_dotted
from optdet.data.dataset import Batch, Draw, TrainingSet
from optdet.data.sampling import SourcePart, epoch_order
from optdet.data.sets import DataSets
from optdet.digest import file_sha256
from optdet.errors import OptdetError, TrialFailed
from optdet.evaluation.scorer import ImageScorer, hmeans
from optdet.inference.detector import open_checkpoint
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import prob_maps
from optdet.model.checkpoint_file import load_checkpoint, save_checkpoint
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.training.fit import FitResult, fit
from optdet.training.history import EpochRecord, best_epoch, stops_early
from optdet.training.loop import validation_scorers

CPU = torch.device("cpu")
SEED = 2
N_EVENTS = 13
"""Events that a run of 3 epochs and 2 batches an epoch has at least: batches, a best, lasts, epoch ends."""


class Killed(BaseException):
    """Stands in for the end of the process at a callback."""


@dataclass
class Log:
    """Every callback in order; the ``die_at``-th ends the run."""

    die_at: int | None = None
    events: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def note(self, event: str) -> None:
        self.events.append(event)
        if len(self.events) - 1 == self.die_at:
            raise Killed(event)

    def on_epoch_end(self, record: EpochRecord) -> None:
        self.note(f"epoch {record.epoch}")

    def on_checkpoint(self, saved: SavedCheckpoint) -> None:
        assert file_sha256(saved.path) == saved.sha256
        self.note(f"{saved.kind} {saved.epoch}")

    def on_batch(self, done: int, n_batches: int, loss: float | None) -> None:
        n_epochs = sum(event.startswith("batch 1/") for event in self.events) + (done == 1)
        self.note(f"batch {done}/{n_batches} of {n_epochs}")

    def callbacks(self) -> FitCallbacks:
        return FitCallbacks(self.on_epoch_end, self.on_checkpoint, self.on_batch, self.said.append)


Run = Callable[..., FitResult]


@pytest.fixture
def run(config: Config, sets: DataSets, tmp_path: Path) -> Run:
    """Fits in one and the same folder, each time it is called."""

    def start(log: Log | None = None, *, settings: Config = config, name: str = "run") -> FitResult:
        return fit(settings, sets, tmp_path / name, device=CPU, callbacks=(log or Log()).callbacks())

    return start


@pytest.fixture
def checkpoints(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "run" / "checkpoints")


@dataclass(frozen=True)
class Uninterrupted:
    result: FitResult
    log: Log
    best: dict[str, Any]


@pytest.fixture(scope="package")
def uninterrupted(config: Config, sets: DataSets, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    log = Log()
    result = fit(config, sets, tmp_path_factory.mktemp("whole"), device=CPU, callbacks=log.callbacks())
    return Uninterrupted(result, log, load_checkpoint(result.best.path))


def without_times(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [record.reproducible() for record in history]


def assert_same(result: FitResult, whole: Uninterrupted) -> None:
    assert without_times(result.history) == without_times(whole.result.history)
    assert (result.best.epoch, result.best.kind) == (whole.result.best.epoch, "best")
    best, expected = load_checkpoint(result.best.path), dict(whole.best)
    weights, expected_weights = best.pop("model"), expected.pop("model")
    assert best == expected
    assert weights.keys() == expected_weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, expected_weights[name]), name


def changed(config: Config, **settings: Any) -> Config:
    tree = config.model_dump(mode="json")
    for name, value in settings.items():
        tree = set_dotted(tree, name.replace("__", "."), value)
    return Config.model_validate(tree)


# --- a whole run -------------------------------------------------------------------------------------------


def test_the_order_of_events(uninterrupted: Uninterrupted) -> None:
    """The checkpoint that holds the score stands before anybody hears of it."""
    history = uninterrupted.result.history
    expected = []
    for record in history:
        expected += [f"batch {done}/2 of {record.epoch}" for done in (1, 2)]
        if best_epoch(history[: record.epoch]) == record.epoch:
            expected.append(f"best {record.epoch}")
        expected += [f"last {record.epoch}", f"epoch {record.epoch}"]
    assert uninterrupted.log.events == expected
    assert len(expected) >= N_EVENTS


def test_the_run_is_worth_comparing(uninterrupted: Uninterrupted) -> None:
    """Its losses and scores move, and the best epoch is neither the first nor the last."""
    history = uninterrupted.result.history
    assert len({record.loss for record in history}) == len({record.hmean for record in history}) == 3
    assert best_epoch(history) == 2


def test_the_same_run_again_gives_the_same_bits(run: Run, uninterrupted: Uninterrupted) -> None:
    assert_same(run(), uninterrupted)


def test_another_seed_gives_another_run(run: Run, config: Config, uninterrupted: Uninterrupted) -> None:
    other = run(settings=changed(config, seed=config.seed + 1, train__epochs=1))
    assert other.history[0].loss != uninterrupted.result.history[0].loss


def test_the_best_checkpoint_reproduces_the_recorded_score(
    uninterrupted: Uninterrupted, sets: DataSets, config: Config, tmp_path: Path
) -> None:
    """From the canvases of the loop, from the files, and from kept maps: to the last digit."""
    result = uninterrupted.result
    record = result.history[result.best.epoch - 1]
    assert result.best.epoch == best_epoch(result.history)
    opened = open_checkpoint(result.best.path, CPU)
    assert opened.config == config
    scorers = list(validation_scorers(opened.detector, sets.val, 1))
    assert float(hmeans(scorers, record.thresholds).mean()) == record.hmean
    cache = MapCache.of(tmp_path, opened.detector.key())
    for _ in range(2):
        maps = prob_maps(opened.detector, [sample.image_path for sample in sets.val.samples], cache=cache)
        from_files = [
            ImageScorer(sample.name, image.detector, sample.words)
            for sample, image in zip(sets.val.samples, maps, strict=True)
        ]
        assert float(hmeans(from_files, record.thresholds).mean()) == record.hmean


def test_averaged_weights_are_what_is_validated_and_kept(uninterrupted: Uninterrupted) -> None:
    folder = uninterrupted.result.best.path.parent
    lasts = {checkpoint.epoch: checkpoint for checkpoint in CheckpointFolder(folder).found("last")}
    epoch = max(lasts)
    payload = lasts[epoch].load()
    name = "head.binarize.0.weight"
    assert not torch.equal(payload["average"][name], payload["model"][name])
    if uninterrupted.result.best.epoch in lasts:
        payload = lasts[uninterrupted.result.best.epoch].load()
        assert torch.equal(payload["average"][name], uninterrupted.best["model"][name])


def test_the_best_file_holds_no_optimizer(uninterrupted: Uninterrupted) -> None:
    assert sorted(uninterrupted.best) == ["config", "epoch", "model", "n_threads", "record", "thresholds"]
    assert uninterrupted.best["n_threads"] == 1


def test_few_files_are_kept(uninterrupted: Uninterrupted) -> None:
    history = uninterrupted.result.history
    folder = CheckpointFolder(uninterrupted.result.best.path.parent)
    assert [found.epoch for found in folder.found("last")] == [3, 2]
    assert {found.epoch for found in folder.found("best")} == {best_epoch(history), best_epoch(history[:-1])}
    assert len(list(folder.folder.iterdir())) == 2 + len(folder.found("best"))


def test_the_best_before_stays_as_long_as_the_epoch_before(
    run: Run, uninterrupted: Uninterrupted, checkpoints: CheckpointFolder
) -> None:
    """Were the second epoch's file damaged, the run would go on from the first, and know of no other best."""
    with pytest.raises(Killed, match="epoch 2"):
        run(Log(die_at=uninterrupted.log.events.index("epoch 2")))
    assert [found.epoch for found in checkpoints.found("best")] == [2, 1]
    assert [found.epoch for found in checkpoints.found("last")] == [2, 1]


def test_each_epoch_has_its_own_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[Draw] = []
    get = TrainingSet.__getitem__

    def note(self: TrainingSet, draw: Draw) -> Batch:
        draws.append(draw)
        return get(self, draw)

    monkeypatch.setattr(TrainingSet, "__getitem__", note)
    run()
    parts = [SourcePart("", 4)]
    assert draws == [Draw(epoch, int(i)) for epoch in (1, 2, 3) for i in epoch_order(parts, SEED, epoch)]


def test_early_stopping(run: Run, config: Config) -> None:
    settings = changed(config, train__patience=1, train__epochs=30, optimizer__lr=1e-6)
    result = run(settings=settings)
    assert len(result.history) < 30
    assert stops_early(result.history, 1)
    assert not stops_early(result.history[:-1], 1)
    assert result.best.epoch == len(result.history) - 1
    log = Log()
    again = run(log, settings=settings)
    assert again.history == result.history
    assert log.events == [f"epoch {len(result.history)}"]


# --- killed and started again ------------------------------------------------------------------------------


@pytest.mark.parametrize("die_at", range(N_EVENTS))
@pytest.mark.thin(4)
def test_killed_anywhere_and_started_again(run: Run, uninterrupted: Uninterrupted, die_at: int) -> None:
    log = Log(die_at)
    with pytest.raises(Killed):
        run(log)
    assert log.events == uninterrupted.log.events[: die_at + 1]
    again = Log()
    assert_same(run(again), uninterrupted)
    done = [event for event in log.events if event.startswith("last")]
    n_done = int(done[-1].split()[1]) if done else 0
    # The epoch on disk is heard of once more, since its hearer may have died of it; then come the others.
    assert again.events[: 1 if n_done else 0] == ([f"epoch {n_done}"] if n_done else [])
    assert sum(event.startswith("batch") for event in again.events) == 2 * (3 - n_done)


@pytest.mark.slow
def test_killed_again_and_again(run: Run, uninterrupted: Uninterrupted) -> None:
    """Each life just reaches the next checkpoint, or dies of the first thing that it hears."""
    lives = 0
    for die_at in (0, 4, 0, 0, 4, 2, 5, 0):
        lives += 1
        try:
            result = run(Log(die_at))
        except Killed:
            continue
        break
    else:
        result = run()
    assert lives > 4
    assert_same(result, uninterrupted)


def test_layers_that_draw_do_so_alike_after_a_restart(config: Config, sets: DataSets, tmp_path: Path) -> None:
    """Dropout, say: it takes its numbers from torch's global state."""

    def drawn(name: str, epochs: int) -> list[float]:
        numbers: list[float] = []

        def on_epoch_end(record: EpochRecord) -> None:
            if record.epoch == epochs and numbers:
                raise Killed

        callbacks = FitCallbacks(
            on_epoch_end=on_epoch_end,
            on_batch=lambda *_: numbers.append(torch.rand(1).item()),
        )
        try:
            fit(config, sets, tmp_path / name, device=CPU, callbacks=callbacks)
        except Killed:
            assert epochs == 2
        return numbers

    whole = drawn("whole", 99)
    assert len(set(whole)) == 6
    assert drawn("cut", 2) + drawn("cut", 99) == whole


def test_a_finished_run_is_not_trained_again(run: Run, uninterrupted: Uninterrupted) -> None:
    result = run()
    log = Log()
    again = run(log)
    assert log.events == ["epoch 3"]
    assert again.history == result.history
    assert_same(again, uninterrupted)


def test_it_says_where_it_goes_on(run: Run) -> None:
    first = Log(die_at=8)
    with pytest.raises(Killed):
        run(first)
    assert first.said == []
    again = Log()
    run(again)
    assert len(again.said) == 1
    assert again.said[0].startswith("going on after epoch ")
    assert again.said[0].endswith(" of 3")


# --- a real kill -------------------------------------------------------------------------------------------

_WORKER = """
import json, sys
from pathlib import Path
import torch
from optdet.config import Config
from optdet.data.sets import open_sets
from optdet.training.callbacks import FitCallbacks
from optdet.training.fit import fit

torch.set_num_threads(1)
config = Config.model_validate_json(sys.argv[1])
root = Path(sys.argv[2])
sets = open_sets(
    config.data, data_root=root, data_dir=root / "data", cache_dir=root / "cache", max_cache_gb=1
)

def tell(*event):
    print(*event, flush=True)

callbacks = FitCallbacks(
    on_epoch_end=lambda record: tell("epoch", record.epoch),
    on_checkpoint=lambda saved: tell(saved.kind, saved.epoch),
    on_batch=lambda done, n_batches, loss: tell("batch", done),
)
fit(config, sets, Path(sys.argv[3]), device=torch.device("cpu"), callbacks=callbacks)
tell("finished")
"""


@pytest.mark.slow
def test_a_process_that_is_killed(
    run: Run, uninterrupted: Uninterrupted, config: Config, data_root: Path, tmp_path: Path
) -> None:
    """SIGKILL after the second batch of the second epoch, while the process goes on: so in validation, or
    while a checkpoint is written. The data are on disk: ``uninterrupted`` has opened them.
    """
    command = [sys.executable, "-c", _WORKER, config.model_dump_json(), str(data_root), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        heard = []
        while heard[-1:] != ["batch 2"] or "epoch 1" not in heard:
            heard.append(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        heard += process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    assert heard[:4] == ["batch 1", "batch 2", "best 1", "last 1"]
    assert "finished" not in heard
    assert_same(run(), uninterrupted)


# --- damage ------------------------------------------------------------------------------------------------


FLAT = {"train__epoch_thresholds": "current", "postprocess__thresh": 1.0}
"""Every epoch scores 0, so that the first is the best."""


def checkpoints_of(result: FitResult) -> list[SavedCheckpoint]:
    return CheckpointFolder(result.best.path.parent).found("best")


def cut_off(checkpoint: SavedCheckpoint) -> None:
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:1000])


def test_a_damaged_last_falls_back_to_the_epoch_before(
    run: Run, uninterrupted: Uninterrupted, checkpoints: CheckpointFolder
) -> None:
    run()
    cut_off(checkpoints.found("last")[0])
    log = Log()
    assert_same(run(log), uninterrupted)
    assert "last-0003-" in log.said[0]
    assert "damaged" in log.said[0]
    assert log.said[1:] == ["going on after epoch 2 of 3"]
    assert log.events[:3] == ["epoch 2", "batch 1/2 of 1", "batch 2/2 of 1"]


def test_without_a_whole_last_the_run_begins_again(
    run: Run, uninterrupted: Uninterrupted, checkpoints: CheckpointFolder
) -> None:
    run()
    for checkpoint in checkpoints.found("last"):
        cut_off(checkpoint)
    log = Log()
    assert_same(run(log), uninterrupted)
    assert log.events == uninterrupted.log.events
    assert len(log.said) == 2


def test_what_a_killed_save_left_is_cleared(run: Run, checkpoints: CheckpointFolder) -> None:
    with pytest.raises(Killed):
        run(Log(die_at=0))
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    leftover = checkpoints.folder / ".last-0001.tmp"
    leftover.write_bytes(b"half")
    run()
    assert not leftover.exists()


@pytest.mark.parametrize("damage", [cut_off, lambda best: best.path.unlink()])
def test_without_its_best_the_run_begins_again(
    run: Run, uninterrupted: Uninterrupted, damage: Callable[[SavedCheckpoint], None]
) -> None:
    for best in checkpoints_of(run()):
        damage(best)
    log = Log()
    assert_same(run(log), uninterrupted)
    assert log.events == uninterrupted.log.events
    newest, before = log.said
    assert re.search(r"/last-0003-.* best epoch, \d, is missing or damaged; going on from the epoch", newest)
    assert re.search(r"/last-0002-.* best epoch, \d, is missing or damaged; training again", before)


def test_without_its_best_the_run_goes_on_from_the_epoch_before_where_that_was_another(
    run: Run, uninterrupted: Uninterrupted, checkpoints: CheckpointFolder
) -> None:
    with pytest.raises(Killed, match="epoch 2"):
        run(Log(die_at=uninterrupted.log.events.index("epoch 2")))
    assert [found.epoch for found in checkpoints.found("best")] == [2, 1]
    checkpoints.found("best")[0].path.unlink()
    log = Log()
    assert_same(run(log), uninterrupted)
    assert log.said[1:] == ["going on after epoch 1 of 3"]
    assert log.events[0] == "epoch 1"


def test_a_best_that_is_removed_in_training_is_missed_at_the_next_epochs_end(
    config: Config, sets: DataSets, tmp_path: Path, checkpoints: CheckpointFolder
) -> None:
    settings = changed(config, train__epochs=30, train__patience=0, **FLAT)
    removed: list[int] = []
    heard: list[int] = []

    def on_epoch_end(record: EpochRecord) -> None:
        heard.append(record.epoch)
        if record.epoch == 2 and not removed:
            removed.append(record.epoch)
            checkpoints.keep_only("best", [])
        if record.epoch == 3:
            raise Killed

    log = Log()
    callbacks = FitCallbacks(on_epoch_end=on_epoch_end, say=log.said.append)
    with pytest.raises(Killed):
        fit(settings, sets, tmp_path / "run", device=CPU, callbacks=callbacks)
    assert heard == [1, 2, 1, 2, 3]
    assert log.said[0].startswith("the checkpoint of the best epoch, 1, is missing or damaged; going on from")
    assert "training again from the first epoch" in log.said[-1]


def test_a_file_that_vanishes_while_it_is_saved_costs_its_epoch_alone(
    run: Run, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a worker that lost its slot clears what it takes for a killed writer's."""
    saved: list[Path] = []

    def vanish(path: Path, payload: dict[str, Any]) -> str:
        sha256 = save_checkpoint(path, payload)
        saved.append(path)
        if path.name == ".last-0002.tmp" and saved.count(path) == 1:
            path.unlink()
        return sha256

    monkeypatch.setattr("optdet.model.checkpoint_file.save_checkpoint", vanish)
    log = Log()
    assert_same(run(log), uninterrupted)
    assert log.said[0].endswith(".last-0002.tmp was removed; going on from those that are left")
    assert log.said[1:] == ["going on after epoch 1 of 3"]


def test_a_run_that_may_not_write_removes_nothing_of_whoever_goes_on_with_it(
    config: Config, sets: DataSets, tmp_path: Path, run: Run, checkpoints: CheckpointFolder
) -> None:
    class SlotLost(Exception):
        pass

    def refuse() -> None:
        raise SlotLost

    run(settings=changed(config, train__epochs=2))
    cut_off(checkpoints.found("last")[0])
    (checkpoints.folder / ".last-0003.tmp").write_bytes(b"half")
    before = sorted(checkpoints.folder.iterdir())
    with pytest.raises(SlotLost):
        fit(config, sets, tmp_path / "run", device=CPU, callbacks=FitCallbacks(before_save=refuse))
    assert sorted(checkpoints.folder.iterdir()) == before


def test_a_best_that_is_lost_twice_fails_the_trial(
    config: Config, sets: DataSets, tmp_path: Path, checkpoints: CheckpointFolder
) -> None:
    callbacks = FitCallbacks(on_epoch_end=lambda _: checkpoints.keep_only("best", []))
    with pytest.raises(
        TrialFailed, match="is missing or damaged, for the second time: see who removes files"
    ):
        fit(config, sets, tmp_path / "run", device=CPU, callbacks=callbacks)


# --- another detector's weights ----------------------------------------------------------------------------


def test_a_run_begins_with_the_weights_of_a_file(
    run: Run, config: Config, uninterrupted: Uninterrupted
) -> None:
    path = uninterrupted.result.best.path
    still = changed(config, train__start=str(path), train__epochs=1, optimizer__lr=1e-30, data__pad="topleft")
    log = Log()
    result = run(log, settings=still)
    assert [record.epoch for record in result.history] == [1]
    assert log.said == [f"beginning with the weights of {path}, made with data.pad center (now topleft)"]
    # Nothing is learnt at this rate: but for running statistics the weights are the file's.
    weights = load_checkpoint(result.best.path)["model"]
    learnt = [name for name in weights if not re.search("running_|num_batches", name)]
    assert len(learnt) > 20
    for name in learnt:
        torch.testing.assert_close(weights[name], uninterrupted.best["model"][name], rtol=0, atol=1e-7)


def test_a_run_with_a_start_that_is_killed_goes_on_to_the_same_bits(
    run: Run, config: Config, uninterrupted: Uninterrupted
) -> None:
    settings = changed(config, train__start=str(uninterrupted.result.best.path), train__epochs=2)
    whole = run(settings=settings, name="whole")
    with pytest.raises(Killed):
        run(Log(die_at=4), settings=settings)
    result = run(settings=settings)
    assert without_times(result.history) == without_times(whole.history)
    expected = load_checkpoint(whole.best.path)["model"]
    for name, tensor in load_checkpoint(result.best.path)["model"].items():
        assert torch.equal(tensor, expected[name]), name


def test_a_start_that_is_no_checkpoint_or_of_another_network(
    run: Run, config: Config, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    other = changed(config, train__start=str(uninterrupted.result.best.path), model__inner_channels=32)
    with pytest.raises(OptdetError, match="the weights do not fit test_efficientnet: size mismatch"):
        run(settings=other)
    save_checkpoint(tmp_path / "bare.pt", {"model": {}})
    with pytest.raises(OptdetError, match="the checkpoint has no 'config'"):
        run(settings=changed(config, train__start=str(tmp_path / "bare.pt")))
    with pytest.raises(OptdetError, match="cannot be read"):
        run(settings=changed(config, train__start=str(tmp_path / "missing.pt")))


# --- what ends a run ---------------------------------------------------------------------------------------


def test_a_checkpoint_that_lacks_settings_which_have_come_since_goes_on(
    run: Run, config: Config, uninterrupted: Uninterrupted, checkpoints: CheckpointFolder
) -> None:
    with pytest.raises(Killed):
        run(Log(die_at=8))
    saved = checkpoints.found("last")[0]
    payload = load_checkpoint(saved.path)
    del payload["config"]["data"]["interpolation"], payload["config"]["train"]["start"]
    checkpoints.save("last", saved.epoch, payload)
    assert_same(run(), uninterrupted)


def test_checkpoints_of_other_settings_are_refused(
    run: Run, config: Config, checkpoints: CheckpointFolder
) -> None:
    run(settings=changed(config, train__epochs=1))
    before = sorted(path.name for path in checkpoints.folder.iterdir())
    with pytest.raises(OptdetError, match="the checkpoints in this folder are of other settings"):
        run(settings=changed(config, train__epochs=1, optimizer__lr=0.02))
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == before


def test_a_loss_that_is_no_number_fails_the_trial(run: Run, config: Config) -> None:
    settings = changed(config, optimizer__lr=1e30, train__clip_norm=0)
    log = Log()
    with pytest.raises(TrialFailed, match=r"the loss became (nan|inf) in epoch [12]: try a lower"):
        run(log, settings=settings)
    assert "epoch 3" not in log.events


def test_what_a_callback_raises_leaves_fit_as_it_is(config: Config, sets: DataSets, tmp_path: Path) -> None:
    class Pruned(Exception):
        pass

    def prune(record: EpochRecord) -> None:
        raise Pruned(record.epoch)

    with pytest.raises(Pruned, match="1"):
        fit(config, sets, tmp_path, device=CPU, callbacks=FitCallbacks(on_epoch_end=prune))
    # The epoch is on disk by then: what is started again hears of it, and is stopped again.
    with pytest.raises(Pruned, match="1"):
        fit(config, sets, tmp_path, device=CPU, callbacks=FitCallbacks(on_epoch_end=prune))


def test_a_run_goes_on_in_another_precision(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an older card, whose float16 needs a scale that the checkpoint of a newer one does not have."""
    log = Log(N_EVENTS // 2)
    with pytest.raises(Killed):
        run(log)
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, enabled: scaler(device, init_scale=8.0))
    again = Log()
    assert [record.epoch for record in run(again).history] == [1, 2, 3]
    assert "going on after epoch 1 of 3" in again.said
