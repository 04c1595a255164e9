"""What is kept, reduced and edited; models run twice, in parts, in batches and in other dtypes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from analytics.capture.recording import Gates, capture
from analytics.capture.tracing import find_sites


class TwiceAttending(nn.Module):
    """A module that attends two times in one forward pass."""

    num_heads = 2

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, tokens):
        parts = self.qkv(tokens).reshape(len(tokens), -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        first = F.scaled_dot_product_attention(query, key, value)
        second = F.scaled_dot_product_attention(first, key, value, scale=0.7)
        return tokens + second.transpose(1, 2).flatten(2)


class Wrapped(nn.Module):
    def __init__(self, attn):
        super().__init__()
        self.embed, self.attn = nn.Conv2d(3, 16, 4, 4), attn

    def forward(self, pixels):
        return self.attn(self.embed(pixels).flatten(2).transpose(1, 2)).mean(1)


def statistics(heads):
    attention = heads.attention()
    return attention.amax(-1).mean(-1), torch.special.entr(attention).sum(-1).mean(-1)


@pytest.mark.parametrize("kind", ["vit", "swin", "cait"])
def test_statistics_without_maps_equal_those_of_kept_maps(kind, subject, noise):
    model, sites = subject(kind)
    pixels = noise(sites, 2)
    with torch.no_grad(), capture(model, sites, reduce=statistics) as reduced:
        model(pixels)
    with torch.no_grad(), capture(model, sites, ("attention",)) as kept:
        model(pixels)
    for one, other in zip(reduced, kept, strict=True):
        assert (one.query, one.key, one.value, one.attention, one.output) == (None,) * 5
        assert one.bias is None
        sizes = {tensor.shape for tensor in one.reduced}
        assert sizes == {(2, one.site.num_windows, one.site.num_heads)}
        expected = other.attention.amax(-1).mean(-1)
        assert torch.allclose(one.reduced[0], expected, atol=1e-5)
        entropy = torch.special.entr(other.attention).sum(-1).mean(-1)
        # Rows whose talking heads are negative have no entropy on either side.
        assert torch.allclose(one.reduced[1], entropy, atol=1e-4)


def test_only_what_is_asked_for_is_kept(subject, noise):
    model, sites = subject("beit")
    with torch.no_grad(), capture(model, sites, ("value",)) as captured:
        model(noise(sites))
    assert captured[0].value.shape == (1, 1, 3, 17, 16)
    assert captured[0].bias is None and captured[0].attention is None
    assert captured[0].query is None and captured[0].output is None


def test_nothing_is_recorded_when_nothing_is_asked_for(subject, noise):
    model, sites = subject("vit")
    with torch.no_grad(), capture(model, sites) as captured:
        model(noise(sites))
    assert captured == []


def test_edited_attention_is_what_the_model_goes_on_with(subject, noise, by_hand):
    model, sites = subject("vit")
    pixels = noise(sites, 2)

    def only_class(attention):
        edited = attention.clone()
        edited[..., 1, :, :] = 0
        edited[..., 1, :, 0] = 1
        return edited

    def edit(site, attention):
        return only_class(attention) if site.index == 0 else attention

    expected, _ = by_hand(model, pixels, lambda block, a: only_class(a) if block == 0 else a)
    with torch.no_grad(), capture(model, sites, ("attention",), edit=edit) as captured:
        output = model(pixels)
    assert torch.allclose(output, expected, atol=1e-5)
    assert not torch.allclose(output, model(pixels), atol=1e-3)
    assert torch.equal(captured[0].attention[:, 0, 1, :, 0], torch.ones(2, 17))


def test_edited_attention_of_an_explicit_model(subject, noise):
    model, sites = subject("swin")

    def nowhere(site, attention):
        return torch.zeros_like(attention)

    off = Gates({site.index: torch.zeros(site.num_heads) for site in sites.sites})
    with torch.no_grad(), capture(model, sites, edit=nowhere):
        edited = model(noise(sites))
    with torch.no_grad(), capture(model, sites, gates=off):
        gated = model(noise(sites))
    assert torch.allclose(edited, gated, atol=1e-6)


def test_a_module_that_attends_twice_has_two_sites():
    torch.manual_seed(0)
    model = Wrapped(TwiceAttending()).eval()
    sites = find_sites(model, (32, 32))
    assert [site.label for site in sites.sites] == ["attn", "attn call 1"]
    assert [(s.num_windows, s.num_heads, s.axes) for s in sites.sites] == [(1, 2, "bw,h")] * 2
    assert all(site.placed for site in sites.sites)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad(), capture(model, sites, ("attention", "output")) as captured:
        output = model(pixels)
    assert [one.site.index for one in captured] == [0, 1]
    with torch.no_grad():
        tokens = model.embed(pixels).flatten(2).transpose(1, 2)
        parts = model.attn.qkv(tokens).reshape(2, 64, 3, 2, 8).permute(2, 0, 3, 1, 4)
        first = (parts[0] @ parts[1].mT / 8**0.5).softmax(-1)
        second = ((first @ parts[2]) @ parts[1].mT * 0.7).softmax(-1)
        expected = (tokens + (second @ parts[2]).transpose(1, 2).flatten(2)).mean(1)
        off = {1: torch.zeros(2)}
        with capture(model, sites, gates=Gates(off)):
            without_second = model(pixels)
    assert torch.allclose(captured[0].attention[:, 0], first, atol=1e-6)
    assert torch.allclose(captured[1].attention[:, 0], second, atol=1e-6)
    assert torch.allclose(output, expected, atol=1e-5)
    assert torch.allclose(without_second, tokens.mean(1), atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "convit"])
def test_a_model_run_twice_is_recorded_twice(kind, subject, noise):
    model, sites = subject(kind)
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        model(noise(sites, seed=1))
        model(noise(sites, seed=2))
    count = len(sites.sites)
    assert [one.site.index for one in captured] == 2 * list(range(count))
    with torch.no_grad(), capture(model, sites, ("attention",)) as second:
        model(noise(sites, seed=2))
    for one, other in zip(captured[count:], second, strict=True):
        assert torch.equal(one.attention, other.attention)


def test_a_block_called_directly_is_recorded_as_itself(subject, noise, by_hand):
    model, sites = subject("vit")
    _, expected = by_hand(model, noise(sites))
    with torch.no_grad():
        tokens = model.blocks[0](model._pos_embed(model.patch_embed(noise(sites))))
        with capture(model, sites, ("attention",)) as captured:
            model.blocks[1](tokens)
            model.blocks[1](tokens)
    assert [one.site.label for one in captured] == ["blocks.1.attn"] * 2
    assert all(torch.allclose(one.attention[:, 0], expected[1], atol=1e-6) for one in captured)


@pytest.mark.parametrize("kind", ["swin", "swin v2", "twins", "maxvit", "nest", "davit", "hiera"])
def test_windows_of_a_batch_are_those_of_each_image(kind, subject, noise):
    model, sites = subject(kind)
    pixels, keep = noise(sites, 3), ("attention", "output")
    with torch.no_grad(), capture(model, sites, keep) as together:
        model(pixels)
    for image in range(3):
        with torch.no_grad(), capture(model, sites, keep) as alone:
            model(pixels[image : image + 1])
        for one, other in zip(together, alone, strict=True):
            assert len(one.attention) == 3
            assert torch.allclose(one.attention[image], other.attention[0], atol=1e-5)
            assert torch.allclose(one.output[image], other.output[0], atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "swin"])
def test_half_precision_maps_are_float32_and_near(kind, subject, build, noise):
    model, sites = subject(kind)
    half = build(kind, sites.input_size[0]).bfloat16()
    half_sites = find_sites(half, sites.input_size)
    assert [s.query_layout for s in half_sites.sites] == [s.query_layout for s in sites.sites]
    with torch.no_grad(), capture(half, half_sites, ("attention",)) as captured:
        half(noise(sites).bfloat16())
    with torch.no_grad(), capture(model, sites, ("attention",)) as expected:
        model(noise(sites))
    for one, other in zip(captured, expected, strict=True):
        assert one.attention.dtype == torch.float32
        assert (one.attention.sum(-1) - 1).abs().max() < 2e-2
        assert (one.attention - other.attention).abs().max() < 0.08


@pytest.mark.parametrize("kind", ["vit", "beit"])
def test_double_precision_stays_double(kind, build, noise):
    model = build(kind, 32).double()
    sites = find_sites(model, (32, 32))
    pixels = noise(sites).double()
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        output = model(pixels)
    assert all(one.attention.dtype == torch.float64 for one in captured)
    assert torch.allclose(output, model(pixels), rtol=0, atol=1e-12)


def test_another_input_size_is_refused_where_places_matter(subject, noise):
    model, sites = subject("any size", 32)
    larger = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    message = r"blocks\.0\.attn: expected 17 queries and 17 keys, got 65 and 65; find the sites"
    for options in ({"keep": ("query",)}, {"reduce": statistics}, {"edit": lambda site, a: a}):
        with pytest.raises(ValueError, match=message), capture(model, sites, **options):
            model(larger)
    with torch.no_grad(), capture(model, sites, gates=Gates({0: torch.ones(3)})):
        assert torch.equal(model(larger), model(larger))
