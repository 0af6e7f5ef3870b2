"""One synthetic photograph of a receipt, with its words.

Quads are the boxes of the printed ink under the picture's own homography, in float64: exact, not found again
in the pixels. Image pixels are continuous: column c covers x from c to c + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optdet.data.synthetic.camera import View, aim, photograph, project
from optdet.data.synthetic.layout import Page, lay_out_page
from optdet.data.synthetic.paper import print_page
from optdet.errors import OptdetError
from optdet.structures import Word

Split = Literal["train", "val"]
_STREAMS: dict[Split, int] = {"train": 0, "val": 1}
LEAST_SIZE, LARGEST_SIZE = 192, 4096


@dataclass(frozen=True, slots=True)
class Receipt:
    """``image`` is uint8 (H, W, 3) RGB; a word's polygon is a quad, clockwise from its own top left."""

    image: NDArray[np.uint8]
    words: tuple[Word, ...]


def render_receipt(
    seed: int, index: int, *, size: int, difficulty: float = 0.5, split: Split = "train"
) -> Receipt:
    """Picture ``index`` of a split. ``size`` is its longest side in pixels, ``difficulty`` goes from 0 to 1.

    Splits draw from disjoint random streams. Design, view and look have streams of their own, so that a
    change of one effect leaves the words where they were.
    """
    _check(seed, size, difficulty)
    source = np.random.SeedSequence([seed, _STREAMS[split], index])
    design, stand, look = (np.random.Generator(np.random.PCG64(child)) for child in source.spawn(3))
    page = lay_out_page(design, size, difficulty)
    view = aim(page, stand, size, difficulty)
    return picture(page, view, look, difficulty)


def picture(page: Page, view: View, rng: np.random.Generator, difficulty: float) -> Receipt:
    """A laid out page from a given point of view."""
    image = photograph(print_page(page, rng, difficulty), view, rng, difficulty)
    words = tuple(Word(project(view.homography, word.quad), text=word.text) for word in page.words)
    return Receipt(image=image, words=words)


def _check(seed: int, size: int, difficulty: float) -> None:
    if not LEAST_SIZE <= size <= LARGEST_SIZE:
        raise OptdetError(
            f"a synthetic receipt of {size} pixels cannot be drawn",
            fix=f"give an image size from {LEAST_SIZE} to {LARGEST_SIZE}",
        )
    if not 0.0 <= difficulty <= 1.0:
        raise OptdetError(f"the difficulty {difficulty} is out of range", fix="give a number from 0 to 1")
    if seed < 0:
        raise OptdetError(f"the seed {seed} is negative", fix="give 0 or a positive number")
