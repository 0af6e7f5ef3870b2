"""The baseline's tensors as ours: all of them, or a line that says which not."""

from __future__ import annotations

from pathlib import Path

import baseline_home
import pytest
import torch

from optdet.errors import OptdetError
from optdet.model.baseline_weights import fill, split_tensors
from optdet.model.dbnet import DBNet, build_dbnet

INNER = 16


def model(backbone: str = baseline_home.BACKBONE, *, thresh: bool = True) -> DBNet:
    return build_dbnet(
        backbone_name=backbone, pretrained=False, weights=None, inner_channels=INNER, thresh_branch=thresh
    )


def load(tensors: dict[str, torch.Tensor], **kind: object) -> tuple[DBNet, tuple[str, ...]]:
    made = model(**kind)  # type: ignore[arg-type]
    return made, fill(made, split_tensors(tensors, "a.ckpt"), "a.ckpt")


@pytest.mark.parametrize("prefix", ["model.", "", "module.model."])
def test_every_tensor_finds_its_place(prefix: str) -> None:
    tensors = baseline_home.tensors(prefix=prefix)
    parts = split_tensors(tensors, "a.ckpt")
    assert (parts.inner_channels, parts.thresh_branch, parts.outside) == (INNER, True, ())
    made, behind = load(tensors)
    assert behind == ()
    own = made.state_dict()
    ours = {"encoder.model.": "backbone.net.", "decoder.": "neck.", "head.": "head."}
    assert len(own) == len(tensors)
    for name, tensor in tensors.items():
        bare = name.removeprefix(prefix)
        part = next(part for part in ours if bare.startswith(part))
        assert torch.equal(own[ours[part] + bare.removeprefix(part)], tensor), name


def test_a_compiled_model_and_one_whose_names_timm_flattens() -> None:
    tensors = baseline_home.tensors("test_convnext")
    own = load(tensors, backbone="test_convnext")[0].state_dict()
    # As other versions of timm, and torch.compile, name them.
    renamed = {
        name.replace("model.encoder.", "model._orig_mod.encoder.").replace("stages_", "stages."): tensor
        for name, tensor in tensors.items()
    }
    assert set(renamed) != set(tensors)
    again = load(renamed, backbone="test_convnext")[0].state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in own.items())


def test_without_a_threshold_branch() -> None:
    tensors = baseline_home.tensors(thresh=False)
    assert not split_tensors(tensors, "a.ckpt").thresh_branch
    load(tensors, thresh=False)


def test_a_classifier_is_left_out_and_said() -> None:
    tensors = {**baseline_home.tensors(), "model.encoder.model.classifier.weight": torch.zeros(3, 3)}
    assert load(tensors)[1] == ("classifier.weight",)


def test_what_belongs_to_no_part_is_outside() -> None:
    tensors = {**baseline_home.tensors(), "metric.total": torch.zeros(1), "model.loss.w": torch.zeros(1)}
    assert split_tensors(tensors, "a.ckpt").outside == ("metric.total", "model.loss.w")


def test_batch_counters_may_be_missing() -> None:
    tensors = {k: v for k, v in baseline_home.tensors().items() if not k.endswith("num_batches_tracked")}
    without, whole = load(tensors)[0].state_dict(), load(baseline_home.tensors())[0].state_dict()
    weights = [name for name in whole if not name.endswith("num_batches_tracked")]
    assert len(tensors) == len(weights) < len(whole)
    assert all(torch.equal(without[name], whole[name]) for name in weights)


CONV = "model.encoder.model.conv_stem.weight"
BIAS = "model.encoder.model.conv_stem.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({CONV: None}, "its encoder is not test_efficientnet: it lacks conv_stem.weight"),
        ({BIAS: torch.zeros(16)}, "its encoder is not test_efficientnet: it has conv_stem.bias"),
        ({CONV: torch.zeros(2, 3, 3, 3)}, r"conv_stem.weight is \(2, 3, 3, 3\)"),
        ({"model.decoder.inners.0.bias": torch.zeros(16)}, "decoder and head .*it has neck.inners.0.bias"),
        ({"model.head.binarize.6.bias": None}, "decoder and head .*it lacks head.binarize.6.bias"),
        (
            {"model.head.binarize.0.weight": torch.zeros(4, 16, 1, 1)},
            r"head.binarize.0.weight is \(4, 16, 1, 1\)",
        ),
        ({"model.decoder.inners.2.weight": None}, "its decoder has not four levels"),
        (
            {"model.head.binarize.6.bias": torch.full((1,), torch.nan)},
            "head.binarize.6.bias holds values that",
        ),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, torch.Tensor | None], message: str) -> None:
    changed = {k: v for k, v in {**baseline_home.tensors(), **change}.items() if v is not None}
    with pytest.raises(OptdetError, match=message):
        load(changed)


def test_another_model_is_refused() -> None:
    with pytest.raises(
        OptdetError, match=r"not the DB baseline's model: it has no decoder\.inners\.0\.weight, but fc"
    ):
        split_tensors({"fc.weight": torch.zeros(2)}, "a.ckpt")
    with pytest.raises(OptdetError, match=r"it has no encoder\.model\.\*"):
        split_tensors({"decoder.inners.0.weight": torch.zeros(2)}, str(Path("a.ckpt")))
