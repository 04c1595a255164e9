"""Windows joined on the full grid: made ones by hand, and those of Swin models by loops."""

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.metrics.grids import heads_on_grid, scatter_to_grid
from analytics.metrics.strength import hop_mass, mean_distance

STAGES = {"patch_size": 4, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}
MADE = {"swin": SwinTransformer, "swin v2": SwinTransformerV2}
# 14 x 10 and 7 x 5 patches: windows of 4 divide neither and are padded.
SIZES = {"whole windows": (64, 64), "oblong": (64, 32), "padded": (56, 40)}


def captured_windows(kind, size):
    """The windows' attention of every layer of a small shifted-window model, with their sites."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MADE[kind](img_size=size, **STAGES).eval().requires_grad_(False)
        pixels = torch.randn(2, 3, *size)
    sites = find_sites(model, size)
    with torch.no_grad(), capture(model, sites, reduce=lambda heads: heads.attention()) as kept:
        model(pixels)
    return [(one.site, one.reduced) for one in kept]


def joined_by_loop(site, attention):
    images, _, heads = attention.shape[:3]
    tokens = site.query_layout.num_tokens, site.key_layout.num_tokens
    grid = np.zeros((images, heads, *tokens), np.float32)
    for window, (queries, keys) in enumerate(zip(site.query_index, site.key_index, strict=True)):
        for a, query in enumerate(queries):
            for b, key in enumerate(keys):
                if query >= 0 and key >= 0:
                    grid[:, :, query, key] = attention[:, window, :, a, b]
    return torch.from_numpy(grid)


def on_grid(site, attention):
    tokens = site.query_layout.num_tokens, site.key_layout.num_tokens
    return scatter_to_grid(attention, site.query_index, site.key_index, *tokens)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_windows_of_swin_are_joined_as_by_a_loop(kind, size):
    layers = captured_windows(kind, size)
    assert len(layers) == 4
    assert any(site.num_windows > 1 for site, _ in layers)
    for site, attention in layers:
        grid = on_grid(site, attention)
        assert torch.equal(grid, joined_by_loop(site, attention))
        padded = bool((site.key_index < 0).any())
        assert padded == (size == SIZES["padded"])
        rows = grid.sum(-1)
        assert (rows <= 1 + 1e-5).all()
        if not padded:
            torch.testing.assert_close(rows, torch.ones_like(rows))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_no_mass_lies_beyond_the_reach_of_a_window(size):
    layers = captured_windows("swin", size)
    # timm rolls before it pads but masks as if after: its shifted windows that are padded do
    # look across the picture's edge.
    for site, attention in layers[::2] if size == SIZES["padded"] else layers:
        hops = hop_mass(on_grid(site, attention), site.query_layout)
        torch.testing.assert_close(hops.sum(-1), torch.ones_like(hops[..., 0]))
        assert hops[..., :4].min() > 0.01
        assert hops[..., 4:].sum() < 1e-6


@pytest.mark.parametrize("rule", ["renormalised", "raw"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_distance_on_the_grid_is_that_within_the_windows(size, rule):
    for site, attention in captured_windows("swin", size):
        columns = site.query_layout.grid.columns
        total = torch.zeros(attention.shape[0], attention.shape[2])
        for window, (queries, keys) in enumerate(
            zip(site.query_index, site.key_index, strict=True)
        ):
            for a, query in enumerate(queries):
                if query < 0:
                    continue
                row = attention[:, window, :, a, keys >= 0]
                keys_here = keys[keys >= 0]
                far = np.hypot(
                    keys_here // columns - query // columns, keys_here % columns - query % columns
                )
                whole = row.sum(-1) if rule == "renormalised" else 1
                total += (row * torch.from_numpy(far).float()).sum(-1) / whole
        found = mean_distance(on_grid(site, attention), site.query_layout, rule)
        torch.testing.assert_close(found, total / site.query_layout.grid.count)


def test_two_windows_by_hand():
    attention = torch.tensor([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])[None, :, None]
    index = np.array([[3, 0], [1, -1]])
    grid = scatter_to_grid(attention, index, index, 4, 4)
    expected = [[4, 0, 0, 3], [0, 5, 0, 0], [0, 0, 0, 0], [2, 0, 0, 1]]
    assert grid.tolist() == [[expected]]


def test_queries_and_keys_may_have_layouts_of_their_own():
    attention = torch.tensor([[[0.25, 0.75]], [[0.5, 0.5]]])[None, :, None]
    grid = scatter_to_grid(attention, np.array([[1], [0]]), np.array([[0, 1], [2, 3]]), 2, 4)
    assert grid.tolist() == [[[[0, 0, 0.5, 0.5], [0.25, 0.75, 0, 0]]]]


def test_one_window_with_all_tokens_is_left_as_it_is():
    attention = torch.rand(2, 1, 3, 7, 7, generator=torch.Generator().manual_seed(0)).half()
    index = np.arange(7, dtype=np.int32)[None]
    grid = scatter_to_grid(attention, index, index, 7, 7)
    assert torch.equal(grid, attention[:, 0])


@pytest.mark.parametrize(("most", "steps"), [(1, [1] * 5), (2 * 16 * 2, [2, 2, 1]), (10**6, [5])])
def test_heads_are_joined_in_steps_that_fit(most, steps):
    attention = torch.rand(2, 2, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    index = np.array([[3, 0], [1, 2]])
    parts = list(heads_on_grid(attention, index, index, 4, 4, most))
    assert [part.shape[1] for _, part in parts] == steps
    assert [i for here, _ in parts for i in range(5)[here]] == list(range(5))
    whole = scatter_to_grid(attention, index, index, 4, 4)
    assert torch.equal(torch.cat([part for _, part in parts], dim=1), whole)


def test_windows_may_share_queries_with_other_keys_but_no_pair():
    attention = torch.tensor([[[0.25]], [[0.75]]])[None, :, None]
    query = np.array([[0], [0]])
    grid = scatter_to_grid(attention, query, np.array([[0], [1]]), 1, 2)
    assert grid.tolist() == [[[[0.25, 0.75]]]]
    with pytest.raises(ValueError, match="in one window only"):
        scatter_to_grid(attention, query, np.array([[1], [1]]), 1, 2)
    with pytest.raises(ValueError, match="in one window only"):
        scatter_to_grid(torch.ones(1, 1, 1, 1, 2), np.array([[0]]), np.array([[1, 1]]), 1, 2)


def test_what_does_not_fit_is_refused():
    attention, index = torch.ones(1, 2, 3, 4, 4), np.arange(8).reshape(2, 4)
    with pytest.raises(ValueError, match=r"\(images, windows, heads, queries, keys\), got shape"):
        scatter_to_grid(attention[0], index, index, 8, 8)
    with pytest.raises(ValueError, match=r"expected key_index \(2, 4\).*got shape \(1, 8\)"):
        scatter_to_grid(attention, index, index.reshape(1, 8), 8, 8)
    with pytest.raises(ValueError, match=r"query_index from -1 \(padding\) to 6, got 0 to 7"):
        scatter_to_grid(attention, index, index, 7, 8)
