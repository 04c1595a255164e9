"""Which token stands where in the picture, for grids, prefix tokens and windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from analytics.types import PatchGrid, TokenLayout

Placed = tuple[TokenLayout, TokenLayout, np.ndarray, np.ndarray]
GridOf = Callable[[int], PatchGrid | None]
LayoutOf = Callable[[int], TokenLayout | None]


def prefix_names(model: nn.Module, count: int) -> tuple[str, ...]:
    """Names of `count` prefix tokens in the order that timm puts them: cls, dist, registers."""
    # Some families give the number, others only the parameter.
    number, parameter = (getattr(model, name, None) for name in ("num_reg_tokens", "reg_token"))
    registers = bool(number) or parameter is not None
    has_cls = getattr(model, "cls_token", None) is not None or not registers
    names = ["cls"] if has_cls else []
    # Some DeiT-like models keep both tokens in one parameter.
    if getattr(model, "dist_token", None) is not None or (has_cls and count == 2 and not registers):
        names.append("dist")
    return tuple((names + [f"reg{i}" for i in range(count)])[:count])


class Placer:
    """Places the tokens of attention calls on the picture, for one model and input size."""

    def __init__(self, model: nn.Module, input_size: tuple[int, int]) -> None:
        self._model = model
        self._height, self._width = input_size
        declared = getattr(model, "num_prefix_tokens", None)
        # What the model declares comes first; hierarchical models with a cls declare nothing.
        self._prefixes = [0, 1, 2] if declared is None else [declared, 0, 1, 2]

    def place(
        self,
        windows: int,
        query_tokens: int,
        key_tokens: int,
        inputs: Sequence[Tensor],
        history: Sequence[Tensor],
    ) -> Placed | None:
        """Layouts and token indices of queries and keys, or None where they are unknown.

        Args:
            windows: number of windows; 1 for global attention.
            query_tokens: queries in one window.
            key_tokens: keys in one window.
            inputs: what the module read, with tokens second to last.
            history: tensors that the forward pass made before, oldest first.
        """
        if windows == 1:
            return self._global(query_tokens, key_tokens)
        if query_tokens != key_tokens:
            return None
        found = _match_windows(windows * query_tokens, inputs, history, self.grid)
        if found is None:
            return None
        grid, index = found
        layout, index = TokenLayout((), grid), index.reshape(windows, query_tokens)
        return layout, layout, index, index

    def grid(self, count: int) -> PatchGrid | None:
        """The grid of `count` patches that has the shape of the input, or None."""
        rows = round((count * self._height / self._width) ** 0.5)
        if rows == 0 or count % rows:
            return None
        columns = count // rows
        # A padded grid may be a patch longer than the picture's shape says.
        fits = abs(columns / rows - self._width / self._height) <= 1 / rows
        return PatchGrid(rows, columns) if fits else None

    def local_attention(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Attention (queries, keys) in which each query takes the key at its own place.

        Where the grid of the keys is finer, the keys around it; where it is coarser, none.
        `shape` ends in (queries, keys); `like` gives dtype and device.
        """
        queries, keys = shape[-2:]
        local = torch.zeros(queries, keys, dtype=like.dtype, device=like.device)
        q_grid, k_grid = self.grid(queries), self.grid(keys)
        if queries == keys:
            local.fill_diagonal_(1)
        elif q_grid and k_grid and keys > queries > 1:
            y = (np.arange(k_grid.rows) + 0.5) * q_grid.rows // k_grid.rows
            x = (np.arange(k_grid.columns) + 0.5) * q_grid.columns // k_grid.columns
            nearest = (y[:, None] * q_grid.columns + x[None]).astype(int).ravel()
            local[torch.from_numpy(nearest), torch.arange(keys)] = queries / keys
        return local

    def _global(self, query_tokens: int, key_tokens: int) -> Placed | None:
        keys = self.layout(key_tokens)
        queries = self.layout(query_tokens)
        if keys is not None and query_tokens == 1 < key_tokens:
            # One query over all patches: the class token or a learned pooling query.
            name = "cls" if keys.prefix[:1] == ("cls",) else "pool"
            queries = TokenLayout((name,), PatchGrid(0, 0))
        if keys is None or queries is None:
            return None
        return queries, keys, np.arange(query_tokens)[None], np.arange(key_tokens)[None]

    def layout(self, tokens: int) -> TokenLayout | None:
        """The prefix tokens and the grid that `tokens` in picture order make up, or None."""
        for count in self._prefixes:
            grid = self.grid(tokens - count) if tokens > count else None
            if grid is not None:
                return TokenLayout(prefix_names(self._model, count), grid)
        return None


def token_at_place(
    layout: TokenLayout,
    index: np.ndarray,
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    place: tuple[float, float],
    layout_of: LayoutOf,
) -> bool:
    """Whether the tokens that changed most between two pictures are those around `place`.

    Args:
        layout: the claimed layout of the tokens.
        index: claimed place of every token in the layout, (windows, tokens).
        before: what the attention module read from the first picture, channels last.
        after: the same from the second, which differs around `place` alone.
        place: (y, x) as shares of the picture's height and width.
        layout_of: the layout of a number of tokens in picture order.
    """
    if layout.grid.count == 0:
        return True
    tokens = index.size
    for first, second in zip(before, after, strict=True):
        if prod(first.shape[:-1]) == tokens:
            return _change_is_at(first, second, layout, index.ravel(), place)
    # Tokens pooled after they were read have the order of the tensor they were pooled from.
    for first, second in zip(before, after, strict=True):
        count = prod(first.shape[1:-1])
        pooled = layout_of(count) if first.shape[0] == 1 and count > tokens else None
        if pooled is not None:
            return _change_is_at(first, second, pooled, np.arange(count), place)
    return False


def _change_is_at(
    first: Tensor,
    second: Tensor,
    layout: TokenLayout,
    index: np.ndarray,
    place: tuple[float, float],
) -> bool:
    """Whether most change between two tensors lies around `place`, and is centred on it."""
    grid, patch = layout.grid, index - len(layout.prefix)
    change = np.abs(_rows(first) - _rows(second)).sum(1)[patch >= 0]
    change = np.maximum(change - np.median(change), 0)  # what touches all tokens has no place
    row, column = np.divmod(patch[patch >= 0], grid.columns)
    position = np.stack([(row + 0.5) / grid.rows, (column + 0.5) / grid.columns], axis=1)
    offset, side = position - np.array(place), 1 / min(grid.rows, grid.columns)
    weight = change * (np.abs(offset).max(axis=1) <= max(0.25, 1.5 * side))
    if weight.sum() == 0:
        return False
    centre = (weight[:, None] * offset).sum(axis=0) / weight.sum()
    return bool(np.abs(centre).max() <= max(0.06, side) and weight.sum() >= 0.6 * change.sum())


def _match_windows(
    tokens: int, inputs: Sequence[Tensor], history: Sequence[Tensor], grid_of: GridOf
) -> tuple[PatchGrid, np.ndarray] | None:
    """Finds the tokens of windows in an earlier tensor that still had picture order.

    Partitioning copies rows exactly, so each row of the module's input is looked up, byte by
    byte, among the rows of earlier tensors; rows of padding are not found and get -1.
    """
    rows = next((_rows(t) for t in inputs if prod(t.shape[:-1]) == tokens), None)
    if rows is None:
        return None
    # The oldest tensor first: a later one may be the same rows, shifted.
    for tensor in history:
        for grid, candidate in _pictures(tensor, rows.shape[1], grid_of):
            index = _lookup(rows, candidate)
            # Every place of the grid exactly once; the rest is padding.
            found = index[index >= 0]
            if len(found) == grid.count and len(np.unique(found)) == grid.count:
                return grid, index
    return None


def _rows(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().reshape(-1, tensor.shape[-1]).numpy()


def _pictures(tensor: Tensor, width: int, grid_of: GridOf) -> list[tuple[PatchGrid, np.ndarray]]:
    """The ways to read a tensor of one image as rows of tokens in picture order."""
    if tensor.shape[0] != 1:
        return []
    readings = []
    if tensor.ndim == 4 and tensor.shape[3] == width:  # 1, rows, columns, width
        readings.append((tensor.shape[1:3], tensor))
    if tensor.ndim == 4 and tensor.shape[1] == width:  # 1, width, rows, columns
        readings.append((tensor.shape[2:], tensor.permute(0, 2, 3, 1)))
    if tensor.ndim == 3 and tensor.shape[2] == width:  # 1, tokens, width
        grid = grid_of(tensor.shape[1])
        if grid is not None:
            readings.append((torch.Size((grid.rows, grid.columns)), tensor))
    return [
        (PatchGrid(*sides), _rows(values))
        for sides, values in readings
        if grid_of(prod(sides)) == PatchGrid(*sides)
    ]


def _lookup(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Index in `among` of each of `rows`, -1 where no row is identical."""
    places = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(among))}
    return np.array([places.get(row.tobytes(), -1) for row in np.ascontiguousarray(rows)])
