"""Names that transformers gives to ViT, DeiT and DINOv2 weights, turned into timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

_ANCHOR = "embeddings.patch_embeddings.projection.weight"
_LAYER = r"^encoder\.layer\.(\d+)\."
_BLOCK = r"blocks.\1."

# DINOv2's register, mask and gated-MLP tensors get the original authors' names, which timm's own
# filter then converts (it folds the cls position into the cls token of register models).
_RULES: tuple[tuple[str, str], ...] = (
    (r"^embeddings\.(cls_token|mask_token|register_tokens)$", r"\1"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (_LAYER + r"attention\.output\.dense\.", _BLOCK + "attn.proj."),
    (_LAYER + r"layernorm_before\.", _BLOCK + "norm1."),
    (_LAYER + r"layernorm_after\.", _BLOCK + "norm2."),
    (_LAYER + r"intermediate\.dense\.", _BLOCK + "mlp.fc1."),
    (_LAYER + r"output\.dense\.", _BLOCK + "mlp.fc2."),
    (_LAYER + r"layer_scale(\d)\.lambda1$", r"blocks.\1.ls\2.gamma"),
    (_LAYER + r"mlp\.weights_in\.", _BLOCK + "mlp.w12."),
    (_LAYER + r"mlp\.weights_out\.", _BLOCK + "mlp.w3."),
    (_LAYER + r"(norm1|norm2|mlp)\.", r"blocks.\1.\2."),
    (r"^layernorm\.", "norm."),
    (r"^(?:cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
)
_PART = re.compile(_LAYER + r"attention\.attention\.(query|key|value)\.(weight|bias)$")


def map_names(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
    """Tensors under timm's names, query, key and value joined.

    Args:
        tensors: as stored, with or without a prefix such as `vit.` or `dinov2.`.

    Returns:
        The tensors by timm name, and the stored name of each renamed one (for a joined
        tensor the name of its query part); None if these are not such names.
    """
    anchor = next((name for name in tensors if name.endswith(_ANCHOR)), None)
    if anchor is None:
        return None
    prefix = anchor.removesuffix(_ANCHOR)
    outer = prefix.rpartition(".")[0].rpartition(".")[0]  # classifiers stand beside `vit.`
    mapped: dict[str, torch.Tensor] = {}
    origin: dict[str, str] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for stored, tensor in tensors.items():
        name = stored.removeprefix(prefix)
        if name == stored and outer:
            name = stored.removeprefix(f"{outer}.")
        found = _PART.match(name)
        if found:
            layer, part, kind = found.groups()
            joined = f"blocks.{layer}.attn.qkv.{kind}"
            parts.setdefault(joined, {})[part] = tensor
            if part == "query":
                origin[joined] = stored
            continue
        renamed = _rename(name)
        mapped[renamed] = tensor
        if renamed != stored:
            origin[renamed] = stored
    for joined, thirds in parts.items():
        if len(thirds) == 3:
            mapped[joined] = torch.cat([thirds["query"], thirds["key"], thirds["value"]])
    if "register_tokens" in mapped and "mask_token" not in mapped:
        # timm's filter recognises DINOv2 by its mask token, and drops it.
        mapped["mask_token"] = torch.zeros(1, mapped["register_tokens"].shape[-1])
    return mapped, origin


def _rename(name: str) -> str:
    for pattern, replacement in _RULES:
        renamed, count = re.subn(pattern, replacement, name)
        if count:
            return renamed
    return name
