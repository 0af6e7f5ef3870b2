"""What tests of several layers share."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

# Before torch is imported. Small networks run no faster on more threads, and where other work has the cores,
# threads that wait for one another are many times slower.
os.environ["OMP_NUM_THREADS"] = "1"


@contextmanager
def _file_size_limit(n_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """``with small_disk(n):`` no file may grow beyond n bytes, as on a disk that fills up while writing.

    Only around the write itself: pytest's own log is a file too, and may be longer.
    """
    return _file_size_limit
