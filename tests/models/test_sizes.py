"""Input sizes that architectures take."""

import pytest
import timm
import torch

from analytics.models.sizes import SizeRule, pixels_per_token, runs, size_rule


def _rule(name: str, side: int) -> SizeRule:
    def build(size):
        return timm.create_model(name, **({} if size is None else {"img_size": size}))

    return size_rule(build, (side, side))


def test_a_plain_transformer_takes_multiples_of_its_patch():
    rule = _rule("test_vit", 160)
    assert rule.step == 16
    assert rule.offered == (160, 224, 336, 448, 512, 704, 1024)


def test_a_windowed_one_takes_what_its_windows_tile():
    rule = _rule("swin_tiny_patch4_window7_224", 224)
    assert rule.step == 224
    assert rule.offered == (224, 448, 672, 896)


def test_one_that_takes_only_its_own_size_is_found_out():
    rule = _rule("efficientformer_l1", 224)
    assert rule.step == 0
    assert rule.offered == (224,)
    with pytest.raises(ValueError, match="only 224 x 224 px inputs; got 256"):
        rule.check(256, "efficientformer_l1")


@pytest.mark.parametrize(("side", "near"), [(225, (224, 240)), (239, (240, 224)), (9, (224, 240))])
def test_nearest_sides(side, near):
    assert SizeRule((224, 224), 16).nearest(side) == near


def test_a_trial_tells_what_runs():
    def build(size):
        return timm.create_model("test_vit", img_size=size)

    assert runs(build, 192)
    assert not runs(build, 164)


def test_an_oblong_native_size_is_the_only_one():
    rule = size_rule(lambda size: torch.nn.Identity(), (1024, 768))
    assert rule.step == 0
    with pytest.raises(ValueError, match="only 1024 x 768"):
        rule.check(1024, "model")


@pytest.mark.parametrize(
    ("name", "pixels"), [("test_vit", 16), ("pvt_v2_b0", 4), ("resnet18", None)]
)
def test_pixels_of_one_token(name, pixels):
    with torch.device("meta"):
        assert pixels_per_token(timm.create_model(name)) == pixels
