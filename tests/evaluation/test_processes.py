"""Processes over images: they give what one process gives, and none outlives the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optdet.errors import OptdetError
from optdet.evaluation.parallel import mapped_in_processes


def name_oneself(folder: str) -> int:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)
    return 0


def test_results_come_in_order_and_an_error_as_it_was() -> None:
    words = [str(number) for number in range(10)]
    assert list(mapped_in_processes(int, words, workers=2)) == list(range(10))
    results = mapped_in_processes(int, ["1", "two", *words], workers=2)
    assert next(results) == 1
    with pytest.raises(ValueError, match="'two'"):
        next(results)


def test_a_process_that_is_killed_is_one_line() -> None:
    with pytest.raises(OptdetError, match=r"ended from outside; free memory, or use fewer --workers"):
        list(mapped_in_processes(signal.raise_signal, [signal.SIGKILL], workers=1))


PARENT = """
import sys
from optdet.evaluation.parallel import mapped_in_processes
from test_processes import name_oneself
if __name__ == "__main__":
    list(mapped_in_processes(name_oneself, [sys.argv[1]] * 2, workers=2))
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_they_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    started = tmp_path / "started"
    started.mkdir()
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(started)], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 60
    while len(list(started.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = [int(file.name) for file in started.iterdir()]
    assert all(map(is_running, children))
    parent.kill()
    parent.wait()
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "children outlive their parent"
        time.sleep(0.05)
