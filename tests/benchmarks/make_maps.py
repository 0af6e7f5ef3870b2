"""Probability maps of a DB-style ONNX detector for labelled images: what the benchmarks run on.

Each image is letterboxed (padding centred and black), its pixels go in as BGR, ``(x / 255 - 0.5) / 0.5``,
as PP-OCR expects them, one image at a time. Writes ``<stem>.npy``, float16 (size, size), into MAPS_DIR; a map
that is there already is kept. Without ``--detector`` it takes the PP-OCRv4 mobile detector of the package
``rapidocr-onnxruntime`` in the peers' environment. Run by optdet's Python, which needs ``onnxruntime`` too:

    python tests/benchmarks/make_maps.py MAPS_DIR --images DIR --labels FILE --peers-python peers/bin/python
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from optdet.data.images import list_images, read_image
from optdet.data.labels import read_labels
from optdet.data.names import NameIndex
from optdet.geometry.letterbox import Letterbox

WHERE_RAPIDOCR_IS = (
    "import importlib.util as u; print(u.find_spec('rapidocr_onnxruntime').submodule_search_locations[0])"
)
DETECTOR = Path("models") / "ch_PP-OCRv4_det_infer.onnx"


def main() -> None:
    options = parse()
    session = open_detector(options.detector or shipped_detector(options.peers_python), options.threads)
    options.maps_dir.mkdir(parents=True, exist_ok=True)
    labels = read_labels(options.labels)
    index = NameIndex(labels.words, by_stem=labels.names_are_stems)
    paths = [path for path in list_images(options.images) if index.find(path.name) is not None]
    started = time.perf_counter()
    for number, path in enumerate(paths, start=1):
        target = options.maps_dir / f"{path.stem}.npy"
        if not target.exists():
            write(target, prob_map(session, path, options.size))
        print(f"{number}/{len(paths)} {target.name}", file=sys.stderr)
    print(f"{len(paths)} maps in {options.maps_dir}, {time.perf_counter() - started:.1f} s")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("maps_dir", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    detector = parser.add_mutually_exclusive_group(required=True)
    detector.add_argument(
        "--peers-python", type=Path, help="python of the environment that has rapidocr-onnxruntime"
    )
    detector.add_argument("--detector", type=Path, help="another ONNX file")
    return parser.parse_args()


def shipped_detector(peers_python: Path) -> Path:
    command = [str(peers_python), "-c", WHERE_RAPIDOCR_IS]
    folder = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return Path(folder) / DETECTOR


def open_detector(path: Path, threads: int) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def prob_map(session: onnxruntime.InferenceSession, path: Path, size: int) -> np.ndarray:
    """(size, size) float16."""
    image = read_image(path)
    canvas = Letterbox(image.shape[1], image.shape[0], size, "center").draw(image)[..., ::-1]
    pixels = (canvas.astype(np.float32) / 255 - 0.5) / 0.5
    batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
    (output,) = session.run(None, {session.get_inputs()[0].name: batch})
    return output.reshape(size, size).astype(np.float16)


def write(target: Path, array: np.ndarray) -> None:
    """Whole or not at all: other processes may be reading the folder."""
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(target)


if __name__ == "__main__":
    main()
