"""Weights of a backbone: local files, the cache, and a network that is not there."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants

from optdet.errors import OptdetError
from optdet.model import backbone_weights
from optdet.model.backbone import build_backbone

NAME = "test_efficientnet"
# A network whose features_only form has other names ("stages_0") than its file ("stages.0").
FLATTENED = "test_convnext"


def _file_content(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    model = timm.create_model(name, pretrained=False)
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def _flat(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.replace(".", "_"): tensor for key, tensor in tensors.items()}


def _assert_loaded(backbone: torch.nn.Module, content: dict[str, torch.Tensor]) -> None:
    flat = _flat(content)
    own = backbone.net.state_dict()
    assert own
    for key, tensor in own.items():
        assert torch.equal(tensor, flat[key.replace(".", "_")]), key


@pytest.mark.parametrize("name", [NAME, FLATTENED])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_of_the_timm_model(tmp_path: Path, name: str, suffix: str) -> None:
    content = _file_content(name)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(content, path)
    else:
        safetensors.torch.save_file(content, path)
    _assert_loaded(build_backbone(name, weights=path), content)


@pytest.mark.parametrize("prefix", ["module.", "model.", "model.encoder.model.", "_orig_mod."])
def test_prefixes_are_taken_off(tmp_path: Path, prefix: str) -> None:
    content = _file_content(NAME)
    path = tmp_path / "weights.pt"
    torch.save({prefix + key: tensor for key, tensor in content.items()}, path)
    _assert_loaded(build_backbone(NAME, weights=path), content)


def test_of_several_prefixes_the_one_that_fits_best(tmp_path: Path) -> None:
    content = _file_content(NAME)
    path = tmp_path / "weights.pt"
    mixed = {"a.conv_stem.weight": torch.zeros(1)}
    mixed |= {"student." + key: tensor for key, tensor in content.items()}
    torch.save(mixed, path)
    _assert_loaded(build_backbone(NAME, weights=path), content)


@pytest.mark.parametrize("key", ["state_dict", "model", "state_dict_ema"])
def test_a_training_checkpoint_around_the_state_dict(tmp_path: Path, key: str) -> None:
    content = _file_content(NAME)
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, key: content}, path)
    _assert_loaded(build_backbone(NAME, weights=path), content)


def test_a_file_wins_over_timms_weights_and_needs_no_network(tmp_path: Path, unreachable: None) -> None:
    content = _file_content(NAME)
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    _assert_loaded(build_backbone(NAME, pretrained=True, weights=path), content)


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    content = _file_content(NAME)
    gone = [key for key in content if key.startswith("blocks.2.")]
    path = tmp_path / "weights.pth"
    torch.save({key: tensor for key, tensor in content.items() if key not in gone}, path)
    named = [key for key in gone if not key.endswith("num_batches_tracked")]
    expected = rf"it lacks {len(named)} of the \d+ tensors of backbone '{NAME}' \({named[0]}, .*\.\.\.\)"
    with pytest.raises(OptdetError, match=expected):
        build_backbone(NAME, weights=path)


def test_batch_counters_may_be_missing(tmp_path: Path) -> None:
    content = {k: v for k, v in _file_content(NAME).items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    backbone = build_backbone(NAME, weights=path)
    assert torch.equal(backbone.net.conv_stem.weight, content["conv_stem.weight"])


def test_another_networks_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(_file_content(FLATTENED), path)
    with pytest.raises(OptdetError, match="it lacks"):
        build_backbone(NAME, weights=path)


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    content = _file_content(NAME)
    content["conv_stem.weight"] = torch.zeros(3, 3, 3, 3)
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    expected = r"1 tensors have another shape .*conv_stem.weight is \(3, 3, 3, 3\), expected \(\d+, 3, 3, 3\)"
    with pytest.raises(OptdetError, match=expected):
        build_backbone(NAME, weights=path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptdetError, match=r"nowhere\.pth: no such file; give model\.weights"):
        build_backbone(NAME, weights=tmp_path / "nowhere.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"not weights at all" * 10)
    with pytest.raises(OptdetError, match="cannot be read as PyTorch weights"):
        build_backbone(NAME, weights=path)


class _Payload:
    """A class that only a pickle could bring back."""


def test_a_pickle_of_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"conv_stem.weight": _Payload()}, path)
    with pytest.raises(OptdetError, match="cannot be read as PyTorch weights"):
        build_backbone(NAME, weights=path)


def test_a_file_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(OptdetError, match="it holds no state dict"):
        build_backbone(NAME, weights=path)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


@pytest.fixture
def unreachable(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub on a port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def silent(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that takes the connection and never answers, as a firewall that drops packets does."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(backbone_weights, "PROBE_SECONDS", 0.2)
        yield


def _assert_says_the_ways_on(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(OptdetError, match="cannot be had") as caught:
        build_backbone(name, pretrained=True)
    assert "model.pretrained=false" in str(caught.value)
    assert "model.weights=FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < backbone_weights.PROBE_SECONDS + 4.0


def test_no_network(unreachable: None) -> None:
    _assert_says_the_ways_on(NAME)


def test_a_network_that_never_answers(silent: None) -> None:
    _assert_says_the_ways_on(NAME)


def test_the_hubs_offline_mode(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    _assert_says_the_ways_on(NAME)


def _put_into_cache(cache: Path, name: str, file: str, content: bytes) -> None:
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    commit = "0" * 40
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / file).write_bytes(content)


def test_cached_weights_need_no_network(empty_cache: Path, unreachable: None) -> None:
    content = _file_content(NAME)
    _put_into_cache(empty_cache, NAME, "model.safetensors", safetensors.torch.save(content))
    _assert_loaded(build_backbone(NAME, pretrained=True), content)


def test_a_cached_pickle_is_not_preceded_by_requests_for_safetensors(
    empty_cache: Path, unreachable: None, tmp_path: Path
) -> None:
    content = _file_content(NAME)
    torch.save(content, tmp_path / "file")
    _put_into_cache(empty_cache, NAME, "pytorch_model.bin", (tmp_path / "file").read_bytes())
    started = time.monotonic()
    _assert_loaded(build_backbone(NAME, pretrained=True), content)
    # The client would ask six times for the safetensors file first, 23 s in all.
    assert time.monotonic() - started < 10.0


def test_a_damaged_file_in_the_cache(empty_cache: Path, unreachable: None) -> None:
    _put_into_cache(empty_cache, NAME, "model.safetensors", b"cut off")
    _assert_says_the_ways_on(NAME)


def test_a_network_that_timm_has_no_weights_for() -> None:
    with pytest.raises(OptdetError, match="timm has no pretrained weights for backbone"):
        build_backbone("darknet17", pretrained=True)
