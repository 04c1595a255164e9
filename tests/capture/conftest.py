"""Small models of many families, and attention worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import timm
import torch
from timm.models.beit import Beit
from timm.models.cait import Cait
from timm.models.convit import ConVit
from timm.models.davit import DaVit
from timm.models.eva import Eva
from timm.models.hiera import Hiera
from timm.models.nest import Nest
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.twins import Twins
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from timm.models.xcit import Xcit
from torch import Tensor, nn

from analytics.capture.sites import SiteMap
from analytics.capture.tracing import find_sites

PLAIN: dict[str, Any] = {"patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
STAGES: dict[str, Any] = {
    "patch_size": 4,
    "embed_dim": 24,
    "depths": (2, 2),
    "num_heads": (2, 4),
    "window_size": 4,
}
TWINS: dict[str, Any] = {"embed_dims": (24, 48, 96, 192), "num_heads": (2, 4, 4, 8)}
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "vit": lambda size: VisionTransformer(img_size=size, **PLAIN),
    "any size": lambda size: VisionTransformer(img_size=size, dynamic_img_size=True, **PLAIN),
    "registers": lambda size: VisionTransformer(img_size=size, reg_tokens=2, **PLAIN),
    "layer scale": lambda size: VisionTransformer(
        img_size=size, init_values=1e-5, qk_norm=True, **PLAIN
    ),
    "map pool": lambda size: VisionTransformer(
        img_size=size, class_token=False, global_pool="map", **PLAIN
    ),
    "eva": lambda size: Eva(
        img_size=size, use_rot_pos_emb=True, ref_feat_shape=(4, 4), num_reg_tokens=1, **PLAIN
    ),
    "beit": lambda size: Beit(
        img_size=size, use_rel_pos_bias=True, use_abs_pos_emb=False, init_values=0.1, **PLAIN
    ),
    "relpos": lambda size: VisionTransformerRelPos(img_size=size, rel_pos_type="bias", **PLAIN),
    "swin": lambda size: SwinTransformer(img_size=size, **STAGES),
    "swin v2": lambda size: SwinTransformerV2(img_size=size, **STAGES),
    "maxvit": lambda size: timm.create_model("maxvit_pico_rw_256", img_size=size),
    "twins": lambda size: Twins(
        img_size=size, depths=(2, 2, 2, 2), wss=(4, 4, 4, 2), num_classes=5, **TWINS
    ),
    "hiera": lambda size: Hiera(img_size=(size, size), embed_dim=24, stages=(1, 2, 3, 2)),
    "nest": lambda size: Nest(
        img_size=size, embed_dims=(24, 48, 96), num_heads=(2, 2, 2), depths=(2, 2, 1)
    ),
    "xcit": lambda size: Xcit(img_size=size, **PLAIN),
    "davit": lambda size: DaVit(
        depths=(1, 1), embed_dims=(24, 48), num_heads=(2, 4), window_size=4
    ),
    "cait": lambda size: Cait(img_size=size, **PLAIN),
    "convit": lambda size: ConVit(img_size=size, local_up_to_layer=1, **PLAIN),
}
SIDE = {"swin": 64, "swin v2": 64, "maxvit": 64, "twins": 64, "hiera": 224, "nest": 64, "davit": 64}

Subject = tuple[nn.Module, SiteMap]


def _stirred(model: nn.Module) -> nn.Module:
    """Parameters that start at nothing get random values, so that every part has an effect."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2 or parameter.abs().max() < 1e-3:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def _build(kind: str, size: int | tuple[int, int]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _stirred(BUILDERS[kind](size))


@pytest.fixture(scope="session")
def build() -> Callable[..., nn.Module]:
    """build(kind, size): a fresh small model, the same weights every time."""
    return _build


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    """subject(kind, size=None): a shared model that no test changes, and its sites."""

    @cache
    def make(kind: str, size: int | tuple[int, int] | None = None) -> Subject:
        side = size or SIDE.get(kind, 32)
        model = _build(kind, side)
        return model, find_sites(model, side if isinstance(side, tuple) else (side, side))

    return make


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    """noise(sites, images=1): seeded pictures of the size that the sites were found at."""

    def make(sites: SiteMap, images: int = 1, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(images, 3, *sites.input_size, generator=generator)

    return make


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., tuple[Tensor, list[Tensor]]]:
    """by_hand(model, pixels, edit): a plain ViT's forward pass, written out.

    `edit(block, attention)` may change the attention that is used. Returns the model's output
    and the attention of each block, (images, heads, tokens, tokens), unedited.
    """

    @torch.no_grad()
    def run(
        model: Any, pixels: Tensor, edit: Callable[[int, Tensor], Tensor] = lambda i, a: a
    ) -> tuple[Tensor, list[Tensor]]:
        tokens = model.norm_pre(model._pos_embed(model.patch_embed(pixels)))
        maps = []
        for number, block in enumerate(model.blocks):
            attn, (images, count, width) = block.attn, tokens.shape
            qkv = block.norm1(tokens) @ attn.qkv.weight.T + attn.qkv.bias
            shape = (images, count, 3, attn.num_heads, width // attn.num_heads)
            query, key, value = qkv.reshape(shape).permute(2, 0, 3, 1, 4)
            query, key = attn.q_norm(query), attn.k_norm(key)
            logits = query @ key.mT / shape[-1] ** 0.5
            exponentials = (logits - logits.amax(-1, keepdim=True)).exp()
            maps.append(exponentials / exponentials.sum(-1, keepdim=True))
            heads = edit(number, maps[-1]) @ value
            joined = heads.transpose(1, 2).reshape(images, count, width)
            tokens = tokens + block.ls1(joined @ attn.proj.weight.T + attn.proj.bias)
            tokens = tokens + block.ls2(block.mlp(block.norm2(tokens)))
        return model.forward_head(model.norm(tokens)), maps

    return run
