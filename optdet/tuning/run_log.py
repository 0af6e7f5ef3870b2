"""What a process has written to its log: so far, its last lines, and on as long as it is written."""

from __future__ import annotations

import codecs
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

_CHUNK = 1 << 20
_POLL_S = 0.2


class LogReader:
    """Hands on what has come since it was last asked; a character that is half written waits for its rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def new_text(self) -> str:
        """At most a megabyte; empty where nothing has come."""
        with self._path.open("rb") as file:
            file.seek(self._place)
            written = file.read(_CHUNK)
        self._place += len(written)
        return self._decoder.decode(written)

    def skip_to_last(self, n_lines: int) -> None:
        """Begin with the last lines of those there are."""
        lengths: deque[int] = deque(maxlen=n_lines)
        with self._path.open("rb") as file:
            for line in file:
                lengths.append(len(line))
            self._place = file.tell() - sum(lengths)


def read_log(path: Path, n_lines: int | None, goes_on: Callable[[], bool]) -> Iterator[str]:
    """A log's text, all or from its last lines on, and what comes until ``goes_on`` says no."""
    reader = LogReader(path)
    if n_lines is not None:
        reader.skip_to_last(n_lines)
    while True:
        last = not goes_on()  # asked before reading: what was written until then is read below
        while text := reader.new_text():
            yield text
        if last:
            return
        time.sleep(_POLL_S)
