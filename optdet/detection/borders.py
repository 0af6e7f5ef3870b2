"""Following one border of a foreground, pixel by pixel: Suzuki and Abe (1985), as OpenCV does it.

A map is a flat array of levels (see ``contours``) with a stride, background all around; a place is an index
into it, and foreground at level k is what is above k. Sides of a pixel, and its neighbours, count from the
right counter-clockwise on the screen.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled

_RIGHT: Final = 8
_LEFT: Final = 16
_CORNER: Final = 32


def _turns() -> NDArray[np.uint8]:
    """Where a border goes on: [side it came from, neighbours in the foreground as bits] -> side + flags.

    Sides count from the right counter-clockwise on the screen. The search begins behind the side it came from
    and ends at the first foreground neighbour; ``_RIGHT`` and ``_LEFT`` say that it passed background there.
    """
    table = np.zeros((8, 256), dtype=np.uint8)
    for came in range(8):
        for neighbours in range(1, 256):
            side = next(side for side in range(came + 1, came + 9) if neighbours >> (side & 7) & 1)
            right, left = side > 8, came < 4 < side or side > 12
            table[came, neighbours] = (side & 7) + (_RIGHT if right else 0) + (_LEFT if left else 0)
    return table


TURNS: Final = _turns().astype(np.uint64).ravel()

# Unsigned throughout the border following: a signed index costs a test for "from the end" at every access.
_ONE, _FOUR, _SIDES, _MASKS = np.uint64(1), np.uint64(4), np.uint64(7), np.uint64(256)
_NO_SIDE, _RIGHT_LEFT, _CORNER_FLAG = np.uint64(0), np.uint64(_RIGHT + _LEFT), np.uint64(_CORNER)


@compiled
def steps_to_neighbours(stride: int) -> Any:
    """From a place to its neighbours by side, (8,); going back is adding a large unsigned number."""
    steps = np.array([1, 1 - stride, -stride, -stride - 1, -1, stride - 1, stride, stride + 1])
    return steps.astype(np.uint64)


@compiled
def _neighbours(flat: Any, place: Any, stride: Any, k: Any) -> Any:
    """The eight neighbours that are foreground at level k, as bits by side."""
    above, below = place - stride, place + stride
    return (
        np.uint64(flat[place + _ONE] > k)
        | np.uint64(flat[above + _ONE] > k) << np.uint64(1)
        | np.uint64(flat[above] > k) << np.uint64(2)
        | np.uint64(flat[above - _ONE] > k) << np.uint64(3)
        | np.uint64(flat[place - _ONE] > k) << np.uint64(4)
        | np.uint64(flat[below - _ONE] > k) << np.uint64(5)
        | np.uint64(flat[below] > k) << np.uint64(6)
        | np.uint64(flat[below + _ONE] > k) << np.uint64(7)
    )


@compiled
def follow(flat: Any, steps: Any, turns: Any, k: Any, start: Any, hole: bool, places: Any, flags: Any) -> Any:
    """Follow one border: (how many pixels it has, the lowest level on it); 0 where there is no room for
    them.

    ``places`` are the pixels in order; ``flags`` hold ``_CORNER`` (the direction changes there), ``_RIGHT``
    and ``_LEFT`` (the border runs along that side of the pixel).
    """
    stride, room = steps[6], np.uint64(places.shape[0])
    lowest = flat[start]
    neighbours = _neighbours(flat, start, stride, k)
    if neighbours == 0:
        places[0], flags[0] = start, _CORNER + _RIGHT + _LEFT
        return _ONE, lowest
    side = _NO_SIDE if hole else _FOUR
    while True:  # clockwise, for the pixel that the border comes back from
        side = (side - _ONE) & _SIDES
        if (neighbours >> side) & _ONE:
            break
    second = start + steps[side]
    here, written = start, side ^ _FOUR
    n = _NO_SIDE
    while n < room:
        turn = turns[side * _MASKS + _neighbours(flat, here, stride, k)]
        side = turn & _SIDES
        places[n] = here
        flags[n] = (turn & _RIGHT_LEFT) | (_CORNER_FLAG if side != written else _NO_SIDE)
        n += _ONE
        written = side
        ahead = here + steps[side]
        if ahead == start and here == second:
            return n, lowest
        here = ahead
        lowest = min(lowest, flat[here])
        side = (side + _FOUR) & _SIDES
    return _NO_SIDE, lowest


@compiled
def mark(places: Any, flags: Any, n: Any, lowest: Any, known: Any) -> None:
    """Remember the border along the sides that it runs along, for all levels below ``lowest``."""
    for i in range(n):
        place, flag = places[i], flags[i]
        if flag & np.uint8(_RIGHT):
            known[place + _ONE] = max(known[place + _ONE], lowest)
        if flag & np.uint8(_LEFT):
            known[place] = max(known[place], lowest)


@compiled
def write_corners(places: Any, flags: Any, n_steps: Any, stride: int, points: Any, n_points: int) -> int:
    """Write the points at which the direction changes behind the first ``n_points``; how many there are."""
    n = 0
    for i in range(n_steps):
        if flags[i] & np.uint8(_CORNER):
            points[n_points + n, 0] = np.int64(places[i]) % stride - 1
            points[n_points + n, 1] = np.int64(places[i]) // stride - 1
            n += 1
    return n
