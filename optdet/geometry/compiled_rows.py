"""Distinct rows of an integer array, compiled: a hash table that compares what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@compiled
def distinct_rows(rows: Any) -> Any:
    """(first, which): indices of the distinct rows of (n, m) integers by first occurrence, and for every
    row the index of its like among them; float arrays are passed as integers of the same bits."""
    n, m = rows.shape
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    first = np.empty(n, dtype=np.int64)
    which = np.empty(n, dtype=np.int32)
    n_distinct = 0
    for i in range(n):
        key = np.uint64(0)
        for j in range(m):
            key = (key ^ np.uint64(rows[i, j])) * _PRIME
            key ^= key >> np.uint64(29)
        slot = np.int64(key & np.uint64(size - 1))
        while True:
            entry = table[slot]
            if entry < 0:
                table[slot] = n_distinct
                first[n_distinct] = i
                which[i] = n_distinct
                n_distinct += 1
                break
            same = True
            for j in range(m):
                if rows[first[entry], j] != rows[i, j]:
                    same = False
                    break
            if same:
                which[i] = entry
                break
            slot = (slot + 1) & (size - 1)
    return first[:n_distinct].copy(), which
