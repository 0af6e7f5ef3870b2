"""A pseudo-terminal that a program runs on, and what a person would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

_CODE = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")


class Screen:
    """Everything that was written, as rows of ``width`` columns; those that scrolled off the top stay."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.wrapped: set[int] = set()
        self.row = self.column = 0
        self.cursor_is_shown = True

    def write(self, text: str) -> None:
        for match in _CODE.finditer(text):
            whole, (value, code) = match[0], (match[1], match[2])
            if whole == "\r":
                self.column = 0
            elif whole == "\n":
                self._down()
            elif code is None:
                self._put(whole)
            elif code == "A":
                self.row = max(0, self.row - int(value or 1))
            elif code == "K":
                self.rows[self.row] = "" if value == "2" else self.rows[self.row][: self.column]
                self.wrapped.discard(self.row)
            elif code in "hl" and value == "?25":
                self.cursor_is_shown = code == "h"
            elif code != "m":
                raise AssertionError(f"what is {match[0]!r}?")

    def lines(self) -> list[str]:
        """Without the terminal's own line breaks, and without empty ones."""
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            if number - 1 in self.wrapped:
                lines[-1] += row
            else:
                lines.append(row)
        return [line.rstrip() for line in lines if line.strip()]

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self.wrapped.add(self.row)
            self.column = 0
            self._down()
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")


def run_on_terminal(
    argv: list[str], *, columns: int = 80, rows: int = 24, stdout: int | None = None, **environ: str
) -> tuple[str, int]:
    """All that a program writes to a terminal of that size, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    plain = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**plain, "TERM": "xterm", **environ},
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so where the last one that had it open has ended
            break
        if not part:
            break
        written += part
    os.close(ours)
    return written.decode(), process.wait()


def run_script(script: str, *arguments: str, **options: object) -> tuple[str, int]:
    """The same of a Python program that sees this package."""
    root = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    argv = [sys.executable, "-c", script, *arguments]
    return run_on_terminal(argv, **{"PYTHONPATH": path, **options})  # type: ignore[arg-type]
