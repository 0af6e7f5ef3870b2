"""Which file to send to a leaderboard next: what has not been tried, one of each kind, without false order.

Files that find nearly the same in the same images, and whose local scores cannot be told apart, are one
group: a try of one tells about all. What is so near to a file that was tried already is told by that one. The
other groups stand in tiers by their local scores; within a tier the images cannot tell the files apart, and
their order says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.data.files import require_folder
from optdet.data.images import list_images, relative_name
from optdet.data.predictions import parse_predictions
from optdet.errors import OptdetError
from optdet.evaluation.tiers import Candidate, Tier, is_worse, tiers
from optdet.metrics.agreement import agreement
from optdet.phrases import counted
from optdet.structures import FloatArray
from optdet.tuning.study import Database
from optdet.tuning.submission_list import SubmissionRow, of_images, submission_rows
from optdet.tuning.submission_places import content_of
from optdet.tuning.submissions import image_set

Polygons = Mapping[str, list[FloatArray]]


@dataclass(frozen=True, slots=True)
class Group:
    """Files that agree with the first of them, which has the highest local value: that one stands for all."""

    members: tuple[SubmissionRow, ...]

    @property
    def row(self) -> SubmissionRow:
        return self.members[0]

    @property
    def sha256(self) -> str:
        return self.row.record.sha256


@dataclass(frozen=True, slots=True)
class Told:
    """A file of which a tried one tells already."""

    row: SubmissionRow
    tried: SubmissionRow
    agreement: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A file to try: which tier its group is in, from 1 on, and a line that says why."""

    group: Group
    tier: int
    reason: str


@dataclass(frozen=True, slots=True)
class NextTries:
    """Proposals, the first first; all groups in their tiers, each with what is said of it; what is told
    already; what cannot be ranked, with the reason."""

    proposals: tuple[Proposal, ...]
    tiers: tuple[tuple[Group, ...], ...]
    tier_lines: tuple[str, ...]
    told: tuple[Told, ...]
    unranked: tuple[tuple[SubmissionRow, str], ...]
    limit: float

    def as_json(self) -> dict[str, Any]:
        return {
            "agreement": self.limit,
            "proposals": [
                {
                    **_named(proposal.group.row),
                    "tier": proposal.tier,
                    "reason": proposal.reason,
                    "stands_for": [_named(row) for row in proposal.group.members[1:]],
                }
                for proposal in self.proposals
            ],
            "tiers": [
                {"tier": number, "files": [_named(group.row) for group in groups], "said": line}
                for number, (groups, line) in enumerate(
                    zip(self.tiers, self.tier_lines, strict=True), start=1
                )
            ],
            "told": [
                {**_named(told.row), "by": told.tried.record.sha256, "agreement": told.agreement}
                for told in self.told
            ],
            "unranked": [{**_named(row), "reason": reason} for row, reason in self.unranked],
        }


def next_tries(
    database: Database,
    left: int,
    *,
    same: float,
    images: Path | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> NextTries:
    """At most ``left`` proposals. Files that agree to ``same`` or more may be one group.

    ``images`` is the folder that the leaderboard's files are of; without it they are those of the newest
    recorded file, or the only ones there are.

    OptdetError where it cannot be told which files are meant.
    """
    rows = submission_rows(database).rows
    rows = tuple(of_images(rows, _wanted_images(rows, images)))
    sorting = _Sorting(_Files(database), [row for row in rows if row.boards], same)
    untried = sorted(
        (row for row in rows if not row.boards),
        key=lambda row: (row.value is None, -(row.value or 0.0), row.record.created),
    )
    for index, row in enumerate(untried, start=1):
        sorting.add(row)
        if on_file is not None:
            on_file(index, len(untried))
    candidates = (_candidate(group.row) for group in sorting.groups)
    found = tiers([candidate for candidate in candidates if candidate is not None])
    by_sha = {group.sha256: group for group in sorting.groups}
    in_tiers = tuple(tuple(by_sha[each.name] for each in tier.members) for tier in found)
    return NextTries(
        proposals=tuple(_proposals(in_tiers, left)),
        tiers=in_tiers,
        tier_lines=tuple(_tier_line(tier) for tier in found),
        told=tuple(sorting.told),
        unranked=tuple(sorting.unranked),
        limit=same,
    )


class _Sorting:
    """Files, the best first, as they are put into groups, set aside as told by a tried one, or left out."""

    def __init__(self, files: _Files, tried: Sequence[SubmissionRow], same: float) -> None:
        self._files = files
        self._tried = tried
        self._same = same
        self.groups: list[Group] = []
        self.told: list[Told] = []
        self.unranked: list[tuple[SubmissionRow, str]] = []

    def add(self, row: SubmissionRow) -> None:
        if self._files.polygons(row) is None:
            what = "the file is gone" if row.state == "gone" else "another file is in its place"
            self.unranked.append((row, what))
            return
        by = self._alike(row, self._tried)
        if by is not None:
            self.told.append(Told(row, *by))
            return
        leader = self._alike(row, [group.row for group in self.groups])
        if leader is not None:
            place = next(i for i, group in enumerate(self.groups) if group.row is leader[0])
            self.groups[place] = Group((*self.groups[place].members, row))
        elif row.value is None:
            self.unranked.append((row, "no local score is known"))
        else:
            self.groups.append(Group((row,)))

    def _alike(
        self, row: SubmissionRow, others: Sequence[SubmissionRow]
    ) -> tuple[SubmissionRow, float] | None:
        """The one of the others whose try would tell about a file, and how much the two agree."""
        nearest = self._files.nearest(row, [other for other in others if not _are_told_apart(row, other)])
        return nearest if nearest is not None and nearest[1] >= self._same else None


class _Files:
    """The polygons of files, read once, and how nearly two files are the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._polygons: dict[str, Polygons | None] = {}

    def polygons(self, row: SubmissionRow) -> Polygons | None:
        """Those with an outline; None where the bytes are lost."""
        sha256 = row.record.sha256
        if sha256 not in self._polygons:
            content = content_of(self._database, row.record)
            self._polygons[sha256] = None if content is None else _outlines(row, content)
        return self._polygons[sha256]

    def nearest(
        self, row: SubmissionRow, others: Sequence[SubmissionRow]
    ) -> tuple[SubmissionRow, float] | None:
        """Which of the others agrees most with a file, and how much; None where none can be read."""
        own = self.polygons(row)
        if own is None:
            return None
        readable = [(other, theirs) for other in others if (theirs := self.polygons(other)) is not None]
        scored = [(other, mean_agreement(own, theirs)) for other, theirs in readable]
        return max(scored, key=lambda each: each[1], default=None)


def _outlines(row: SubmissionRow, content: bytes) -> Polygons:
    """An adopted file may hold what is no polygon."""
    found = parse_predictions(Path(row.record.path), content.decode("utf-8-sig")).polygons
    return {name: [each for each in polygons if len(each) >= 3] for name, polygons in found.items()}


def mean_agreement(a: Polygons, b: Polygons) -> float:
    """Over the images of two files, of which both have the same."""
    values = [agreement(polygons, b.get(name, [])) for name, polygons in a.items()]
    return sum(values) / len(values) if values else 1.0


def _wanted_images(rows: Sequence[SubmissionRow], images: Path | None) -> str:
    if images is not None:
        require_folder(images, what="images folder")
        wanted = image_set([relative_name(path, images) for path in list_images(images)])
        if not of_images(rows, wanted):
            raise OptdetError("no submission is of these images", where=str(images), fix="predict them first")
        return wanted
    if not rows:
        raise OptdetError("no submission there yet", where="submission next", fix="write one: optdet predict")
    recorded = [row for row in rows if row.boards]
    if recorded:
        newest = max(recorded, key=lambda row: max(score.recorded for score in row.boards.values()))
        return newest.record.image_set
    sets = {row.record.image_set: row for row in rows}
    if len(sets) > 1:
        shown = ", ".join(
            f"{row.record.name} ({counted(row.record.n_images, 'image')})" for row in sets.values()
        )
        raise OptdetError(
            f"there are files of {len(sets)} sets of images: {shown}",
            where="submission next",
            fix="say which with --images DIR, or record a score",
        )
    return next(iter(sets))


def _candidate(row: SubmissionRow) -> Candidate | None:
    """None where no local scores are known."""
    local = row.record.local
    return None if local is None else Candidate(row.record.sha256, local.value, local.hmeans)


def _are_told_apart(a: SubmissionRow, b: SubmissionRow) -> bool:
    """By their local scores: where nothing is known of one, by nothing."""
    one, two = _candidate(a), _candidate(b)
    return one is not None and two is not None and (is_worse(one, two) or is_worse(two, one))


def _proposals(in_tiers: Sequence[Sequence[Group]], left: int) -> list[Proposal]:
    every = [
        Proposal(group, number, _reason(group, number, len(groups) - 1))
        for number, groups in enumerate(in_tiers, start=1)
        for group in groups
    ]
    return every[:left]


def _reason(group: Group, number: int, n_alike: int) -> str:
    local = group.row.record.local
    assert local is not None  # it is ranked
    kind = "H-mean" if local.crossfit is None else "cross-fitted H-mean"
    alike = f"not to be told from {counted(n_alike, 'other')}" if n_alike else "alone in its tier"
    stands = [row.record.name for row in group.members[1:]]
    for_others = f"; stands for {', '.join(stands)} too" if stands else ""
    return f"tier {number}: {kind} {local.value:.4f}, {alike}{for_others}"


def _tier_line(tier: Tier) -> str:
    n = len(tier.members)
    if n == 1:
        return "1 file alone"
    if not tier.n_images:
        return f"these {n} cannot be told apart: some were scored on no common image"
    return (
        f"these {n} cannot be told apart on {counted(tier.n_images, 'image')}: "
        "the 95 % intervals of their paired differences hold 0"
    )


def _named(row: SubmissionRow) -> dict[str, Any]:
    local = row.record.local
    return {
        "file": row.record.name,
        "sha256": row.record.sha256,
        "path": row.path,
        "value": row.value,
        "crossfit": local is not None and local.crossfit is not None,
    }
