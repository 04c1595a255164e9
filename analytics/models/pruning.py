"""Heads taken out of a model for good: fewer parameters and less work, the same output.

A module is cut only if its class is known here by name, because the classes of timm lay
heads out differently; everything else is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analytics.models.pruned_loader import shrink

# Class -> which forward it needs with fewer heads than the input is wide (see pruned_loader).
_CLASSES: Mapping[str, str] = {
    "timm.layers.attention.Attention": "timm",
    "timm.layers.attention.AttentionRope": "timm",
    "timm.models.swin_transformer.WindowAttention": "timm",
    "timm.models.beit.Attention": "join_kept_heads",
    "timm.models.eva.EvaAttention": "join_kept_heads",
    "timm.models.swin_transformer_v2.WindowAttention": "join_kept_heads",
    "timm.models.vision_transformer.Attention": "join_kept_heads",  # of an older timm
}

# Tensor -> (axis, groups): along that axis it is laid out as (groups, heads, width of a head).
_SLICED: Mapping[str, tuple[int, int]] = {
    "qkv.weight": (0, 3),
    "qkv.bias": (0, 3),
    "q_proj.weight": (0, 1),
    "q_proj.bias": (0, 1),
    "k_proj.weight": (0, 1),
    "k_proj.bias": (0, 1),
    "v_proj.weight": (0, 1),
    "v_proj.bias": (0, 1),
    "q_bias": (0, 1),
    "k_bias": (0, 1),
    "v_bias": (0, 1),
    "gate.weight": (0, 1),
    "gate.bias": (0, 1),
    "logit_scale": (0, 1),
    "cpb_mlp.2.weight": (0, 1),
    "relative_position_bias_table": (1, 1),
    "proj.weight": (1, 1),
}
# What all heads share, by how the names begin.
_WHOLE = ("q_norm.", "k_norm.", "cpb_mlp.0.", "proj.bias", "relative_")

_MIXED = "its heads are mixed with each other"
_CONVOLVED = "its projections are convolutions, laid out head by head"
_POOLED = "its queries or keys are pooled or strided, in a layout of its own"
_REASONS: Mapping[str, str] = {
    "timm.layers.diff_attention.DiffAttention": "a head is the difference of two attentions",
    "timm.models.vision_transformer.ParallelScalingBlock": (
        "it projects attention and MLP by one layer"
    ),
    "timm.models.vision_transformer.DiffParallelScalingBlock": (
        "it projects attention and MLP by one layer, and a head is a difference"
    ),
    "timm.models.cait.TalkingHeadAttn": _MIXED,
    "timm.models.vision_transformer_relpos.RelPosAttention": (
        "a module of its own makes its relative position bias"
    ),
    "timm.layers.attention_pool.AttentionPoolLatent": "it asks with learned queries of its own",
    "timm.models.volo.OutlookAttention": "its attention is not between tokens",
    "timm.models.xcit.XCA": "it attends between channels",
    "timm.models.davit.ChannelAttention": "it attends between channels",
    "timm.models.davit.ChannelAttentionV2": "it attends between channels",
    "timm.models.efficientvit_msra.CascadedGroupAttention": "each head feeds the next",
    "timm.models.maxxvit.Attention2d": _CONVOLVED,
    "timm.layers.attention2d.Attention2d": _CONVOLVED,
    "timm.models.hiera.MaskUnitAttention": _POOLED,
    "timm.models.mvitv2.MultiScaleAttention": _POOLED,
    "timm.models.mvitv2.MultiScaleAttentionPoolFirst": _POOLED,
    "timm.models.pvt_v2.Attention": _POOLED,
    "timm.models.twins.GlobalSubSampleAttn": _POOLED,
}
# Classes of parts that give something per head to every layer.
_SHARED: Mapping[str, str] = {
    "RotaryEmbeddingMixed": "its rotary frequencies",
    "RelativePositionBias": "its relative position biases",
}


@dataclass(frozen=True)
class Cut:
    """What taking heads out of one attention module changes.

    `rows` says for each tensor that gets smaller along which axis, and which of its rows or
    columns stay; `changes` is what `pruned_loader.shrink` reads, in JSON's own types.
    """

    rows: Mapping[str, tuple[int, Tensor]]
    changes: Mapping[str, Any]


def prune_heads(model: nn.Module, heads: Mapping[str, Collection[int]]) -> nn.Module:
    """A copy of the model that lacks these heads, and gives what zero ablation of them gives.

    Args:
        model: a timm model; it is not changed.
        heads: dotted name of an attention module -> its heads to take out, as they are
            numbered in `model`. All heads of a layer may go: then the layer adds the bias of
            its projection and nothing else.

    Returns:
        An independent copy, on the same device and in the same dtype and mode. Known answer:
        each head of a plain ViT of width C with heads of width d saves 4 C d weights and, with
        biases, 3 d more.

    Raises:
        ValueError: no such module or head, or a module whose heads cannot be taken out.

    Reference: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", section 5.
    """
    cuts = plan_pruning(model, heads)
    pruned = copy.deepcopy(model)
    for name, cut in cuts.items():
        attention = pruned.get_submodule(name)
        before = _tensors(attention)
        shrink(attention, cut.changes)
        after = _tensors(attention)
        with torch.no_grad():
            for key, (axis, index) in cut.rows.items():
                old = before[key]
                after[key].copy_(old.index_select(axis, index.to(old.device)))
    return pruned


def plan_pruning(model: nn.Module, heads: Mapping[str, Collection[int]]) -> dict[str, Cut]:
    """What `prune_heads` changes in each attention module that loses a head.

    Raises:
        ValueError: as `prune_heads`.
    """
    return {name: _cut(model, name, set(gone)) for name, gone in heads.items() if len(gone)}


def obstacle(model: nn.Module, name: str) -> str:
    """Why no head can be taken out of the attention module of this name; empty where it can.

    Raises:
        ValueError: the model has no module of this name.
    """
    attention = _module(model, name)
    path = _class_path(attention)
    if path not in _CLASSES:
        return _REASONS.get(path, "how it lays out its heads is not known here")
    if not isinstance(getattr(attention, "norm", nn.Identity()), nn.Identity):
        return "it normalises all heads together, so that each changes the others"
    if getattr(attention, "num_kv_groups", 1) != 1:
        return "several query heads share one key and value"
    shared = [_SHARED[type(p).__name__] for p in model.modules() if type(p).__name__ in _SHARED]
    if shared:
        return f"{shared[0]} differ between heads and are held by the model for all its layers"
    tensors = _tensors(attention)
    unknown = [key for key in tensors if key not in _SLICED and not key.startswith(_WHOLE)]
    return f"its {unknown[0]} is not known here" if unknown else ""


def count_parameters(model: nn.Module) -> int:
    """Numbers that are learned, those shared between layers counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_saved(model: nn.Module, pruned: nn.Module) -> int:
    """How many parameters fewer the pruned model has."""
    return count_parameters(model) - count_parameters(pruned)


def _cut(model: nn.Module, name: str, gone: set[int]) -> Cut:
    attention = _prunable(model, name)
    count = int(attention.num_heads)
    wrong = sorted(gone - set(range(count)))
    if wrong:
        raise ValueError(f"{name} has heads 0 to {count - 1}; got head {wrong[0]}")
    kept = [head for head in range(count) if head not in gone]
    tensors = _tensors(attention)
    rows = {
        key: (_SLICED[key][0], _kept_rows(tensors[key], *_SLICED[key], count, kept))
        for key in tensors
        if key in _SLICED
    }
    changes = {
        "class": _class_path(attention),
        "heads_before": count,
        "heads_kept": kept,
        "forward": _CLASSES[_class_path(attention)] if kept else "project_nothing",
        "attributes": _attributes(attention, count, len(kept)),
        "shapes": {key: list(shape) for key, shape in _shapes(attention, rows).items()},
    }
    return Cut(rows, changes)


def _prunable(model: nn.Module, name: str) -> Any:
    """The attention module of this name, if its heads can be taken out."""
    attention, reason = _module(model, name), obstacle(model, name)
    if reason:
        raise ValueError(
            f"{name} is a {_class_path(attention)}, whose heads cannot be taken out: {reason}. "
            "Use zero ablation instead"
        )
    return attention


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ValueError(
            f"expected the dotted name of an attention module, such as blocks.0.attn; "
            f"{type(model).__name__} has no {name!r}"
        ) from None


def _kept_rows(tensor: Tensor, axis: int, groups: int, heads: int, kept: list[int]) -> Tensor:
    """Positions along `axis` that belong to the heads kept, int64 (positions,)."""
    positions = torch.arange(tensor.shape[axis]).reshape(groups, heads, -1)
    return positions[:, torch.tensor(kept, dtype=torch.long)].flatten()  # groups, kept, width


def _shapes(
    attention: nn.Module, rows: Mapping[str, tuple[int, Tensor]]
) -> dict[str, tuple[int, ...]]:
    """New shapes of the tensors that get smaller; an emptied layer keeps nothing unused."""
    tensors = _tensors(attention)
    shapes = {}
    for key, (axis, index) in rows.items():
        shape = tensors[key].shape
        shapes[key] = (*shape[:axis], len(index), *shape[axis + 1 :])
    if not len(rows["proj.weight"][1]):
        unused = {key for key, _ in attention.named_parameters()} - {*rows, "proj.bias"}
        shapes.update({key: (0, *tensors[key].shape[1:]) for key in sorted(unused)})
    return shapes


def _attributes(attention: Any, before: int, after: int) -> dict[str, int]:
    """What a forward pass reads to tell heads apart."""
    counts = {key: after for key in ("num_heads", "num_kv_heads") if hasattr(attention, key)}
    widths = ("attn_dim", "kv_dim")
    joined = {k: getattr(attention, k) // before * after for k in widths if hasattr(attention, k)}
    return {**counts, **joined}


def _tensors(attention: nn.Module) -> dict[str, Tensor]:
    return {**dict(attention.named_parameters()), **dict(attention.named_buffers())}


def _class_path(part: nn.Module) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
