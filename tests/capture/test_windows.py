"""Where the tokens of windows stand, against grids partitioned independently."""

import numpy as np
import pytest
import torch

from analytics.capture.layers import keep_layer
from analytics.capture.recording import capture
from analytics.types import PatchGrid


def cut(places, height, width):
    """Windows of height x width out of a grid of places, (windows, tokens), left to right."""
    rows, columns = places.shape
    windows = [
        places[top : top + height, left : left + width].ravel()
        for top in range(0, rows, height)
        for left in range(0, columns, width)
    ]
    return np.stack(windows)


def spread(places, height, width):
    """MaxViT's grid attention: height x width places far apart, for each offset among them."""
    rows, columns = places.shape
    down, right = rows // height, columns // width
    return np.stack([places[y::down, x::right].ravel() for y in range(down) for x in range(right)])


def numbered(grid):
    return np.arange(grid.count).reshape(grid.rows, grid.columns)


def shifted(grid, window, shift):
    """Swin's windows: roll by minus the shift, pad at the bottom and right, cut."""
    places = np.roll(numbered(grid), (-shift[0], -shift[1]), (0, 1))
    down, right = -grid.rows % window[0], -grid.columns % window[1]
    return cut(np.pad(places, ((0, down), (0, right)), constant_values=-1), *window)


def on_the_grid(one, head=0):
    """One head's attention of the first image over the whole grid, (tokens, tokens)."""
    site = one.site
    count = site.query_layout.num_tokens
    full = np.zeros((count, count))
    for window, attention in enumerate(one.attention[0, :, head].numpy()):
        for place, row in zip(site.query_index[window], attention, strict=True):
            for key, value in zip(site.key_index[window], row, strict=True):
                if place >= 0 and key >= 0:
                    full[place, key] += value
    return full


def maps_of(model, sites, pixels):
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        model(pixels)
    return captured


@pytest.mark.parametrize("kind", ["swin", "swin v2"])
@pytest.mark.parametrize("size", [(64, 64), (72, 104), (88, 64)])
def test_every_shifted_window_stands_where_it_was_cut(kind, size, subject):
    model, sites = subject(kind, size)
    padded = size != (64, 64)
    shifts = set()
    for site in sites.sites:
        block = model.get_submodule(site.module.removesuffix(".attn"))
        stage = int(site.module.split(".")[1])
        grid = PatchGrid(-(-size[0] // 4 // 2**stage), -(-size[1] // 4 // 2**stage))
        assert site.query_layout.grid == site.key_layout.grid == grid
        expected = shifted(grid, block.window_size, block.shift_size)
        assert np.array_equal(site.query_index, expected)
        assert np.array_equal(site.key_index, expected)
        shifts.add((stage, tuple(block.shift_size)))
    assert shifts == {(0, (0, 0)), (0, (2, 2)), (1, (0, 0)), (1, (2, 2))}
    assert any((site.query_index < 0).any() for site in sites.sites) == padded


@pytest.mark.parametrize("kind", ["swin", "swin v2"])
def test_rows_on_the_grid_sum_to_one_and_stay_within_reach(kind, subject, noise):
    model, sites = subject(kind)
    for one in maps_of(model, sites, noise(sites)):
        full, columns = on_the_grid(one), one.site.query_layout.grid.columns
        assert np.abs(full.sum(1) - 1).max() < 1e-5
        y, x = np.divmod(np.arange(len(full)), columns)
        far = np.maximum(abs(y[:, None] - y), abs(x[:, None] - x)) >= 4
        # The windows at the rim join opposite sides of the picture; the model masks those.
        assert full[far].max() < 1e-6
        assert full[~far].max() > 0.05


def test_padding_takes_a_part_of_each_row_and_is_noted(subject, noise):
    model, sites = subject("swin", (72, 104))
    keep = {"keep": ("attention",), "reduce": lambda heads: heads.attention()}
    with torch.no_grad(), capture(model, sites, **keep) as captured:
        model(noise(sites))
    least = []
    for one in captured:
        sums = on_the_grid(one).sum(1)
        padded = bool((one.site.key_index < 0).any())
        assert sums.max() < 1 + 1e-5
        assert padded or sums.min() > 1 - 1e-5
        notes = keep_layer(one, "L0").notes
        assert any("padding" in note for note in notes) == padded
        least.append(sums.min())
    # The mask of a shifted layer may hide all of its padding.
    assert min(least) < 0.999


@pytest.mark.parametrize("size", [64, (64, 96)])
def test_maxvit_attends_in_blocks_and_over_a_grid(size, subject):
    _, sites = subject("maxvit", size)
    assert len(sites.placed) == len(sites.sites)
    sides = (size, size) if isinstance(size, int) else size
    for site in sites.sites:
        stage = int(site.module.split(".")[1])
        grid = PatchGrid(sides[0] // 4 >> stage, sides[1] // 4 >> stage)
        partition = cut if "attn_block" in site.module else spread
        window = (sides[0] // 32, sides[1] // 32)
        assert site.query_layout.grid == grid
        assert np.array_equal(site.query_index, partition(numbered(grid), *window))


def test_twins_attends_in_blocks_and_to_a_coarse_grid(subject):
    _, sites = subject("twins")
    assert len(sites.placed) == len(sites.sites) == 8
    for site in sites.sites:
        stage, block = (int(part) for part in site.module.split(".")[1:3])
        grid = PatchGrid(16 >> stage, 16 >> stage)
        assert site.query_layout.grid == grid
        window = (4, 4, 4, 2)[stage]
        if block % 2 == 0:
            assert np.array_equal(site.query_index, cut(numbered(grid), window, window))
        else:
            assert site.key_layout.grid == PatchGrid(2, 2)
            assert np.array_equal(site.key_index, [[0, 1, 2, 3]])


def test_davit_windows(subject):
    _, sites = subject("davit")
    grids = [PatchGrid(16, 16), PatchGrid(8, 8)]
    for site, grid in zip(sites.sites, grids, strict=True):
        assert np.array_equal(site.query_index, cut(numbered(grid), 4, 4))
