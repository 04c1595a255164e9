"""Small models whose attention has a shape, for the tests of a flow."""

from __future__ import annotations

from dataclasses import replace

import torch
from timm.models.vision_transformer import VisionTransformer


def stirred(base, module, side):
    """A small model with weights large enough for attention to have a shape."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    module.eval().requires_grad_(False)
    return replace(base, module=module, input_size=(side, side))


def vit(base, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = VisionTransformer(
            img_size=32, patch_size=8, embed_dim=48, depth=3, num_heads=3, **options
        )
    return stirred(base, module, 32)
