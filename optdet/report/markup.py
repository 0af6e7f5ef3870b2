"""Pieces of HTML. Every text that comes from outside goes through here, and is escaped."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML as it stands; plain strings are escaped where they are put in."""

    html: str


Content = str | Markup

SMALL_CHARTS: Final = ("slices", "buckets")
"""Names of charts that are several small ones."""
_WHOLE_ON_PAPER: Final = 20
"""Rows up to which a table is not parted between pages."""


def joined(parts: Iterable[Content]) -> Markup:
    return Markup("".join(text(part) for part in parts))


def text(content: Content) -> str:
    """HTML of a piece."""
    return content.html if isinstance(content, Markup) else escape(content)


def element(tag: str, *parts: Content, **attributes: str) -> Markup:
    """``<tag name="value">parts</tag>``; a trailing underscore of a name is dropped, others are hyphens."""
    names = (
        f' {name.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{''.join(names)}>{joined(parts).html}</{tag}>")


@dataclass(frozen=True, slots=True)
class Section(Markup):
    """A part of the page that the list at its top leads to."""

    name: str
    title: str


def section(name: str, title: str, *parts: Content) -> Section:
    return Section(element("section", element("h2", title), *parts, id=name).html, name, title)


def table(
    headings: Sequence[str], rows: Sequence[Sequence[Content]], *, texts: Container[int] = (0,)
) -> Markup:
    """The columns ``texts``, from 0, are texts; the others are numbers, set flush right. There is no head
    where no column has a heading."""

    def cells(tag: str, row: Sequence[Content]) -> Markup:
        return element(
            "tr",
            *(
                element(tag, cell, **({} if place in texts else {"class_": "number"}))
                for place, cell in enumerate(row)
            ),
        )

    head = [element("thead", cells("th", list(headings)))] if any(headings) else []
    body = element("tbody", *(cells("td", row) for row in rows))
    is_long = len(rows) > _WHOLE_ON_PAPER
    return element("div", element("table", *head, body), class_="scroll long" if is_long else "scroll")


def chart(name: str, title: str, *, wide: bool = False, note: Content = "") -> Markup:
    """A place that ``report.js`` draws into; ``note`` says how it is read."""
    return element(
        "figure",
        element("figcaption", element("strong", title), *([" ", note] if note else [])),
        element(
            "div",
            class_="slices" if name in SMALL_CHARTS else "chart",
            data_chart=name,
            role="img",
            aria_label=title,
        ),
        class_="wide" if wide else "half",
    )


def command(line: str) -> Markup:
    """A command that can be copied."""
    return element("pre", element("code", line))


def note(*parts: Content) -> Markup:
    return element("p", *parts, class_="note")


def score(value: float | None, digits: int = 4) -> str:
    """A score, 0..1; empty where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"
