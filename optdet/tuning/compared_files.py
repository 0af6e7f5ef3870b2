"""What ``optdet compare --out`` leaves in a folder: a table of all images, pictures of those that changed."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path

import numpy as np

from optdet.data.files import write_atomically
from optdet.data.images import read_image
from optdet.data.names import file_stem
from optdet.drawing.canvas import Picture
from optdet.drawing.jpeg import write_jpeg
from optdet.drawing.overlay import draw_overlay
from optdet.drawing.side_by_side import side_by_side
from optdet.drawing.typeface import font_note
from optdet.evaluation.comparison import Comparison, ImageDifference
from optdet.structures import Detections
from optdet.tuning.compared import Sides
from optdet.tuning.side import Side

TABLE_NAME = "images.csv"


def write_comparison(folder: Path, comparison: Comparison, sides: Sides) -> list[str]:
    """``images.csv``, by difference, and ``helped-01-NAME.jpg`` ...; what was written, in lines for a person.

    Pictures need the image files, which two prediction files alone do not name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(folder / TABLE_NAME, comparison)
    said = [f"wrote {folder / TABLE_NAME}: {len(comparison.images)} images"]
    shown = [("helped", comparison.helped()), ("harmed", comparison.harmed())]
    if not sides.paths:
        return [*said, "no pictures: give --images DIR"]
    for kind, images in shown:
        for number, image in enumerate(images, start=1):
            name = f"{kind}-{number:02d}-{file_stem(image.image)}.jpg"
            write_jpeg(folder / name, _picture(image, sides))
    names = [image.image for _, images in shown for image in images]
    said.append(f"wrote {len(names)} pictures of the images most helped and harmed")
    note = font_note(names)
    return said if note is None else [*said, f"note: {note}"]


def _write_table(path: Path, comparison: Comparison) -> None:
    """Every digit of each score, the most harmed image first."""
    rows = [
        asdict(image) for image in sorted(comparison.images, key=lambda each: (each.difference, each.image))
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _picture(image: ImageDifference, sides: Sides) -> Picture:
    """A on the left, B on the right."""
    pixels = read_image(sides.paths[image.image])
    return side_by_side(
        *(
            draw_overlay(
                pixels,
                words=sides.words[image.image],
                detections=_detections(side, image.image),
                prob_map=None,
                title=f"{letter}: {side.title}, {image.image}   H-mean {hmean:.4f}",
                longest_side=1200,
            )
            for letter, side, hmean in (("A", sides.a, image.hmean_a), ("B", sides.b, image.hmean_b))
        )
    )


def _detections(side: Side, name: str) -> Detections:
    # Prediction files have no scores, and no picture shows them.
    polygons = tuple(np.asarray(polygon) for polygon in side.polygons.get(name, ()))
    return Detections(polygons, np.full(len(polygons), np.nan))
