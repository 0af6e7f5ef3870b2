"""Every trial of a study as flat rows."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from optdet.tuning.results import TrialRow, trial_rows
from optdet.tuning.study import OpenStudy


def export_text(study: OpenStudy, *, as_json: bool) -> str:
    """CSV with one column a parameter, threshold and score; or JSON as ``study show --json`` has it."""
    rows = trial_rows(study)
    if as_json:
        return json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False) + "\n"
    flat = [flat_row(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns or ["number"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def flat_row(row: TrialRow) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "number": row.number,
        "state": row.state,
        "value": row.value,
        "hmean_crossfit": row.hmean_crossfit,
        "epochs": row.epochs,
        "seconds": row.seconds,
        "images_per_s": row.images_per_s,
        "peak_memory_gb": row.peak_memory_gb,
        "batch_size": row.batch_size,
    }
    flat |= {f"param.{name}": value for name, value in row.params.items()}
    flat |= {f"threshold.{name}": value for name, value in (row.thresholds or {}).items()}
    for metric, kinds in (row.scores or {}).items():
        for kind, scores in kinds.items():
            flat |= {f"{metric}.{kind}.{name}": value for name, value in scores.items()}
    if row.extended_from is not None:
        flat["extended_from"] = row.extended_from
    if row.failure:
        flat["failure"] = row.failure
    return flat
