"""The live view of a run on a terminal: lines that scroll, and below them what it is at.

It shows and never decides: a terminal that is closed, one row high or without these characters ends or cuts
the view, and not the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from optdet.cli.live_lines import view_lines
from optdet.cli.progress import CountedStages, PlainProgress, is_terminal, stdout_is_seen, write_line
from optdet.cli.text_table import wrapped
from optdet.tuning.progress import Progress, Together
from optdet.tuning.progress_events import replay
from optdet.tuning.run_watch import RunWatch, WorkerWatch

if TYPE_CHECKING:
    from optdet.tuning.study import OpenStudy

_REFRESHES_PER_S = 4
_BAR, _ASCII_BAR = ("━", "─"), ("#", "-")


class LiveView:
    """Draws a run below the lines that are said, until it is left; then nothing of it remains."""

    def __init__(self, run: RunWatch) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
        self._frame = _Frame(run, self._console)
        self._live = Live(
            self._frame,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
            redirect_stdout=stdout_is_seen(),
            vertical_overflow="crop",
        )

    def say(self, line: str) -> None:
        """Wrapped at words, to the terminal's width at this moment."""
        with suppress(OSError, ValueError):
            width = _columns(self._console) - 1
            lines = [row for part in line.splitlines() or [""] for row in wrapped(part, width)]
            self._console.print("\n".join(lines), markup=False)

    def __enter__(self) -> LiveView:
        with suppress(OSError, ValueError):
            self._live.start()
            self._console.push_render_hook(self._frame)
            self._console.show_cursor(True)  # a process that is killed could not bring it back
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError, IndexError):
            self._console.pop_render_hook()
            self._live.stop()


class _Frame(RenderHook):
    """The view as rich draws it, at the width that the terminal has at that moment.

    A terminal that became narrower has wrapped what was drawn before: more rows are to be erased than rich
    knows of.
    """

    def __init__(self, run: RunWatch, console: Console) -> None:
        self._run = run
        self._console = console
        self._bar = _BAR if _encodes(console.encoding, "".join(_BAR)) else _ASCII_BAR
        self._drawn: list[str] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        try:
            lines = view_lines(self._run, _columns(console), bar=self._bar)
        except Exception:  # its state changed while it was read: a quarter of a second later it is drawn
            lines = self._drawn
        shown = [_encodable(console.encoding, line) for line in lines[: max(1, console.height - 1)]]
        self._drawn = shown
        first, *others = shown or [""]
        yield Text(first, style="bold", no_wrap=True, overflow="crop")
        for line in others:
            yield Text(line, no_wrap=True, overflow="crop")

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        columns = _columns(self._console)
        n_wrapped = sum(max(0, cell_len(line) - 1) // columns for line in self._drawn)
        up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
        return [Control(*up * n_wrapped), *renderables] if n_wrapped else renderables


def _columns(console: Console) -> int:
    """Of the terminal as it is now; COLUMNS, which rich believes, may be of before it was resized."""
    with suppress(OSError, ValueError):
        return max(1, min(console.width, os.get_terminal_size(sys.stderr.fileno()).columns))
    return max(1, console.width)


def _encodes(encoding: str, text: str) -> bool:
    return _encodable(encoding, text) == text


def _encodable(encoding: str, text: str) -> str:
    return text.encode(encoding, "replace").decode(encoding)


class _LinesAbove(PlainProgress):
    """The plain lines of a run, said above its view."""

    def __init__(self, view: LiveView, best_of: str | None, on_begun: Callable[[], None] | None) -> None:
        super().__init__(best_of, on_begun)
        self._view = view

    def say(self, message: str) -> None:
        self._view.say(message)


def watch(study: OpenStudy, total: int, *, n_workers: int = 1) -> RunWatch:
    """What is known of a study's run before it begins."""
    from optdet.store.study_index import standing_of
    from optdet.tuning.fold_members import varies_fold

    look = partial(standing_of, study.storage, study.study_id)
    return RunWatch(study.name, total, look, names_best=not varies_fold(study), n_workers=n_workers)


@contextmanager
def shown_progress(
    run: RunWatch, best_of: str | None = "this run", on_begun: Callable[[], None] | None = None
) -> Iterator[Progress]:
    """A live view where stderr is a terminal, elsewhere one plain line an epoch; stdout is for results."""
    if not is_terminal():
        yield Together(PlainProgress(best_of, on_begun), CountedStages())
        return
    with LiveView(run) as view:
        yield Together(_LinesAbove(view, best_of, on_begun), *run.workers)


@contextmanager
def shown_workers(
    run: RunWatch,
) -> Iterator[tuple[Callable[[str], None], Callable[[int, str | None], None]]]:
    """How several workers' lines are said, and how what they count is heard: by the view, or as lines."""
    if not is_terminal():
        numbers = range(1, len(run.workers) + 1)
        lines = [CountedStages(partial(_write_marked, number)) for number in numbers]
        yield write_line, partial(_hear, lines)
        return
    with LiveView(run) as view:
        yield view.say, partial(_hear, run.workers)


def _hear(listeners: Sequence[WorkerWatch | CountedStages], number: int, event: str | None) -> None:
    """An event of a worker, the first of which is number 1; None where it has ended."""
    listener = listeners[number - 1]
    if event is None:
        listener.stopped()
    else:
        replay(event, listener)


def _write_marked(number: int, line: str) -> None:
    write_line(f"[{number}] {line}")
