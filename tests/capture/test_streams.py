"""The residual stream comes from the same forward pass as the attention."""

import numpy as np
import pytest
import torch

from analytics.capture.recording import capture
from analytics.capture.streams import forward_with_streams


@pytest.mark.parametrize("kind", ["vit", "registers"])
def test_streams_are_the_outputs_of_the_blocks(kind, subject, noise):
    model, sites = subject(kind)
    with torch.no_grad():
        streams = forward_with_streams(model, noise(sites))
        tokens = model.norm_pre(model._pos_embed(model.patch_embed(noise(sites))))
        for block, stream in zip(model.blocks, streams, strict=True):
            tokens = block(tokens)
            assert stream.dtype == np.float32
            np.testing.assert_allclose(stream, tokens[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["vit", "registers", "map pool", "eva", "beit", "relpos", "cait", "convit", "xcit"]
)
def test_every_attention_call_is_made_once(kind, subject, noise):
    model, sites = subject(kind)
    with torch.no_grad(), capture(model, sites, ("output",)) as whole:
        model(noise(sites))
    with torch.no_grad(), capture(model, sites, ("output",)) as captured:
        streams = forward_with_streams(model, noise(sites))
    assert [one.site.index for one in captured] == list(range(len(sites.sites)))
    for one, other in zip(captured, whole, strict=True):
        assert torch.equal(one.output, other.output)
    assert len(streams) in (0, len(model.blocks))


@pytest.mark.parametrize("kind", ["swin", "twins", "maxvit", "hiera", "nest", "davit"])
def test_families_of_several_grids_give_none(kind, subject, noise):
    model, sites = subject(kind)
    with torch.no_grad(), capture(model, sites, ("output",)) as captured:
        assert forward_with_streams(model, noise(sites)) == []
    assert len(captured) == len(sites.sites)
