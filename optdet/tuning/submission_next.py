"""Which file to send to a leaderboard next: what has not been tried, one of each kind, without false order.

Files that find nearly the same in the same images, and whose local scores cannot be told apart, are one
group: a try of one tells about all. What is so near to a file that was tried already is told by that one. The
other groups stand in tiers by their local scores; within a tier the images cannot tell the files apart, and
their order says nothing. Nor does it between a cross-fitted score and one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.data.files import require_folder
from optdet.data.images import list_images, relative_name
from optdet.errors import OptdetError
from optdet.evaluation.tiers import Candidate, Tier, is_worse, tiers
from optdet.phrases import counted
from optdet.tuning.study import Database
from optdet.tuning.submission_agreement import ReadFiles
from optdet.tuning.submission_list import SubmissionRow, of_images, submission_rows
from optdet.tuning.submissions import image_set


@dataclass(frozen=True, slots=True)
class Group:
    """Files that agree with the first of them, which stands for all: the highest local value has it, a
    cross-fitted one before any other."""

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
    already; what cannot be ranked, with the reason; and how many files are of other images."""

    proposals: tuple[Proposal, ...]
    tiers: tuple[tuple[Group, ...], ...]
    tier_lines: tuple[str, ...]
    told: tuple[Told, ...]
    unranked: tuple[tuple[SubmissionRow, str], ...]
    limit: float
    n_others: int = 0

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
            "of_other_images": self.n_others,
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
    known = submission_rows(database).rows
    rows = tuple(of_images(known, _wanted_images(known, images)))
    sorting = _Sorting(ReadFiles(database), [row for row in rows if row.boards], same)
    untried = sorted(
        (row for row in rows if not row.boards),
        key=lambda row: (row.value is None, not row.is_crossfit, -(row.value or 0.0), row.record.created),
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
        n_others=len(known) - len(rows),
    )


class _Sorting:
    """Files, the best first, as they are put into groups, set aside as told by a tried one, or left out."""

    def __init__(self, files: ReadFiles, tried: Sequence[SubmissionRow], same: float) -> None:
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
    return None if local is None else Candidate(row.record.sha256, local.value, local.hmeans, row.is_crossfit)


def _are_told_apart(a: SubmissionRow, b: SubmissionRow) -> bool:
    """By their local scores: where nothing is known of one, by nothing."""
    one, two = _candidate(a), _candidate(b)
    return one is not None and two is not None and (is_worse(one, two) or is_worse(two, one))


def _proposals(in_tiers: Sequence[Sequence[Group]], left: int) -> list[Proposal]:
    every = [
        Proposal(group, number, _reason(group, number, [each for each in groups if each is not group]))
        for number, groups in enumerate(in_tiers, start=1)
        for group in groups
    ]
    return every[:left]


def _reason(group: Group, number: int, others: Sequence[Group]) -> str:
    """``others`` are the rest of its tier."""
    is_crossfit = group.row.is_crossfit
    kind = "cross-fitted H-mean" if is_crossfit else "H-mean"
    n_alike = sum(other.row.is_crossfit == is_crossfit for other in others)
    beside = [f"not to be told from {counted(n_alike, 'other')}"] if n_alike else []
    if n_unlike := len(others) - n_alike:
        what = "not cross-fitted" if is_crossfit else "cross-fitted"
        beside.append(f"not comparable with {n_unlike} that {'is' if n_unlike == 1 else 'are'} {what}")
    stands = [row.record.name for row in group.members[1:]]
    for_others = f"; stands for {', '.join(stands)} too" if stands else ""
    alike = ", ".join(beside) or "alone in its tier"
    return f"tier {number}: {kind} {group.row.value:.4f}, {alike}{for_others}"


def _tier_line(tier: Tier) -> str:
    n, n_crossfit = len(tier.members), tier.n_crossfit
    if n == 1:
        return "1 file alone"
    is_mixed = 0 < n_crossfit < n
    said = [_alike_line(tier.n_images, "those of a kind" if is_mixed else f"these {n}")]
    if is_mixed:
        kinds = f"{n_crossfit} of these {n} cross-fitted, {n - n_crossfit} not"
        said.insert(0, f"{kinds}: scores of the two kinds cannot be ordered")
    return "; ".join(line for line in said if line)


def _alike_line(n_images: int | None, which: str) -> str:
    if n_images is None:
        return ""
    if not n_images:
        return f"{which} cannot be told apart: some were scored on no common image"
    return (
        f"{which} cannot be told apart on {counted(n_images, 'image')}: "
        "the 95 % intervals of their paired differences hold 0"
    )


def _named(row: SubmissionRow) -> dict[str, Any]:
    return {
        "file": row.record.name,
        "sha256": row.record.sha256,
        "path": row.path,
        "value": row.value,
        "crossfit": row.is_crossfit,
    }
