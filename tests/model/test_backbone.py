"""Backbones: the levels that are chosen, and every refusal."""

import pytest
import timm
import torch

from optdet.errors import OptdetError
from optdet.model.backbone import STRIDES, build_backbone

SMALL = ["test_efficientnet", "mobilenetv3_small_050", "resnet18"]


@pytest.mark.parametrize("name", SMALL)
def test_levels_have_the_shapes_that_feature_info_promises(name: str) -> None:
    info = timm.create_model(name, features_only=True).feature_info
    backbone = build_backbone(name)

    levels = backbone(torch.zeros(2, 3, 64, 96))

    promised = dict(zip(info.reduction(), info.channels(), strict=True))
    assert backbone.channels == tuple(promised[stride] for stride in STRIDES)
    assert [tuple(level.shape) for level in levels] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, STRIDES, strict=True)
    ]


def test_channels_last_features_come_back_channels_first() -> None:
    # test_convnext has levels 4 to 32 only and no stem level; a nested NHWC network must be turned.
    backbone = build_backbone("test_convnext")
    assert [level.shape[1] for level in backbone(torch.zeros(1, 3, 64, 64))] == list(backbone.channels)

    class Nhwc(torch.nn.Module):
        output_fmt = "NHWC"
        feature_info = backbone.net.feature_info

        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [level.permute(0, 2, 3, 1) for level in backbone.net(images)]

    turned = type(backbone)(Nhwc(), name="nhwc")
    images = torch.rand(1, 3, 64, 96)
    for one, other in zip(turned.eval()(images), backbone.eval()(images), strict=True):
        torch.testing.assert_close(one, other)


def test_building_leaves_training_mode_and_statistics_alone() -> None:
    backbone = build_backbone("resnet18")
    assert backbone.training
    assert all(module.training for module in backbone.modules())
    assert int(backbone.net.bn1.num_batches_tracked) == 0


def test_the_seed_decides_the_random_weights() -> None:
    torch.manual_seed(3)
    one = build_backbone("test_efficientnet").state_dict()
    torch.manual_seed(3)
    other = build_backbone("test_efficientnet").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptdetError, match=r"timm has no backbone 'resnet5O'; did you mean .*resnet50"):
        build_backbone("resnet5O")


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("convnext", "convnext_atto, convnext_base, convnext_nano"),
        ("swin", "swin_s3_base_224"),
        ("mobilenetv3", "mobilenetv3_rw"),
        ("timm/ResNet50", "resnet50, "),
        ("efficientnet-b4", "efficientnet_b4?"),
    ],
)
def test_names_that_begin_alike_are_offered_first_and_test_networks_never(name: str, offered: str) -> None:
    with pytest.raises(OptdetError, match=r"did you mean") as refused:
        build_backbone(name)
    assert str(refused.value.fix).startswith(f"did you mean {offered}")


def test_a_name_like_no_other_is_answered_with_the_way_to_list_them() -> None:
    with pytest.raises(OptdetError, match=r"timm has no backbone '!!'; `timm.list_models\(\)`"):
        build_backbone("!!")


def test_an_unknown_tag_is_an_error() -> None:
    with pytest.raises(OptdetError, match=r"'resnet18.bogus' cannot be used: Invalid pretrained tag"):
        build_backbone("resnet18.bogus")


def test_a_plain_vit_lacks_the_strides() -> None:
    with pytest.raises(OptdetError, match=r"'test_vit' has feature maps of strides 16, 16, 16; 4, 8, 16, 32"):
        build_backbone("test_vit")


def test_a_network_without_features_only_is_an_error() -> None:
    with pytest.raises(OptdetError, match="'tiny_vit_none' cannot be used") as caught:
        _build_without_feature_support()
    assert "features_only" in str(caught.value)


def _build_without_feature_support() -> None:
    from timm.models import register_model

    def tiny_vit_none(pretrained: bool = False, **kwargs: object) -> torch.nn.Module:
        if kwargs.get("features_only"):
            raise RuntimeError("features_only not implemented for this model.")
        return torch.nn.Identity()

    tiny_vit_none.__module__ = __name__
    register_model(tiny_vit_none)
    build_backbone("tiny_vit_none")


def assert_levels(backbone: torch.nn.Module, side: int) -> None:
    with torch.no_grad():
        levels = backbone.eval()(torch.zeros(1, 3, side, side))
    assert [tuple(level.shape) for level in levels] == [
        (1, channels, side // stride, side // stride)
        for channels, stride in zip(backbone.channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"])
def test_a_swin_takes_images_of_any_size(name: str) -> None:
    backbone = build_backbone(name)
    for side in (96, 160):
        assert_levels(backbone, side)


@pytest.mark.parametrize("name", ["test_maxvit", "hiera_tiny_224"])
def test_a_network_for_one_image_size_is_built_for_the_canvas(name: str) -> None:
    assert_levels(build_backbone(name, image_size=192), 192)


def test_a_network_for_one_image_size_is_an_error_where_the_canvas_is_not_known() -> None:
    with pytest.raises(OptdetError, match="does not take images of any multiple of 32 pixels"):
        build_backbone("test_maxvit")


def test_maps_that_do_not_divide_evenly_are_an_error() -> None:
    for image_size in (None, 192):
        with pytest.raises(OptdetError, match="its maps do not divide evenly"):
            build_backbone("inception_v3", image_size=image_size)


@pytest.mark.parametrize(
    ("name", "expected"), [("resnet18", 1), ("test_efficientnet", 1), ("seresnet18", 1), ("skresnet18", 2)]
)
def test_the_smallest_batch_is_two_where_a_batch_norm_sees_one_value_of_an_image(
    name: str, expected: int
) -> None:
    backbone = build_backbone(name)
    assert backbone.smallest_batch == expected
    assert not any(module._forward_pre_hooks for module in backbone.modules())
    images = torch.rand(1, 3, 64, 64)
    if expected == 1:
        backbone(images)
    else:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            backbone(images)
        backbone(images.expand(2, -1, -1, -1))
