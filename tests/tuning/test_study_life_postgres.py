"""The life of a study in PostgreSQL: run, extended, packed, cleaned, deleted."""

from __future__ import annotations

import optuna
import pytest

from optdet.errors import OptdetError
from optdet.inference.detector import open_checkpoint
from optdet.store.backup import backup_database
from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.tuning import attributes as attr
from optdet.tuning.cleaning import PICTURES, ROWS, RUNS, clean
from optdet.tuning.deletion import delete_study
from optdet.tuning.extension import extend_trial
from optdet.tuning.pack import pack_trial
from optdet.tuning.results import find_trial, thresholds_of
from optdet.tuning.run import run_study
from optdet.tuning.study import load_study, open_database
from optdet.tuning.study_creation import create_study

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(postgres_url, tmp_path):
    database = open_database(postgres_url, str(tmp_path / "root"), create=True)
    yield database
    close_storage(database.storage)


def test_a_whole_life(server, define, recorder, n_rows, tmp_path):
    import torch

    keep = {"maps": 1, "inner_studies": 1, "overlays": 1}
    for name in ("mine", "other"):
        create_study(server, define(name, keep=keep, trials=1))
    study = load_study(server, "mine")
    run_study(study, recorder())
    queued = extend_trial(study, find_trial(study, 0), ["optimizer.lr=0.001"], epochs=1)
    run_study(study, recorder(), total=queued.total)
    extended = find_trial(study, 1)
    assert extended.state.name == "COMPLETE"
    assert extended.user_attrs[attr.EXTENDED_FROM] == 0
    packed = pack_trial(study, extended, tmp_path / "packed.pt")
    assert open_checkpoint(packed, torch.device("cpu")).thresholds == thresholds_of(extended)
    with pytest.raises(OptdetError, match="pg_dump --format=custom"):
        backup_database(server.storage)

    root = server.places.root
    (root / "runs" / "gone" / "t0000").mkdir(parents=True)
    (root / "artifacts" / "nobodys").write_bytes(b"1")
    left = clean(server)
    assert (left.waste, len(left.unknown)) == ((), 2)
    assert {waste.what for waste in clean(server, unknown=True).waste} == {RUNS, PICTURES}

    leases = Leases(study.storage, study.study_id, study.uuid)
    slot = leases.reserve(10)
    with pytest.raises(OptdetError, match="workers are at work on mine"):
        delete_study(server, "mine")
    leases.release(slot)
    delete_study(server, "mine")
    assert optuna.get_all_study_names(server.storage) == ["other"]
    assert not [path for path in (root / "runs").rglob("*") if path.is_file()]
    assert not list((root / "artifacts").iterdir())
    assert not list((root / "cache" / "maps").iterdir())
    delete_study(server, "other")
    assert set(n_rows(server).values()) == {0}


def test_what_the_dashboard_left(server, define, recorder, n_rows):
    create_study(server, define("mine", trials=1))
    run_study(load_study(server, "mine"), recorder())
    optuna.delete_study(study_name="mine", storage=server.storage)
    assert ROWS in {waste.what for waste in clean(server, unknown=True).waste}
    assert set(n_rows(server).values()) == {0}
