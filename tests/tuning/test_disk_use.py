"""What twenty trials of the shipped EfficientNet-B4 studies leave, from the sizes of real files."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.drawing.jpeg import write_jpeg
from optdet.drawing.overlay import draw_overlay
from optdet.inference.detector import new_model
from optdet.inference.map_cache import MapCache
from optdet.model.checkpoint_file import save_checkpoint
from optdet.shipped import shipped_folder
from optdet.structures import Detections
from optdet.study_io import load_study

N_TRIALS, N_IMAGES = 20, 404
SHIPPED = ("efficientnet_b4_focused", "efficientnet_b4_hyperband", "lr_retune")


@pytest.mark.parametrize("name", SHIPPED)
def test_twenty_trials_stay_within_three_gigabytes(name, tmp_path):
    study = load_study(shipped_folder("studies") / f"{name}.yaml")
    config = study.config
    assert config.model.backbone == "efficientnet_b4"
    model = new_model(config, for_training=False)
    save_checkpoint(
        tmp_path / "best.pt", {"config": config.model_dump(mode="json"), "model": model.state_dict()}
    )
    checkpoint = (tmp_path / "best.pt").stat().st_size

    size = config.data.size
    cache = MapCache.of(tmp_path, "key", title="a study:1")
    cache.save("image", np.zeros((size, size), np.float16))
    prob_map = (cache.folder / "image.npy").stat().st_size

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1280, 960, 3), dtype=np.uint8)  # what JPEG compresses least
    drawn = draw_overlay(
        noise,
        words=(),
        detections=Detections((), np.empty(0)),
        prob_map=rng.random((1280, 960), dtype=np.float32),
        title="noise",
    )
    write_jpeg(tmp_path / "overlay.jpg", drawn)
    overlay = 2 * (tmp_path / "overlay.jpg").stat().st_size  # in the trial's folder, and attached

    weights = N_TRIALS * checkpoint
    maps = study.keep.maps * N_IMAGES * prob_map
    overlays = N_TRIALS * study.keep.overlays * overlay
    print(f"weights {weights / 1e9:.2f} GB, maps {maps / 1e9:.2f} GB, overlays {overlays / 1e9:.2f} GB")
    assert 70e6 < checkpoint < 80e6  # without an optimizer's two more of each weight
    assert maps > 0
    assert weights + maps + overlays < 3e9
