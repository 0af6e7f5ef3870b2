"""Write ``database_v1.sql``: a database of optdet's schema version 1, as the code of that version made it.

Run with that version on the path (commit bab43c4): ``PYTHONPATH=CHECKOUT python make_database_v1.py``. The
tests never do.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import optuna

from optdet.metrics.scores import PRH
from optdet.store.engine import close_storage, open_storage
from optdet.store.leases import Leases
from optdet.store.registry import InnerTrial, record_checkpoint, save_inner_trials
from optdet.store.tables import SCHEMA_VERSION
from optdet.structures import Thresholds

UUID = "00000000-0000-4000-8000-000000000001"


def main() -> None:
    assert SCHEMA_VERSION == 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optdet.db"
        storage = open_storage(file)
        study = optuna.create_study(storage=storage, study_name="old", direction="maximize")
        study.set_user_attr("optdet:uuid", UUID)
        trial = study.ask()
        trial.suggest_float("optimizer.lr", 0.001, 0.1, log=True)
        study.tell(trial, 0.96)
        Leases(storage, study._study_id, UUID).reserve(10)
        record_checkpoint(storage, UUID, 0, "best", path="runs/old/t0000/best.pt", sha256="b" * 64, epoch=2)
        thresholds = Thresholds(0.22, 0.25, 1.5, 600, True, 3.0)
        save_inner_trials(storage, UUID, 0, [InnerTrial(0, thresholds, PRH(0.1, 0.7, 1 / 3))])
        close_storage(storage)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE optdet_slots SET host = 'host', boot_id = 'boot', pid = 1")
            lines = list(connection.iterdump())
        connection.close()
    Path(__file__).with_name("database_v1.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
