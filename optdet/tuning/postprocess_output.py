"""What ``optdet postprocess tune`` writes: landscapes, submissions, a config."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.config import Config
from optdet.config_io import differences
from optdet.data.files import write_atomically
from optdet.data.images import relative_name
from optdet.data.named_images import require_named
from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape
from optdet.inference.folder import WrittenPredictions, write_checked
from optdet.metrics.scores import METRIC_NAMES
from optdet.settings_yaml import dump_yaml
from optdet.structures import OnImage
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.postprocess import Entry, PostprocessReport
from optdet.tuning.tried import Tried, draw_tried


def write_landscapes(landscapes: Sequence[Landscape], folder: Path) -> list[Path]:
    """One ``landscape-quads.npz`` or ``-polygons`` each: the metric's name, the axes, its macro scores, its
    global ones, and the detections at every point.

    Scores are indexed [thresh, unclip_ratio, max_candidates, box_thresh], float32; H-means of cross-fit
    parts stay in memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for landscape in landscapes:
        lattice = landscape.lattice
        path = folder / _name(landscape, ".npz")
        global_precision, global_recall, global_hmean = landscape.global_scores()
        arrays = io.BytesIO()
        np.savez_compressed(
            arrays,
            metric=np.array(landscape.metric),
            thresh=np.array(lattice.thresh),
            unclip_ratio=np.array(lattice.unclip_ratio),
            max_candidates=np.array(lattice.max_candidates),
            box_thresh=np.array(lattice.box_thresh),
            precision=landscape.precision.astype(np.float32),
            recall=landscape.recall.astype(np.float32),
            hmean=landscape.hmean.astype(np.float32),
            global_precision=global_precision.astype(np.float32),
            global_recall=global_recall.astype(np.float32),
            global_hmean=global_hmean.astype(np.float32),
            n_detections=landscape.n_detections.astype(np.int32),
        )
        write_atomically(path, arrays.getvalue())
        written.append(path)
    return written


def _name(landscape: Landscape, suffix: str) -> str:
    return f"landscape-{'polygons' if landscape.lattice.use_polygon else 'quads'}{suffix}"


def landscape_names(landscapes: Sequence[Landscape]) -> list[str]:
    """Names of the files that :func:`write_landscapes` and :func:`draw_landscapes` make."""
    return [_name(landscape, suffix) for landscape in landscapes for suffix in (".npz", ".png", ".html")]


def draw_landscapes(report: PostprocessReport, folder: Path) -> list[Path]:
    """A picture and an interactive page of each landscape."""
    # Not above: a table alone needs neither matplotlib nor plotly.
    from optdet.drawing.sweep_html import write_sweep_page
    from optdet.drawing.sweep_landscape import draw_sweep
    from optdet.tuning.sweep_views import sweep_view

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for landscape in report.landscapes:
        view = sweep_view(report, landscape)
        picture, page = (folder / _name(landscape, suffix) for suffix in (".png", ".html"))
        draw_sweep(view, picture)
        write_sweep_page(view, page)
        written += [picture, page]
    return written


def write_tried(tried: Sequence[Tried], folder: Path) -> list[Path]:
    """What a search without a landscape leaves: ``tried.csv`` with thresholds and macro scores in the order
    in which they were tried, and a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    table, picture = folder / "tried.csv", folder / "tried.png"
    text = io.StringIO(newline="")
    rows = [{**entry.thresholds.as_dict(), **asdict(entry.scores)} for entry in tried]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(table, text.getvalue().encode())
    draw_tried(tried, picture)
    return [table, picture]


def write_submissions(
    entries: Sequence[Entry],
    source: OpenSource,
    images: Path,
    folder: Path,
    on_image: OnImage | None = None,
) -> Iterator[tuple[Entry, WrittenPredictions]]:
    """A checked CSV of a folder of images for each entry; each with its file, once that is written."""
    paths = require_named(images, None)
    named = {relative_name(path, images): path for path in paths}
    found: dict[str, dict[str, Sequence[NDArray[Any]]]] = {entry.name: {} for entry in entries}
    for image in source.maps.maps(paths, on_image=on_image):  # one map at a time in memory
        for entry in entries:
            polygons = image.detector.detect(entry.thresholds).polygons
            found[entry.name][relative_name(image.path, images)] = polygons
    for entry in entries:
        yield entry, write_checked(found[entry.name], named, folder / submission_name(entry.name))


def submission_name(label: str) -> str:
    """The CSV file of a candidate."""
    return f"{_safe(label)}.csv"


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "candidate"


def write_config(entry: Entry, config: Config | None, path: Path, *, force: bool = False) -> None:
    """A config with the entry's thresholds in use: the source's own settings, or the thresholds alone."""
    if path.exists() and not force:
        raise OptdetError("the file exists", where=str(path), fix="give another name, or --force")
    base = config or Config()
    tuned = base.model_copy(update={"postprocess": base.postprocess.with_thresholds(entry.thresholds)})
    path.parent.mkdir(parents=True, exist_ok=True)
    head = (
        f"# thresholds tuned to {METRIC_NAMES[entry.metric]} H-mean {entry.macro.hmean:.6f} ({entry.name});\n"
        "# `optdet predict SOURCE --config FILE` uses them; training keeps them with\n"
        "# postprocess.tune.method=none\n"
    )
    write_atomically(path, (head + dump_yaml(differences(tuned))).encode())
