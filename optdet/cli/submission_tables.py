"""What ``optdet submission`` shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from optdet.cli.tables import pairs
from optdet.cli.text_table import TextTable, print_table
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.data.prediction_simplify import Simplified
    from optdet.data.submission_check import CheckedFile
    from optdet.metrics.rank_correlation import RankCorrelation
    from optdet.store.submissions import Board, BoardScore, SubmissionRecord
    from optdet.tuning.submission_list import SubmissionList, SubmissionRow
    from optdet.tuning.submission_next import NextTries
    from optdet.tuning.submissions import Recorded

_LISTED = 20


def check_lines(
    checked: CheckedFile, known: SubmissionRecord | None, simplified: Simplified | None
) -> Iterator[str]:
    """What the file holds, then what is wrong with it."""
    yield f"{checked.path}, SHA-256 {checked.sha256[:12]}"
    yield from checked.summary.lines()
    if known is not None:
        yield f"from       {_origin(known)}"
    if simplified is not None:
        yield simplified.line()
    if not checked.knows_images:
        yield "whether all images are there is not known: give --images DIR or --labels FILE"
    for problem in checked.problems[:_LISTED]:
        yield f"  - {problem}"
    if len(checked.problems) > _LISTED:
        yield f"  ... and {len(checked.problems) - _LISTED} more: all with --json"


def record_lines(recorded: Recorded, board: str) -> Iterator[str]:
    record = recorded.record
    yield f"{record.name} on {board}: {_score(recorded.score)}"
    if recorded.before is not None:
        yield f"in place of {_score(recorded.before)}"
    if not recorded.is_kept:
        yield "its bytes are lost already: it cannot be issued again"


def submissions_table(found: SubmissionList) -> None:
    """A row a file, the oldest first; below them how local and board order them."""
    from optdet.store.submissions import BOARDS

    if not found.rows:
        typer.echo("no submission there yet; write one: optdet predict SOURCE --images DIR --out FILE.csv")
        return
    table = TextTable(("file", "SHA-256", "local", "public", "private", "gap", ""))
    for row in found.rows:
        scores = [_shown(row.boards[board].hmean if board in row.boards else None) for board in BOARDS]
        table.add_row(row.record.name, row.record.sha256[:8], _local(row), *scores, _gap(row), _remark(row))
    print_table(table)
    typer.echo("local: cross-fitted H-mean, or with ~ the H-mean; gap: the leaderboard's less the local")
    for board in BOARDS:
        correlation = found.correlation(board)
        if correlation.n:
            typer.echo(f"local and {board}: {_correlation(correlation)}{_left_out(found, board)}")


def next_lines(found: NextTries) -> Iterator[str]:
    if not found.proposals:
        yield "nothing to try: of these images every file that can be ranked was tried, or agrees with one"
    for number, proposal in enumerate(found.proposals, start=1):
        yield f"{number}. {proposal.group.row.path}"
        yield f"   {proposal.reason}"
        yield f"   {_origin(proposal.group.row.record)}"
    unordered = [number for number, groups in enumerate(found.tiers) if len(groups) > 1]
    for number in unordered:
        yield f"tier {number + 1}: {found.tier_lines[number]}"
    if unordered:
        yield "within a tier the order says nothing"
    for told in found.told:
        name, tried = told.row.record.name, told.tried
        said = ", ".join(f"{score.hmean:.4f} on {board}" for board, score in tried.boards.items())
        yield f"told already: {name} agrees to {told.agreement:.3f} with {tried.record.name}, {said}"
    for row, reason in found.unranked:
        yield f"not ranked: {row.record.name}: {reason}"
    if found.n_others:
        yield f"left out: {counted(found.n_others, 'file')} of other images"


def _origin(record: SubmissionRecord) -> str:
    """What made a file."""
    sources = ", ".join(source.source for source in record.sources) or "not known"
    thresholds = record.settings.get("thresholds")
    at = f" at {pairs(thresholds)}" if thresholds else ""
    fewer = f", at most {record.settings['max_points']} points" if "max_points" in record.settings else ""
    return f"{sources}{at}{fewer}"


def _score(score: BoardScore) -> str:
    parts = [("precision", score.precision), ("recall", score.recall)]
    others = "".join(f", {name} {value:.4f}" for name, value in parts if value is not None)
    return f"H-mean {score.hmean:.4f}{others}{f' ({score.note})' if score.note else ''}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _local(row: SubmissionRow) -> str:
    local = row.record.local
    if local is None:
        return ""
    return f"{'~' if local.crossfit is None else ''}{local.value:.4f}"


def _gap(row: SubmissionRow) -> str:
    """To the private leaderboard, where that is known: it is what counts at the end."""
    gaps = [gap for board in ("private", "public") if (gap := row.gap(board)) is not None]
    return f"{gaps[0]:+.4f}" if gaps else ""


def _remark(row: SubmissionRow) -> str:
    parts = [] if row.state == "there" else [row.state]
    if row.record.origin is not None:
        parts.append(f"from {row.record.origin[:8]}")
    if row.record.command == "adopt":
        parts.append("adopted")
    return ", ".join(parts)


def _left_out(found: SubmissionList, board: Board) -> str:
    n_left_out = found.n_left_out(board)
    if not n_left_out:
        return ""
    of_kind = "cross-fitted" if found.comparable(board)[0].is_crossfit else "not cross-fitted"
    return f"; of those {of_kind}, without {n_left_out} scored otherwise"


def _correlation(found: RankCorrelation) -> str:
    if found.spearman is None or found.kendall is None:
        reason = "fewer than 3 files" if found.n < 3 else "all of one side are equal"
        return f"rank correlation undefined, {reason} (n = {found.n})"
    return f"Spearman {found.spearman:+.2f}, Kendall {found.kendall:+.2f} (n = {found.n})"
