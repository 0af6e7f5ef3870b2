"""A frozen model: its maps, the key that names them, and checkpoints that do and do not become one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from optdet.config import Config
from optdet.config_io import set_dotted
from optdet.errors import OptdetError
from optdet.inference.detector import (
    Detector,
    Normalizer,
    memory_format,
    new_model,
    open_checkpoint,
)
from optdet.inference.preprocessing import Preprocessing
from optdet.model.checkpoint_file import save_checkpoint
from optdet.structures import Thresholds

CPU = torch.device("cpu")
SIZE = 64


def canvas(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def payload(detector: Detector, config: Config, **more: Any) -> dict[str, Any]:
    return {"model": detector.model.state_dict(), "config": config.model_dump(mode="json"), **more}


def changed(config: Config, name: str, value: Any) -> Config:
    return Config.model_validate(set_dotted(config.model_dump(mode="json"), name, value))


# --- maps --------------------------------------------------------------------------------------------------


def test_a_map_is_half_precision_between_0_and_1(detector: Detector) -> None:
    prob_map = detector.prob_map(canvas())
    assert (prob_map.dtype, prob_map.shape) == (np.float16, (SIZE, SIZE))
    assert prob_map.min() >= 0
    assert prob_map.max() <= 1
    assert np.ptp(prob_map) > 0.01


def test_a_map_depends_on_its_image_alone(detector: Detector) -> None:
    first = detector.prob_map(canvas(0))
    other = detector.prob_map(canvas(1))
    assert (first != other).any()
    np.testing.assert_array_equal(detector.prob_map(canvas(0)), first)


def test_a_detector_takes_its_model_out_of_training(detector: Detector, config: Config) -> None:
    model = new_model(config, for_training=False).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Detector(model, Preprocessing.of(config), CPU).prob_map(canvas())
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_what_names_kept_maps_is_as_before_there_was_a_choice_of_filters(config: Config) -> None:
    pre = Preprocessing.of(config)
    mean, std = "(0.485, 0.456, 0.406)", "(0.229, 0.224, 0.225)"
    assert repr(pre) == f"Preprocessing(size={SIZE}, pad='center', mean={mean}, std={std})"
    bilinear = Preprocessing.of(changed(config, "data.interpolation", "bilinear"))
    assert (bilinear.interpolation, bilinear == pre) == ("bilinear", False)
    model = new_model(config, for_training=False)
    keys = [Detector(model, each, CPU).key() for each in (pre, Preprocessing.of(config), bilinear)]
    assert keys[0] == keys[1] != keys[2]


def test_normalisation(config: Config) -> None:
    pre = Preprocessing.of(config)
    assert (pre.size, pre.pad) == (SIZE, "center")
    image = canvas()
    normalised = Normalizer(pre, CPU)(torch.from_numpy(image)[None])
    assert normalised.dtype == torch.float32
    expected = (image / 255.0 - np.array(pre.mean)) / np.array(pre.std)
    np.testing.assert_allclose(normalised[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_memory_formats() -> None:
    assert memory_format(CPU) == torch.contiguous_format
    assert memory_format(torch.device("cuda")) == torch.channels_last


@pytest.mark.parametrize("channels_last", [True, False])
def test_channels_last_can_be_left(
    config: Config, monkeypatch: pytest.MonkeyPatch, channels_last: bool
) -> None:
    """Else cuDNN would turn the weights in every step: it takes the format that images or weights have."""
    monkeypatch.setattr("optdet.inference.detector.memory_format", lambda _: torch.channels_last)
    normalize = Normalizer(Preprocessing.of(config), CPU, channels_last=channels_last)
    images = normalize(torch.from_numpy(np.stack([canvas(0), canvas(1)])))
    assert images.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.is_contiguous() != channels_last


def test_maps_on_the_way_are_waited_for_on_their_own_cards_stream(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event takes the stream of torch's current card by itself, which may be another. Here with pinned
    memory and streams replaced, since they need a card.
    """
    recorded: list[object] = []

    class Event:
        def record(self, stream: object = "of the current card") -> None:
            recorded.append(stream)

        def synchronize(self) -> None:
            pass

    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda size, dtype, pin_memory: empty(size, dtype=dtype))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: ("of", device))
    begun = detector._begin(np.stack([canvas(0), canvas(1)]))
    assert recorded == [("of", CPU)]
    assert len(list(begun.arrived())) == 2


# --- the key -----------------------------------------------------------------------------------------------


def test_the_key_names_weights_and_preprocessing(detector: Detector, config: Config) -> None:
    def key(**change: Any) -> str:
        return Detector(detector.model, replace(detector.preprocessing, **change), CPU).key()

    first = detector.key()
    assert first == key()
    keys = {
        key(),
        key(size=96),
        key(pad="topleft"),
        key(mean=(0.5, 0.5, 0.5)),
        key(std=(0.2, 0.2, 0.2)),
    }
    with torch.no_grad():
        next(detector.model.parameters()).view(-1)[0] += 1e-6
    keys.add(key())
    for name, buffer in detector.model.named_buffers():
        if name.endswith("running_mean"):
            buffer.view(-1)[0] += 1e-3
            break
    keys.add(key())
    assert len(keys) == 7
    assert all(len(one) == 24 for one in keys)


def test_the_key_names_the_number_of_threads(detector: Detector) -> None:
    """The last bits of a convolution depend on it."""
    one = detector.key()
    torch.set_num_threads(2)
    two = detector.key()
    torch.set_num_threads(1)
    assert one != two
    assert one == detector.key()


def test_maps_are_made_by_the_number_of_threads_of_the_key(detector: Detector) -> None:
    own = Detector(detector.model, detector.preprocessing, CPU, n_threads=1)
    for make in (own.prob_map, own.unrounded_map):
        torch.set_num_threads(2)
        try:
            make(canvas())
            assert torch.get_num_threads() == 1
        finally:
            torch.set_num_threads(1)


# --- checkpoints -------------------------------------------------------------------------------------------


def test_a_checkpoint_gives_the_maps_of_its_model(detector: Detector, config: Config, tmp_path: Path) -> None:
    sha256 = save_checkpoint(tmp_path / "best.pt", payload(detector, config, n_threads=1))
    opened = open_checkpoint(tmp_path / "best.pt", CPU, sha256=sha256)
    np.testing.assert_array_equal(opened.detector.prob_map(canvas()), detector.prob_map(canvas()))
    assert opened.detector.key() == detector.key()
    assert opened.config == config
    assert opened.thresholds == config.postprocess.thresholds()


def test_a_checkpoint_may_hold_tuned_thresholds(detector: Detector, config: Config, tmp_path: Path) -> None:
    tuned = Thresholds(0.25, 0.4, 1.75, 600, True, 2.0)
    save_checkpoint(tmp_path / "best.pt", payload(detector, config, thresholds=tuned.as_dict()))
    assert open_checkpoint(tmp_path / "best.pt", CPU).thresholds == tuned


def test_a_checkpoint_brings_its_thread_count(detector: Detector, config: Config, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", payload(detector, config, n_threads=2))
    try:
        open_checkpoint(tmp_path / "best.pt", CPU)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_opening_fetches_no_pretrained_weights(detector: Detector, config: Config, tmp_path: Path) -> None:
    """A checkpoint has the weights: neither timm's nor the local file that training began with are needed."""
    for name, value in (("model.pretrained", True), ("model.weights", "gone.safetensors")):
        settings = changed(config, name, value)
        save_checkpoint(tmp_path / "best.pt", payload(detector, settings))
        opened = open_checkpoint(tmp_path / "best.pt", CPU)
        assert opened.detector.key() == detector.key()


def refused(path: Path, content: dict[str, Any]) -> str:
    save_checkpoint(path, content)
    with pytest.raises(OptdetError) as caught:
        open_checkpoint(path, CPU)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text


@pytest.mark.parametrize("key", ["model", "config"])
def test_a_checkpoint_without_a_part(detector: Detector, config: Config, tmp_path: Path, key: str) -> None:
    content = {name: part for name, part in payload(detector, config).items() if name != key}
    assert f"the checkpoint has no '{key}'; give one written by optdet" in refused(tmp_path / "b.pt", content)


@pytest.mark.parametrize(
    ("name", "value"),
    [("model.inner_channels", 32), ("model.backbone", "test_convnext"), ("model.thresh_branch", False)],
)
def test_weights_of_another_model(
    detector: Detector, config: Config, tmp_path: Path, name: str, value: Any
) -> None:
    other = changed(config, name, value)
    assert f"the weights do not fit {other.model.backbone}" in refused(
        tmp_path / "b.pt", payload(detector, other)
    )


def test_settings_of_another_version(detector: Detector, config: Config, tmp_path: Path) -> None:
    content = payload(detector, config)
    content["config"] = set_dotted(content["config"], "train.rounds", 3)
    assert "unknown setting 'train.rounds'" in refused(tmp_path / "b.pt", content)


def test_another_programs_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "other.ckpt")
    with pytest.raises(OptdetError, match=r"other\.ckpt: the file is not a checkpoint of optdet"):
        open_checkpoint(tmp_path / "other.ckpt", CPU)


def test_a_checkpoint_changed_since_it_was_recorded(
    detector: Detector, config: Config, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "best.pt", payload(detector, config))
    with pytest.raises(OptdetError, match="SHA-256"):
        open_checkpoint(tmp_path / "best.pt", CPU, sha256="0" * 64)
