"""One family of poolings: a bag of instances becomes one vector, and where it looked is known.

A bag holds the patch tokens of a picture, or the tiles of a slide. Every pooling answers the same
call, so that studies, benchmarks and pages treat all alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Pooled:
    """What a pooling makes of bags.

    `vectors` is (bags, out_dim); `attention` (bags, queries, instances) with rows that sum to 1,
    None where instances are not weighed.
    """

    vectors: Tensor
    attention: Tensor | None


class Pooling(nn.Module):
    """Bags (bags, instances, in_dim) in, `Pooled` out.

    `in_dim` is the width of an instance, `out_dim` that of the vector of a bag, `num_queries` the
    number of attention maps, 0 where there is none.
    """

    def __init__(self, in_dim: int, out_dim: int, num_queries: int) -> None:
        """Say how wide everything is.

        Raises:
            ValueError: a width that is not positive.
        """
        super().__init__()
        if in_dim < 1 or out_dim < 1 or num_queries < 0:
            raise ValueError(
                f"expected widths of at least 1, got in_dim={in_dim}, out_dim={out_dim} and "
                f"num_queries={num_queries}"
            )
        self.in_dim, self.out_dim, self.num_queries = in_dim, out_dim, num_queries

    @property
    def num_parameters(self) -> int:
        """How many numbers are fitted."""
        return sum(one.numel() for one in self.parameters())


class MeanPooling(Pooling):
    """The mean of all instances: every one counts alike. 0 parameters."""

    def __init__(self, in_dim: int) -> None:
        """Nothing is fitted."""
        super().__init__(in_dim, in_dim, 1)

    def forward(self, bags: Tensor) -> Pooled:
        """Mean, with attention 1 / instances."""
        count = bags.shape[1]
        attention = bags.new_full((len(bags), 1, count), 1 / count)
        return Pooled(bags.mean(1), attention)


class MaxPooling(Pooling):
    """The largest value of each dimension. 0 parameters; there is no attention."""

    def __init__(self, in_dim: int) -> None:
        """Nothing is fitted."""
        super().__init__(in_dim, in_dim, 0)

    def forward(self, bags: Tensor) -> Pooled:
        """Maximum over the instances, dimension by dimension."""
        return Pooled(bags.amax(1), None)


class AttentiveProbe(nn.Module):
    """A pooling and a linear classifier on top of it, for features that stay as they are.

    The vector is standardised by batch statistics without learned scale, as in attentive
    probing, and read out linearly: out_dim * classes + classes parameters.

    Reference: Psomas et al. 2025 (2506.10178), section 3.
    """

    def __init__(self, pooling: Pooling, num_classes: int) -> None:
        """Put a classifier on a pooling.

        Raises:
            ValueError: fewer than two classes.
        """
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"expected at least 2 classes to tell apart, got {num_classes}")
        self.pooling = pooling
        self.norm = nn.BatchNorm1d(pooling.out_dim, affine=False)
        self.classifier = nn.Linear(pooling.out_dim, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, bags: Tensor) -> Tensor:
        """Logits (bags, classes) of bags (bags, instances, in_dim)."""
        logits: Tensor = self.classifier(self.norm(self.pooling(bags).vectors))
        return logits


def forward_flops(pooling: Pooling, instances: int) -> int:
    """Floating-point operations of the matrix products for one bag, 2 for a multiply-add.

    Args:
        pooling: any of the family.
        instances: how many instances the bag holds.

    Known answer: efficient probing with 32 queries, 196 instances of width 768: 20.4 million.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    device = next((one.device for one in pooling.parameters()), torch.device("cpu"))
    with counter, torch.no_grad():
        pooling(torch.zeros(1, instances, pooling.in_dim, device=device))
    return int(counter.get_total_flops())


def checked_bags(bags: Tensor, in_dim: int) -> Tensor:
    """Bags as they are.

    Raises:
        ValueError: another shape than (bags, instances, in_dim), or no instance.
    """
    if bags.ndim != 3 or bags.shape[2] != in_dim or not bags.shape[1]:
        raise ValueError(
            f"expected bags of shape (bags, instances, {in_dim}) with at least one instance, got "
            f"{tuple(bags.shape)}; fit the pooling on features of this width"
        )
    return bags
