"""How long the main thread has a connection to the database in hand, waiting for the write lock included."""

from __future__ import annotations

import threading
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool


def listen() -> list[float]:
    """Seconds of each time from now on, added as they end."""
    since: dict[int, float] = {}
    held: list[float] = []
    main_thread = threading.main_thread().ident

    @event.listens_for(Pool, "checkout")
    def _out(_connection: Any, record: Any, _proxy: Any) -> None:
        if threading.get_ident() == main_thread:  # the heartbeat holds nobody up
            since[id(record)] = time.perf_counter()

    @event.listens_for(Pool, "checkin")
    def _in(_connection: Any, record: Any) -> None:
        if id(record) in since:
            held.append(time.perf_counter() - since.pop(id(record)))

    return held
