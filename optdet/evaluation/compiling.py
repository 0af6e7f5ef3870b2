"""The sweep's compiled loops made ready by one process at a time, before several need them at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from optdet.evaluation.landscape import SweepImage, SweepLattice
from optdet.evaluation.sweep import sweep
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Word

_SIZE = 64
_PATIENCE_S = 2.0


def make_compiled(lock_dir: Path, say: Callable[[str], None]) -> None:
    """Sweep a map of one word: in milliseconds where the loops are in numba's cache, else in the time that
    compiling takes. Processes that come together wait for the first, by a lock in ``lock_dir``, instead of
    compiling the same side by side.
    """
    lock_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_dir / "compile.lock"):
        started = time.monotonic()
        for lattice in _lattices():
            sweep([_image()], lattice)
        seconds = time.monotonic() - started
    if seconds > _PATIENCE_S:
        say(f"the sweep was compiled, once for this installation ({seconds:.0f} s)")


def _image() -> SweepImage:
    prob_map = np.zeros((_SIZE, _SIZE), dtype=np.float16)
    prob_map[20:40, 10:50] = 0.9
    corners = np.array([[8.0, 18.0], [52.0, 18.0], [52.0, 42.0], [8.0, 42.0]])
    return SweepImage("word", prob_map, Letterbox(_SIZE, _SIZE, _SIZE), (Word(corners, "word"),))


def _lattices() -> tuple[SweepLattice, SweepLattice]:
    quads = SweepLattice(
        thresh=(0.3, 0.5),
        box_thresh=(0.4, 0.6),
        unclip_ratio=(1.5, 2.0),
        max_candidates=(1000,),
        use_polygon=False,
        min_side=3.0,
    )
    return quads, replace(quads, use_polygon=True)
