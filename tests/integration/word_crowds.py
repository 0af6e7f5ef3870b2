"""Words in rows, and detections that match, cut, join, double and miss them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from optdet.structures import Word


def box(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


def crowd(seed, n_rows):
    random = np.random.default_rng(seed)
    words, found = [], []
    for row in range(n_rows):
        x = 10
        for _ in range(int(random.integers(0, 6))):
            width = int(random.integers(8, 120))
            words.append(Word(box(x, 10 + 34 * row, width, 24), ignored=bool(random.random() < 0.15)))
            x += width + int(random.integers(0, 14))
    for word in words:
        x, y = word.polygon[0]
        width = word.polygon[1, 0] - x
        for _ in range(int(random.integers(0, 3))):
            left, wide = random.integers(-12, width), random.integers(4, 3 * width)
            found.append(box(x + left, y + random.integers(-12, 12), wide, random.integers(4, 50)))
        if random.random() < 0.5:
            found.append(word.polygon + random.integers(-3, 4, (4, 2)))
    return words, found


crowds = st.builds(crowd, st.integers(0, 2**32 - 1), st.integers(0, 4))
