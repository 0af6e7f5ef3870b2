"""Where the training and validation images of a config are.

Paths in a config are relative to the data root. Synthetic receipts are made once below ``data_dir`` as
ordinary image and label files, in a folder named by a hash of their settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optdet.config import DataConfig, SourceConfig, SyntheticConfig
from optdet.config_io import fingerprint
from optdet.data.synthetic.dataset import SyntheticDataset, make_dataset
from optdet.errors import OptdetError

OnImage = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Located:
    """Sources as paths that can be opened from here."""

    train: tuple[SourceConfig, ...]
    val: SourceConfig


def locate(data: DataConfig, *, data_root: Path, data_dir: Path, on_image: OnImage | None = None) -> Located:
    """The sources of a config with their paths resolved; synthetic ones are made where they are missing."""
    if data.synthetic is not None:
        return _synthetic(data.synthetic, data_dir, on_image)
    if data.val is None:
        raise OptdetError(
            "no data: the config names neither data.train and data.val nor data.synthetic",
            fix="`optdet init --data DIR` writes a config for a folder",
        )
    return Located(
        tuple(_resolved(source, data_root) for source in data.train), _resolved(data.val, data_root)
    )


def _resolved(source: SourceConfig, data_root: Path) -> SourceConfig:
    places = {"images": str(data_root / source.images), "labels": str(data_root / source.labels)}
    return source.model_copy(update=places)


def synthesize(settings: SyntheticConfig, folder: Path, on_image: OnImage | None = None) -> SyntheticDataset:
    """Synthetic receipts in ``folder``, made unless they are there already."""
    return make_dataset(
        folder,
        n_train=settings.train,
        n_val=settings.val,
        seed=settings.seed,
        image_size=settings.image_size,
        difficulty=settings.difficulty,
        on_image=on_image,
    )


def _synthetic(settings: SyntheticConfig, data_dir: Path, on_image: OnImage | None) -> Located:
    folder = data_dir / f"quickstart-{fingerprint(settings)[:10]}"
    made = synthesize(settings, folder, on_image)
    return Located(
        (SourceConfig(images=str(made.train_images), labels=str(made.train_labels)),),
        SourceConfig(images=str(made.val_images), labels=str(made.val_labels)),
    )
