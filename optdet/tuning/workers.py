"""Several workers of a study on this machine: processes of their own, each running the same command.

They share nothing but the database and the files, as workers in separate terminals do. This process starts
them, passes on what they say line by line (on standard error what people read, on standard output what a live
view hears), and ends with them: an interrupt is handed to each, and where this
process is killed its workers see their standard input end and stop as if interrupted.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import IO

from optdet.errors import OptdetError

INTERRUPTED = 130
START_AGAIN = 75
"""How a worker ends that a new process may succeed: EX_TEMPFAIL of sysexits.h."""
_MAX_DEATHS_A_WORKER = 3
_POLL_S = 0.2
_LEAVE_S = 15.0  # an interrupted worker saves and releases within ten


@dataclass(frozen=True, slots=True)
class WorkersEnded:
    """How they ended: the distinct errors that they ended with, and how many were killed by somebody."""

    interrupted: bool
    errors: tuple[str, ...]
    n_deaths: int


def n_workers(wanted: str, n_gpus: int) -> int:
    """The number of ``--workers``: of ``auto``, one a GPU, and one without any; OptdetError for nonsense."""
    if wanted == "auto":
        return max(1, n_gpus)
    if not wanted.isdecimal() or int(wanted) == 0:
        raise OptdetError(
            f"{wanted!r} is no number of workers", where="--workers", fix="give 1, 2, ... or auto"
        )
    return int(wanted)


def environments(
    n: int, gpus: Sequence[str], *, given: Mapping[str, str], n_processors: int
) -> list[dict[str, str]]:
    """What each of n workers finds in its environment: a GPU in turn (``gpus``, as CUDA_VISIBLE_DEVICES names
    them), and its share of the processors where the user did not set a number of threads."""
    made = []
    for index in range(n):
        own = dict(given)
        if gpus:
            own["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
        if n > 1:
            own.setdefault("OMP_NUM_THREADS", str(max(1, n_processors // n)))
        made.append(own)
    return made


def visible_gpus() -> list[str]:
    """The GPUs of this process, as a worker's CUDA_VISIBLE_DEVICES names one."""
    import torch

    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
    n = torch.cuda.device_count()
    return [str(index) for index in range(n)] if names is None else names[:n]


def run_workers(
    command: Sequence[str],
    environs: Sequence[Mapping[str, str]],
    say: Callable[[str], None],
    hear: Callable[[int, str | None], None] | None = None,
) -> WorkersEnded:
    """Run ``command`` once with each environment until all have ended; with ``--worker K`` added to it.

    One that is killed from outside, or ends with START_AGAIN, is started again (a trial that it had goes on
    in whichever worker is first), up to a few times in all. ``hear`` is given each line of a worker's
    standard output, with the worker's number, and None when that one has ended.
    """
    crew = _Crew(command, environs, say, hear)
    with crew.signals():
        try:
            return crew.run()
        finally:
            crew.end()


class _Crew:
    """Processes by worker number, 1, 2, ...; their lines arrive in one queue."""

    def __init__(
        self,
        command: Sequence[str],
        environs: Sequence[Mapping[str, str]],
        say: Callable[[str], None],
        hear: Callable[[int, str | None], None] | None,
    ) -> None:
        self._command = command
        self._environs = environs
        self._say = say
        self._hear = hear
        self._lines: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._readers: dict[int, list[threading.Thread]] = {}
        self._errors: dict[int, str] = {}
        self._interrupted = False
        self._n_deaths = 0

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While the block runs, an interrupt is passed on, every time that it comes."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return

        def received(number: int, _frame: FrameType | None) -> None:
            self._interrupted = True
            for process in list(self._running.values()):
                process.send_signal(number)

        before = {number: signal.signal(number, received) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self) -> WorkersEnded:
        errors: list[str] = []
        for number in range(1, len(self._environs) + 1):
            self._start(number)
        while self._running:
            self._pass_on(wait_s=_POLL_S)
            for number, process in list(self._running.items()):
                code = process.poll()
                if code is not None:
                    self._ended(number, code, errors)
        return WorkersEnded(self._interrupted, tuple(dict.fromkeys(errors)), self._n_deaths)

    def end(self) -> None:
        """Leave no worker behind, whatever ended this process's own work."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _LEAVE_S
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, number: int) -> None:
        if self._interrupted:
            return
        process = subprocess.Popen(
            [*self._command, "--worker", str(number)],
            env=dict(self._environs[number - 1]),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if self._hear is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a terminal's Ctrl-C comes here alone, and is passed on
        )
        ways = ((process.stderr, self._said), (process.stdout, self._heard))
        self._running[number] = process
        self._readers[number] = [
            threading.Thread(target=self._read, args=(number, stream, take), daemon=True)
            for stream, take in ways
            if stream is not None
        ]
        for reader in self._readers[number]:
            reader.start()

    def _read(self, number: int, stream: IO[str], take: Callable[[int, str], None]) -> None:
        with stream:
            for line in stream:
                self._lines.put(partial(take, number, line.rstrip("\n")))

    def _said(self, number: int, line: str) -> None:
        if line.startswith("error: "):
            self._errors[number] = line.removeprefix("error: ")  # shown once, when it has ended so
        else:
            self._say(f"[{number}] {line}")

    def _heard(self, number: int, line: str | None) -> None:
        if self._hear is not None:
            self._hear(number, line)

    def _pass_on(self, *, wait_s: float) -> None:
        try:
            pass_on = self._lines.get(timeout=wait_s)
            while True:
                pass_on()
                pass_on = self._lines.get_nowait()
        except queue.Empty:
            return

    def _ended(self, number: int, code: int, errors: list[str]) -> None:
        process = self._running.pop(number)
        for reader in self._readers.pop(number):
            reader.join()
        self._pass_on(wait_s=0.001)
        self._heard(number, None)
        if process.stdin is not None:
            process.stdin.close()
        if (code < 0 or code == START_AGAIN) and not self._interrupted:
            self._n_deaths += 1
            cause = "its GPU" if code == START_AGAIN else signal.Signals(-code).name
            if self._n_deaths <= _MAX_DEATHS_A_WORKER * len(self._environs):
                self._say(f"[{number}] was ended by {cause}; starting it again, its trial goes on")
                self._start(number)
            else:
                others = self._n_deaths - 1
                errors.append(f"worker {number} was ended by {cause}, after {others} others: given up")
        elif code not in (0, INTERRUPTED):
            errors.append(self._errors.get(number, f"worker {number} ended with code {code}"))


def end_with_starter() -> None:
    """In a worker: stop as if interrupted when standard input ends, that is when its starter is gone."""

    def watch() -> None:
        # Not sys.stdin: a thread that waits inside its buffer must not meet the end of the interpreter.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch of the starter", daemon=True).start()
