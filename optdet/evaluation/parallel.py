"""Work over images, shared: by threads where compiled code, shapely and reading files hold no lock, by
processes where it is Python's own calls, in which threads would wait for each other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from optdet.errors import OptdetError

T = TypeVar("T")
R = TypeVar("R")


def map_workers() -> int:
    """Threads over maps, beside the one that reads them: more would wait for the interpreter, which a third
    of the work needs."""
    return min(4, os.cpu_count() or 1)


def mapped(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """``map`` by threads, results in the order of the items. An error ends the work where it happened."""
    if workers <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from _in_order(pool, function, items, 2 * workers)


def mapped_in_processes(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """The same by processes: function, items and results are pickled. OptdetError where the system ended one.

    They are spawned, for a fork would take an open database and a heartbeat's locks with it. They end with
    the process that started them, however that ends.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_live_no_longer_than_the_parent)
    try:
        yield from _in_order(pool, function, items, 2 * workers)
    except BrokenProcessPool as error:
        raise OptdetError(
            "a process that prepares images was ended from outside", fix="free memory, or use fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: Executor, function: Callable[[T], R], items: Iterable[T], n_ahead: int) -> Iterator[R]:
    """Items are taken by the caller's thread, ``n_ahead`` before the results: as many are held at once."""
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > n_ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _live_no_longer_than_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of them: the parent ends the others
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
