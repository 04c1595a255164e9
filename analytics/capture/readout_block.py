"""The last block of a plain ViT for its first token alone, when nothing else is read."""

from __future__ import annotations

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F


def reads_first_token(block: nn.Module, tokens: Tensor | None, output: Tensor) -> bool:
    """Whether `run_first_token` stands for a block: tried on what the block read and gave."""
    plain = type(block) is Block and type(block.attn) is Attention and block.attn.gate is None
    if not plain or not isinstance(tokens, Tensor) or tokens.ndim != 3:
        return False
    found = run_first_token(block, tokens)
    tolerance = 1e-5 if output.dtype in (torch.float32, torch.float64) else 5e-2
    bound = tolerance * float(output[:, :1].abs().max())
    return torch.allclose(found, output[:, :1], tolerance, bound)


def run_first_token(block: nn.Module, tokens: Tensor, attention: Tensor | None = None) -> Tensor:
    """A block's output at the first token.

    Args:
        block: timm's `Block` with its plain `Attention`.
        tokens: what it reads, (images, tokens, width).
        attention: what its attention module would give, where that is known already.

    Returns:
        (images, 1, width).
    """
    first = tokens[:, :1]
    if attention is None:
        attention = _attend(block.attn, block.norm1(tokens))  # type: ignore[arg-type, operator]
    first = first + block.ls1(attention[:, :1])  # type: ignore[operator]
    return first + block.ls2(block.mlp(block.norm2(first)))  # type: ignore[operator]


def _attend(module: Attention, normed: Tensor) -> Tensor:
    """The attention module's output at the first token, (images, 1, width)."""
    images, count, _ = normed.shape
    width, shape = module.attn_dim, (module.num_heads, module.head_dim)
    weight, bias = module.qkv.weight, module.qkv.bias
    own = (None, None) if bias is None else (bias[:width], bias[width:])
    query = F.linear(normed[:, :1], weight[:width], own[0]).reshape(images, 1, *shape)
    both = F.linear(normed, weight[width:], own[1]).reshape(images, count, 2, *shape)
    query, key, value = (t.transpose(1, 2) for t in (query, both[:, :, 0], both[:, :, 1]))
    attended = F.scaled_dot_product_attention(module.q_norm(query), module.k_norm(key), value)
    joined = attended.transpose(1, 2).reshape(images, 1, width)
    return module.proj(module.norm(joined))
