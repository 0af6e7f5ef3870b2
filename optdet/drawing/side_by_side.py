"""Two pictures of the same image next to each other, as the two sides of a comparison."""

from __future__ import annotations

from optdet.drawing.canvas import Canvas, Picture

_GAP = 12


def side_by_side(left: Picture, right: Picture) -> Picture:
    """Both as they are, RGB, aligned at the top, on white."""
    height = max(len(left), len(right))
    canvas = Canvas(height, left.shape[1] + _GAP + right.shape[1])
    canvas.paste(left, left=0, top=0)
    canvas.paste(right, left=left.shape[1] + _GAP, top=0)
    return canvas.pixels
