"""Six synthetic receipts and a run of three epochs on them: seconds on one core."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdet.config import (
    AugmentConfig,
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PostprocessConfig,
    SyntheticConfig,
    TrainConfig,
)
from optdet.data.sets import DataSets, open_sets


@pytest.fixture(scope="package")
def config() -> Config:
    return Config(
        seed=2,
        device="cpu",
        data=DataConfig(synthetic=SyntheticConfig(train=4, val=2, image_size=192, difficulty=0.0), size=64),
        augment=AugmentConfig(flip_prob=0.5),
        model=ModelConfig(backbone="test_efficientnet", pretrained=False, inner_channels=16),
        optimizer=OptimizerConfig(lr=0.05),
        train=TrainConfig(epochs=3, batch_size=2, ema_decay=0.5, patience=2),
        # Low enough that six updates give detections, and so scores that differ from epoch to epoch.
        postprocess=PostprocessConfig(thresh=0.25, box_thresh=0.1),
    )


@pytest.fixture(scope="package")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="package")
def sets(config: Config, data_root: Path) -> DataSets:
    return open_sets(
        config.data,
        data_root=data_root,
        data_dir=data_root / "data",
        cache_dir=data_root / "cache",
        max_cache_gb=1,
    )
