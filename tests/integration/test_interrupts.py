"""Ctrl-C and SIGTERM at any moment of a run: exit 130 with the line that resumes, soon, and no slot left."""

from __future__ import annotations

import signal
import time
from itertools import product

import pytest

from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.tuning.study import load_study, open_database

RUN = ("study", "run", "tiny")
RESUME = "interrupted; go on with: optdet study run tiny"
SOON_S = 10

# A function, which of its calls, counted from the start of the process, and whether after the call.
MOMENTS = {
    "after BEGIN, before SQLAlchemy knows": ("sqlalchemy.engine.base:Connection.exec_driver_sql", 60, True),
    "before COMMIT": ("sqlalchemy.engine.default:DefaultDialect.do_commit", 60, False),
    "after COMMIT": ("sqlalchemy.engine.default:DefaultDialect.do_commit", 60, True),
    "after a slot is reserved": ("optdet.store.leases:Leases.reserve", 1, True),
    "before a slot is released": ("optdet.store.leases:Leases.release", 1, False),
    "after a slot is released": ("optdet.store.leases:Leases.release", 1, True),
    "after tell": ("optuna.study:Study.tell", 1, True),
    "where an exception is swallowed": ("optdet.inference.map_cache:MapCache.of", 1, False),
}
OFTEN = (
    (signal.SIGINT, "before COMMIT"),
    (signal.SIGTERM, "after a slot is reserved"),
)

pytestmark = pytest.mark.slow
"""What every run of the tests looks at: each takes five seconds."""
CASES = [
    pytest.param(*case, marks=() if case in OFTEN else pytest.mark.slow)
    for case in product((signal.SIGINT, signal.SIGTERM), MOMENTS)
]


@pytest.mark.usefixtures("finished")  # numba has compiled what it keeps, so that the clock tests the ending
@pytest.mark.parametrize(("ending", "name"), CASES)
def test_an_interrupt_at_a_named_moment(ending, name, commands, new_study, moment):
    at, call, after = MOMENTS[name]
    swallowed = name == "where an exception is swallowed"
    kill = moment(at, call, after, ending=ending, swallowed=swallowed)
    started = time.monotonic()
    ended = commands.run(*RUN, cwd=new_study, kill=kill)
    assert time.monotonic() - started < SOON_S + 5  # and the work before the signal
    assert ended.code == 130, ended.err
    assert ended.err.splitlines()[-1] == RESUME
    assert "Traceback" not in ended.err
    assert slots(new_study) == []


def slots(folder):
    database = open_database(str(folder / "studies" / "optdet.db"))
    study = load_study(database, "tiny")
    found = Leases(study.storage, study.study_id, study.uuid).live()
    close_storage(database.storage)
    return found
