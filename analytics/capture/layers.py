"""One layer's attention kept so that any row or column can be rebuilt at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from analytics.capture.recording import Captured
from analytics.capture.sites import Site
from analytics.types import Direction, PatchGrid, TokenLayout


@dataclass(frozen=True)
class LayerAttention:
    """The attention of one layer on one image.

    A fused layer keeps q and k, (windows, heads, tokens, width), and the log of each row's
    normaliser, so that neither a row nor a column needs the N x N map; other layers keep the
    map itself, (windows, heads, queries, keys). float32.
    """

    label: str
    name: str
    num_heads: int
    query_layout: TokenLayout
    key_layout: TokenLayout
    query_index: np.ndarray
    key_index: np.ndarray
    query: np.ndarray | None = None
    key: np.ndarray | None = None
    bias: np.ndarray | None = None
    log_normaliser: np.ndarray | None = None
    scale: float = 1.0
    attention: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory of what is kept."""
        kept = (self.query, self.key, self.bias, self.log_normaliser, self.attention)
        return sum(array.nbytes for array in kept if array is not None)

    @property
    def visible_keys(self) -> int:
        """How many keys a query can attend to: all, or those of its window."""
        return int(self.key_index.shape[1])

    def rows(self, token: str, base: PatchGrid, direction: Direction) -> np.ndarray:
        """What a token attends to, or who attends to it, over the whole layout.

        Args:
            token: a prefix token's name or `row,column` of a patch of `base`.
            base: the grid that `token` counts in; a layer with a coarser or finer grid
                uses its own patch at the middle of that place.
            direction: `to`: the token's row, over keys; `from`: its column, over queries.

        Returns:
            float32 (heads, tokens of the other side); keys outside the token's window are
            0, and all is NaN where the layer has no such token.
        """
        own, other = self.query_layout, self.key_layout
        own_index, other_index = self.query_index, self.key_index
        if direction == "from":
            own, other, own_index, other_index = other, own, other_index, own_index
        place = _find(token, base, own)
        found = _position(own_index, place)
        if found is None:
            return np.full((self.num_heads, other.num_tokens), np.nan, np.float32)
        window, position = found
        taken = self._slice(window, position, direction)  # heads, window's tokens
        if len(other_index) == 1:  # one window holds all tokens in their order
            return taken
        values = np.zeros((self.num_heads, other.num_tokens), np.float32)
        inside = other_index[window] >= 0
        values[:, other_index[window][inside]] = taken[:, inside]
        return values

    def _slice(self, window: int, position: int, direction: Direction) -> np.ndarray:
        """The row or column of one token in its window, (heads, tokens of the window)."""
        to = direction == "to"
        if self.attention is not None:
            attention = self.attention[window]
            return attention[:, position] if to else attention[:, :, position]
        assert self.query is not None and self.key is not None and self.log_normaliser is not None
        own, other = (self.query, self.key) if to else (self.key, self.query)
        # NumPy, because torch would wait for its threads longer than this takes.
        logits = np.matmul(other[window], own[window, :, position, :, None])[..., 0]
        logits *= self.scale
        if self.bias is not None:
            logits += self.bias[window, :, position] if to else self.bias[window, :, :, position]
        normaliser = self.log_normaliser[window]
        logits -= normaliser[:, position, None] if to else normaliser
        return np.exp(logits, out=logits)


def keep_layer(captured: Captured, label: str) -> LayerAttention:
    """Keep one captured call of a batch of one image, on the CPU in float32.

    The call must have been captured with `query` and `key`, and with its map as `reduced`
    where the model computes it explicitly; its site must be placed.
    """
    site = captured.site
    assert site.query_layout is not None and site.key_layout is not None
    assert site.query_index is not None and site.key_index is not None
    bare = LayerAttention(
        label=label,
        name=site.label,
        num_heads=site.num_heads,
        query_layout=site.query_layout,
        key_layout=site.key_layout,
        query_index=site.query_index,
        key_index=site.key_index,
        notes=_notes(site),
    )
    if captured.query is None or captured.key is None:
        return replace(bare, attention=_array(captured.reduced[0]))
    query, key = captured.query[0].float(), captured.key[0].float()
    bias = None if captured.bias is None else captured.bias[0].float()
    scale = captured.scale or 1.0
    return replace(
        bare,
        query=_array(query),
        key=_array(key),
        bias=None if bias is None else _array(bias),
        log_normaliser=_array(_log_normaliser(query, key, bias, scale)),
        scale=scale,
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())


def _log_normaliser(
    query: torch.Tensor, key: torch.Tensor, bias: torch.Tensor | None, scale: float
) -> torch.Tensor:
    """Log of the sum of exponentials of every row, (windows, heads, queries)."""
    result = query.new_empty(query.shape[:3])
    for head in range(query.shape[1]):  # one head at a time bounds the memory
        logits = (query[:, head] * scale) @ key[:, head].mT  # windows, queries, keys
        if bias is not None:
            logits += bias[:, head]
        result[:, head] = torch.logsumexp(logits, dim=-1)
    return result


def _position(index: np.ndarray, place: int | None) -> tuple[int, int] | None:
    """Window and position in it of the token at a place; None where there is none."""
    if place is None:
        return None
    if len(index) == 1:  # the only window holds all tokens in their order
        return 0, place
    window, position = np.argwhere(index == place)[0]
    return int(window), int(position)


def _find(token: str, base: PatchGrid, layout: TokenLayout) -> int | None:
    """Index in a layer's layout of a token of the base layout; None where it has none."""
    if token in layout.prefix:
        return layout.prefix.index(token)
    if "," not in token or layout.grid.count == 0:
        return None
    row, column = (int(part) for part in token.split(","))
    own_row = (2 * row + 1) * layout.grid.rows // (2 * base.rows)
    own_column = (2 * column + 1) * layout.grid.columns // (2 * base.columns)
    return len(layout.prefix) + own_row * layout.grid.columns + own_column


def _notes(site: Site) -> tuple[str, ...]:
    notes = []
    if site.mixed:
        notes.append(
            "attention is changed after the softmax (heads mixed or gated): rows need not sum to 1 "
            "and values can be negative"
        )
    if site.num_windows > 1:
        notes.append(f"attends inside {site.num_windows} windows; keys outside the window are 0")
    if site.key_index is not None and (site.key_index < 0).any():
        notes.append("keys of padding are not shown: rows may sum to less than 1")
    if site.query_layout != site.key_layout:
        notes.append("queries and keys lie on different grids")
    return tuple(notes)
