"""What stands on a receipt: rows of cells, invented from word lists; no geometry yet.

A cell's ``x`` is where it is anchored on the width of the print, 0 (left) .. 1 (right). Row heights are in
lines of the body text, so that the number of items can be chosen to fill the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optdet.data.synthetic import vocabulary as words

Align = Literal["left", "center", "right"]
RowKind = Literal["logo", "title", "text", "strong", "big", "small", "inverse", "rule", "barcode", "gap"]

ROW_HEIGHT: dict[RowKind, float] = {
    "logo": 3.2, "title": 2.0, "text": 1.0, "strong": 1.05, "big": 1.6, "small": 0.95,
    "inverse": 1.35, "rule": 0.75, "barcode": 2.6, "gap": 0.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    x: float
    align: Align


@dataclass(frozen=True, slots=True)
class Row:
    kind: RowKind
    cells: tuple[Cell, ...] = ()

    @property
    def height(self) -> float:
        return ROW_HEIGHT[self.kind]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the item table; None leaves one out. ``two_lines``: the numbers stand below the name."""

    name: float
    quantity: tuple[float, Align] | None
    unit_price: float | None
    two_lines: bool


COLUMN_SCHEMES: tuple[Columns, ...] = (
    Columns(name=0.0, quantity=None, unit_price=None, two_lines=False),
    Columns(name=0.09, quantity=(0.0, "left"), unit_price=None, two_lines=False),
    Columns(name=0.0, quantity=(0.72, "right"), unit_price=None, two_lines=False),
    Columns(name=0.0, quantity=(0.55, "right"), unit_price=0.78, two_lines=False),
    Columns(name=0.0, quantity=(0.2, "right"), unit_price=0.6, two_lines=True),
)


def compose_rows(rng: np.random.Generator, n_lines: float) -> tuple[Row, ...]:
    """Rows of about ``n_lines`` body lines in all: head, item table, totals, foot."""
    currency = _pick(rng, words.CURRENCIES)
    scheme = COLUMN_SCHEMES[int(rng.integers(len(COLUMN_SCHEMES)))]
    roomy = n_lines >= 16
    head = _head(rng, n_address=int(rng.integers(2, 5)) if roomy else 1, logo=roomy and rng.random() < 0.4)
    details = _details(rng, int(rng.integers(1, 5)) if roomy else 1)
    totals = _totals(rng, currency, int(rng.integers(1, 5)) if roomy else 1)
    foot = _foot(rng, int(rng.integers(1, 4)) if roomy else 1, barcode=roomy and rng.random() < 0.5)
    used = sum(row.height for row in (*head, *details, *totals, *foot))
    items = _items(rng, scheme, max(2.0, n_lines - used))
    return (*head, *details, *items, *totals, *foot)


def _head(rng: np.random.Generator, *, n_address: int, logo: bool) -> list[Row]:
    align: Align = "center" if rng.random() < 0.8 else "left"
    x = 0.5 if align == "center" else 0.0
    name = f"{_pick(rng, words.STORE_FIRST)} {_pick(rng, words.STORE_SECOND)}"
    rows = [Row("logo")] if logo else []
    rows.append(Row("title", (Cell(name.upper() if rng.random() < 0.7 else name, x, align),)))
    lines = [
        f"({rng.integers(10**6, 10**7)}-{_pick(rng, 'ABCDHKMPVWX')})",
        f"No {rng.integers(1, 300)}, {_pick(rng, words.STREETS)}",
        f"{rng.integers(10000, 99999)} {_pick(rng, words.CITIES)}",
        f"Tel: {_phone(rng)} Fax: {_phone(rng)}" if rng.random() < 0.4 else f"Tel: {_phone(rng)}",
    ]
    keep = sorted(rng.permutation(len(lines))[:n_address])
    upper = rng.random() < 0.5
    rows += [Row("text", (Cell(lines[i].upper() if upper else lines[i], x, align),)) for i in keep]
    if rng.random() < 0.6:
        kind = _one_of(rng, "strong", "strong", "text", "text", "inverse")
        rows += [Row("gap"), Row(kind, (Cell(_pick(rng, words.DOCUMENTS), 0.5, "center"),))]
    rows.append(Row(_one_of(rng, "rule", "gap")))
    return rows


def _details(rng: np.random.Generator, n: int) -> list[Row]:
    """Invoice number, cashier, date: pairs of label and value, one or two to a row."""
    pairs = [
        ("Date", _date(rng)),
        ("Time", f"{rng.integers(24):02d}:{rng.integers(60):02d}:{rng.integers(60):02d}"),
        ("Invoice", f"{_pick(rng, ('CS', 'INV', 'R', 'POS'))}{rng.integers(10**4, 10**8):08d}"),
        ("Cashier", _pick(rng, words.PEOPLE)),
        ("Table", str(rng.integers(1, 60))),
        ("Terminal", f"{rng.integers(1, 20):02d}"),
        ("Member", f"{rng.integers(10**5, 10**6)}"),
    ]
    order = rng.permutation(len(pairs))
    in_pairs = rng.random() < 0.5
    rows = []
    for i in range(n):
        label, value = pairs[order[i]]
        cells = [Cell(f"{label}: {value}", 0.0, "left")]
        if in_pairs and i + n < len(pairs):
            label, value = pairs[order[i + n]]
            cells.append(Cell(f"{label}: {value}", 1.0, "right"))
        rows.append(Row("text", tuple(cells)))
    return [*rows, Row("rule")]


def _items(rng: np.random.Generator, scheme: Columns, n_lines: float) -> list[Row]:
    upper, tax_code = rng.random() < 0.5, rng.random() < 0.25
    rows: list[Row] = []
    if rng.random() < 0.7 and n_lines > 4:
        cells = [Cell("Item", scheme.name, "left"), Cell(_pick(rng, words.AMOUNT_TITLES), 1.0, "right")]
        if scheme.quantity is not None:
            cells.append(Cell("Qty", *scheme.quantity))
        if scheme.unit_price is not None:
            cells.append(Cell("Price", scheme.unit_price, "right"))
        rows += [Row(_one_of(rng, "text", "strong"), tuple(cells)), Row("rule")]
    while sum(row.height for row in rows) + (2 if scheme.two_lines else 1) <= n_lines:
        rows += _item(rng, scheme, upper=upper, tax_code=tax_code)
    return [*rows, Row("rule")]


def _item(rng: np.random.Generator, scheme: Columns, *, upper: bool, tax_code: bool) -> list[Row]:
    name = " ".join(_pick(rng, words.ITEMS) for _ in range(int(rng.integers(1, 4))))
    if rng.random() < 0.2:
        name = f"{rng.integers(100, 99999)} {name}"
    if rng.random() < 0.3:
        name += f" {rng.integers(1, 10) * 100}{_pick(rng, ('g', 'ml', 'pcs'))}"
    quantity, price = int(rng.integers(1, 10)), float(rng.gamma(2.0, 6.0) + 0.3)
    code = f" {_pick(rng, ('T', 'SR', 'A', 'B'))}" if tax_code else ""
    numbers = [Cell(f"{quantity * price:.2f}{code}", 1.0, "right")]
    if scheme.quantity is not None:
        numbers.append(Cell(f"{quantity}x" if rng.random() < 0.2 else str(quantity), *scheme.quantity))
    if scheme.unit_price is not None:
        numbers.append(Cell(f"{price:.2f}", scheme.unit_price, "right"))
    name_cell = Cell(name.upper() if upper else name, scheme.name, "left")
    if scheme.two_lines:
        return [Row("text", (name_cell,)), Row("text", tuple(numbers))]
    return [Row("text", (name_cell, *numbers))]


def _totals(rng: np.random.Generator, currency: str, n: int) -> list[Row]:
    x_label, align = _TOTAL_LABELS[int(rng.integers(len(_TOTAL_LABELS)))]
    total = float(rng.gamma(3.0, 25.0) + 1.0)
    kinds: list[RowKind] = ["text"] * n
    kinds.insert(int(rng.integers(0, n + 1)), _one_of(rng, "big", "strong", "strong", "inverse"))
    rows = []
    for kind in kinds:
        main = kind != "text"
        label = _pick(rng, words.GRAND_TOTALS if main else words.SUBTOTALS)
        amount = f"{total:.2f}" if main else f"{total * rng.uniform(0.01, 1.1):.2f}"
        value = f"{currency} {amount}" if main or rng.random() < 0.3 else amount
        rows.append(Row(kind, (Cell(label, x_label, align), Cell(value, 1.0, "right"))))
    return [*rows, Row(_one_of(rng, "rule", "gap"))]


_TOTAL_LABELS: tuple[tuple[float, Align], ...] = ((0.0, "left"), (0.66, "right"))


def _foot(rng: np.random.Generator, n: int, *, barcode: bool) -> list[Row]:
    kind = _one_of(rng, "text", "small")
    chosen = rng.permutation(len(words.GREETINGS))[:n]
    rows = [Row(kind, (Cell(words.GREETINGS[i], 0.5, "center"),)) for i in chosen]
    if barcode:
        number = "".join(str(digit) for digit in rng.integers(0, 10, int(rng.integers(8, 14))))
        rows += [Row("gap"), Row("barcode"), Row("small", (Cell(number, 0.5, "center"),))]
    return rows


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _one_of(rng: np.random.Generator, *kinds: RowKind) -> RowKind:
    return kinds[int(rng.integers(len(kinds)))]


def _phone(rng: np.random.Generator) -> str:
    return f"{rng.integers(1, 99):02d}-{rng.integers(10**6, 10**8)}"


def _date(rng: np.random.Generator) -> str:
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(2015, 2027))
    spellings = (
        f"{day:02d}/{month:02d}/{year}",
        f"{year}-{month:02d}-{day:02d}",
        f"{day:02d}.{month:02d}.{year % 100:02d}",
    )
    return _pick(rng, spellings)
