"""Small maps: known answers, and a twin that goes patch by patch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from analytics.metrics.patterns import (
    CLS_PARTS,
    MAP_PARTS,
    MOST,
    SIDE,
    area_shares,
    log_scale,
    small_cls_row,
    small_map,
    times_uniform,
)
from analytics.types import PatchGrid, TokenLayout


def overlap(patch: int, length: int, part: int, parts: int) -> float:
    """How much of a patch lies in a part."""
    low, high = part * length / parts, (part + 1) * length / parts
    return max(0.0, min(high, patch + 1) - max(low, patch))


def by_hand(attention, grid: PatchGrid) -> np.ndarray:
    """Area by area: mean over queries, mass over keys, times 64."""
    found = np.zeros((SIDE, SIDE))
    for part in range(SIDE):
        weights = np.array(
            [
                overlap(patch // grid.columns, grid.rows, part // MAP_PARTS, MAP_PARTS)
                * overlap(patch % grid.columns, grid.columns, part % MAP_PARTS, MAP_PARTS)
                for patch in range(grid.count)
            ]
        )
        found[part] = weights @ _keys(attention, grid) / weights.sum()
    return found * SIDE


def _keys(attention, grid: PatchGrid) -> np.ndarray:
    mass = np.zeros((grid.count, SIDE))
    for key in range(grid.count):
        for part in range(SIDE):
            share = overlap(key // grid.columns, grid.rows, part // MAP_PARTS, MAP_PARTS)
            share *= overlap(key % grid.columns, grid.columns, part % MAP_PARTS, MAP_PARTS)
            mass[:, part] += attention[:, key] * share
    return mass


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (9, 4)])
def test_an_oblong_grid_equals_the_twin(rows, columns):
    grid = PatchGrid(rows, columns)
    layout = TokenLayout(("cls", "reg0"), grid)
    generator = torch.Generator().manual_seed(0)
    attention = torch.rand(layout.num_tokens, layout.num_tokens, generator=generator).softmax(-1)
    found = small_map(attention, layout, layout)
    np.testing.assert_allclose(found, by_hand(attention[2:, 2:].numpy(), grid), atol=1e-5)
    # Mass on patches stays: the mean over key parts is the mass, over the queries its mean.
    mass = attention[2:, 2:].sum(-1).mean()
    assert float(found.mean()) == pytest.approx(float(mass), abs=1e-5)


@pytest.mark.parametrize("grid", [PatchGrid(8, 8), PatchGrid(7, 7), PatchGrid(14, 5)])
def test_uniform_attention_is_1_on_any_grid(grid):
    layout = TokenLayout((), grid)
    uniform = torch.full((2, grid.count, grid.count), 1 / grid.count)
    torch.testing.assert_close(small_map(uniform, layout, layout), torch.ones(2, SIDE, SIDE))


def test_identity_is_64_on_the_diagonal_of_8_by_8():
    layout = TokenLayout((), PatchGrid(8, 8))
    torch.testing.assert_close(small_map(torch.eye(64), layout, layout), 64 * torch.eye(64))


def test_queries_and_keys_may_lie_on_different_grids():
    queries, keys = TokenLayout((), PatchGrid(8, 8)), TokenLayout((), PatchGrid(4, 4))
    found = small_map(torch.full((64, 16), 1 / 16), queries, keys)
    torch.testing.assert_close(found, torch.ones(SIDE, SIDE))


def test_the_row_of_cls():
    layout = TokenLayout(("cls",), PatchGrid(4, 4))
    attention = torch.zeros(17, 17)
    attention[0, 1] = 1  # the patch at the top left: 4 x 4 of the 16 x 16 parts
    found = small_cls_row(attention, layout, layout)
    assert found.shape == (CLS_PARTS, CLS_PARTS)
    torch.testing.assert_close(found[:4, :4], torch.full((4, 4), 16.0))
    assert float(found.sum()) == pytest.approx(256)
    bare = TokenLayout((), PatchGrid(4, 4))
    assert not small_cls_row(torch.rand(16, 16), bare, bare).any()


def test_nan_stays_nan():
    layout = TokenLayout((), PatchGrid(8, 8))
    assert small_map(torch.full((64, 64), torch.nan), layout, layout).isnan().all()


def test_area_shares_by_hand():
    expected = torch.tensor([[1, 0.5, 0], [0, 0.5, 1]])
    torch.testing.assert_close(area_shares(3, 2), expected)


def test_the_log_scale_and_back():
    values = torch.tensor([0.0, 1.0, 64.0])
    scaled = log_scale(values, MOST)
    torch.testing.assert_close(scaled, torch.tensor([0, math.log(2) / math.log(65), 1]))
    torch.testing.assert_close(times_uniform(scaled, MOST), values)


def test_attention_of_another_layout_is_refused():
    layout = TokenLayout(("cls",), PatchGrid(4, 4))
    with pytest.raises(ValueError, match="17, 17"):
        small_map(torch.rand(16, 16), layout, layout)
