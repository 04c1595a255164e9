"""How fast what is read changes as a head is turned down: one backward pass for all heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analytics.capture.recording import Gates, capture
from analytics.capture.sites import Site, SiteMap
from analytics.capture.streams import join_tokens
from analytics.studies.reading import Read, Reader

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel

Loss = Callable[[Read], Tensor]
"""One number for each picture, (b,)."""


def gate_slopes(
    loaded: LoadedModel,
    sites: SiteMap,
    layers: Sequence[Site],
    reader: Reader,
    pixels: Tensor,
    losses: Mapping[str, Loss],
) -> tuple[dict[str, Tensor], Read]:
    """Derivative of each picture's losses by the gate of every head at 1.

    One forward pass, and one backward pass for each loss.

    Args:
        loaded: the model.
        sites: where it attends.
        layers: the sites whose heads have a gate.
        reader: reads the forward pass.
        pixels: (b, 3, height, width).
        losses: by name, made of what is read.

    Returns:
        Per loss float32 (b, heads), layer by layer: the sum over tokens and dimensions of
        o * dL/do for the head output o. And what was read, without its graph.
    """
    gates = {
        site.index: torch.ones(
            len(pixels), site.num_heads, device=pixels.device, requires_grad=True
        )
        for site in layers
    }
    with torch.enable_grad(), capture(loaded.module, sites, gates=Gates(gates)):
        read = reader.read(*forward_with_read(loaded.module, pixels, reader.read_layer))
        totals = {name: loss(read).sum() for name, loss in losses.items()}
    slopes = {
        name: torch.autograd.grad(total, list(gates.values()), retain_graph=True, allow_unused=True)
        for name, total in totals.items()
    }
    # A layer after the one that is read has no slope.
    joined = {
        name: torch.cat(
            [
                torch.zeros_like(gate) if one is None else one
                for gate, one in zip(gates.values(), found, strict=True)
            ],
            dim=1,
        ).float()
        for name, found in slopes.items()
    }
    return joined, Read(*(None if one is None else one.detach() for one in read))  # type: ignore[arg-type]


def along_random_direction(read: Read, seed: int) -> Tensor:
    """Each unit embedding along one random direction at right angles to it, (b,).

    The direction has length sqrt(width): the mean square of a slope over directions is then
    the squared length of the embedding's own derivative (up to width / (width - 1)).
    """
    unit = F.normalize(read.embedding.float(), dim=1)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(unit.shape, generator=generator).to(unit)
    own = unit.detach()
    direction = F.normalize(direction - (direction * own).sum(1, keepdim=True) * own, dim=1)
    return (unit * direction).sum(1) * unit.shape[1] ** 0.5


def log_probability(read: Read, classes: Tensor) -> Tensor:
    """Log probability of each picture's class, (b,)."""
    assert read.probabilities is not None
    return read.probabilities.clamp(min=1e-12).log().gather(1, classes[:, None])[:, 0]


def likeness(read: Read, prototypes: Tensor | None) -> Tensor:
    """Cosine of each embedding to its prototype, (b,).

    Raises:
        ValueError: no prototypes: a picture's own embedding would have slope 0 for every head.
    """
    if prototypes is None:
        raise ValueError(
            "the metric taylor without a classifier compares a picture with the mean of the "
            "others, got one picture; add pictures, or fit a read-out"
        )
    return F.cosine_similarity(read.embedding.float(), prototypes.float(), dim=1)


def forward_with_read(
    module: nn.Module, pixels: Tensor, layer: int | None
) -> tuple[Tensor, Tensor | None]:
    """The features, and the output of a layer where one is read; gradients flow."""
    if layer is None:
        return module.forward_features(pixels), None  # type: ignore[operator]
    final, (read,) = module.forward_intermediates(  # type: ignore[operator]
        pixels,
        indices=[layer],
        norm=False,
        output_fmt="NLC",
        return_prefix_tokens=bool(getattr(module, "num_prefix_tokens", 0)),
    )
    return final, join_tokens(read)
