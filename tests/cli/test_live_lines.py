"""The lines of the live view at any width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from optdet.cli.live_lines import fitting, view_lines
from optdet.store.study_index import Standing
from optdet.tuning.run_watch import RunWatch

PARAMS = {
    "optimizer.lr": 0.0071512,
    "optimizer.name": "adam",
    "scheduler.name": "cosine",
    "data.title": "가나다",
}


def watched(n_workers=1, *, names_best=True, standing=None):
    standing = standing or Standing({"COMPLETE": 12, "PRUNED": 7, "FAIL": 1, "RUNNING": 1}, 0.97712, 13)
    run = RunWatch("receipts", 40, lambda: standing, names_best=names_best, n_workers=n_workers)
    for number, worker in enumerate(run.workers):
        worker.trial_started(20 + number, PARAMS, 22, taken_over=False)
        worker.epoch_done, worker.loss, worker.hmean, worker.images_per_s = 2, 3.9241, 0.9, 25.63
        worker.batch(5, 10, 3.9241)
        worker._epoch_seconds.append(30.0)
        worker._mark = worker._clock()
    return run


def test_what_is_left_is_a_least_until_a_trial_has_ended():
    run = watched()
    assert "at least 3.8 h left" in view_lines(run, 80)[1]
    run.workers[0].trial_seconds.append(660.0)
    assert "about " in view_lines(run, 80)[1]
    assert "at least" not in view_lines(run, 80)[1]


def test_one_trial_at_80_columns():
    assert view_lines(watched(), 80) == [
        "receipts  19 of 40 finished  (12 complete, 7 pruned, 1 failed)",
        "best 0.9771 (trial 13)  at least 3.8 h left",
        "trial 20: lr 0.007151, optimizer.name adam, scheduler.name cosine, title 가나다",
        "epoch 3/22  ##------------------  training 5/10  loss 3.924  H-mean 0.9000",
        "25.6 images/s  about 10 min left",
    ]


def test_a_line_a_worker():
    head, best, *lines = view_lines(watched(12), 80)
    assert (head[:8], best[:4], len(lines)) == ("receipts", "best", 12)
    assert lines[0] == "[ 1] trial 20  epoch 3/22  loss 3.924  H 0.9000  25.6 images/s  10 min left"
    assert view_lines(watched(4), 40)[-1] == "[4] trial 23  epoch 3/22  H 0.9000"


def test_what_is_not_known_yet():
    run = RunWatch("receipts", 40, lambda: Standing({}, None, None), names_best=True)
    assert view_lines(run, 80) == ["receipts  0 of 40 finished  best --  -- left", "starting"]
    run.workers[0].trial_started(0, {}, 6, taken_over=False)
    assert view_lines(run, 120)[1:] == [
        "trial 0",
        "epoch 1/6  --------------------  starting  loss    --  H-mean     --    -- images/s  -- left",
    ]


def test_a_line_does_not_break_anew_when_numbers_are_known():
    run = RunWatch("receipts", 40, lambda: Standing({}, None, None), names_best=True)
    worker = run.workers[0]
    worker.trial_started(0, {"optimizer.lr": 0.001}, 6, taken_over=False)
    worker.batch(0, 18, None)
    before = view_lines(run, 80)
    worker.loss, worker.hmean, worker.images_per_s = 2.345, 0.9123, 25.7
    after = view_lines(run, 80)
    assert len(before) == len(after)
    assert [len(line) for line in before] == [len(line) for line in after]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_trial_whose_epochs_are_over_says_what_it_does_and_no_time(n_workers):
    standing = Standing({"COMPLETE": 40 - n_workers}, 0.9, 1)
    run = watched(n_workers, standing=standing)
    for worker in run.workers:
        worker.epoch_done = worker.epochs
        worker.tuning(3, 24)
    lines = view_lines(run, 80)
    assert not any("left" in line for line in lines)
    assert sum("tuning 3/24" in line for line in lines) == n_workers
    narrow = view_lines(run, 34)
    assert sum("tuning 3/24" in line for line in narrow) == n_workers


def test_of_a_full_study_nothing_is_left():
    full = Standing({"COMPLETE": 40}, 0.9, 1)
    run = RunWatch("receipts", 40, lambda: full, names_best=True)
    assert view_lines(run, 80)[0] == "receipts  40 of 40 finished  (40 complete)  best 0.9000 (trial 1)"


def test_of_folds_none_is_the_best():
    assert not any("best" in line for line in view_lines(watched(names_best=False), 80))


@pytest.mark.parametrize("n_workers", [1, 4])
@pytest.mark.parametrize("width", range(1, 130, 3))
def test_no_line_is_as_wide_as_the_terminal(width, n_workers):
    assert all(cell_len(line) < width for line in view_lines(watched(n_workers), width))


def test_a_line_has_the_fields_that_matter_most():
    assert fitting([(0, "name"), (2, "least"), (1, "more")], 12) == "name  more"
    assert fitting([(0, "name"), (2, "least"), (1, "more")], 3) == ""
