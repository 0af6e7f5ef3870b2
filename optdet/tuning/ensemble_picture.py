"""An ensemble beside its members, as a picture."""

from __future__ import annotations

from pathlib import Path

from optdet.drawing.intervals import IntervalRow, draw_intervals
from optdet.tuning.ensemble_report import EnsembleReport
from optdet.tuning.ensemble_scores import Scored


def draw_ensemble(report: EnsembleReport, path: Path) -> None:
    """A row a member and one for the ensemble: H-mean with its 95 % interval, and the cross-fitted one."""
    rows = [_row(each.member.name, each.scored) for each in report.members]
    rows.append(_row("ensemble", report.ensemble, marked=True))
    draw_intervals(rows, path, heading=report.verdict, label="competition macro H-mean")


def _row(name: str, scored: Scored, *, marked: bool = False) -> IntervalRow:
    low, high = scored.evaluation.interval()
    return IntervalRow(name, scored.hmean, low, high, scored.hmean_crossfit, marked)
