"""Box fusion by the package ``ensemble-boxes``, run by its own Python with a job that ``voting.py`` writes.

Prints one JSON object: by method the boxes of each image, 0..1, and the seconds of all images together.

    peers/bin/python tests/benchmarks/voting_peer.py JOB.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ensemble_boxes import nms, non_maximum_weighted, weighted_boxes_fusion

Fuse = Callable[..., tuple[Any, Any, Any]]
METHODS: dict[str, Fuse] = {
    "weighted boxes fusion": weighted_boxes_fusion,
    "non-maximum weighted": non_maximum_weighted,
    "NMS": nms,
}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    found = {}
    for name, fuse in METHODS.items():
        fused(fuse, job["images"][0], job)  # numba compiles on the first call
        started = time.perf_counter()
        results = [fused(fuse, image, job) for image in job["images"]]
        found[name] = {"images": results, "seconds": time.perf_counter() - started}
    print(json.dumps(found))


def fused(fuse: Fuse, image: dict[str, Any], job: dict[str, Any]) -> list[list[float]]:
    """Boxes whose score reaches ``keep``: a box that k of n members have is scored k / n of its own by the
    fusion, so that this is a vote; the other two keep the score of one."""
    labels = [[0] * len(boxes) for boxes in image["boxes"]]
    boxes, scores, _ = fuse(image["boxes"], image["scores"], labels, iou_thr=job["iou_thresh"])
    keep = job["keep"] if fuse is weighted_boxes_fusion else 0.0
    return [box.tolist() for box, score in zip(boxes, scores, strict=True) if score >= keep]


if __name__ == "__main__":
    main()
