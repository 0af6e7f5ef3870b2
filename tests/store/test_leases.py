"""Slots of a study, on every database: take-overs, orphans, counting, and real workers that are killed."""

from __future__ import annotations

import time
from dataclasses import replace

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import select

from optdet.errors import OptdetError
from optdet.store import leases as leases_module
from optdet.store.leases import Full, Leases, Slot, SlotLost, Wait
from optdet.store.owners import Owner
from optdet.store.study_trials import read_study_trials
from optdet.store.tables import SLOTS

TOTAL = 20


@pytest.fixture
def leases(storage: RDBStorage, stored) -> Leases:
    return Leases(storage, stored.study_id, stored.uuid)


@pytest.fixture(scope="module")
def dead_owner() -> Owner:
    """A process of this host that is over: its number may be anybody's by now, its start time is not."""
    return replace(Owner.current(), started=1.0)


def of_owner(leases: Leases, owner: Owner, **changes) -> Leases:
    return Leases(leases.storage, leases.study_id, leases.study_uuid, owner=owner, **changes)


def reserve_slot(leases: Leases, total: int = TOTAL) -> Slot:
    slot = leases.reserve(total)
    assert isinstance(slot, Slot)
    return slot


def start_trial(leases: Leases, study: optuna.Study) -> Slot:
    return leases.bind(reserve_slot(leases), study.ask().number)


def slot_rows(leases: Leases) -> list:
    with leases.storage.engine.begin() as connection:
        of_study = select(SLOTS).where(SLOTS.c.study_uuid == leases.study_uuid)
        return list(connection.execute(of_study.order_by(SLOTS.c.slot_id)))


def test_a_new_slot_is_unbound_until_the_trial_is_known(leases, stored):
    slot = reserve_slot(leases)
    assert (slot.study_uuid, slot.trial_number, slot.taken_over, slot.n_takeovers) == (
        stored.uuid,
        None,
        False,
        0,
    )
    bound = leases.bind(slot, stored.study.ask().number)
    assert bound == replace(slot, trial_number=0)
    assert [row.trial_number for row in slot_rows(leases)] == [0]
    leases.release(bound)
    assert slot_rows(leases) == []


def test_finished_trials_count_and_failed_and_waiting_ones_do_not(leases, stored):
    study = stored.study
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        trial = study.ask()
        trial.report(0.5, 0)
        study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state=state)
    study.enqueue_trial({"lr": 0.1})
    assert leases.reserve(2) == Full(finished=2, total=2)
    slot = reserve_slot(leases, 3)
    assert leases.reserve(3) == Wait(finished=2, live=1, total=3)
    assert isinstance(leases.reserve(4), Slot)
    assert slot.trial_number is None, "the queued trial is Optuna's to give, not ours to take over"


def test_the_states_read_are_those_of_optunas_api(storage, stored):
    study = stored.study
    study.add_trial(optuna.create_trial(value=0.1))
    study.add_trial(optuna.create_trial(state=TrialState.PRUNED))
    study.add_trial(optuna.create_trial(state=TrialState.FAIL))
    study.enqueue_trial({"lr": 0.1})
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    optuna.create_study(storage=storage).ask()
    with storage.engine.begin() as connection:
        trials = read_study_trials(connection, stored.study_id, stored.uuid)
    assert (trials.running, trials.waiting, trials.n_finished) == ({4}, {3}, 2)


def test_dead_workers_trials_are_taken_over_lowest_number_first(leases, stored, dead_owner):
    dead = of_owner(leases, dead_owner)
    # Reserved together while their owner lived: the slots' order is not the trials' order.
    first, second = reserve_two_unbound(leases, dead_owner)
    low, high = stored.study.ask().number, stored.study.ask().number
    dead.bind(first, high)
    dead.bind(second, low)
    taken = [reserve_slot(leases), reserve_slot(leases)]
    assert [slot.trial_number for slot in taken] == [low, high]
    assert all(slot.taken_over and slot.n_takeovers == 1 for slot in taken)
    assert reserve_slot(leases).trial_number is None


def reserve_two_unbound(leases: Leases, owner: Owner) -> tuple[Slot, Slot]:
    """Two slots given to an owner that then dies: made by a living one, for reserving clears the dead."""
    slots = reserve_slot(leases), reserve_slot(leases)
    with leases.storage.engine.begin() as connection:
        connection.execute(
            SLOTS.update()
            .where(SLOTS.c.study_uuid == leases.study_uuid)
            .values(pid=owner.pid, started=owner.started)
        )
    return slots


def test_take_overs_without_progress_are_counted(leases, stored, dead_owner):
    start_trial(of_owner(leases, dead_owner), stored.study)
    for n_takeovers in (1, 2):
        assert reserve_slot(of_owner(leases, dead_owner)).n_takeovers == n_takeovers
    slot = reserve_slot(leases)
    assert slot.n_takeovers == 3
    leases.progress(slot)
    assert [row.n_takeovers for row in slot_rows(leases)] == [0]


def test_a_take_over_comes_before_a_full_study(leases, stored, dead_owner):
    start_trial(of_owner(leases, dead_owner), stored.study)
    stored.study.add_trial(optuna.create_trial(value=0.5))
    assert reserve_slot(leases, 1).trial_number == 0


@pytest.mark.parametrize("changes", [{"started": 1.0}, {"boot_id": "the boot before"}, {"pid": 2**22 + 1}])
def test_on_this_host_the_dead_expire_at_once(leases, stored, changes):
    start_trial(of_owner(leases, replace(leases.owner, **changes)), stored.study)
    assert reserve_slot(leases).taken_over


def test_on_another_host_they_expire_by_their_beat(leases, stored):
    there = of_owner(leases, replace(leases.owner, host="elsewhere"))
    slot = start_trial(there, stored.study)
    assert leases.reserve(1) == Wait(finished=0, live=1, total=1)
    time.sleep(0.15)
    hasty = of_owner(leases, leases.owner, expiry_s=0.1)
    with leases.storage.engine.begin() as connection:
        assert there.beat(connection, slot)
    assert isinstance(hasty.reserve(1), Wait), "it has just beaten"
    time.sleep(0.15)
    assert reserve_slot(hasty, 1).taken_over
    with leases.storage.engine.begin() as connection:
        assert not there.beat(connection, slot), "the slot is another's now"


def test_nobody_expires_for_a_time_in_which_the_database_was_down(leases, stored, monkeypatch):
    there = of_owner(leases, replace(leases.owner, host="elsewhere"), expiry_s=0.5)
    start_trial(there, stored.study)
    time.sleep(0.6)
    hasty = of_owner(leases, leases.owner, expiry_s=0.5)
    clock = leases_module._clock
    with monkeypatch.context() as patch:
        patch.setattr(leases_module, "_clock", lambda connection: (clock(connection)[0],) * 2)
        assert isinstance(hasty.reserve(1), Wait), "it came back this moment"
        assert hasty.live()[0].alive
    assert reserve_slot(hasty, 1).taken_over


def test_the_server_says_since_when_it_is_up(storage):
    with storage.engine.begin() as connection:
        now, up_since = leases_module._clock(connection)
    assert abs(now - time.time()) < 60
    assert up_since == 0 if connection.dialect.name == "sqlite" else 0 < now - up_since < 3600


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_expiry(leases, stored):
    """A dead worker elsewhere beat last when the clock stood a day ahead."""
    there = of_owner(leases, replace(leases.owner, host="elsewhere"))
    dead = start_trial(there, stored.study)
    ahead(leases, dead)
    hasty = of_owner(leases, leases.owner, expiry_s=0.1)
    assert isinstance(hasty.reserve(1), Wait), "it may have beaten this moment"
    [row] = slot_rows(leases)
    assert row.beat <= time.time() + 60
    time.sleep(0.15)
    assert reserve_slot(hasty, 1).trial_number == dead.trial_number


def test_whoever_looks_sets_a_beat_in_the_future_to_now_and_no_other(leases, stored):
    mine, there = (
        start_trial(of_owner(leases, replace(leases.owner, host=host)), stored.study)
        for host in (leases.owner.host, "elsewhere")
    )
    before = slot_rows(leases)[0].beat
    ahead(leases, there)
    assert all(0 <= slot.beat_age_s < 10 and slot.alive for slot in leases.live())
    assert slot_rows(leases)[0].beat == before
    assert leases.holds(mine)


def ahead(leases: Leases, slot: Slot) -> None:
    """The beat of a slot moved a day into the future."""
    with leases.storage.engine.begin() as connection:
        moved = SLOTS.update().where(SLOTS.c.slot_id == slot.slot_id).values(beat=SLOTS.c.beat + 86400)
        connection.execute(moved)


@pytest.mark.parametrize("up_s", [-3600.0, 3600.0])
def test_a_server_that_came_up_in_the_future_came_up_long_ago(leases, stored, monkeypatch, up_s):
    """By its clock, which was set back since."""
    clock = leases_module._clock

    class Answer:
        dialect = type("", (), {"name": "postgresql"})

        def execute(self, _query):
            return self

        def one(self):
            return time.time(), time.time() + up_s

    now, up_since = clock(Answer())
    assert abs(now - time.time()) < 10
    assert up_since <= now - 3000


def test_a_worker_that_lost_its_slot_learns_it_at_once(leases, stored):
    slot = start_trial(leases, stored.study)
    assert leases.holds(slot)
    leases.progress(slot)
    assert reserve_slot(of_owner(leases, replace(leases.owner, host="elsewhere"), expiry_s=-1.0)).taken_over
    assert not leases.holds(slot)
    with pytest.raises(SlotLost, match="was taken over"):
        leases.progress(slot)


def test_a_process_gives_back_whatever_it_has(leases, stored):
    elsewhere = of_owner(leases, replace(leases.owner, host="elsewhere"))
    kept = start_trial(elsewhere, stored.study)
    start_trial(leases, stored.study)
    reserve_slot(leases)
    leases.release_all()
    assert [row.slot_id for row in slot_rows(leases)] == [kept.slot_id]


def test_an_orphan_waits_for_the_living_and_is_then_taken_over(leases, stored):
    """A worker died between ask and bind: but while another is there too, the trial may be that one's."""
    orphan = stored.study.ask().number
    between = Leases(leases.storage, leases.study_id, leases.study_uuid)
    with leases.storage.engine.begin() as connection:
        connection.execute(SLOTS.insert().values(slot_row(between, trial_number=None)))
    (row,) = slot_rows(leases)
    assert leases.reserve(2) == Wait(finished=0, live=1, total=2), "one orphan and one to come make two"
    other = stored.study.ask().number
    between.bind(Slot(row.slot_id, stored.uuid, None, False, 0), other)
    slot = reserve_slot(leases, 2)
    assert (slot.trial_number, slot.taken_over, slot.n_takeovers) == (orphan, True, 1)
    assert leases.reserve(2) == Wait(finished=0, live=2, total=2)


def slot_row(leases: Leases, trial_number: int | None) -> dict:
    owner = leases.owner
    return {
        "study_uuid": leases.study_uuid,
        "trial_number": trial_number,
        "host": owner.host,
        "boot_id": owner.boot_id,
        "pid": owner.pid,
        "started": owner.started,
        "beat": time.time(),
        "n_takeovers": 0,
    }


def test_slots_that_nobody_needs_are_cleared(leases, stored, dead_owner):
    study = stored.study
    finished = start_trial(leases, study)  # its worker lives, and was cut off between tell and release
    study.tell(finished.trial_number, 0.5)
    reserve_slot(of_owner(leases, dead_owner))  # died between reserve and ask
    slot = reserve_slot(leases)
    assert [row.slot_id for row in slot_rows(leases)] == [slot.slot_id]


def test_a_slot_that_was_lost_can_be_neither_bound_nor_released(leases, stored, dead_owner):
    lost = of_owner(leases, dead_owner)
    slot = reserve_slot(lost)
    mine = reserve_slot(leases)
    with pytest.raises(SlotLost, match="expired before trial 0"):
        lost.bind(slot, stored.study.ask().number)
    lost.release(slot)
    lost.release(mine)
    assert [row.slot_id for row in slot_rows(leases)] == [mine.slot_id]


def test_slot_ids_are_never_used_again(leases):
    first = reserve_slot(leases)
    leases.release(first)
    assert reserve_slot(leases).slot_id != first.slot_id


def test_live_shows_who_has_what(leases, stored, dead_owner):
    mine = start_trial(leases, stored.study)
    unbound = reserve_slot(leases)
    there = start_trial(of_owner(leases, replace(leases.owner, host="elsewhere")), stored.study)
    start_trial(of_owner(leases, dead_owner), stored.study)
    shown = leases.live()
    assert [(slot.trial_number, slot.host, slot.alive) for slot in shown] == [
        (mine.trial_number, leases.owner.host, True),
        (there.trial_number, "elsewhere", True),
        (2, leases.owner.host, False),
        (None, leases.owner.host, True),
    ]
    assert shown[-1].slot_id == unbound.slot_id
    assert all(0 <= slot.beat_age_s < 10 for slot in shown)


def test_a_deleted_study_is_noticed_even_if_its_id_lives_on(leases, storage, stored):
    optuna.delete_study(study_name=stored.uuid, storage=storage)
    following = optuna.create_study(storage=storage, study_name="the next")
    following.set_user_attr("uuid", "another")
    if storage.engine.dialect.name == "sqlite":
        assert storage.get_study_id_from_name("the next") == stored.study_id
    with pytest.raises(OptdetError, match="this study was deleted"):
        leases.reserve(TOTAL)


def test_studies_do_not_share_slots(leases, storage):
    reserve_slot(leases, 1)
    other = optuna.create_study(storage=storage, study_name="other")
    other.set_user_attr("uuid", "other")
    elsewhere = Leases(storage, storage.get_study_id_from_name("other"), "other")
    assert isinstance(elsewhere.reserve(1), Slot)
    assert len(elsewhere.live()) == 1


# Real processes.


@pytest.mark.parametrize(("role", "reap"), [("bind", True), ("bind", False), ("ask", True)])
def test_exactly_one_of_many_takes_over_a_killed_workers_trial(workers, url, stored, role, reap):
    """Killed while it holds a slot, or (role "ask") between ask and bind: at once, with its parameters."""
    (victim,) = workers.run(url, role, stored.uuid, total=TOTAL)
    assert victim.outcome[0] == "Slot"
    params = stored.study.trials[0].params
    workers.kill(victim.pid, reap=reap)
    reservers = workers.run(url, "reserve", stored.uuid, total=1, n=4)
    outcomes = [tuple(done.outcome) for done in reservers]
    assert sorted(outcomes, key=str) == [("Slot", True, 0)] + 3 * [("Wait", None, None)]
    (trial,) = stored.study.trials
    assert (trial.state, trial.params) == (TrialState.RUNNING, params)


def test_many_workers_end_with_exactly_the_total(workers, url, stored, leases):
    stored.study.enqueue_trial({"lr": 0.1})
    numbers = sorted(
        number for done in workers.run(url, "run", stored.uuid, total=TOTAL, n=8) for number in done.outcome
    )
    trials = stored.study.trials
    assert numbers == list(range(len(trials))), "each trial was run, by one worker"
    assert sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials) == TOTAL
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in trials)
    assert leases.live() == []
