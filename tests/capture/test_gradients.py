"""Gradients through gates and through attention, in float64, against their definitions."""

import pytest
import torch

from analytics.capture.recording import Gates, capture
from analytics.capture.tracing import find_sites


@pytest.fixture(scope="module")
def double(build):
    """double(kind): a model in float64, its sites and two pictures."""

    def make(kind):
        side = 64 if kind in ("swin", "twins") else 32
        model = build(kind, side).double()
        generator = torch.Generator().manual_seed(5)
        pixels = torch.randn(2, 3, side, side, generator=generator, dtype=torch.float64)
        return model, find_sites(model, (side, side)), pixels

    return make


def loss_of(output):
    return output.pow(2).sum() + output[:, 0].sum()


@pytest.mark.parametrize("kind", ["vit", "eva", "beit", "swin", "twins", "cait", "convit"])
def test_the_slope_of_a_gate_is_output_times_slope(kind, double):
    model, sites, pixels = double(kind)
    gates = {
        s.index: torch.ones(2, s.num_heads, dtype=torch.float64, requires_grad=True)
        for s in sites.sites
    }
    outputs = {}

    def watch(heads):
        outputs[heads.site.index] = heads.output

    with capture(model, sites, reduce=watch, gates=Gates(gates), detach=False):
        loss = loss_of(model(pixels))
    found = torch.autograd.grad(loss, [*gates.values(), *outputs.values()])
    for number, index in enumerate(gates):
        slope = found[len(gates) + number]
        expected = (outputs[index] * slope).sum((1, 3, 4))  # images, heads
        assert expected.abs().max() > 0
        assert (found[number] - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_the_slope_of_a_gate_is_the_finite_difference(double):
    model, sites, pixels = double("vit")
    gate = torch.tensor([0.9, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    with capture(model, sites, gates=Gates({0: gate})):
        (slope,) = torch.autograd.grad(loss_of(model(pixels)), gate)
    for head in range(3):
        ends = []
        for step in (1e-5, -1e-5):
            moved = gate.detach().clone()
            moved[head] += step
            with torch.no_grad(), capture(model, sites, gates=Gates({0: moved})):
                ends.append(float(loss_of(model(pixels))))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(slope[head]), rel=1e-6)


@pytest.mark.parametrize("kind", ["vit", "beit", "swin", "cait"])
def test_the_slope_of_attention_is_the_finite_difference(kind, double):
    model, sites, pixels = double(kind)
    leaves, generator = {}, torch.Generator().manual_seed(6)

    def leaf(site, attention):
        leaves[site.index] = attention.detach().requires_grad_()
        return leaves[site.index]

    with capture(model, sites, edit=leaf):
        loss = loss_of(model(pixels))
    slopes = dict(zip(leaves, torch.autograd.grad(loss, leaves.values()), strict=True))
    for index, slope in slopes.items():
        way = torch.randn(slope.shape, generator=generator, dtype=torch.float64)

        def moved(step, index=index, way=way):
            def edit(site, attention):
                # Every other layer is held where it was: its leaf took no part either.
                held = leaves[site.index].detach()
                return held + step * way if site.index == index else held

            with torch.no_grad(), capture(model, sites, edit=edit):
                return float(loss_of(model(pixels)))

        expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
        assert float((slope * way).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", ["vit", "beit", "swin"])
def test_attention_returned_unchanged_keeps_the_models_own_gradients(kind, double):
    model, sites, pixels = double(kind)
    model.requires_grad_(True)
    parameters = list(model.parameters())
    expected = torch.autograd.grad(loss_of(model(pixels)), parameters, allow_unused=True)
    with capture(model, sites, edit=lambda site, attention: attention):
        output = model(pixels)
    found = torch.autograd.grad(loss_of(output), parameters, allow_unused=True)
    assert torch.allclose(output, model(pixels), atol=1e-10)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_only_the_position_bias_learns(double):
    model, sites, pixels = double("beit")
    table = model.blocks[0].attn.relative_position_bias_table.requires_grad_(True)
    (expected,) = torch.autograd.grad(loss_of(model(pixels)), table)
    with capture(model, sites, edit=lambda site, attention: attention):
        (found,) = torch.autograd.grad(loss_of(model(pixels)), table)
    assert expected.abs().max() > 0
    assert torch.allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("detach", [True, False])
def test_kept_tensors_leave_the_graph_only_when_asked(detach, double):
    model, sites, pixels = double("vit")
    pixels.requires_grad_(True)
    with capture(
        model, sites, ("attention", "output"), lambda h: h.output.sum(), detach=detach
    ) as c:
        output = model(pixels)
    assert output.requires_grad
    assert all(one.attention.requires_grad is not detach for one in c)
    assert all(one.output.requires_grad is not detach for one in c)
    assert all(one.reduced.requires_grad is not detach for one in c)
