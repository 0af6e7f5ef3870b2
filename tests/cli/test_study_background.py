"""``study run --background``, ``log`` and ``stop`` where nothing runs: the rest is in integration."""

from __future__ import annotations

from optdet.cli.again import Given


def test_without_a_run_there_is_no_log_and_nothing_to_stop(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml", "--storage", "my db")
    error = optdet("study", "log", "--storage", "my db").error
    assert error.startswith("error: ")
    assert "no run of tiny in the background has left a log" in error
    assert error.endswith("start one: optdet study run tiny --storage 'my db' --background")
    stopped = optdet("study", "stop", "--storage", "my db")
    assert (stopped.code, stopped.out) == (0, "no run of tiny works in the background on this host\n")


def test_a_smoke_test_is_not_for_the_background(optdet):
    ran = optdet("study", "run", "--smoke", "--background")
    assert ran.code == 2
    assert "--smoke" in ran.err


def test_what_is_advised_from_the_background_goes_on_there():
    given = Given(
        storage="postgresql://me:secret@host/db", root="/r", workers="2", log_to="/r/runs/mine/logs/1"
    )
    again = given.run_again("mine", trials=9)
    assert again == (
        "optdet study run mine --storage 'postgresql://me:***@host/db' --root /r --trials 9 --workers 2"
        " --background"
    )
    assert given.words_of("stop", "mine") == (
        "optdet study stop mine --storage 'postgresql://me:***@host/db' --root /r"
    )
    assert given.run_words("mine")[-2:] == ["--log-to", "/r/runs/mine/logs/1"]
