"""A labelled image as a picture, to see at once whether labels and images belong together."""

from __future__ import annotations

import io

from PIL import Image

from optdet.data.images import read_image
from optdet.drawing.overlay import draw_overlay
from optdet.structures import Sample

_JPEG_QUALITY = 85


def draw_preview(sample: Sample) -> bytes:
    """A sample's words on its image, as the bytes of a JPEG file; OptdetError for a damaged image."""
    image = read_image(sample.image_path)
    picture = draw_overlay(
        image,
        words=sample.words,
        detections=None,
        prob_map=None,
        title=f"{sample.name}   {image.shape[1]} x {image.shape[0]}",
    )
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="JPEG", quality=_JPEG_QUALITY)
    return encoded.getvalue()
