"""How inner loops are compiled: numba, cached on disk, without the interpreter's lock.

The cache lies beside the modules, or in the user's cache folder where that cannot be written; the first use
of a version costs some seconds a function, every later process loads it in milliseconds. numba notices a
change of a function's own file alone; here those of the compiled functions that it calls count as well, else
after an update a loop would go on with what it was compiled with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function compiled on its first call; it takes arrays and numbers, and checks no bounds."""
    made = njit(cache=True, nogil=True, error_model="numpy")(function)
    called = [function.__globals__.get(name) for name in function.__code__.co_names]  # later ones: same file
    index = _cache_index(made)
    index._source_stamp = (
        index._source_stamp,
        *(_cache_index(each)._source_stamp for each in called if isinstance(each, Dispatcher)),
    )
    return cast(F, made)


def _cache_index(made: Any) -> Any:
    """Of a compiled function: numba has no public way to what its cache counts as the same source."""
    return made._cache._cache_file
