"""Removing one head by an update equals running the whole model with its gate at 0."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from analytics.capture.leave_one_out import LeaveOneOut
from analytics.capture.recording import Captured, Gates, capture, switch_off
from analytics.capture.replay import Replay, shared_copy

FAMILIES = (
    "vit",
    "registers",
    "layer scale",
    "eva",
    "beit",
    "swin",
    "swin v2",
    "twins",
    "map pool",
)


@torch.no_grad()
def naive(model: nn.Module, sites, batch: Tensor, layer: int, head: int, fill=None) -> Tensor:
    """The whole forward pass with a gate at 0, nothing kept from a pass before."""
    gates = switch_off(sites, [(layer, head)])
    if fill is not None:
        gates = Gates(gates.values, {layer: fill})
    with capture(model, sites, gates=gates):
        return model.forward_features(batch)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_head_of_every_family_equals_the_naive_loop(subject, noise, kind):
    model, sites = subject(kind)
    batch = noise(sites, 2)
    loo = LeaveOneOut(model, sites)
    with torch.no_grad():
        close(loo.start(batch), model.forward_features(batch))
    for captured in loo.heads:
        layer, count = captured.site.index, captured.site.num_heads
        found = loo.without(layer, range(count)).features  # all heads in one batch
        for head in range(count):
            expected = naive(model, sites, batch, layer, head)
            close(found[2 * head : 2 * head + 2], expected)
            close(loo.without(layer, [head]).features, expected)


@pytest.mark.parametrize("kind", ["vit", "registers", "layer scale"])
def test_the_first_token_alone_is_the_same_token(subject, noise, kind):
    model, sites = subject(kind)
    batch = noise(sites, 3)
    loo = LeaveOneOut(model, sites, tokens="cls")
    loo.start(batch)
    for layer in range(2):
        found = loo.without(layer, [2]).features
        assert found.shape[1] == 1
        close(found, naive(model, sites, batch, layer, 2)[:, :1])


def test_a_family_without_a_plain_last_block_is_computed_whole(subject, noise):
    model, sites = subject("eva")
    batch = noise(sites)
    loo = LeaveOneOut(model, sites, tokens="cls")
    loo.start(batch)
    close(loo.without(1, [0]).features, naive(model, sites, batch, 1, 0))


@pytest.mark.parametrize("kind", ["vit", "swin", "twins"])
def test_a_filling_takes_the_heads_place(subject, noise, kind):
    model, sites = subject(kind)
    batch = noise(sites, 2)
    loo = LeaveOneOut(model, sites)
    loo.start(batch)

    def other_image(captured: Captured, head: int) -> Tensor:
        return captured.output[:, :, head].roll(1, 0)

    for captured in loo.heads:
        layer = captured.site.index
        fill = captured.output.roll(1, 0)
        expected = naive(model, sites, batch, layer, 1, fill)
        close(loo.without(layer, [1], other_image).features, expected)


def test_twins_needs_a_gate_where_padding_is_cut_after_the_heads(subject, noise):
    model, sites = subject("twins")
    loo = LeaveOneOut(model, sites)
    loo.start(noise(sites))
    assert set(loo.exact_update) == {True, False}


def test_without_a_norm_before_the_projection_the_update_is_refused(noise):
    from timm.models.vision_transformer import VisionTransformer

    from analytics.capture.tracing import find_sites

    torch.manual_seed(0)
    model = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3, scale_attn_norm=True
    ).eval()
    sites = find_sites(model, (32, 32))
    batch = noise(sites)
    loo = LeaveOneOut(model, sites, tokens="cls")
    loo.start(batch)
    assert loo.exact_update == (False, False)
    close(loo.without(0, [1]).features[:, :1], naive(model, sites, batch, 0, 1)[:, :1])
    close(loo.without(1, [1]).features[:, :1], naive(model, sites, batch, 1, 1)[:, :1])


def test_layer_output_is_that_of_the_block(subject, noise):
    model, sites = subject("vit")
    batch = noise(sites)
    loo = LeaveOneOut(model, sites)
    loo.start(batch)
    outcome = loo.without(1, [0])
    with torch.no_grad():
        close(model.norm(outcome.layer_output), outcome.features)


def test_an_earlier_layer_can_be_read_too(subject, noise):
    model, sites = subject("vit")
    batch = noise(sites, 2)
    loo = LeaveOneOut(model, sites, tokens="cls", read_layer=0)
    loo.start(batch)
    with torch.no_grad(), capture(model, sites, gates=switch_off(sites, [(0, 2)])):
        expected = model.blocks[0](model.norm_pre(model._pos_embed(model.patch_embed(batch))))
    close(loo.without(0, [2]).read, expected)
    # A head of a later layer changes nothing there.
    read = loo.without(1, [0, 1]).read
    torch.testing.assert_close(read, loo.layer_output(0).repeat(2, 1, 1), rtol=0, atol=0)


def test_a_layer_that_is_not_there_cannot_be_read(subject):
    model, sites = subject("vit")
    with pytest.raises(ValueError, match="layer from 0 to 1"):
        LeaveOneOut(model, sites, read_layer=7)


def test_the_copy_shares_tensors_and_leaves_the_model_alone(subject, noise):
    model, sites = subject("vit")
    copied = shared_copy(model)
    assert all(a is b for a, b in zip(model.parameters(), copied.parameters(), strict=True))
    assert copied.blocks[0] is not model.blocks[0]
    loo = LeaveOneOut(model, sites)
    loo.start(noise(sites))
    loo.without(0, [0])
    assert not any("forward" in vars(module) for module in model.modules())


def test_steps_before_the_layer_are_not_run_again(subject, noise):
    model, sites = subject("vit")
    replay = Replay(model, sites)
    replay.record(noise(sites))
    ran: list[str] = []

    def note(name):
        def forward(original, *args):
            ran.append(name)
            return original(*args)

        return forward

    replay.rerun(1, {name: note(name) for name in replay.steps})
    assert "blocks.1" in ran
    assert "blocks.0" not in ran
    assert "patch_embed" not in ran
