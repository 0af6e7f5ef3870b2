"""Where a worker can be killed, and all that a study is: what tests of kills share."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import optuna
from optuna.artifacts import get_all_artifact_meta

from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.store.registry import checkpoint_of, load_inner_trials
from optdet.tuning import attributes as attr
from optdet.tuning.overview import study_rows
from optdet.tuning.study import load_study, open_database

# In the order in which a trial meets them. An entry is a function and which of its calls, counted from the
# start of the process; a third one, True, kills after the call, not before.
MOMENTS = {
    "between two suggestions": ("optuna.trial:Trial.suggest_float", 2),
    "before the first epoch": ("optdet.tuning.objective:fit",),
    "in training": ("optdet.tuning.progress:Together.batch", 4),
    "in validation": ("optdet.training.fit:epoch_score",),
    "while a checkpoint is written": ("optdet.model.checkpoint_file:save_checkpoint", 3, True),
    "between two checkpoints": ("optdet.training.checkpoints:CheckpointFolder.save", 1, True),
    "between checkpoint and report": ("optuna.trial:Trial.report", 1),
    "between report and the look at it": ("optuna.trial:Trial.should_prune", 2),
    "while a map is written": ("optdet.inference.map_cache:_checksum", 3, True),
    "in the inner loop": ("optdet.cli.progress:PlainProgress.tuning", 4),
    "after the inner results": ("optdet.tuning.objective:save_inner_trials", 1, True),
    "after the final checkpoint": ("optdet.tuning.objective:_finish_checkpoint", 1, True),
    "while a picture is written": ("PIL.Image:Image.save", 1, True),
    "in the artifacts": ("optdet.tuning.attachments:_complete", 3),
    "before tell": ("optdet.tuning.worker:Worker._told",),
    "after tell": ("optdet.tuning.worker:keep_best", 2),
    "in the inner study": ("optdet.store.finished_trials:insert_rows", 3),
    "before the slot is released": ("optdet.store.leases:Leases.release",),
    "between reserve and ask": ("optuna.study:Study.ask",),
    "between ask and bind": ("optdet.store.leases:Leases.bind",),
}
"""Where a worker can die. What it does in its first trial of a process decides whether it comes there."""


def contents(root, storage=None):
    """All that the study in ``root`` is, but for times: what is stored of it, and the names of its files.

    ``storage`` is a database elsewhere. A checkpoint's name holds its SHA-256, a map's folder that of the
    weights.
    """
    database = open_database(str(storage or root / "optdet.db"), str(root))
    study = load_study(database, "tiny")
    trials = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "params": trial.params,
            "queued": trial.system_attrs.get("fixed_params"),
            "reports": trial.intermediate_values,
            "values": trial.values,
            "attributes": {name: value for name, value in trial.user_attrs.items() if name not in attr.TIMES},
            "artifacts": sorted(
                meta.filename for meta in get_all_artifact_meta(trial, storage=study.storage)
            ),
            "checkpoint": getattr(
                checkpoint_of(study.storage, study.uuid, trial.number, "best"), "sha256", None
            ),
            "inner": load_inner_trials(study.storage, study.uuid, trial.number),
        }
        for trial in study.study.get_trials()
    ]
    inner_studies = {
        name: [
            (trial.number, trial.params, trial.values, trial.user_attrs)
            for trial in load_inner(study, name).get_trials()
        ]
        for name in sorted(
            row["study"] for row in study_rows(database, with_inner=True) if row["study"] != "tiny"
        )
    }
    files = sorted(
        str(path.relative_to(root))
        for place in (root / "runs", root / "cache" / "maps")
        for path in place.rglob("*")
        if path.is_file()
    )
    slots = Leases(study.storage, study.study_id, study.uuid).live()
    close_storage(database.storage)
    return {"trials": trials, "inner studies": inner_studies, "files": files, "slots": slots}


def tracebacks(root):
    """What a trial's end left for its reader, by run folder: a kill leaves none."""
    return {
        str(path.parent.relative_to(root)): path.read_text()
        for path in sorted((root / "runs").rglob("traceback.txt"))
    }


def check_sound(folder, never_killed):
    """The study in ``folder`` ended as one that met nothing."""
    assert tracebacks(folder / "studies") == {}
    killed = contents(folder / "studies")
    assert [trial["number"] for trial in killed["trials"]] == [0, 1, 2, 3]
    for ours, theirs in zip(killed["trials"], never_killed["trials"], strict=True):
        assert ours == theirs
    assert killed == never_killed
    assert killed["slots"] == []
    with closing(sqlite3.connect(folder / "studies" / "optdet.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def load_inner(study, name):
    return optuna.load_study(storage=study.storage, study_name=name)
