"""Leases: which worker has which trial, so that none is lost, none runs twice and a study never overshoots.

A worker reserves a slot before it asks Optuna for a trial, binds the slot to the trial's number after, and
releases it once the trial was told. Every change is one transaction that no other worker can interleave.

A slot is dead when its owner is: found at once on this host (no such process), otherwise after ``expiry_s``
seconds without a beat, of those in which the server was there to take one. Times are seconds since the epoch:
this machine's, or the server's on PostgreSQL.

Such a clock may be set. Whoever sees a beat in the future makes it one of now: a dead owner is waited for no
longer than ``expiry_s``, however far the clock went back. One that goes forward may take a living worker's
slot: that one learns it when it says that an epoch is finished, or asks ``holds`` before it tells the trial.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from optdet.store.engine import read_transaction, write_transaction
from optdet.store.owners import Owner
from optdet.store.study_trials import StudyTrials, is_there, read_study_trials, retire_study
from optdet.store.tables import SLOTS

EXPIRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to run one trial. ``trial_number`` is None until bound; ``n_takeovers`` counts the times it
    changed hands since an epoch was last finished."""

    slot_id: int
    study_uuid: str
    trial_number: int | None
    taken_over: bool
    n_takeovers: int


@dataclass(frozen=True, slots=True)
class Full:
    """The study has its trials: ``finished`` (complete and pruned) >= ``total``."""

    finished: int
    total: int


@dataclass(frozen=True, slots=True)
class Wait:
    """``live`` workers hold the trials that are left: one of them may still fail or die."""

    finished: int
    live: int
    total: int


@dataclass(frozen=True, slots=True)
class LiveSlot:
    """A slot as others see it: ``beat_age_s`` is the time since its last beat."""

    slot_id: int
    trial_number: int | None
    host: str
    pid: int
    beat_age_s: float
    alive: bool
    n_takeovers: int


class SlotLost(Exception):
    """Another worker has taken this slot over: leave its trial alone and reserve again."""


class Leases:
    """The slots of one study, for one worker. The storage must come from ``open_storage``."""

    def __init__(
        self,
        storage: RDBStorage,
        study_id: int,
        study_uuid: str,
        *,
        owner: Owner | None = None,
        expiry_s: float = EXPIRY_S,
    ) -> None:
        self.storage = storage
        self.study_id = study_id
        self.study_uuid = study_uuid
        self.owner = owner or Owner.current()
        self.expiry_s = expiry_s

    def reserve(self, total: int) -> Slot | Full | Wait:
        """A trial to take over, else the right to ask for a new one, as long as the study needs one."""
        with self._transaction() as connection:
            # Slots before trials: a trial that then has none was asked for under an unbound slot
            # that is seen here, or by a worker that is dead.
            now, up_since, slots = self._read_slots(connection)
            trials = read_study_trials(connection, self.study_id, self.study_uuid)
            dead = {slot.slot_id for slot in slots if not self._is_alive(slot, now, up_since)}
            stale = {slot.slot_id for slot in slots if _is_stale(slot, trials, dead=slot.slot_id in dead)}
            if stale:
                connection.execute(delete(SLOTS).where(SLOTS.c.slot_id.in_(stale)))
            kept = [slot for slot in slots if slot.slot_id not in stale]
            abandoned = [slot for slot in kept if slot.slot_id in dead]
            if abandoned:
                return self._take_over(connection, min(abandoned, key=lambda slot: slot.trial_number), now)
            return self._start_or_wait(connection, kept, trials, total, now)

    def _start_or_wait(
        self, connection: Connection, live: Sequence[Row[Any]], trials: StudyTrials, total: int, now: float
    ) -> Slot | Full | Wait:
        bound = {slot.trial_number for slot in live}
        orphans = sorted(trials.running - bound)
        # While a living worker is between ask and bind, an orphan may be its own.
        if orphans and None not in bound:
            return self._insert(connection, orphans[0], n_takeovers=1, now=now)
        # Orphans and unbound slots may be the same trials. Counting both can only make somebody wait.
        if trials.n_finished + len(live) + len(orphans) < total:
            return self._insert(connection, None, n_takeovers=0, now=now)
        if trials.n_finished >= total:
            return Full(finished=trials.n_finished, total=total)
        return Wait(finished=trials.n_finished, live=len(live), total=total)

    def bind(self, slot: Slot, trial_number: int) -> Slot:
        """Tie the slot to the trial that Optuna gave for it; SlotLost where it expired in between."""
        with self._transaction() as connection:
            bound = connection.execute(
                update(SLOTS).where(self._is_held(slot)).values(trial_number=trial_number)
            )
            if bound.rowcount == 0:
                raise SlotLost(f"slot {slot.slot_id} expired before trial {trial_number} was bound to it")
        return replace(slot, trial_number=trial_number)

    def release(self, slot: Slot) -> None:
        """Give the slot back; one that is no longer ours stays as it is."""
        with self._transaction() as connection:
            connection.execute(delete(SLOTS).where(self._is_ours(slot)))

    def release_all(self) -> None:
        """Give back whatever this process has: after an outage it cannot know whether it got a slot."""
        with self._transaction() as connection:
            of_study = SLOTS.c.study_uuid == self.study_uuid
            connection.execute(delete(SLOTS).where(of_study, self._is_owned()))

    def progress(self, slot: Slot) -> None:
        """An epoch was finished: from now on take-overs count from zero. SlotLost where it is not ours."""
        if slot.n_takeovers == 0:  # nothing to write: it never changed hands
            if not self.holds(slot):
                raise SlotLost(f"slot {slot.slot_id} was taken over")
            return
        with self._transaction() as connection:
            ours = connection.execute(update(SLOTS).where(self._is_held(slot)).values(n_takeovers=0))
            if ours.rowcount == 0:
                raise SlotLost(f"slot {slot.slot_id} was taken over")

    def holds(self, slot: Slot) -> bool:
        """Whether the slot is still ours, and its study there, asked of the database: a beat notices only
        seconds later."""
        with read_transaction(self.storage.engine) as connection:
            found = connection.execute(select(SLOTS.c.slot_id).where(self._is_held(slot))).first()
        return found is not None

    def require_study(self) -> None:
        """OptdetError where it was deleted meanwhile."""
        with read_transaction(self.storage.engine) as connection:
            read_study_trials(connection, self.study_id, self.study_uuid)

    def live(self) -> list[LiveSlot]:
        """Every slot of the study, by trial number, those about to be bound last; the dead are marked."""
        with self._transaction() as connection:
            return self._live(connection)

    def retire(self) -> list[LiveSlot]:
        """End the study, unless workers live: those, or none. No worker gets a slot of it afterwards."""
        with self._transaction() as connection:
            live = [slot for slot in self._live(connection) if slot.alive]
            if not live:
                retire_study(connection, self.study_id, self.study_uuid)
        return live

    def _live(self, connection: Connection) -> list[LiveSlot]:
        now, up_since, rows = self._read_slots(connection)
        slots = [
            LiveSlot(
                slot_id=row.slot_id,
                trial_number=row.trial_number,
                host=row.host,
                pid=row.pid,
                beat_age_s=now - row.beat,
                alive=self._is_alive(row, now, up_since),
                n_takeovers=row.n_takeovers,
            )
            for row in rows
        ]
        return sorted(
            slots, key=lambda slot: (slot.trial_number is None, slot.trial_number or 0, slot.slot_id)
        )

    def beat(self, connection: Connection, slot: Slot) -> bool:
        """Renew the slot; False where it is no longer ours, or its study was deleted."""
        now, _ = _clock(connection)
        return connection.execute(update(SLOTS).where(self._is_held(slot)).values(beat=now)).rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with write_transaction(self.storage.engine, f"optdet:slots:{self.study_uuid}") as connection:
            yield connection

    def _read_slots(self, connection: Connection) -> tuple[float, float, Sequence[Row[Any]]]:
        """What ``_clock`` gives, and the slots; a beat in the future is one of now from here on."""
        # On PostgreSQL the row locks hold back beats until a decision about their slots is made.
        query = select(SLOTS).where(SLOTS.c.study_uuid == self.study_uuid).order_by(SLOTS.c.slot_id)
        rows = connection.execute(query.with_for_update()).all()
        now, up_since = _clock(connection)
        if any(row.beat > now for row in rows):
            ahead = and_(SLOTS.c.study_uuid == self.study_uuid, SLOTS.c.beat > now)
            connection.execute(update(SLOTS).where(ahead).values(beat=now))
            rows = connection.execute(query).all()
        return now, up_since, rows

    def _is_alive(self, slot: Row[Any], now: float, up_since: float) -> bool:
        owner = Owner(host=slot.host, boot_id=slot.boot_id, pid=slot.pid, started=slot.started)
        silent_s = now - max(slot.beat, up_since)
        return owner.is_alive(here=self.owner, beat_age_s=silent_s, expiry_s=self.expiry_s)

    def _is_ours(self, slot: Slot) -> ColumnElement[bool]:
        return and_(SLOTS.c.slot_id == slot.slot_id, self._is_owned())

    def _is_held(self, slot: Slot) -> ColumnElement[bool]:
        """Ours, and of a study that is there: one that was deleted in the dashboard leaves its slots."""
        return and_(self._is_ours(slot), is_there(self.study_id, self.study_uuid))

    def _is_owned(self) -> ColumnElement[bool]:
        return and_(*(SLOTS.c[name] == value for name, value in asdict(self.owner).items()))

    def _insert(
        self, connection: Connection, trial_number: int | None, *, n_takeovers: int, now: float
    ) -> Slot:
        row = asdict(self.owner) | {"study_uuid": self.study_uuid, "beat": now}
        row |= {"trial_number": trial_number, "n_takeovers": n_takeovers}
        key = connection.execute(insert(SLOTS).values(row)).inserted_primary_key
        assert key is not None  # one row was inserted, so one key came back
        return Slot(
            slot_id=key[0],
            study_uuid=self.study_uuid,
            trial_number=trial_number,
            taken_over=n_takeovers > 0,
            n_takeovers=n_takeovers,
        )

    def _take_over(self, connection: Connection, slot: Row[Any], now: float) -> Slot:
        n_takeovers = slot.n_takeovers + 1
        ours = asdict(self.owner) | {"beat": now, "n_takeovers": n_takeovers}
        connection.execute(update(SLOTS).where(SLOTS.c.slot_id == slot.slot_id).values(ours))
        return Slot(
            slot_id=slot.slot_id,
            study_uuid=self.study_uuid,
            trial_number=slot.trial_number,
            taken_over=True,
            n_takeovers=n_takeovers,
        )


def _is_stale(slot: Row[Any], trials: StudyTrials, *, dead: bool) -> bool:
    """A slot that nobody needs: its trial is over, or its owner died without one that runs."""
    if dead:
        return slot.trial_number not in trials.running
    return slot.trial_number is not None and slot.trial_number not in trials.running | trials.waiting


def _clock(connection: Connection) -> tuple[float, float]:
    """The time, and since when the database can be reached by all: nobody could beat while it was down."""
    if connection.dialect.name == "sqlite":
        return time.time(), 0.0
    query = select(
        func.extract("epoch", func.clock_timestamp()),
        func.extract("epoch", func.pg_postmaster_start_time()),
    )
    now, up_since = map(float, connection.execute(query).one())
    return now, up_since if up_since <= now else 0.0  # the server's clock was set back since it came up
