"""Names of models as people write them."""

from pathlib import Path

import pytest

from analytics.models import ModelSpec, list_models, parse_model


@pytest.mark.parametrize(
    "text",
    [
        "bundled",
        "test_vit",
        "vit_tiny_patch16_224.augreg_in21k",
        "test_vit:random",
        "hf-hub:timm/test_vit.r160_in1k",
        "hf-hub:owner/name@v1.0",
        "file:test_vit@/data/own@home/weights.pth",
    ],
)
def test_id_is_read_back_into_the_same_spec(text):
    spec = parse_model(text)
    assert spec.id == text
    assert parse_model(spec.id) == spec


def test_a_checkpoint_makes_a_file_spec():
    spec = parse_model("test_vit", Path("weights.pth"))
    assert spec == ModelSpec("file", "test_vit", checkpoint=Path("weights.pth"))
    assert parse_model(spec.id) == spec


def test_random_weights_are_not_pretrained():
    assert parse_model("test_vit").pretrained
    assert not parse_model("test_vit:random").pretrained


@pytest.mark.parametrize("text", ["vit_tinny_patch16_224", "vit_tinny_patch16_224:random"])
def test_an_unknown_name_gives_the_nearest(text):
    with pytest.raises(ValueError, match=r"no model named 'vit_tinny.*vit_tiny_patch16_224"):
        parse_model(text)


def test_an_unknown_tag_gives_the_known_ones():
    with pytest.raises(ValueError, match=r"it has: vit_tiny_patch16_224\.augreg_in21k"):
        parse_model("vit_tiny_patch16_224.nonsense")


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "hf-hub:name", "hf-hub:../a", "file:x"])
def test_badly_formed_names_are_refused(text):
    with pytest.raises(ValueError, match=r"expected|no model named"):
        parse_model(text)


@pytest.mark.parametrize("text", ["bundled", "test_vit:random", "hf-hub:a/b"])
def test_a_checkpoint_needs_a_timm_name(text):
    with pytest.raises(ValueError, match="needs the timm name"):
        parse_model(text, Path("weights.pth"))


def test_the_list_is_searched_by_words_and_by_pattern():
    assert "vit_small_patch14_dinov2" in list_models("DINOv2 small")
    assert all("dinov2" in name for name in list_models("DINOv2 small"))
    assert list_models("test_vit*")[0] == "test_vit"
    assert list_models("no such model") == []


def test_the_list_tells_names_with_weights_from_those_without():
    assert list_models()[0] == "bundled"
    assert "vit_small_patch14_dinov2.lvd142m" in list_models("vit_small", pretrained=True)
    without = list_models(pretrained=False)
    assert without
    assert not {"bundled", "vit_small_patch14_dinov2"} & set(without)
