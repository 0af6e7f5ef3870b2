"""What others pay for one threshold configuration of cached probability maps: post-processing plus CLEval.

Run by the Python of the peers' environment (``requirements-peers.txt``), on one thread, with a job that
``inner_loop.py`` writes; prints one JSON object. Wall and CPU seconds, maps in memory, all images together:

- ``quads``: the DB post-processing of ``rapidocr-onnxruntime`` (PaddleOCR's), then the official ``cleval``;
- ``polygons``: PaddleOCR's for polygons as ``openocr-python`` ships it, then ``cleval`` on its POLY boxes;
- ``doctr``: the DB post-processing of ``python-doctr`` for rotated boxes, then ``cleval`` on quads;
- ``cleval``: the official metric alone, on detections that the job brings, with its counts image by image.

    peers/bin/python tests/benchmarks/peers.py JOB.json
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", DOCTR_MULTITHREADING_DISABLE="TRUE")

import cv2
import numpy as np
import torch
from cleval.box_types import POLY, QUAD
from cleval.eval_functions import evaluation
from doctr.models.detection.differentiable_binarization.base import DBPostProcessor

PACKAGES = (
    "cleval",
    "rapidocr-onnxruntime",
    "openocr-python",
    "python-doctr",
    "opencv-python",
    "numpy",
    "numba",
    "Polygon3",
    "pyclipper",
    "shapely",
    "torch",
)

DETECTION_ONLY = SimpleNamespace(
    DUMP_SAMPLE_RESULT=False,
    E2E=False,
    ORIENTATION=False,
    CASE_SENSITIVE=True,
    RECALL_GRANULARITY_PENALTY_WEIGHT=1.0,
    PRECISION_GRANULARITY_PENALTY_WEIGHT=1.0,
    VERTICAL_ASPECT_RATIO_THRESH=0.5,
    AREA_PRECISION_CONSTRAINT=0.3,
)
"""The defaults of the ``cleval`` command without ``--E2E``."""


class Polygon(POLY):
    """cleval 0.1.1 asks its boxes for a scale and for centres at a ratio; its POLY has forgotten both."""

    scale = None

    def pseudo_character_center(self, *_: float) -> list[Any]:
        return super().pseudo_character_center()


def main() -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    images = job["images"]
    for image in images:
        image["map"] = np.load(image["map"]).astype(np.float32)
    evaluate_quads(images[:1], [image["detections"] for image in images[:1]])  # numba compiles
    print(
        json.dumps(
            {
                "python": platform.python_version(),
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
                "quads": [measure(images, c, rapidocr_quads, evaluate_quads) for c in job["quads"]],
                "polygons": [
                    measure(images, c, openocr_polygons, evaluate_polygons) for c in job["polygons"]
                ],
                "doctr": [measure(images, c, doctr_quads, evaluate_quads) for c in job["doctr"]],
                "cleval": metric_alone(images, job["repeats"]),
            }
        )
    )


# Measuring


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    seconds: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield seconds
    seconds.update(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def measure(
    images: list[Any], thresholds: dict[str, float], detect: Callable, evaluate: Callable
) -> dict[str, Any]:
    with stopwatch() as postprocess:
        detections = detect(images, thresholds)
    with stopwatch() as metric:
        evaluate(images, detections)
    total = {clock: postprocess[clock] + metric[clock] for clock in postprocess}
    return {
        "thresholds": thresholds,
        "postprocess": postprocess,
        "metric": metric,
        "total": total,
        "n_detections": sum(map(len, detections)),
    }


def metric_alone(images: list[Any], repeats: int) -> dict[str, Any]:
    detections = [image["detections"] for image in images]
    seconds = []
    for _ in range(repeats):
        with stopwatch() as elapsed:
            counts = evaluate_quads(images, detections)
        seconds.append(elapsed)
    return {"seconds": seconds, "counts": counts}


# Post-processing: each returns, for every image, a list of flat polygons in the image's pixels.


def rapidocr_quads(images: list[Any], thresholds: dict[str, float]) -> list[list[list[float]]]:
    postprocess = module_of("rapidocr_onnxruntime", "ch_ppocr_det/utils.py").DBPostProcess(
        thresholds["thresh"],
        thresholds["box_thresh"],
        thresholds["max_candidates"],
        thresholds["unclip_ratio"],
    )
    found = []
    for image in images:
        boxes, _ = postprocess(image["map"][None, None], image["map"].shape)
        found.append(to_image(boxes, image["letterbox"]))
    return found


def openocr_polygons(images: list[Any], thresholds: dict[str, float]) -> list[list[list[float]]]:
    postprocess = module_of("openocr", "opendet/postprocess/db_postprocess.py").DBPostProcess(
        **thresholds, box_type="poly"
    )
    found = []
    for image in images:
        shape = [None, [(*image["map"].shape, 1.0, 1.0)]]
        (result,) = postprocess({"maps": image["map"][None, None]}, shape, torch_tensor=False)
        found.append(to_image(result["points"], image["letterbox"]))
    return found


def doctr_quads(images: list[Any], thresholds: dict[str, float]) -> list[list[list[float]]]:
    postprocess = DBPostProcessor(thresholds["box_thresh"], thresholds["thresh"], assume_straight_pages=False)
    postprocess.unclip_ratio = thresholds["unclip_ratio"]
    found = []
    for image in images:
        ((boxes,),) = postprocess(image["map"][None, :, :, None])
        found.append(to_image(boxes[:, :4] * image["map"].shape[::-1], image["letterbox"]))
    return found


def to_image(polygons: Sequence[Any], box: dict[str, int]) -> list[list[float]]:
    """From the letterboxed canvas to the image, rounded and clipped: the peers know no letterbox."""
    if len(polygons) == 0:
        return []
    sizes = [len(polygon) for polygon in polygons]
    points = np.concatenate([np.asarray(polygon, dtype=np.float64) for polygon in polygons])
    inner = (points - (box["left"], box["top"])) / (box["inner_width"], box["inner_height"])
    size = (box["width"], box["height"])
    points = np.clip(np.round(inner * size), 0, size)
    return [part.ravel().tolist() for part in np.split(points, np.cumsum(sizes)[:-1])]


_modules: dict[str, ModuleType] = {}


def module_of(package: str, path: str) -> ModuleType:
    """One file of a package, without importing the package, which would load models and more."""
    if package not in _modules:
        found = importlib.util.find_spec(package)
        file = Path(found.submodule_search_locations[0]) / path
        spec = importlib.util.spec_from_file_location(f"{package}_{file.stem}", file)
        _modules[package] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_modules[package])
    return _modules[package]


# The metric


def evaluate_quads(images: list[Any], detections: list[Any]) -> list[list[int]]:
    return [
        evaluate_image(QUAD, image["words"], found) for image, found in zip(images, detections, strict=True)
    ]


def evaluate_polygons(images: list[Any], detections: list[Any]) -> list[list[int]]:
    return [
        evaluate_image(Polygon, image["words"], found)
        for image, found in zip(images, detections, strict=True)
    ]


def evaluate_image(box_type: type, words: list[Any], detections: list[list[float]]) -> list[int]:
    """The counts in the order of optdet's ``CLEvalCounts``."""
    truth = [box_type(word["points"], 0.0, word["text"], is_dc=word["ignored"]) for word in words]
    for box in truth:
        box.transcription = box.transcription or "#" * box.pseudo_transcription_length()
    found = [box_type(points) for points in detections]
    counts = evaluation(DETECTION_ONLY, truth, found).stats.det
    return [
        int(counts.num_char_gt),
        int(counts.num_char_det),
        int(counts.num_char_tp_recall),
        int(counts.gran_score_recall),
        int(counts.gran_score_precision),
        int(counts.num_char_fp),
    ]


if __name__ == "__main__":
    main()
