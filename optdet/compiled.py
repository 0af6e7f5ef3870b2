"""How inner loops are compiled: numba, cached on disk, without the interpreter's lock.

The cache lies beside the modules, or in the user's cache folder where that cannot be written; the first use
of a version costs some seconds a function, every later process loads it in milliseconds. numba notices a
change of a function's own file, not of a compiled function that it calls in another one: while working on
such a function, remove the ``__pycache__`` folders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function compiled on its first call; it takes arrays and numbers, and checks no bounds."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))
