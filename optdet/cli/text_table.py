"""Tables and lines as text: nothing is ever cut off. Off a terminal a row is one line, however long.

On a terminal a table that is too wide is printed in blocks of columns, each beginning with the first column.
Where that one alone takes much of the width, as a long file name does, it stands on a line of its own above
the rest of its row.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_INDENT = 2

Justify = Literal["left", "right"]


@dataclass(slots=True)
class TextTable:
    """The first column is justified to the left, the others as ``justify`` says; ``gap`` spaces are between
    columns. With ``keyed``, for rows of words, a table that does not fit has each row's first cell on a line,
    and the others below it as they come."""

    columns: tuple[str, ...]
    gap: int = 2
    justify: Justify = "right"
    keyed: bool = False
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Cells that are left out are empty."""
        self.rows.append((*cells, *[""] * (len(self.columns) - len(cells))))

    def lines(self, width: int | None = None) -> Iterator[tuple[str, bool]]:
        """Each with whether it is a heading; at most ``width`` columns wide, where a cell is not wider."""
        widths = [max(map(cell_len, cells)) for cells in zip(self.columns, *self.rows, strict=True)]
        first, *others = widths
        if width is None or sum(widths) + self.gap * len(others) <= width:
            yield from self._block(widths, [list(range(len(widths)))])
        elif self.keyed:
            yield from self._flowing(width)
        elif first > width // 2 or first + self.gap + max(others) > width:
            below = self._parted(others, width - _INDENT)
            yield from self._block(widths, [[0], *below])
        else:
            for number, places in enumerate(self._parted(others, width - first - self.gap)):
                if number:
                    yield "", False
                yield from self._block(widths, [[0, *places]])

    def _flowing(self, width: int) -> Iterator[tuple[str, bool]]:
        for number, (first, *others) in enumerate([self.columns, *self.rows]):
            yield first, number == 0
            cells = [cell for cell in others if cell]
            for line in flowed(cells, width - _INDENT, " " * self.gap):
                yield " " * _INDENT + line, number == 0

    def _parted(self, widths: Sequence[int], width: int) -> list[list[int]]:
        """The other columns' places in groups that fit into ``width``."""
        groups: list[list[int]] = []
        left = 0
        for place, needed in enumerate(widths, start=1):
            if groups and needed + self.gap <= left:
                groups[-1].append(place)
                left -= needed + self.gap
            else:
                groups.append([place])
                left = width - needed
        return groups

    def _block(self, widths: Sequence[int], groups: Sequence[list[int]]) -> Iterator[tuple[str, bool]]:
        """Every row in as many lines as there are groups; those after the first are indented."""
        for number, row in enumerate([self.columns, *self.rows]):
            for indent, places in zip([0, *[_INDENT] * len(groups)], groups, strict=False):
                cells = [self._padded(row[place], widths[place], place) for place in places]
                if indent and not "".join(cells).strip():
                    continue
                yield (" " * indent + (" " * self.gap).join(cells)).rstrip(), number == 0

    def _padded(self, cell: str, width: int, place: int) -> str:
        space = " " * (width - cell_len(cell))
        return space + cell if place and self.justify == "right" else cell + space


def print_table(table: TextTable, *, to: TextIO | None = None) -> None:
    """To stdout, or ``to`` another stream: as wide as the terminal that it is, or as needed."""
    stream = sys.stdout if to is None else to
    console = Console(file=stream, highlight=False, soft_wrap=True)
    for line, is_heading in table.lines(console.width if stream.isatty() else None):
        console.print(Text(line, style="bold" if is_heading else ""))


def print_line(text: str, *, after: str = " ", to: TextIO | None = None) -> None:
    """To stdout, or ``to`` another stream; on a terminal wrapped behind ``after`` alone. So a command that is
    to be copied stays whole: the breaks that a terminal makes are not copied."""
    stream = sys.stdout if to is None else to
    width = Console(file=stream).width - 1 if stream.isatty() else None
    for line in [text] if width is None else wrapped(text, width, after):
        typer.echo(line, file=stream)


def wrapped(text: str, width: int, after: str = " ") -> list[str]:
    """Text in lines of at most ``width`` columns, where no part is wider; all but the first are indented."""
    lines = [""]
    for piece in re.split(f"(?<={re.escape(after)})", text):
        if lines[-1].strip() and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append(" " * _INDENT)
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def flowed(fields: Sequence[str], width: int | None, gap: str = ", ") -> list[str]:
    """The fields in lines of at most ``width`` columns, as words in a paragraph; None for one line."""
    lines: list[str] = []
    for each in fields:
        if lines and (width is None or cell_len(lines[-1] + gap + each) <= width):
            lines[-1] += gap + each
        else:
            lines.append(each)
    return lines
