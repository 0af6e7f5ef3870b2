"""Where the training and validation images of a config are.

Paths in a config are relative to the data root. Synthetic receipts are made once below ``data_dir`` as
ordinary image and label files, in a folder named by a hash of their settings. A file of folds names its
sources itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optdet.config import DataConfig, SourceConfig, SyntheticConfig
from optdet.config_io import fingerprint
from optdet.data.fingerprints import DataChanged
from optdet.data.folds import Folds, common_folder, from_folder, label_place, read_folds
from optdet.data.synthetic.dataset import SyntheticDataset, make_dataset
from optdet.errors import OptdetError
from optdet.structures import OnImage


@dataclass(frozen=True, slots=True)
class InFolds:
    """A partition, the fold of it that is held out, and what was kept apart of it as a judge."""

    folds: Folds
    path: Path
    fold: int
    judge: SourceConfig | None


@dataclass(frozen=True, slots=True)
class Located:
    """Sources as paths that can be opened from here.

    Where they are ``in_folds``, ``train`` has the images of all folds, and ``val``, a label file that was
    written for other programs, those of the fold that is held out.
    """

    train: tuple[SourceConfig, ...]
    val: SourceConfig
    in_folds: InFolds | None = None


def locate(data: DataConfig, *, data_root: Path, data_dir: Path, on_image: OnImage | None = None) -> Located:
    """The sources of a config with their paths resolved; synthetic ones are made where they are missing."""
    if data.folds is not None:
        return _in_folds(data, data_root / data.folds, data_dir, on_image)
    if data.synthetic is not None:
        return _synthetic(data.synthetic, data_dir, on_image)
    if data.val is None:
        raise OptdetError(
            "no data: the config names neither data.train and data.val nor data.synthetic or data.folds",
            fix="`optdet init --data DIR` writes a config for a folder",
        )
    return Located(
        tuple(_resolved(source, data_root) for source in data.train), _resolved(data.val, data_root)
    )


def locate_folds(path: Path, *, data_dir: Path, fold: int = 0, on_image: OnImage | None = None) -> Located:
    """The images of a file of folds; OptdetError where it has no such fold."""
    folds = read_folds(path)
    if fold >= folds.n_folds:
        raise OptdetError(
            f"there is no fold {fold}: they are 0 to {folds.n_folds - 1}",
            where=str(path),
            fix="give data.fold one of them",
        )
    folder, sources = path.parent.resolve(), folds.sources
    val: SourceConfig | None
    if sources.synthetic is not None:
        made = _synthetic(sources.synthetic, data_dir, on_image)
        train, val = made.train, made.val
    else:
        train = tuple(from_folder(source, folder) for source in sources.train)
        val = None if sources.val is None else from_folder(sources.val, folder)
    if folds.with_val and val is not None:
        train, val = (*train, val), None
    held_out = SourceConfig(
        images=str(common_folder([Path(source.images) for source in train])),
        labels=str(label_place(folder, fold, "val")),
        format="ufo",
    )
    return Located(train, held_out, InFolds(folds, path, fold, val))


def _in_folds(data: DataConfig, path: Path, data_dir: Path, on_image: OnImage | None) -> Located:
    located = locate_folds(path, data_dir=data_dir, fold=data.fold, on_image=on_image)
    assert located.in_folds is not None
    if data.folds_sha256 not in (None, located.in_folds.folds.sha256()):
        raise DataChanged(
            "the images are in other folds than when the study was made: what was learnt from would be "
            "held out",
            where=str(path),
            fix="put that file back, or make a new study with this one",
        )
    return located


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
