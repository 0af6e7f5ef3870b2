"""Whether a detector was trained on images that it is scored on."""

from __future__ import annotations

from optdet.structures import Sample
from optdet.tuning.in_sample import n_trained_on


def test_images_are_told_by_their_content(tmp_path):
    contents = {"train/1.png": b"one", "train/2.png": b"two", "val/1.png": b"six", "val/x.png": b"two"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    training = [tmp_path / "train/1.png", tmp_path / "train/2.png", tmp_path / "train/gone.png"]
    samples = [Sample(name, tmp_path / name, ()) for name in ("val/1.png", "val/x.png", "val/gone.png")]
    assert n_trained_on(training, samples) == 1  # the same name is not the same image
    assert n_trained_on(training, [Sample("1", tmp_path / "train/1.png", ())]) == 1
    assert n_trained_on([], samples) == 0
