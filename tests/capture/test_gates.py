"""Heads switched off, scaled and replaced, against the same done by hand on a copy."""

import copy

import pytest
import torch

from analytics.capture.recording import Gates, capture, switch_off


def gated(model, sites, pixels, gates):
    with torch.no_grad(), capture(model, sites, gates=gates):
        return model(pixels)


@pytest.mark.parametrize("kind", ["vit", "beit", "swin", "twins", "cait", "map pool"])
def test_gates_of_each_image_act_as_on_that_image_alone(kind, subject, noise):
    model, sites = subject(kind)
    pixels, generator = noise(sites, 3), torch.Generator().manual_seed(3)
    rates = {s.index: torch.rand(3, s.num_heads, generator=generator) for s in sites.sites}
    together = gated(model, sites, pixels, Gates(rates))
    plain = model(pixels)
    for image in range(3):
        own = Gates({index: rate[image] for index, rate in rates.items()})
        alone = gated(model, sites, pixels[image : image + 1], own)
        assert torch.allclose(together[image], alone[0], atol=1e-5)
        assert not torch.allclose(together[image], plain[image], atol=1e-3)


@pytest.mark.parametrize(("kind", "block"), [("vit", 0), ("vit", 1), ("eva", 1), ("beit", 0)])
def test_a_zero_gate_takes_the_columns_out_of_the_projection(kind, block, subject, noise):
    model, sites = subject(kind)
    pixels = noise(sites, 2)
    for head in range(3):
        cut = copy.deepcopy(model)
        cut.blocks[block].attn.proj.weight[:, 16 * head : 16 * (head + 1)] = 0
        off = gated(model, sites, pixels, switch_off(sites, [(block, head)]))
        assert torch.allclose(off, cut(pixels), atol=1e-5)
        assert not torch.allclose(off, model(pixels), atol=1e-3)


def test_a_zero_gate_in_shifted_windows(subject, noise):
    model, sites = subject("swin")
    assert sites.sites[3].module == "layers.1.blocks.1.attn"
    cut = copy.deepcopy(model)
    cut.layers[1].blocks[1].attn.proj.weight[:, 24:36] = 0  # head 2 of 4, 12 channels each
    pixels = noise(sites, 2)
    off = gated(model, sites, pixels, switch_off(sites, [(3, 2)]))
    assert torch.allclose(off, cut(pixels), atol=1e-5)
    assert not torch.allclose(off, model(pixels), atol=1e-3)


def test_a_gate_where_windows_and_heads_are_equally_many(subject, noise):
    model, sites = subject("twins")
    site = next(s for s in sites.sites if s.module == "blocks.1.0.attn")
    assert (site.num_windows, site.num_heads, site.axes) == (4, 4, "b,w,h")
    cut = copy.deepcopy(model)
    cut.blocks[1][0].attn.proj.weight[:, 12:24] = 0
    off = gated(model, sites, noise(sites), switch_off(sites, [(site.index, 1)]))
    assert torch.allclose(off, cut(noise(sites)), atol=1e-5)
    assert not torch.allclose(off, model(noise(sites)), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1, 17, 16), (1, 1, 3, 17, 16), (16,), (2, 1, 1, 1, 1)])
def test_replacement_fills_the_gap(shape, subject, noise):
    model, sites = subject("vit")
    pixels, generator = noise(sites, 2), torch.Generator().manual_seed(4)
    filling = torch.randn(shape, generator=generator)
    gate = torch.tensor([1.0, 0.0, 0.3])
    edited = copy.deepcopy(model)

    def by_hand(module, args):
        heads = args[0].reshape(2, 17, 3, 16).transpose(1, 2)
        full = filling.expand(2, 1, 3, 17, 16)[:, 0]
        mixed = [g * heads[:, i] + (1 - g) * full[:, i] for i, g in enumerate(gate.tolist())]
        return torch.stack(mixed, 1).transpose(1, 2).reshape(2, 17, 48)

    edited.blocks[1].attn.proj.register_forward_pre_hook(by_hand)
    replaced = gated(model, sites, pixels, Gates({1: gate}, {1: filling}))
    assert torch.allclose(replaced, edited(pixels), atol=1e-5)


def test_mean_ablation_of_one_picture_by_itself_changes_nothing(subject, noise):
    model, sites = subject("vit")
    with torch.no_grad(), capture(model, sites, ("output",)) as captured:
        plain = model(noise(sites))
    own = Gates({0: torch.zeros(3)}, {0: captured[0].output})
    assert torch.allclose(gated(model, sites, noise(sites), own), plain, atol=1e-6)


@pytest.mark.parametrize("kind", ["vit", "swin", "cait"])
def test_gates_of_one_change_no_bit(kind, subject, noise):
    model, sites = subject(kind)
    ones = Gates({site.index: torch.ones(site.num_heads) for site in sites.sites})
    assert torch.equal(gated(model, sites, noise(sites), ones), model(noise(sites)))


def test_outputs_are_kept_after_gates(subject, noise):
    model, sites = subject("vit")
    with (
        torch.no_grad(),
        capture(model, sites, ("output",), gates=switch_off(sites, [(0, 1)])) as c,
    ):
        model(noise(sites))
    assert float(c[0].output[:, :, 1].abs().max()) == 0
    assert float(c[0].output[:, :, 0].abs().max()) > 0


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 3), (2, 1, 3), ()])
def test_a_wrong_shape_of_gates_is_named(shape, subject, noise):
    model, sites = subject("vit")
    message = r"blocks\.0\.attn: expected gates of shape \(3,\) or \(2, 3\), got \("
    with pytest.raises(ValueError, match=message):
        gated(model, sites, noise(sites, 2), Gates({0: torch.ones(shape)}))


@pytest.mark.parametrize("gates", [Gates({2: torch.ones(3)}), Gates({}, {7: torch.zeros(1)})])
def test_gates_for_a_layer_that_is_not_there_are_refused(gates, subject, noise):
    model, sites = subject("vit")
    with pytest.raises(ValueError, match="expected gates for layers 0 to 1, got one for layer"):
        gated(model, sites, noise(sites), gates)


@pytest.mark.parametrize("pair", [(2, 0), (-1, 0), (0, 3), (0, -1)])
def test_switching_off_what_is_not_there_is_refused(pair, subject):
    _, sites = subject("vit")
    message = f"expected layers 0 to 1 with their heads; got layer {pair[0]} head {pair[1]}"
    with pytest.raises(ValueError, match=message):
        switch_off(sites, [(0, 0), pair])


def test_switching_off_names_only_the_layers_that_change(subject):
    _, sites = subject("vit")
    gates = switch_off(sites, [(1, 0), (1, 2)])
    assert list(gates.values) == [1]
    assert gates.values[1].tolist() == [0, 1, 0]
    assert not gates.replacement
