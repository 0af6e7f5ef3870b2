"""Which images belong together, so that none is learnt from while another of them is held out.

Label files say so (``group`` of an image in UFO), or a table does. Images of the same pixels are one group,
whatever they are called and in whatever format they are kept.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.data.files import read_text
from optdet.data.names import NameIndex
from optdet.data.source import Source
from optdet.digest import digests_of_equal_sizes
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
    told: dict[str, GroupRow] = {}
    unknown = []
    for row in read_groups(table):
        found = index.find(row.name)
        if found is not None:
            _require_agreement(told.setdefault(found, row), row)
        elif index.fits_several(row.name):
            raise OptdetError(
                f"{row.name} could be any of several images", where=row.where, fix="write its folder as well"
            )
        else:
            unknown.append(row)
    named |= {name: row.group for name, row in told.items()}
    if not unknown:
        return named, []
    names = counted(len(unknown), "name")
    return named, [f"{names} of {table} fit no image, the first is {unknown[0].name}"]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of a table of groups; ``where`` is its file and line."""

    where: str
    name: str
    group: str


def read_groups(path: Path) -> list[GroupRow]:
    """The rows of a CSV (name, group), with or without that heading."""
    reader = csv.reader(read_text(path).splitlines())
    rows = []
    for cells in reader:
        row = GroupRow(f"{path}:{reader.line_num}", *map(str.strip, cells)) if len(cells) == 2 else None
        if cells and (row is None or not (row.name and row.group)):
            raise OptdetError(
                "not an image's name and its group",
                where=f"{path}:{reader.line_num}",
                fix="write name,group",
            )
        if row is not None:
            rows.append(row)
    if rows and (rows[0].name.lower(), rows[0].group.lower()) == ("name", "group"):
        rows = rows[1:]
    if not rows:
        raise OptdetError("it names no image", where=str(path), fix="write name,group in each row")
    return rows


def _require_agreement(first: GroupRow, row: GroupRow) -> None:
    if first.group != row.group:
        raise OptdetError(
            f"{row.name} is in group {row.group} here and in {first.group} in {first.where}",
            where=row.where,
            fix="leave one of the two rows",
        )


def with_equal_files(samples: Sequence[Sample], named: Mapping[str, str]) -> dict[str, str]:
    """Groups with images whose files are equal, byte by byte, put together: no pixel is read for it."""
    digests = digests_of_equal_sizes(sample.image_path for sample in samples)
    keys = [digests.get(sample.image_path, str(sample.image_path)) for sample in samples]
    return with_twins(samples, keys, named, digests)[0]


def with_twins(
    samples: Sequence[Sample], pixels: Sequence[str], named: Mapping[str, str], digests: Mapping[Path, str]
) -> tuple[dict[str, str], int]:
    """Groups with images of equal pixels put together; and how many have those of one before. ``digests`` are
    of files: by the first one's a group without a name is called.
    """
    alike: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample, digest in zip(samples, pixels, strict=True):
        alike[digest].append(sample)
    together = dict(named)
    for twins in (twins for twins in alike.values() if len(twins) > 1):
        names = [sample.name for sample in twins]
        groups = sorted({together[name] for name in names if name in together})
        group = groups[0] if groups else f"file {digests[twins[0].image_path][:12]}"
        together |= dict.fromkeys(names, group)
        together |= {name: group for name, of in together.items() if of in groups}
    return together, len(samples) - len(alike)
