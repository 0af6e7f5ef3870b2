"""A tiny untrained detector and a few images of noise: enough for everything but good detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optdet.config import Config, DataConfig, ModelConfig
from optdet.inference.detector import Detector, new_model
from optdet.inference.preprocessing import Preprocessing

SIZE = 64


@pytest.fixture(scope="package")
def config() -> Config:
    return Config(
        device="cpu",
        data=DataConfig(size=SIZE),
        model=ModelConfig(backbone="test_efficientnet", pretrained=False, inner_channels=16),
    )


@pytest.fixture
def detector(config: Config) -> Detector:
    torch.manual_seed(0)
    model = new_model(config, for_training=False)
    # Running statistics as after some training, so that maps depend on the images.
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(4, 3, SIZE, SIZE))
        # A fresh head says one in four everywhere; a trained one does not.
        model.head.binarize[-1].weight.normal_(std=0.5)
    return Detector(model, Preprocessing.of(config), torch.device("cpu"))


@pytest.fixture
def image_paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number, (width, height) in enumerate(((90, 60), (50, 100), (64, 64))):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        paths.append(folder / f"{number}.png")
        coarse.resize((width, height), Image.Resampling.NEAREST).save(paths[-1])
    return paths
