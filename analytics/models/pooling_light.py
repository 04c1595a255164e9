"""Poolings whose attention comes from a few queries on the instances as they are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from analytics.models.pooling import Pooled, Pooling, checked_bags


class EfficientProbing(Pooling):
    """Efficient probing: each learned query pools the instances, then projects its own slice.

    a_j = softmax_n(q_j . x_n / sqrt(D)); V = X W; the j-th part of the vector is the sum over n of
    a_jn times the j-th slice of V_n. The sum and the product change places: every query pools the
    instances first and its slice of W is applied to one vector instead of to all instances. The
    numbers are the same; the work falls from instances * D^2 / d_o to instances * queries * D.

    Parameters: queries * D + D^2 / d_o. Known answer: D = 768, 32 queries, d_o = 1: 614,400.

    Reference: Psomas et al. 2025 (2506.10178), section 3.
    """

    def __init__(self, in_dim: int, num_queries: int = 32, reduction: int = 1) -> None:
        """Make queries and projection.

        Args:
            in_dim: D, the width of an instance.
            num_queries: how many attention maps.
            reduction: d_o, the width of an instance over that of the vector.

        Raises:
            ValueError: the width does not divide into the slices.
        """
        slices = num_queries * reduction
        if num_queries < 1 or reduction < 1 or in_dim % slices:
            raise ValueError(
                f"expected a width that {num_queries} queries x reduction {reduction} divide, got "
                f"{in_dim}; take another number of queries, as {_near_divisor(in_dim, slices)}"
            )
        super().__init__(in_dim, in_dim // reduction, num_queries)
        self.queries = nn.Parameter(torch.randn(num_queries, in_dim) * 0.02)
        # Slice j of the projection stands in rows j * width to (j + 1) * width.
        self.projection = nn.Parameter(torch.empty(self.out_dim, in_dim))
        nn.init.trunc_normal_(self.projection, std=0.02)

    def forward(self, bags: Tensor) -> Pooled:
        """Pool first, project each query's slice afterwards."""
        bags = checked_bags(bags, self.in_dim)
        logits = torch.matmul(self.queries / math.sqrt(self.in_dim), bags.mT)
        attention = logits.softmax(-1)  # bags, queries, instances
        pooled = torch.bmm(attention, bags)  # bags, queries, D
        slices = self.projection.view(self.num_queries, -1, self.in_dim)  # queries, width, D
        parts = torch.bmm(pooled.transpose(0, 1), slices.mT)  # queries, bags, width
        return Pooled(parts.transpose(0, 1).flatten(1), attention)


class AttentionMLP(Pooling):
    """AbMILP: one attention map from a small network, over the instances as they are.

    a = softmax_n(w . tanh(V x_n + b)); the vector is the sum of a_n x_n. Parameters:
    hidden * (D + 2).

    Reference: Ilse et al. 2018 (1802.04712), equation 8; as a probe, Przewiezlikowski et al. 2024
    (2412.03215). Differs: the hidden width of the probe is ours, 128 as in the former.
    """

    def __init__(self, in_dim: int, hidden: int = 128) -> None:
        """Make the network."""
        super().__init__(in_dim, in_dim, 1)
        self.hidden = nn.Linear(in_dim, hidden)
        self.weigh = nn.Linear(hidden, 1, bias=False)

    def forward(self, bags: Tensor) -> Pooled:
        """Weigh instances and add them up."""
        bags = checked_bags(bags, self.in_dim)
        logits = self.weigh(torch.tanh(self.hidden(bags)))  # bags, instances, 1
        attention = logits.transpose(1, 2).softmax(-1)
        return Pooled(torch.bmm(attention, bags)[:, 0], attention)


class SimPool(Pooling):
    """SimPool: the mean asks, normalised instances answer, and a generalised mean adds up.

    q = W_q mean(x); k_n = W_k LN(x_n); a = softmax_n(q . k_n / sqrt(D)); with v = LN(x) - min the
    vector is (sum_n a_n v_n^gamma)^(1 / gamma). Parameters: 2 D^2 + 2 D.

    Reference: Psomas et al. 2023 (2309.06891), section 3. Differs: the smallest value is that of
    the bag, not of the batch, so that a bag's vector does not depend on its neighbours.
    """

    def __init__(self, in_dim: int, gamma: float = 1.25) -> None:
        """Make query and key projections; gamma is 1.25 for transformers, as published."""
        super().__init__(in_dim, in_dim, 1)
        self.gamma = gamma
        self.norm = nn.LayerNorm(in_dim, eps=1e-6)
        self.query = nn.Linear(in_dim, in_dim, bias=False)
        self.key = nn.Linear(in_dim, in_dim, bias=False)

    def forward(self, bags: Tensor) -> Pooled:
        """One query of each bag's own mean."""
        bags = checked_bags(bags, self.in_dim)
        normed = self.norm(bags)
        query = self.query(bags.mean(1, keepdim=True)) / math.sqrt(self.in_dim)
        # q . (W_k x) = (q W_k) . x: the key of every instance need not be made.
        attention = torch.bmm(query @ self.key.weight, normed.mT).softmax(-1)
        value = normed - normed.amin((1, 2), keepdim=True) + 1e-6
        powered = torch.bmm(attention, value**self.gamma)[:, 0]
        return Pooled(powered ** (1 / self.gamma), attention)


def _near_divisor(width: int, wanted: int) -> int:
    """The divisor of a width nearest to a wanted one."""
    divisors = [one for one in range(1, width + 1) if width % one == 0]
    return min(divisors, key=lambda one: abs(one - wanted))
