"""Where in a model attention happens, and which token stands where in the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from analytics.types import TokenLayout

HeadAxes = Literal["bw,h", "bh,w", "b,h,w", "b,w,h", "bwh"]
"""How images, windows and heads share the leading axes of an attention call's tensors."""


@dataclass(frozen=True)
class Site:
    """One attention call of a forward pass.

    Its tensors are always presented as (images, windows, heads, tokens, width); global
    attention has one window. `query_index` and `key_index`, int (windows, tokens), give each
    token's place in its layout, -1 for padding. They are None where tokens cannot be placed
    on the picture: such a site can be gated but not drawn.
    """

    index: int
    module: str
    call: int
    kind: Literal["fused", "explicit"]
    mixed: bool
    axes: HeadAxes
    num_windows: int
    num_heads: int
    query_tokens: int
    key_tokens: int
    query_layout: TokenLayout | None = None
    key_layout: TokenLayout | None = None
    query_index: np.ndarray | None = None
    key_index: np.ndarray | None = None

    @property
    def placed(self) -> bool:
        """Whether every query and key has a place on the picture."""
        return self.query_index is not None and self.key_index is not None

    @property
    def label(self) -> str:
        """`blocks.3.attn`, with the number of the call where a module attends more than once."""
        return self.module if self.call == 0 else f"{self.module} call {self.call}"

    def split(self, raw: Tensor) -> Tensor:
        """The model's own tensor (..., tokens, width) as (images, windows, heads, tokens, width).

        Raises:
            ValueError: the tensor does not fit; the sites were found at another input size.
        """
        windows, heads, rest = self.num_windows, self.num_heads, raw.shape[-2:]
        try:
            if self.axes in ("bw,h", "bwh"):
                return raw.reshape(-1, windows, heads, *rest)
            if self.axes == "bh,w":
                return raw.reshape(-1, heads, windows, *rest).transpose(1, 2)
            return raw.transpose(1, 2) if self.axes == "b,h,w" else raw
        except RuntimeError as error:
            raise ValueError(
                f"{self.label}: expected {windows} windows of {heads} heads, got a tensor of shape "
                f"{tuple(raw.shape)}; find the sites again for this input size"
            ) from error

    def join(self, split: Tensor, like: Tensor) -> Tensor:
        """The inverse of `split`, in the shape of `like`."""
        swapped = self.axes in ("bh,w", "b,h,w")
        return (split.transpose(1, 2) if swapped else split).reshape(like.shape)


@dataclass(frozen=True)
class SiteMap:
    """All attention sites of a model at one input size, in the order of the forward pass.

    `events` counts, per module, the attention calls and last-axis softmaxes of one forward,
    those that are no token attention included; it tells the calls of a module apart.
    `refused` names what looked like attention and is not between tokens, with the reason.
    """

    sites: tuple[Site, ...]
    events: Mapping[str, int]
    input_size: tuple[int, int]
    refused: tuple[str, ...] = ()

    @property
    def placed(self) -> tuple[Site, ...]:
        """The sites that can be drawn on the picture."""
        return tuple(site for site in self.sites if site.placed)

    @property
    def undrawable(self) -> str:
        """Why no patch's attention can be drawn on the picture; empty where it can."""
        if any(site.query_layout and site.query_layout.grid.count for site in self.placed):
            return ""
        if self.refused_notes:
            return "; ".join(self.refused_notes)
        return "the places of its tokens in the picture are not known"

    @property
    def refused_notes(self) -> tuple[str, ...]:
        """One sentence per kind of refused call, with how many there are."""
        reasons = Counter(refusal.split(" ", 1)[1] for refusal in self.refused)
        return tuple(f"{count} attention calls left out: {why}" for why, count in reasons.items())
