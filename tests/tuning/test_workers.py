"""Several workers: how many, with what environment, and what becomes of those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from optdet.errors import OptdetError
from optdet.tuning.workers import START_AGAIN, WorkersEnded, environments, n_workers, run_workers


@pytest.mark.parametrize(("wanted", "gpus", "expected"), [("3", 0, 3), ("auto", 0, 1), ("auto", 4, 4)])
def test_auto_is_one_worker_a_gpu_and_one_without_any(wanted: str, gpus: int, expected: int) -> None:
    assert n_workers(wanted, gpus) == expected


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", ""])
def test_what_is_no_number_of_workers_is_refused(wanted: str) -> None:
    with pytest.raises(OptdetError, match="no number of workers"):
        n_workers(wanted, 0)


def test_gpus_are_given_in_turn_and_processors_are_shared() -> None:
    made = environments(3, ["0", "GPU-5f"], given={"HOME": "/h"}, n_processors=8)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in made] == ["0", "GPU-5f", "0"]
    assert {env["OMP_NUM_THREADS"] for env in made} == {"2"}
    assert all(env["HOME"] == "/h" for env in made)


def test_the_users_number_of_threads_stays_and_one_worker_has_the_machine() -> None:
    assert (
        environments(2, [], given={"OMP_NUM_THREADS": "7"}, n_processors=8) == [{"OMP_NUM_THREADS": "7"}] * 2
    )
    assert environments(1, [], given={}, n_processors=8) == [{}]
    assert environments(4, [], given={}, n_processors=2)[0] == {"OMP_NUM_THREADS": "1"}


def crew(script: str, n: int = 2) -> tuple[WorkersEnded, list[str]]:
    """Workers that are small Python programs; ``sys.argv[2]`` is the worker's number."""
    said: list[str] = []
    command = [sys.executable, "-c", "import os, signal, sys, time\n" + textwrap.dedent(script)]
    return run_workers(command, [dict(os.environ)] * n, said.append), said


def test_lines_come_whole_and_say_whose_they_are() -> None:
    ended, said = crew(
        """
        for line in range(200):
            sys.stderr.write("a" * 50); sys.stderr.flush(); sys.stderr.write("b\\n")
        """
    )
    assert ended == WorkersEnded(interrupted=False, errors=(), n_deaths=0)
    assert sorted(said) == [f"[{k}] {'a' * 50}b" for k in (1, 2) for _ in range(200)]


def test_the_same_error_of_all_is_told_once() -> None:
    ended, said = crew("sys.stderr.write('a line\\nerror: no images: mend it\\n'); sys.exit(1)", n=3)
    assert ended.errors == ("no images: mend it",)
    assert sorted(said) == ["[1] a line", "[2] a line", "[3] a line"]


def test_a_worker_that_ends_without_a_word_is_an_error_too() -> None:
    ended, _ = crew("sys.exit(3 if sys.argv[2] == '2' else 0)")
    assert ended.errors == ("worker 2 ended with code 3",)


@pytest.mark.parametrize(
    ("end", "cause"),
    [("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"), (f"sys.exit({START_AGAIN})", "its GPU")],
)
def test_a_worker_that_was_killed_or_lost_its_gpu_is_started_again(
    tmp_path: Path, end: str, cause: str
) -> None:
    mark = tmp_path / "ended"
    ended, said = crew(
        f"""
        if sys.argv[2] == "2" and not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, "w").close()
            {end}
        """
    )
    assert (ended.errors, ended.n_deaths) == ((), 1)
    assert said == [f"[2] was ended by {cause}; starting it again, its trial goes on"]


def test_workers_that_always_die_are_given_up() -> None:
    ended, _ = crew("os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.n_deaths == 8  # two, and six that were started again
    assert len(ended.errors) == 2
    assert "given up" in ended.errors[0]


def interrupt_soon(pid: int, ready: list[Path]) -> None:
    def wait_and_interrupt() -> None:
        while not all(path.exists() for path in ready):
            time.sleep(0.01)
        os.kill(pid, signal.SIGINT)

    threading.Thread(target=wait_and_interrupt, daemon=True).start()


def test_an_interrupt_reaches_every_worker_and_none_is_started_after(tmp_path: Path) -> None:
    ready = [tmp_path / "1", tmp_path / "2"]
    interrupt_soon(os.getpid(), ready)
    ended, said = crew(
        f"""
        try:
            open(os.path.join({str(tmp_path)!r}, sys.argv[2]), "w").close()
            time.sleep(60)
        except KeyboardInterrupt:
            sys.stderr.write("saved\\n")
            sys.exit(130)
        """
    )
    assert ended == WorkersEnded(interrupted=True, errors=(), n_deaths=0)
    assert sorted(said) == ["[1] saved", "[2] saved"]


def test_workers_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    worker = (
        "import os, sys, time; from pathlib import Path;"
        "from optdet.tuning.workers import end_with_starter;"
        f"end_with_starter(); Path({str(tmp_path)!r}, sys.argv[2]).write_text(str(os.getpid()));"
        "time.sleep(60)"
    )
    starter = (
        "import os, sys; from optdet.tuning.workers import run_workers;"
        f"run_workers([sys.executable, '-c', {worker!r}], [dict(os.environ)] * 2, print)"
    )
    with subprocess.Popen([sys.executable, "-c", starter]) as process:
        paths = [tmp_path / "1", tmp_path / "2"]
        while not all(path.exists() and path.read_text() for path in paths):
            time.sleep(0.01)
        process.kill()
    deadline = time.monotonic() + 10
    for path in paths:
        while Path(f"/proc/{path.read_text()}").exists():
            assert time.monotonic() < deadline, "a worker outlived its starter"
            time.sleep(0.01)
