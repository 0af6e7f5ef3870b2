"""A folder of synthetic receipts, as a training needs it: made once, then reused.

Layout: ``train/images/*.jpg``, ``train/labels.json`` (UFO), the same under ``val``, and ``recipe.json`` with
the numbers it was made from. The folder is filled beside its place and renamed when complete, so that one
with this name is always whole; of two processes that make it at once, the later takes what the earlier made.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optdet.data.labels import write_ufo
from optdet.errors import OptdetError
from optdet.structures import OnImage, Word

if TYPE_CHECKING:
    from optdet.data.synthetic.receipts import Split

JPEG_QUALITY = 90
RECIPE_VERSION = 1  # raise it when the same numbers no longer give the same pictures
_RECIPE = "recipe.json"


@dataclass(frozen=True, slots=True)
class SyntheticDataset:
    """Folders of images and their label files."""

    train_images: Path
    train_labels: Path
    val_images: Path
    val_labels: Path


def make_dataset(
    folder: Path,
    *,
    n_train: int,
    n_val: int,
    seed: int,
    image_size: int,
    difficulty: float,
    on_image: OnImage | None = None,
) -> SyntheticDataset:
    """Make ``folder``, or reuse it if it was made from the same numbers.

    ``on_image(done, total)`` is called after each picture. Raises OptdetError where the place is taken by
    something else, or cannot be written.
    """
    recipe: dict[str, Any] = {
        "version": RECIPE_VERSION,
        "n_train": n_train,
        "n_val": n_val,
        "seed": seed,
        "image_size": image_size,
        "difficulty": float(difficulty),
    }
    if n_train < 1 or n_val < 1:
        raise OptdetError(
            f"{n_train} training and {n_val} validation images make no data set",
            where=str(folder),
            fix="ask for at least one of each",
        )
    if folder.exists():
        _require_same(folder, recipe)
        return _dataset(folder)
    try:
        _make(folder, recipe, on_image)
    except OSError as error:
        raise OptdetError(
            f"the images cannot be written ({error.strerror})",
            where=str(folder),
            fix="check its rights and the free space, or name another folder",
        ) from error
    return _dataset(folder)


def _make(folder: Path, recipe: dict[str, Any], on_image: OnImage | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".making", dir=folder.parent))
    try:
        making.chmod(0o755)  # mkdtemp's is private; the data set is not
        total = recipe["n_train"] + recipe["n_val"]

        def count(n_before: int) -> Callable[[int], None]:
            return lambda done: on_image(n_before + done, total) if on_image is not None else None

        _write_split(making, "train", recipe, recipe["n_train"], count(0))
        _write_split(making, "val", recipe, recipe["n_val"], count(recipe["n_train"]))
        (making / _RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
        _put_in_place(making, folder, recipe)
    finally:
        shutil.rmtree(making, ignore_errors=True)  # gone already if it was renamed


def _write_split(
    root: Path, split: Split, recipe: dict[str, Any], n: int, on_image: Callable[[int], None]
) -> None:
    # Not above: a folder that is there already is found without what draws.
    import cv2

    from optdet.data.synthetic.receipts import render_receipt

    images = root / split / "images"
    images.mkdir(parents=True)
    words: dict[str, tuple[Word, ...]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for index in range(n):
        receipt = render_receipt(
            recipe["seed"], index, size=recipe["image_size"], difficulty=recipe["difficulty"], split=split
        )
        name = f"receipt_{index:05d}.jpg"
        _, encoded = cv2.imencode(".jpg", receipt.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (images / name).write_bytes(encoded.tobytes())
        words[name] = receipt.words
        sizes[name] = (receipt.image.shape[1], receipt.image.shape[0])
        on_image(index + 1)
    write_ufo(root / split / "labels.json", words, sizes=sizes)


def _put_in_place(making: Path, folder: Path, recipe: dict[str, Any]) -> None:
    try:
        os.rename(making, folder)
    except OSError:
        if not folder.exists():
            raise
        _require_same(folder, recipe)  # another process was quicker, with the same pictures


def _require_same(folder: Path, recipe: dict[str, Any]) -> None:
    found = _read_recipe(folder / _RECIPE)
    if found is None:
        raise OptdetError(
            "the folder exists and holds no synthetic receipts",
            where=str(folder),
            fix="name a new folder, or move this one away",
        )
    differing = [f"{key}={found.get(key)}" for key, value in recipe.items() if found.get(key) != value]
    if differing:
        raise OptdetError(
            f"the receipts in it were made with {', '.join(differing)}",
            where=str(folder),
            fix="ask for the same, name a new folder, or move this one away",
        )


def _read_recipe(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return recipe if isinstance(recipe, dict) else None


def _dataset(folder: Path) -> SyntheticDataset:
    return SyntheticDataset(
        train_images=folder / "train" / "images",
        train_labels=folder / "train" / "labels.json",
        val_images=folder / "val" / "images",
        val_labels=folder / "val" / "labels.json",
    )
