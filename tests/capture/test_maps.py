"""Captured attention against the model's own weights, worked out without the capture."""

import pytest
import timm.layers
import torch
from timm.layers import apply_rot_embed_cat

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites


@pytest.fixture
def explicit():
    """timm builds models with its own explicit attention inside the test."""
    timm.layers.set_fused_attn(False)
    yield
    timm.layers.set_fused_attn(True)


def maps_of(model, sites, pixels):
    with torch.no_grad(), capture(model, sites, ("attention", "value", "output")) as captured:
        model(pixels)
    return captured


def close(got, expected, atol=2e-6):
    return got.shape == expected.shape and torch.allclose(got, expected, atol=atol, rtol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "registers", "layer scale"])
def test_a_vit_by_hand(kind, subject, noise, by_hand):
    model, sites = subject(kind)
    pixels = noise(sites, 2)
    output, expected = by_hand(model, pixels)
    captured = maps_of(model, sites, pixels)
    assert torch.allclose(model(pixels), output, atol=1e-5)
    for one, attention in zip(captured, expected, strict=True):
        assert one.attention.dtype == torch.float32
        assert close(one.attention, attention[:, None])


def test_beit_with_its_position_bias(subject, noise):
    model, sites = subject("beit")
    pixels, block = noise(sites, 2), model.blocks[0]
    tokens = model.patch_embed(pixels)
    tokens = torch.cat([model.cls_token.expand(2, -1, -1), tokens], 1)
    bias = torch.cat([block.attn.q_bias, torch.zeros(48), block.attn.v_bias])
    qkv = (block.norm1(tokens) @ block.attn.qkv.weight.T + bias).reshape(2, 17, 3, 3, 16)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4)
    # One entry per head for each difference of two places, after the class token's three.
    table, index = block.attn.relative_position_bias_table, block.attn.relative_position_index
    position = torch.stack([table[i] for i in index.flatten()]).T.reshape(3, 17, 17)
    expected = (query @ key.mT / 4 + position).softmax(-1)
    assert table.abs().max() > 0.1
    assert index[1, 2] != index[2, 1]
    assert close(maps_of(model, sites, pixels)[0].attention[:, 0], expected)


def test_eva_with_its_rotation(subject, noise):
    model, sites = subject("eva")
    pixels, block = noise(sites, 2), model.blocks[0]
    tokens, rope = model._pos_embed(model.patch_embed(pixels))
    count = tokens.shape[1]
    bias = torch.cat([block.attn.q_bias, torch.zeros(48), block.attn.v_bias])
    qkv = (block.norm1(tokens) @ block.attn.qkv.weight.T + bias).reshape(2, count, 3, 3, 16)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4)
    query, key = (
        torch.cat([x[:, :, :2], apply_rot_embed_cat(x[:, :, 2:], rope)], 2) for x in (query, key)
    )
    assert count == 18
    assert close(maps_of(model, sites, pixels)[0].attention[:, 0], (query @ key.mT / 4).softmax(-1))


@pytest.mark.parametrize(
    "kind", ["vit", "eva", "beit", "relpos", "map pool", "swin", "swin v2", "twins", "maxvit"]
)
def test_rows_sum_to_one_and_make_the_output(kind, subject, noise):
    model, sites = subject(kind)
    captured = maps_of(model, sites, noise(sites, 2))
    assert len(captured) == len(sites.sites)
    for one in captured:
        site = one.site
        assert one.attention.shape == (
            2,
            site.num_windows,
            site.num_heads,
            site.query_tokens,
            site.key_tokens,
        )
        assert (one.attention.sum(-1) - 1).abs().max() < 1e-5
        if one.value is not None:
            assert close(one.attention @ one.value, one.output, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["vit", "layer scale", "eva", "beit", "relpos", "map pool", "twins"]
)
def test_fused_and_explicit_give_the_same_maps(kind, subject, build, noise, explicit):
    fused, sites = subject(kind)
    other = build(kind, sites.input_size[0])
    other_sites = find_sites(other, sites.input_size)
    assert {site.kind for site in sites.sites} == {"fused"}
    assert {site.kind for site in other_sites.sites} == {"explicit"}
    pixels = noise(sites, 2)
    assert torch.allclose(fused(pixels), other(pixels), atol=1e-5)
    pairs = zip(maps_of(fused, sites, pixels), maps_of(other, other_sites, pixels), strict=True)
    for one, two in pairs:
        assert one.site.axes == two.site.axes
        assert close(one.attention, two.attention, atol=1e-5)
        assert close(one.output, two.output, atol=1e-4)
        assert one.site.query_layout == two.site.query_layout


def test_windows_are_the_same_fused_and_explicit(subject, build, noise):
    plain, sites = subject("swin")
    timm.layers.set_fused_attn(True, experimental=True)
    try:
        fused = build("swin", 64)
    finally:
        timm.layers.set_fused_attn(True)
    fused_sites = find_sites(fused, (64, 64))
    assert {site.kind for site in sites.sites} == {"explicit"}
    assert {site.kind for site in fused_sites.sites} == {"fused"}
    pixels = noise(sites, 2)
    pairs = zip(maps_of(plain, sites, pixels), maps_of(fused, fused_sites, pixels), strict=True)
    for one, two in pairs:
        assert close(one.attention, two.attention, atol=1e-5)
        assert (one.site.query_index == two.site.query_index).all()
