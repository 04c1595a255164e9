"""Small timm models of the families whose heads can be taken out, and heads to take."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from analytics.capture.recording import capture, switch_off
from analytics.capture.sites import SiteMap
from analytics.capture.tracing import find_sites

CLASSES = 7
PLAIN: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 48,
    "depth": 3,
    "num_heads": 3,
}
STAGES: dict[str, Any] = {
    "img_size": 32,
    "window_size": 4,
    "embed_dim": 24,
    "depths": [2, 2],
    "num_heads": [2, 4],
}
CASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "test vit": ("test_vit", {}),
    "vit": ("vit_tiny_patch16_224", PLAIN),
    "no biases": (
        "vit_tiny_patch16_224",
        {**PLAIN, "qkv_bias": False, "proj_bias": False, "qk_norm": True},
    ),
    "registers": ("vit_tiny_patch16_224", {**PLAIN, "reg_tokens": 2, "global_pool": "avg"}),
    "layer scale": ("vit_small_patch14_dinov2", PLAIN),
    "deit3": ("deit3_small_patch16_224", PLAIN),
    "eva": ("eva02_base_patch14_224", PLAIN),
    "eva fused": ("eva02_tiny_patch14_224", PLAIN),
    "eva rope": (
        "eva02_tiny_patch14_224",
        {**PLAIN, "attn_type": "rope", "scale_attn_inner": False},
    ),
    "dinov3": ("vit_small_patch16_dinov3", PLAIN),
    "beit": ("beit_base_patch16_224", PLAIN),
    "swin": ("swin_tiny_patch4_window7_224", STAGES),
    "swin v2": ("swinv2_tiny_window8_256", STAGES),
}


def build(case: str) -> nn.Module:
    """The model of a case, with values that give every part an effect."""
    architecture, arguments = arguments_of(case)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stirred(timm.create_model(architecture, **arguments))


def arguments_of(case: str) -> tuple[str, dict[str, Any]]:
    """Architecture and arguments of `timm.create_model`."""
    architecture, arguments = CASES[case]
    return architecture, {"num_classes": CLASSES, **arguments}


def stirred(model: nn.Module) -> nn.Module:
    """Parameters that start at nothing get random values, so that every part has an effect."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2 or parameter.abs().max() < 1e-3:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def noise(case: str) -> Tensor:
    """Two pictures of the case's input size."""
    side = CASES[case][1].get("img_size", 160)  # test_vit is made for 160 px
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def some_heads(sites: SiteMap, seed: int) -> dict[str, list[int]]:
    """A random subset that leaves the layers with different counts and layer 1 with none."""
    draw = random.Random(seed)
    gone = {
        site.module: draw.sample(range(site.num_heads), draw.randrange(site.num_heads))
        for site in sites.sites
    }
    gone[sites.sites[1].module] = list(range(sites.sites[1].num_heads))
    return gone


def zero_ablated(
    model: nn.Module, sites: SiteMap, heads: Mapping[str, list[int]], pixels: Tensor
) -> Tensor:
    """The model's output with these heads gated to zero."""
    index = {site.module: site.index for site in sites.sites}
    pairs = [(index[name], head) for name, gone in heads.items() for head in gone]
    with torch.no_grad(), capture(model, sites, gates=switch_off(sites, pairs)):
        return model(pixels)


def sites_of(case: str, model: nn.Module) -> SiteMap:
    """Where the model of a case attends."""
    side = noise(case).shape[-1]
    return find_sites(model, (side, side))
