"""The beat that shows workers on other hosts that this one is alive.

It runs in a thread with connections of its own, each open for one beat only: a worker in a long transaction
does not hold it up, and a database that is busy, restarting or away for an hour does not end it.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from optdet.store.engine import DATABASE_ERRORS, private_engine
from optdet.store.leases import Leases, Slot, SlotLost
from optdet.store.outage import first_line

BEAT_S = 10.0
RETRY_S = 1.0  # after a beat that the database refused
BEAT_TIMEOUT_S = 5.0  # what one attempt may wait for the write lock, and so what leaving may take

_log = logging.getLogger(__name__)


class Heartbeat:
    """Beats for a slot while the ``with`` block runs, at once and then every ``beat_s`` seconds.

    ``confirm`` before the trial is told, not after: the slot of a finished trial is cleared away. And before
    its files are changed, which are those of whoever goes on with it.
    """

    def __init__(self, leases: Leases, slot: Slot, *, beat_s: float = BEAT_S) -> None:
        self._leases = leases
        self._slot = slot
        self._beat_s = beat_s
        self._engine = private_engine(leases.storage, busy_timeout_s=BEAT_TIMEOUT_S)
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"beat of slot {slot.slot_id}", daemon=True)

    @property
    def lost(self) -> bool:
        """True once the slot belongs to somebody else, or is gone: this trial must not be worked on."""
        return self._lost.is_set()

    def confirm(self) -> None:
        """SlotLost where the slot is not ours any more: asked of the database, a beat may be seconds late."""
        if self.lost or not self._leases.holds(self._slot):
            raise SlotLost(f"slot {self._slot.slot_id} was taken over")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=BEAT_TIMEOUT_S + RETRY_S)

    def _run(self) -> None:
        while True:
            delay_s = self._beat()
            if self.lost or self._stopped.wait(delay_s):
                return

    def _beat(self) -> float:
        """One attempt; returns the seconds to the next."""
        try:
            with self._engine.begin() as connection:
                ours = self._leases.beat(connection, self._slot)
        except DATABASE_ERRORS as error:
            if not self._failing:  # one line an outage, not one a second
                _log.warning("no beat for slot %d, trying on: %s", self._slot.slot_id, first_line(error))
            self._failing = True
            return min(RETRY_S, self._beat_s)
        self._failing = False
        if not ours:
            self._lost.set()
        return self._beat_s
