"""What one view of the lens shows: which rows, on which scale, in which words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from analytics.types import Direction, PatchGrid
from analytics.views.colours import NAMES

Scale = Literal["map", "layer", "all"]
CLIP = 99.5
"""Percentile of the patch values that gets the last colour; larger values are clipped."""

SCALE_WORDS = {
    "map": "each map on its own scale",
    "layer": "one scale per layer",
    "all": "one scale for all maps",
}


@dataclass(frozen=True)
class LensView:
    """The choices of a reader of the lens: enough to draw the same picture again.

    `heads` are (layer, head) pairs whose mean is enlarged; None enlarges `head` of `layer`.
    """

    token: str = "cls"
    direction: Direction = "to"
    layer: int = 0
    head: int = 0
    heads: tuple[tuple[int, int], ...] | None = None
    scale: Scale = "map"
    cmap: str = "inferno"
    opacity: float = 0.85

    def __post_init__(self) -> None:
        """Check what can be checked without a model.

        Raises:
            ValueError: a choice is none of those offered.
        """
        for name, value, allowed in (
            ("direction", self.direction, get_args(Direction)),
            ("scale", self.scale, get_args(Scale)),
            ("colour map", self.cmap, NAMES),
        ):
            if value not in allowed:
                raise ValueError(f"expected a {name} out of {', '.join(allowed)}; got {value!r}")
        if not 0.0 <= self.opacity <= 1.0:
            raise ValueError(f"expected an opacity from 0 to 1; got {self.opacity}")
        if self.heads is not None and not self.heads:
            raise ValueError("expected at least one head for the mean, got none; name one")

    @property
    def chosen(self) -> tuple[tuple[int, int], ...]:
        """(layer, head) of the enlarged map: one, or those under the mean, in reading order."""
        return ((self.layer, self.head),) if self.heads is None else tuple(sorted(self.heads))


@dataclass(frozen=True)
class LayerMaps:
    """One layer's attention for the chosen query.

    `attention` is float32 (heads, tokens), prefix tokens first, then the patches of
    `grid`, row-major; NaN where the layer has no such query.
    """

    label: str
    prefix: tuple[str, ...]
    grid: PatchGrid
    attention: np.ndarray

    @property
    def patches(self) -> np.ndarray:
        """Attention at the patches: float32 (heads, rows, columns)."""
        kept = self.attention[:, len(self.prefix) :]  # (heads, patches)
        return kept.reshape(len(kept), self.grid.rows, self.grid.columns)


def check_view(view: LensView, layers: tuple[LayerMaps, ...]) -> None:
    """Refuse a view whose layer or heads the model does not have.

    Raises:
        ValueError: names the layers or heads there are.
    """
    for layer, head in (*view.chosen, (view.layer, view.head)):
        if not 0 <= layer < len(layers):
            raise ValueError(f"expected a layer from 0 to {len(layers) - 1}; got {layer}")
        count = len(layers[layer].attention)
        if not 0 <= head < count:
            raise ValueError(f"expected a head from 0 to {count - 1} in layer {layer}; got {head}")


def enlarged(view: LensView, layers: tuple[LayerMaps, ...], base: PatchGrid) -> np.ndarray:
    """The enlarged map: one head on its layer's grid, or a mean on the base grid.

    In a mean, a coarser map counts for every patch of `base` that it covers.

    Returns:
        float32 (rows, columns).
    """
    if view.heads is None:
        return layers[view.layer].patches[view.head]
    maps = [_spread(layers[layer].patches[head], base) for layer, head in view.chosen]
    return np.stack(maps).mean(axis=0, dtype=np.float32)  # (rows, columns)


def _spread(values: np.ndarray, base: PatchGrid) -> np.ndarray:
    """Values of one grid, read at the centres of the patches of another."""
    rows, columns = values.shape
    down = ((np.arange(base.rows) + 0.5) * rows / base.rows).astype(int)
    across = ((np.arange(base.columns) + 0.5) * columns / base.columns).astype(int)
    return values[down[:, None], across[None, :]]


def limit(values: np.ndarray) -> float:
    """`CLIP`th percentile of what is not NaN: the value of the last colour; 0 if all is NaN."""
    known = values[~np.isnan(values)]
    return float(np.percentile(known, CLIP)) if known.size else 0.0


def limits(layers: tuple[LayerMaps, ...], scale: Scale) -> list[list[float]]:
    """Value of the last colour of every map, [layer][head], under a scale; the first is 0."""
    if scale == "all":
        shared = limit(np.concatenate([layer.patches.ravel() for layer in layers]))
        return [[shared] * len(layer.attention) for layer in layers]
    if scale == "layer":
        return [[limit(layer.patches)] * len(layer.attention) for layer in layers]
    return [[limit(one) for one in layer.patches] for layer in layers]


def enlarged_limit(view: LensView, layers: tuple[LayerMaps, ...], base: PatchGrid) -> float:
    """Value of the last colour of the enlarged map; a mean has its own scale."""
    if view.heads is None:
        return limits(layers, view.scale)[view.layer][view.head]
    return limit(enlarged(view, layers, base))


def prefix_share(view: LensView, layers: tuple[LayerMaps, ...]) -> float:
    """Share of the enlarged attention that lies on prefix tokens (0 where there are none).

    NaN where the layer has no such query.
    """
    rows = [layers[layer].attention[head] for layer, head in view.chosen]
    counts = [len(layers[layer].prefix) for layer, _ in view.chosen]
    on_prefix = sum(float(row[:count].sum()) for row, count in zip(rows, counts, strict=True))
    whole = sum(float(row.sum()) for row in rows)
    return on_prefix / whole if whole else 0.0


def parse_heads(text: str, layer: int) -> tuple[tuple[int, int], ...] | None:
    """Heads as an address or the command line writes them; None for an empty text.

    Args:
        text: `9:3,11:0` (layer:head), `L9H3,L11H0`, or `3,0`, heads of `layer`.
        layer: the layer of heads that name none.

    Raises:
        ValueError: an entry has another form.
    """
    found = []
    for entry in filter(None, text.replace(" ", "").split(",")):
        match = re.fullmatch(r"(?:L?(\d+)[:H])?H?(\d+)", entry, re.IGNORECASE | re.ASCII)
        if not match:
            raise ValueError(f"expected heads as 9:3,11:0 (layer:head) or 3,0; got {text!r}")
        found.append((int(match.group(1) or layer), int(match.group(2))))
    return tuple(dict.fromkeys(found)) or None


def token_words(token: str) -> str:
    """A token as a reader says it: `cls`, `register 0`, `patch (7, 9)`."""
    if token.startswith("reg") and token[3:].isdecimal():
        return f"register {token[3:]}"
    row, comma, column = token.partition(",")
    return f"patch ({int(row)}, {int(column)})" if comma else token


def head_words(view: LensView) -> str:
    """Layer and heads as printed everywhere: `L3 H5`, `mean of L3 H0-H5`."""
    if len(view.chosen) == 1:
        layer, head = view.chosen[0]
        return f"L{layer} H{head}"
    heads = [head for _, head in view.chosen]
    if len({layer for layer, _ in view.chosen}) > 1:
        return "mean of " + ", ".join(f"L{layer} H{head}" for layer, head in view.chosen)
    if heads == list(range(heads[0], heads[-1] + 1)):
        return f"mean of L{view.chosen[0][0]} H{heads[0]}-H{heads[-1]}"
    return f"mean of L{view.chosen[0][0]} " + ", ".join(f"H{head}" for head in heads)


def title(view: LensView) -> str:
    """One line that says what the figure shows."""
    token = token_words(view.token)
    way = f"from {token}" if view.direction == "to" else f"to {token}"
    return f"Attention {way}, {head_words(view)}"
