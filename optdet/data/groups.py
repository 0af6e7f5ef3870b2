"""Which images belong together, so that none is learnt from while another of them is held out.

Label files say so (``group`` of an image in UFO), or a table does. Images whose files are the same, byte for
byte, are one group, whatever they are called.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from optdet.data.files import read_text
from optdet.data.names import NameIndex
from optdet.data.source import Source
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import Sample


def named_groups(
    sources: Sequence[Source], pooled: Sequence[Sequence[Sample]], table: Path | None
) -> tuple[dict[str, str], list[str]]:
    """Groups by the samples' pooled names, as label files have them or the table; and what to say."""
    named = {
        sample.name: source.groups[original.name]
        for source, samples in zip(sources, pooled, strict=True)
        for original, sample in zip(source.samples, samples, strict=True)
        if original.name in source.groups
    }
    if table is None:
        return named, []
    index = NameIndex([sample.name for samples in pooled for sample in samples])
    unknown = []
    for name, group in read_groups(table):
        found = index.find(name)
        if found is None:
            unknown.append(name)
        else:
            named[found] = group
    if unknown:
        return named, [f"{counted(len(unknown), 'name')} of {table} fit no image, the first is {unknown[0]}"]
    return named, []


def read_groups(path: Path) -> list[tuple[str, str]]:
    """Rows (name, group) of a CSV, with or without that heading."""
    rows = [row for row in csv.reader(read_text(path).splitlines()) if row]
    if rows and [cell.strip().lower() for cell in rows[0]] == ["name", "group"]:
        rows = rows[1:]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or not all(cell.strip() for cell in row):
            raise OptdetError(
                f"row {number} is not an image's name and its group",
                where=str(path),
                fix="write name,group",
            )
    if not rows:
        raise OptdetError("it names no image", where=str(path), fix="write name,group in each row")
    return [(name.strip(), group.strip()) for name, group in rows]


def with_twins(
    samples: Sequence[Sample], named: Mapping[str, str], digests: Mapping[Path, str]
) -> tuple[dict[str, str], int]:
    """Groups with images of equal files put together; and how many have the file of one before."""
    times = Counter(digests[sample.image_path] for sample in samples)
    together = dict(named)
    for digest in (digest for digest, number in times.items() if number > 1):
        twins = [sample.name for sample in samples if digests[sample.image_path] == digest]
        groups = sorted({together[name] for name in twins if name in together})
        group = groups[0] if groups else f"file {digest[:12]}"
        together |= dict.fromkeys(twins, group)
        together |= {name: group for name, of in together.items() if of in groups}
    return together, sum(number - 1 for number in times.values())
