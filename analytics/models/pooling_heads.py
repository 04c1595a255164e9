"""Poolings by multi-head attention: projected keys and values, one query."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from analytics.models.pooling import Pooled, Pooling, checked_bags

HEAD_WIDTH = 64
"""Width of a head where the number of heads is not given."""


class MultiHeadPooling(Pooling):
    """A learned query attends with several heads; the usual attentive pooler.

    Keys and values are projected, the query is learned as it is, and the heads' outputs are
    projected together. Parameters: D + 3 (D^2 + D).
    """

    def __init__(self, in_dim: int, num_heads: int | None = None) -> None:
        """Make query and projections; as many heads of width 64 as fit where not given."""
        heads = head_count(in_dim, num_heads)
        super().__init__(in_dim, in_dim, heads)
        self.query = nn.Parameter(torch.randn(in_dim) * 0.02)
        self.key = nn.Linear(in_dim, in_dim)
        self.value = nn.Linear(in_dim, in_dim)
        self.out = nn.Linear(in_dim, in_dim)

    def forward(self, bags: Tensor) -> Pooled:
        """Attend over the instances."""
        bags = checked_bags(bags, self.in_dim)
        query = self.query.expand(len(bags), -1)
        mixed, attention = attend(query, self.key(bags), self.value(bags), self.num_queries)
        return Pooled(self.out(mixed), attention)


class ClipPooling(Pooling):
    """CLIP's attention pool: the mean of the instances asks, with several heads.

    The mean joins the instances as a further key. Its own weight is part of the softmax and is
    left out of the attention that is returned, which is scaled to sum to 1 over the instances.
    Parameters: 4 (D^2 + D).

    Reference: Radford et al. 2021 (2103.00020), section 2.4. Differs: no position embedding, so
    that any grid can be pooled.
    """

    def __init__(self, in_dim: int, num_heads: int | None = None) -> None:
        """Make the four projections; as many heads of width 64 as fit where not given."""
        heads = head_count(in_dim, num_heads)
        super().__init__(in_dim, in_dim, heads)
        self.query, self.key, self.value, self.out = (nn.Linear(in_dim, in_dim) for _ in range(4))

    def forward(self, bags: Tensor) -> Pooled:
        """Attend from the mean over it and the instances."""
        bags = checked_bags(bags, self.in_dim)
        mean = bags.mean(1, keepdim=True)
        joined = torch.cat([mean, bags], dim=1)
        query = self.query(mean[:, 0])
        mixed, attention = attend(query, self.key(joined), self.value(joined), self.num_queries)
        return Pooled(self.out(mixed), _without_first(attention))


class ClassAttention(Pooling):
    """CaiT's class attention: a learned class token reads the instances in one whole layer.

    z = [class, x]; class + proj(attention of class over LN(z)); then a two-layer network with a
    residual. The class token's own weight is left out of the attention that is returned, which
    is scaled to sum to 1 over the instances. Parameters: 12 D^2 + 14 D.

    Reference: Touvron et al. 2021 (2103.17239), section 3. Differs: one layer and no LayerScale,
    which would hold a single layer close to its initial class token.
    """

    def __init__(self, in_dim: int, num_heads: int | None = None) -> None:
        """Make the layer; as many heads of width 64 as fit where not given."""
        heads = head_count(in_dim, num_heads)
        super().__init__(in_dim, in_dim, heads)
        self.token = nn.Parameter(torch.randn(in_dim) * 0.02)
        self.norm, self.norm_mlp = (nn.LayerNorm(in_dim, eps=1e-6) for _ in range(2))
        self.query, self.key, self.value, self.out = (nn.Linear(in_dim, in_dim) for _ in range(4))
        self.wide, self.narrow = nn.Linear(in_dim, 4 * in_dim), nn.Linear(4 * in_dim, in_dim)

    def forward(self, bags: Tensor) -> Pooled:
        """Read the instances into the class token."""
        bags = checked_bags(bags, self.in_dim)
        token = self.token.expand(len(bags), 1, -1)
        joined = self.norm(torch.cat([token, bags], dim=1))
        query = self.query(joined[:, 0])
        mixed, attention = attend(query, self.key(joined), self.value(joined), self.num_queries)
        token = token[:, 0] + self.out(mixed)
        vectors = token + self.narrow(gelu(self.wide(self.norm_mlp(token))))
        return Pooled(vectors, _without_first(attention))


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> tuple[Tensor, Tensor]:
    """One query attends with several heads.

    Args:
        query: (bags, D).
        key: (bags, instances, D).
        value: (bags, instances, D).
        num_heads: how many heads D is divided into.

    Returns:
        The heads' outputs side by side, (bags, D), and the attention, (bags, heads, instances).
    """
    query, key, value = (one.unflatten(-1, (num_heads, -1)) for one in (query, key, value))
    scale = query.shape[-1] ** -0.5
    attention = torch.einsum("bhd,bnhd->bhn", query * scale, key).softmax(-1)
    return torch.einsum("bhn,bnhd->bhd", attention, value).flatten(1), attention


def head_count(in_dim: int, num_heads: int | None) -> int:
    """A number of heads for a width: as asked, else the most of width 64 that divide it.

    Raises:
        ValueError: the heads do not divide the width.
    """
    if num_heads is None:
        most = max(1, in_dim // HEAD_WIDTH)
        return next(count for count in range(most, 0, -1) if in_dim % count == 0)
    if num_heads < 1 or in_dim % num_heads:
        raise ValueError(f"expected a number of heads that divides {in_dim}, got {num_heads}")
    return num_heads


def _without_first(attention: Tensor) -> Tensor:
    rest = attention[..., 1:]
    return rest / rest.sum(-1, keepdim=True)
