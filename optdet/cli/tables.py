"""What commands print about studies, as tables and lines, and JSON."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from optdet.cli.text_table import TextTable, flowed, print_line, print_table
from optdet.phrases import numbers, out_of, short_names

if TYPE_CHECKING:
    from optdet.cli.again import Given
    from optdet.inference.cache_listing import CacheEntry
    from optdet.tuning.study import OpenStudy
    from optdet.tuning.wandb_sweep import Sweep
    from optdet.tuning.worker import RunResult

_MAX_ROWS = 40


def print_json(value: Any) -> None:
    """JSON as every reader of it knows it: NaN and infinities, which it has not, are null."""
    typer.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def studies_table(rows: list[dict[str, Any]]) -> None:
    table = TextTable(("study", "finished", "complete", "pruned", "failed", "running", "best"))
    for row in rows:
        finished = out_of(row["finished"], row["trials"], "/")
        counts = [str(row[key] or "") for key in ("complete", "pruned", "failed", "running")]
        table.add_row(row["study"], finished, *counts, _score(row["best"]))
    print_table(table)


def how_far(shown: dict[str, Any]) -> str:
    """``shown`` is that of ``study show --json``."""
    return f"{shown['study']}: {out_of(shown['finished'], shown['trials_wanted'])} trials finished"


def study_table(shown: dict[str, Any]) -> None:
    from optdet.training.history import SourceLoss, by_source

    trials = shown["trials"]
    names = short_names(shown["space"]).values()
    table = TextTable(("trial", "state", "value", "crossfit", "epochs", *names))
    for row in trials[-_MAX_ROWS:]:
        mark = "*" if row["number"] == shown["best"] else ""
        values = [short_value(row["params"].get(name)) for name in shown["space"]]
        scores = [_score(row["value"]), _score(row["hmean_crossfit"])]
        table.add_row(f"{row['number']}{mark}", row["state"], *scores, str(row["epochs"]), *values)
    typer.echo(how_far(shown))
    print_table(table)
    if len(trials) > _MAX_ROWS:
        typer.echo(f"the last {_MAX_ROWS} of {len(trials)}; all with --json or `optdet study export`")
    _say_other_data(shown)
    for row in trials:
        if row["number"] == shown["best"] and row["sources"]:
            last = row["sources"][-1]
            said = by_source(SourceLoss(**source) for source in last["sources"])
            print_line(f"trial {row['number']} epoch {last['epoch']} by source: {said}")
    for row in trials:
        if row["failure"]:
            print_line(f"trial {row['number']} failed: {row['failure']}")
    for worker in shown["workers"]:
        state = "works on" if worker["alive"] else "died at"
        typer.echo(f"process {worker['pid']} on {worker['host']} {state} trial {worker['number']}")
    for run in shown["background"]:
        since = run["since"].replace("T", " ")[:16]
        doubt = "" if run["is_here"] else ", as far as can be told from here"
        print_line(f"process {run['pid']} on {run['host']} runs it in the background since {since}{doubt}")
        typer.echo(f"  log {run['log']}")
    at_work = {worker["number"] for worker in shown["workers"] if worker["alive"]}
    idle = [row["number"] for row in trials if row["state"] == "running" and row["number"] not in at_work]
    if idle and None not in at_work:  # which is a worker that has just asked for a trial
        print_line(f"nobody works on {numbers('trial', idle)}: `optdet study run {shown['study']}` goes on")


def best_table(shown: dict[str, Any]) -> None:
    typer.echo(f"{shown['study']}: trial {shown['number']}, value {shown['value']:.6f}")
    scores_table(shown["scores"])
    low, high = shown["interval"]
    crossfit = "" if shown["hmean_crossfit"] is None else f"; cross-fitted {shown['hmean_crossfit']:.4f}"
    print_line(f"95 % interval of the competition macro H-mean {low:.4f} to {high:.4f}{crossfit}")
    _labelled("thresholds  ", shown["thresholds"])
    if shown["params"]:
        _labelled("parameters  ", shown["params"])
    print_line(f"checkpoint  {shown['checkpoint']}", after="  ")
    _say_other_data(shown)


def _say_other_data(shown: dict[str, Any]) -> None:
    if shown["other_data"]:
        trials = numbers("trial", shown["other_data"])
        print_line(f"{trials}: on other images or labels than the newest, so values cannot be compared")


def scores_table(scores: dict[str, Any]) -> None:
    """A scores object: a row a metric and aggregation."""
    table = TextTable(("metric", "over images", "precision", "recall", "H-mean"))
    for metric, label in (
        ("competition", "CLEval, competition"),
        ("official", "CLEval, official"),
        ("iou", "IoU@0.5"),
    ):
        for kind in ("macro", "global"):
            row = scores[metric][kind]
            table.add_row(label, kind, *(f"{row[key]:.4f}" for key in ("precision", "recall", "hmean")))
    print_table(table)


def cache_table(entries: list[CacheEntry]) -> None:
    """What is kept, in a line each, and the sum; of a key as much as `cache clear` needs."""
    table = TextTable(("key", "what", "of", "side", "number", "size", "last used"))
    for entry in entries:
        used = time.strftime("%Y-%m-%d", time.localtime(entry.last_used))
        side = str((entry.preprocessing or {}).get("size", ""))
        counts = (side, str(entry.n_images), file_size(entry.n_bytes))
        table.add_row(entry.key[:10], entry.kind, entry.source or "", *counts, used)
    print_table(table)
    typer.echo(f"{file_size(sum(entry.n_bytes for entry in entries))} in all")


def sweep_table(sweep: Sweep) -> None:
    """What became of a sweep's lines, on stderr: stdout may be a study file."""
    table = TextTable(("W&B", "here", "range or value"), justify="left", keyed=True)
    notes = list(dict.fromkeys(note for line in sweep.lines for note in line.notes))
    for line in sweep.lines:
        marks = ", ".join(str(notes.index(note) + 1) for note in line.notes)
        table.add_row(line.theirs, line.ours or "-", f"{line.value} ({marks})" if marks else line.value)
    print_table(table, to=sys.stderr)
    for number, note in enumerate(notes, start=1):
        typer.echo(f"({number}) {note}", err=True)


def file_size(n_bytes: int) -> str:
    """In MB or GB of 10**6 and 10**9 bytes, as ``cache.max_gb`` counts."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def run_summary(study: OpenStudy, result: RunResult, given: Given) -> None:
    """What a run ended with, and what to do next."""
    from optdet.errors import OptdetError
    from optdet.tuning.fold_members import is_fold_study, varies_fold
    from optdet.tuning.results import best_json

    if result.reason == "full":
        # Where nothing varies, not even the seed, more trials would be the same run over and over.
        total = max(result.total, result.finished)  # fewer may be asked for than there are
        varies = (bool(study.config.space) and not is_fold_study(study)) or study.config.vary_seed
        more = f"; for more: {given.run_again(study.name, trials=total + 10)}" if varies else ""
        print_line(f"{study.name} is full: {out_of(result.finished, total)} trials{more}", after="; ")
    elif result.reason == "timeout":
        again = given.run_again(study.name)
        print_line(
            f"time is up: {out_of(result.finished, result.total)} trials; go on with: {again}", after="; "
        )
    if is_fold_study(study):
        print_line(f"the folds side by side: {given.words_of('folds', study.name)}", after=": ")
        return
    if varies_fold(study):
        shown = given.words_of("show", study.name)
        print_line(f"none is the best, since folds hold out different images: {shown}", after=": ")
        return
    try:
        best_table(best_json(study))
    except OptdetError:
        typer.echo("no trial is complete yet")
        return
    served = ["optuna-dashboard", study.database.shown, "--artifact-dir", str(study.places.artifacts_dir)]
    print_line(f"look: optdet dashboard   or: {shlex.join(served)}", after="   ")


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def short_value(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def pairs(values: dict[str, Any]) -> str:
    return ", ".join(_each_pair(values))


def _each_pair(values: dict[str, Any]) -> list[str]:
    return [f"{name} {short_value(value)}" for name, value in values.items()]


def _labelled(label: str, values: dict[str, Any]) -> None:
    """One line; on a terminal as many as it takes, those after the first below the values."""
    width = Console().width - len(label) - 1 if sys.stdout.isatty() else None
    for number, line in enumerate(flowed(_each_pair(values), width)):
        typer.echo((label if number == 0 else " " * len(label)) + line)
