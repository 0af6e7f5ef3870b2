"""Targets by python-doctr's builder, run by its own Python with pages that ``targets.py`` writes.

Answers one line of JSON on stdout for each line on stdin: the milliseconds of every page. With ``maps FILE``
it writes its maps instead.

    peers/bin/python tests/benchmarks/targets_peer.py PAGES.npz
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from doctr.models.detection.differentiable_binarization.base import _DBNet


def main() -> None:
    pages = np.load(sys.argv[1])
    words, size = pages["words"], int(pages["size"])
    builder = _DBNet()
    builder.assume_straight_pages = False
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        maps, milliseconds = [], []
        for page in words:
            # As a data set hands them over: relative, float32. It may change them: each time it gets its own.
            target = [{"words": (page / size).astype(np.float32)}]
            started = time.perf_counter()
            built: Any = builder.build_target(target, (1, size, size))
            milliseconds.append(1e3 * (time.perf_counter() - started))
            if command == "maps":
                maps.append([np.asarray(part)[0, 0] for part in built])
        if command == "maps":
            names = ("shrink_map", "shrink_mask", "thresh_map", "thresh_mask")
            np.savez(
                path,
                **{name: np.stack(part) for name, part in zip(names, zip(*maps, strict=True), strict=True)},
            )
        print(json.dumps(milliseconds), flush=True)


if __name__ == "__main__":
    main()
