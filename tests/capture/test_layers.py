"""Rows and columns rebuilt from a kept layer, against the whole captured map."""

import numpy as np
import pytest
import torch

from analytics.capture.layers import keep_layer
from analytics.capture.recording import capture
from analytics.types import PatchGrid

KINDS = ("vit", "registers", "eva", "beit", "relpos", "cait", "convit", "map pool")
KINDS += ("swin", "swin v2", "twins", "maxvit")


def explicit_map(heads):
    return None if heads.softmax is None else heads.attention()


def kept(model, sites, pixels):
    """Every placed call as a kept layer."""
    with torch.no_grad(), capture(model, sites, ("query", "key"), explicit_map) as captured:
        model(pixels)
    drawn = [one for one in captured if one.site.placed]
    return [keep_layer(one, f"L{number}") for number, one in enumerate(drawn)]


def whole_maps(model, sites, pixels):
    """Every placed call's attention over its whole layouts, (heads, queries, keys)."""
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        model(pixels)
    maps = []
    for one in (one for one in captured if one.site.placed):
        site, attention = one.site, one.attention[0].numpy()
        shape = (site.num_heads, site.query_layout.num_tokens, site.key_layout.num_tokens)
        full = np.zeros(shape)
        for window in range(site.num_windows):
            queries, keys = site.query_index[window], site.key_index[window]
            inside = np.ix_(range(site.num_heads), queries >= 0, keys >= 0)
            places = np.ix_(range(site.num_heads), queries[queries >= 0], keys[keys >= 0])
            full[places] = attention[window][inside]
        maps.append(full)
    return maps


def names_of(layout):
    patches = [f"{y},{x}" for y in range(layout.grid.rows) for x in range(layout.grid.columns)]
    return [*layout.prefix, *patches]


@pytest.mark.parametrize(
    ("kind", "size"),
    [(kind, None) for kind in KINDS] + [("vit", (48, 32)), ("swin", (72, 104))],
)
def test_rows_and_columns_are_those_of_the_whole_map(kind, size, subject, noise):
    model, sites = subject(kind, size)
    layers = kept(model, sites, noise(sites))
    for layer, full in zip(layers, whole_maps(model, sites, noise(sites)), strict=True):
        assert full.shape[0] == layer.num_heads
        queries, keys = names_of(layer.query_layout), names_of(layer.key_layout)
        for position in {0, len(queries) // 3, len(queries) - 1}:
            base = layer.query_layout.grid
            row = layer.rows(queries[position], base, "to")
            assert row.dtype == np.float32
            np.testing.assert_allclose(row, full[:, position], atol=2e-6)
        for position in {0, len(keys) // 3, len(keys) - 1}:
            column = layer.rows(keys[position], layer.key_layout.grid, "from")
            np.testing.assert_allclose(column, full[:, :, position], atol=2e-6)


def test_what_is_kept_of_a_fused_layer_is_no_map(subject, noise):
    model, sites = subject("vit")
    for layer in kept(model, sites, noise(sites)):
        assert layer.attention is None and layer.bias is None
        assert layer.query.shape == layer.key.shape == (1, 3, 17, 16)
        assert layer.log_normaliser.shape == (1, 3, 17)
        assert layer.nbytes == 4 * (2 * 3 * 17 * 16 + 3 * 17)


def test_an_explicit_layer_keeps_its_map(subject, noise):
    model, sites = subject("swin")
    layer = kept(model, sites, noise(sites))[0]
    assert layer.query is None and layer.key is None
    assert layer.attention.shape == (16, 2, 16, 16)
    assert layer.attention.dtype == np.float32
    assert layer.nbytes == layer.attention.nbytes


def test_a_token_that_a_layer_lacks_gives_nan(subject, noise):
    model, sites = subject("map pool")
    *blocks, pool = kept(model, sites, noise(sites))
    base = PatchGrid(4, 4)
    assert pool.rows("pool", base, "to").shape == (3, 16)
    np.testing.assert_allclose(pool.rows("pool", base, "to").sum(1), 1, atol=1e-5)
    assert pool.rows("2,1", base, "from").shape == (3, 1)
    assert np.isfinite(pool.rows("2,1", base, "from")).all()
    assert np.isnan(pool.rows("2,1", base, "to")).all()
    assert np.isnan(pool.rows("pool", base, "from")).all()
    assert np.isnan(pool.rows("cls", base, "to")).all()
    for block in blocks:
        assert np.isnan(block.rows("pool", base, "to")).all()
        assert block.rows("pool", base, "to").shape == (3, 16)


def test_a_class_token_that_only_reads(subject, noise):
    model, sites = subject("cait")
    layers, base = kept(model, sites, noise(sites)), PatchGrid(4, 4)
    assert [np.isnan(layer.rows("cls", base, "to")).all() for layer in layers] == [1, 1, 0, 0]
    assert [np.isnan(layer.rows("1,1", base, "to")).all() for layer in layers] == [0, 0, 1, 1]
    assert layers[2].rows("cls", base, "from").shape == (3, 1)


def test_a_finer_grid_points_at_the_patch_that_covers_it(subject, noise):
    model, sites = subject("swin")
    coarse = kept(model, sites, noise(sites))[2]
    own, base = coarse.query_layout.grid, PatchGrid(16, 16)
    assert own == PatchGrid(8, 8)
    for row, column in [(0, 0), (1, 0), (7, 9), (15, 15), (6, 15)]:
        expected = coarse.rows(f"{row // 2},{column // 2}", own, "to")
        assert np.array_equal(coarse.rows(f"{row},{column}", base, "to"), expected)


def test_a_coarser_grid_points_at_the_middle_of_its_patch(subject, noise):
    model, sites = subject("swin")
    fine = kept(model, sites, noise(sites))[0]
    own, base = fine.query_layout.grid, PatchGrid(2, 2)
    assert own == PatchGrid(16, 16)
    for row, column, middle in [(0, 0, "4,4"), (0, 1, "4,12"), (1, 1, "12,12")]:
        expected = fine.rows(middle, own, "from")
        assert np.array_equal(fine.rows(f"{row},{column}", base, "from"), expected)


def test_every_place_of_a_shared_grid_is_itself(subject, noise):
    model, sites = subject("vit", (48, 32))
    layer = kept(model, sites, noise(sites))[1]
    (full,) = whole_maps(model, sites, noise(sites))[1:]
    base = PatchGrid(6, 4)
    for number, name in enumerate(names_of(layer.key_layout)):
        np.testing.assert_allclose(layer.rows(name, base, "from"), full[:, :, number], atol=2e-6)


def test_layers_are_labelled_and_noted(subject, noise):
    model, sites = subject("swin")
    layers = kept(model, sites, noise(sites))
    assert [layer.label for layer in layers] == ["L0", "L1", "L2", "L3"]
    assert layers[2].name == "layers.1.blocks.0.attn"
    assert layers[0].notes == ("attends inside 16 windows; keys outside the window are 0",)
    model, sites = subject("twins")
    assert kept(model, sites, noise(sites))[1].notes == ("queries and keys lie on different grids",)


def test_a_half_precision_layer_is_kept_in_float32(build, noise):
    from analytics.capture.tracing import find_sites

    model = build("beit", 32).bfloat16()
    sites = find_sites(model, (32, 32))
    for layer in kept(model, sites, noise(sites).bfloat16()):
        kept_arrays = (layer.query, layer.key, layer.bias, layer.log_normaliser)
        assert {array.dtype for array in kept_arrays} == {np.dtype("float32")}
        np.testing.assert_allclose(layer.rows("cls", PatchGrid(4, 4), "to").sum(1), 1, atol=1e-5)
