"""Whether an imported detector predicts what it predicted at its home: maps and polygons, image by image.

python tests/benchmarks/baseline_conformance.py CHECKPOINT.ckpt --images DIR --maps MAPS.npz --expected FILE

MAPS.npz has the home's float32 maps by image name. The JSON in FILE has ``thresh``, ``box_thresh``,
``max_candidates``, ``unclip_ratio`` of ``quads`` and ``polygons``, and for each of ``images`` its ``quads``
and ``polygons`` in image pixels, rounded, not clipped. Printed are the largest difference of the maps, and
how many outlines differ: found on the home's maps, on ours, and on ours rounded to half precision, as they
are kept. Exits with 1 where a map differs by more than 1e-5, or an outline on the home's maps at all. On maps
that differ in the last bits an outline may: ``near`` counts pixels that lie on either side of thresh.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optdet.data.images import image_size, read_image
from optdet.detection.postprocess import MapDetector
from optdet.geometry.letterbox import Letterbox
from optdet.inference.detector import open_checkpoint
from optdet.inference.lightning_import import import_checkpoint
from optdet.structures import Thresholds

TOLERANCE = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--expected", type=Path, required=True)
    parser.add_argument("--backbone", help="spares the search for it")
    options = parser.parse_args()
    expected = json.loads(options.expected.read_text())
    maps = np.load(options.maps)
    with tempfile.TemporaryDirectory() as folder:
        imported = import_checkpoint(options.checkpoint, Path(folder) / "ours.pt", backbone=options.backbone)
        detector = open_checkpoint(imported.out, torch.device("cpu")).detector
    print(f"{imported.config.model.backbone}, {detector.preprocessing}")
    worst, n_wrong = 0.0, 0
    for name, outlines in expected["images"].items():
        path = options.images / name
        place = detector.preprocessing.letterbox(path)
        ours = detector.unrounded_map(place.draw(read_image(path)))
        home = np.asarray(maps[name], np.float32).reshape(ours.shape)
        difference = float(np.abs(ours - home).max())
        worst = max(worst, difference)
        at = np.float32(expected["thresh"])
        near = int(((ours > at) != (home > at)).sum())
        print(f"{name}: maps differ by {difference:.1e} at most, near {near}")
        for kind in ("quads", "polygons"):
            counts = [
                differing(found, place, expected, kind, outlines[kind])
                for found in (home, ours, ours.astype(np.float16))
            ]
            n_wrong += counts[0]
            print(
                f"  {len(outlines[kind])} {kind}, differing: {counts[0]} on the home's map, "
                f"{counts[1]} on ours, {counts[2]} on ours in half precision"
            )
        assert image_size(path) == (outlines["width"], outlines["height"])
    print(f"worst {worst:.1e}; outlines that differ on the home's maps: {n_wrong}")
    sys.exit(worst > TOLERANCE or n_wrong > 0)


def differing(
    prob_map: NDArray[np.floating], place: Letterbox, expected: dict[str, Any], kind: str, outlines: list[Any]
) -> int:
    """How many of the expected outlines are not found, or have another vertex."""
    thresholds = Thresholds(
        thresh=expected["thresh"],
        box_thresh=expected["box_thresh"],
        unclip_ratio=expected["unclip_ratio"][kind],
        max_candidates=expected["max_candidates"],
        use_polygon=kind == "polygons",
        min_side=3.0,
    )
    found = MapDetector(prob_map, place, clip=False, max_detections=None).detect(thresholds).polygons
    ours = {polygon.tobytes() for polygon in found}
    return sum(np.asarray(outline, np.int32).tobytes() not in ours for outline in outlines)


if __name__ == "__main__":
    main()
