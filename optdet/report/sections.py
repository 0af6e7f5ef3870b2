"""The parts of the page that show the search and what belongs to the study."""

from __future__ import annotations

from collections.abc import Sequence

from optdet.phrases import counted, duration
from optdet.playbook.runner import decision_in_words
from optdet.playbook.status import Status
from optdet.report.importance import MIN_TRIALS
from optdet.report.markup import Content, Markup, Section, chart, element, note, score, section, signed, table
from optdet.store.submissions import BOARDS
from optdet.tuning.fold_report import FoldReport
from optdet.tuning.submission_list import SubmissionList, SubmissionRow

_MAX_SUBMISSIONS = 60
MANY = 1500
"""Trials of a state that charts draw: ``SHOWN_POINTS`` of ``charts.js``."""


def progress_section(n_trials: int, n_curves: int, n_with_curves: int) -> Section:
    left_out = (
        f"{n_curves} of {n_with_curves} curves: the best, and the newest." if n_curves < n_with_curves else ""
    )
    thinned = " Of so many trials the best are drawn, and a part of the others." if n_trials > MANY else ""
    return section(
        "progress",
        "How the search went",
        element(
            "div",
            chart(
                "history",
                "Value by trial",
                note=f"The line is the best so far; triangles lie below the frame.{thinned}",
            ),
            chart("curves", "H-mean by epoch", note=f"A curve that stops was pruned. {left_out}".strip()),
            class_="row",
        ),
    )


def search_section(n_axes: int, n_complete: int, n_importances: int) -> Section | None:
    if not n_axes:
        return None
    few = note(f"Importances need at least {MIN_TRIALS} complete trials.") if not n_importances else ""
    parts: list[Content] = []
    if n_complete > 1:
        parts.append(
            chart(
                "parallel",
                "Parameters and tuned thresholds of complete trials",
                wide=True,
                note="Drag along an axis to choose trials; the stronger a line, the better.",
            )
        )
    if n_importances:
        parts.append(
            chart(
                "importances",
                "What the spread between trials goes with",
                wide=True,
                note="PED-ANOVA. Striped: thresholds, tuned after training. "
                "It says what went together, not what would help.",
            )
        )
    slices = element(
        "details",
        element("summary", "Value by each parameter"),
        element("div", class_="slices", data_chart="slices"),
        open="",
    )
    return section("search", "What was searched", *parts, few, slices)


def folds_section(folds: Sequence[FoldReport], submissions: Sequence[SubmissionRow]) -> Section | None:
    if not folds and not submissions:
        return None
    parts: list[Content] = []
    for report in folds:
        rows = [
            (
                str(row.fold),
                row.state,
                str(row.images),
                score(row.own),
                score(row.own_crossfit),
                score(row.pooled),
                "" if row.updates is None else str(row.updates),
            )
            for row in report.rows
        ]
        parts += [
            element("h3", f"Folds: {report.study}"),
            table(
                ("fold", "state", "images", "own thresholds", "cross-fitted", "pooled thresholds", "updates"),
                rows,
            ),
            *_fold_notes(report),
        ]
    if submissions:
        parts += [element("h3", "Ensembles of this database"), _submission_table(submissions)]
    return section("folds", "Folds and ensembles", *parts)


def _fold_notes(report: FoldReport) -> list[Content]:
    notes: list[Content] = []
    for column, what in (("own", "at their own thresholds"), ("pooled", "at pooled thresholds")):
        summary = report.summary(column)
        if summary is not None:
            notes.append(
                note(f"{what}: mean {summary.mean:.4f}, std {summary.std:.4f}, worst fold {summary.worst}")
            )
    if report.pooled is not None:
        low, high = report.pooled.interval
        crossfit = report.pooled.hmean_crossfit
        beside = "" if crossfit is None else f", cross-fitted {crossfit:.4f}"
        notes.append(note(f"out of fold: {report.pooled.hmean:.4f} ({low:.4f} to {high:.4f}){beside}"))
    elif not report.missing:
        notes.append(note(f"no thresholds were tuned on all folds yet: optdet study folds {report.study}"))
    if report.checkpoint == "best":
        notes.append(note("each fold kept its best epoch by the images it holds out: scores are inflated"))
    return notes


def board_section(submissions: SubmissionList, n_charted: int) -> Section | None:
    rows = submissions.rows
    if not rows:
        return None
    shown = sorted(rows, key=lambda row: (not row.boards, -(row.value or 0)))[:_MAX_SUBMISSIONS]
    parts: list[Content] = []
    if n_charted:
        parts.append(chart("board", "Leaderboard against local H-mean", wide=True))
    for board in BOARDS:
        correlation = submissions.correlation(board)
        if correlation.spearman is not None and correlation.kendall is not None:
            parts.append(
                note(
                    f"{board} board, {counted(correlation.n, 'file')}: rank correlation with the local score "
                    f"{correlation.spearman:.2f} (Spearman), {correlation.kendall:.2f} (Kendall)"
                )
            )
    if not n_charted:
        parts.append(note("No leaderboard was recorded: optdet submission record FILE --hmean 0.96"))
    parts.append(_submission_table(shown))
    if len(shown) < len(rows):
        parts.append(note(f"and {len(rows) - len(shown)} more: optdet submission list"))
    return section(
        "board", "Submissions and leaderboard", note("Every prediction file of this database."), *parts
    )


def _submission_table(rows: Sequence[SubmissionRow]) -> Markup:
    def cells(row: SubmissionRow) -> tuple[str, ...]:
        local = row.record.local
        boards = [score(row.boards[board].hmean) if board in row.boards else "" for board in BOARDS]
        gaps = [row.gap(board) for board in BOARDS if board in row.boards]
        return (
            row.record.name,
            ", ".join(source.source for source in row.record.sources),
            "" if local is None else score(local.macro["hmean"]),
            "" if local is None else score(local.crossfit),
            *boards,
            signed(gaps[0]) if gaps else "",
        )

    headings = ("file", "sources", "H-mean", "cross-fitted", *BOARDS, "gap")
    return table(headings, [cells(row) for row in rows], texts=(0, 1))


def playbook_section(status: Status | None) -> Section | None:
    if status is None:
        return None
    lines = [
        element(
            "li",
            element("span", "✓" if line.done else "·", class_="tick"),
            " ",
            line.text,
            *_why(line.why),
            class_="done" if line.done else "open",
        )
        for line in status.checklist
    ]
    steps = [
        (
            f"{step.number} {step.stage}",
            status.state(step) if status.score(step) is None else score(status.score(step)),
            score(status.expected(step.stage).hmean),
            "" if step.seconds is None else duration(step.seconds),
            status.expected(step.stage).time or "",
            "" if step.decision is None else decision_in_words(step.decision),
        )
        for step in status.steps
    ]
    return section(
        "playbook",
        f"Playbook {status.playbook.name}",
        note(f"target {status.playbook.target:g}; gates read {status.reader.name}"),
        element("ul", *lines, class_="checklist"),
        table(("step", "score", "expected", "took", "of", "decision"), steps, texts=(0, 5)),
        *(note(each) for each in status.notes[:1]),
        *([note(f"and {len(status.notes) - 1} more: optdet playbook status")] if status.notes[1:] else []),
    )


def _why(why: str) -> tuple[Content, ...]:
    return (element("span", f" {why}", class_="why"),) if why else ()
