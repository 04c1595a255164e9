"""Sums by offset, and what follows from them, against hand-made answers and loops over pairs."""

import math

import pytest
import torch

from analytics.metrics.offsets import (
    centroid_from_offsets,
    distance_from_offsets,
    hops_from_offsets,
    map_from_offsets,
    offset_sums,
    patch_mass,
    row_weights,
    templates_from_offsets,
    uniform_distance,
)
from analytics.metrics.strength_catalogue import RULES, TEMPLATES
from analytics.types import PatchGrid, TokenLayout

LAYOUTS = [
    TokenLayout(("cls",), PatchGrid(3, 5)),
    TokenLayout(("cls", "reg0", "reg1"), PatchGrid(4, 2)),
    TokenLayout((), PatchGrid(4, 4)),
    TokenLayout((), PatchGrid(1, 6)),
    TokenLayout(("cls", "dist"), PatchGrid(5, 1)),
    TokenLayout(("cls",), PatchGrid(1, 1)),
]
each_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)
each_rule = pytest.mark.parametrize("rule", RULES)


def random_attention(layout, lead=(2, 3), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (*lead, layout.num_tokens, layout.num_tokens)
    return (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(-1).to(dtype)


def uniform(layout):
    return torch.full([layout.num_tokens] * 2, 1 / layout.num_tokens, dtype=torch.float64)


def ruled_pairs(table, layout, rule):
    """(query (y, x), key (y, x), attention) of every pair of patches of one map, by loops."""
    first, grid = len(layout.prefix), layout.grid
    places = [(y, x) for y in range(grid.rows) for x in range(grid.columns)]
    rows = [[float(a) for a in row[first:]] for row in table[first:]]
    for query, row in zip(places, rows, strict=True):
        scale = 1 / math.fsum(row) if rule == "renormalised" else 1
        for key, value in zip(places, row, strict=True):
            yield query, key, value * scale


def over_maps(attention, count_of):
    """count_of(map) for every map, stacked in the shape of the leading axes."""
    tables = [torch.tensor(count_of(one), dtype=torch.float64) for one in attention.flatten(0, -3)]
    return torch.stack(tables).unflatten(0, attention.shape[:-2])


@each_layout
@each_rule
def test_sums_are_those_of_a_loop_over_pairs(layout, rule):
    rows, columns = layout.grid.rows, layout.grid.columns

    def by_loop(one):
        table = [[0.0] * (2 * columns - 1) for _ in range(2 * rows - 1)]
        for (qy, qx), (ky, kx), value in ruled_pairs(one, layout, rule):
            table[rows - 1 + ky - qy][columns - 1 + kx - qx] += value
        return table

    attention = random_attention(layout)
    sums = offset_sums(attention, layout, rule)
    assert sums.dtype == torch.float64
    torch.testing.assert_close(sums, over_maps(attention, by_loop), rtol=1e-12, atol=1e-14)
    single = offset_sums(attention[0, 0], layout, rule)
    torch.testing.assert_close(single, sums[0, 0])


@each_layout
@each_rule
def test_distance_and_centroid_are_those_of_a_loop_over_pairs(layout, rule):
    def by_loop(one):
        far = down = right = 0.0
        for (qy, qx), (ky, kx), value in ruled_pairs(one, layout, rule):
            far += value * math.sqrt((ky - qy) ** 2 + (kx - qx) ** 2)
            down += value * (ky - qy)
            right += value * (kx - qx)
        return [number / layout.grid.count for number in (far, down, right)]

    attention = random_attention(layout, seed=1)
    sums = offset_sums(attention, layout, rule)
    expected = over_maps(attention, by_loop)
    distance = distance_from_offsets(sums, layout.grid)
    torch.testing.assert_close(distance, expected[..., 0], rtol=1e-12, atol=1e-14)
    centroid = centroid_from_offsets(sums, layout.grid)
    torch.testing.assert_close(centroid, expected[..., 1:], rtol=1e-11, atol=1e-13)


@each_layout
@each_rule
def test_hops_are_those_of_a_loop_over_pairs(layout, rule):
    hops = max(layout.grid.rows, layout.grid.columns)

    def by_loop(one):
        found = [[] for _ in range(hops)]
        for (qy, qx), (ky, kx), value in ruled_pairs(one, layout, rule):
            found[max(abs(ky - qy), abs(kx - qx))].append(value)
        strength = [math.fsum(values) / len(values) for values in found]
        return [strength, [math.fsum(values) / layout.grid.count for values in found]]

    attention = random_attention(layout, seed=2)
    strength, mass = hops_from_offsets(offset_sums(attention, layout, rule), layout.grid)
    expected = over_maps(attention, by_loop)
    torch.testing.assert_close(strength, expected[..., 0, :], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(mass, expected[..., 1, :], rtol=1e-12, atol=1e-14)


def template_of(query, key):
    (qy, qx), (ky, kx) = query, key
    if query == key:
        return "self"
    if abs(ky - qy) <= 1 and abs(kx - qx) <= 1:
        vertical = {-1: "up", 0: "", 1: "down"}[ky - qy]
        horizontal = {-1: "left", 0: "", 1: "right"}[kx - qx]
        return f"{vertical} {horizontal}".strip()
    return "row" if ky == qy else "column" if kx == qx else "other"


@each_layout
@each_rule
def test_templates_are_those_of_a_loop_over_pairs(layout, rule):
    def by_loop(one):
        found = dict.fromkeys((*TEMPLATES, "other"), 0.0)
        for query, key, value in ruled_pairs(one, layout, rule):
            found[template_of(query, key)] += value / layout.grid.count
        return [found[name] for name in TEMPLATES if name != "cls"]

    attention = random_attention(layout, seed=3)
    templates = templates_from_offsets(offset_sums(attention, layout, rule), layout.grid)
    expected = over_maps(attention, by_loop)
    torch.testing.assert_close(templates, expected, rtol=1e-12, atol=1e-14)


@each_layout
def test_the_map_is_the_mean_over_the_pairs_at_an_offset(layout):
    def by_loop(one):
        found = {}
        for (qy, qx), (ky, kx), value in ruled_pairs(one, layout, "raw"):
            found.setdefault((ky - qy, kx - qx), []).append(value)
        offsets = [range(1 - n, n) for n in (layout.grid.rows, layout.grid.columns)]
        return [[math.fsum(found[y, x]) / len(found[y, x]) for x in offsets[1]] for y in offsets[0]]

    attention = random_attention(layout, seed=4)
    made = map_from_offsets(offset_sums(attention, layout, "raw"), layout.grid)
    torch.testing.assert_close(made, over_maps(attention, by_loop), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("side", "distance"),
    [(7, 3.609465), (8, 4.136483), (14, 7.280764), (16, 8.326075), (37, 19.285134)],
)
def test_uniform_attention_has_the_known_distance_and_second_moment(side, distance):
    layout = TokenLayout(("cls",), PatchGrid(side, side))
    sums = offset_sums(uniform(layout), layout)
    steps = torch.arange(1 - side, side, dtype=torch.float64)
    squared = (sums * (steps[:, None] ** 2 + steps**2)).sum() / side**2
    assert float(distance_from_offsets(sums, layout.grid)) == pytest.approx(distance, abs=1e-6)
    assert uniform_distance(layout.grid) == pytest.approx(distance, abs=1e-6)
    assert float(squared) == pytest.approx((side**2 - 1) / 3, rel=1e-9)


def test_uniform_distance_of_oblong_grids_by_hand():
    assert uniform_distance(PatchGrid(1, 1)) == 0
    assert uniform_distance(PatchGrid(1, 3)) == pytest.approx(8 / 9)
    assert uniform_distance(PatchGrid(3, 1)) == pytest.approx(8 / 9)
    assert uniform_distance(PatchGrid(2, 2)) == pytest.approx((2 + math.sqrt(2)) / 4)


@each_layout
def test_uniform_attention_is_flat_over_hops_and_offsets(layout):
    sums, count = offset_sums(uniform(layout), layout), layout.grid.count
    strength, mass = hops_from_offsets(sums, layout.grid)
    torch.testing.assert_close(strength, torch.full_like(strength, 1 / count))
    assert float(mass.sum()) == pytest.approx(1)
    flat = map_from_offsets(sums, layout.grid)
    torch.testing.assert_close(flat, torch.full_like(flat, 1 / count))
    centroid = centroid_from_offsets(sums, layout.grid)
    torch.testing.assert_close(centroid, torch.zeros_like(centroid), rtol=0, atol=1e-12)


@each_layout
def test_renormalised_sums_add_up_to_the_number_of_patches(layout):
    sums = offset_sums(random_attention(layout), layout)
    total = torch.full((2, 3), layout.grid.count, dtype=torch.float64)
    torch.testing.assert_close(sums.sum((-2, -1)), total)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@each_rule
def test_short_numbers_are_summed_without_loss(dtype, rule):
    layout = TokenLayout(("cls",), PatchGrid(24, 20))
    attention = random_attention(layout, lead=(2,), dtype=dtype)
    sums = offset_sums(attention, layout, rule)
    assert sums.dtype == torch.float32
    exact = offset_sums(attention.double(), layout, rule)
    torch.testing.assert_close(sums.double(), exact, rtol=1e-6, atol=0)


def test_weights_of_rows_by_hand():
    layout = TokenLayout(("cls",), PatchGrid(1, 2))
    attention = torch.tensor([[1.0, 0, 0], [0.5, 0.25, 0.25], [0, 0, 1]])
    assert patch_mass(attention, layout).tolist() == [0.5, 1]
    assert row_weights(attention, layout, "renormalised").tolist() == [1, 0.5]
    assert row_weights(attention, layout, "raw").tolist() == [0.5, 0.5]
    assert offset_sums(attention, layout).tolist() == [[0, 1.5, 0.5]]
    assert offset_sums(attention, layout, "raw").tolist() == [[0, 1.25, 0.25]]


def test_rows_without_mass_on_patches_are_left_out():
    layout = TokenLayout(("cls",), PatchGrid(1, 3))
    attention = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0, 0, 0.5], [0, 0, 1, 0]])
    sums = offset_sums(attention, layout)
    assert sums.tolist() == [[0, 1.5, 0, 1.5, 0]]
    assert float(distance_from_offsets(sums, layout.grid)) == 1
    assert float(distance_from_offsets(offset_sums(attention, layout, "raw"), layout.grid)) == (
        pytest.approx(0.5)
    )
    attention[1:] = torch.tensor([1.0, 0, 0, 0])
    assert offset_sums(attention, layout).isnan().all()
    assert offset_sums(attention, layout, "raw").eq(0).all()


@each_rule
def test_a_nan_makes_its_head_nan_and_no_other(rule):
    layout = TokenLayout(("cls",), PatchGrid(3, 4))
    attention = random_attention(layout)
    clean = offset_sums(attention, layout, rule)
    attention[1, 2, 5] = torch.nan
    sums = offset_sums(attention, layout, rule)
    strength, mass = hops_from_offsets(sums, layout.grid)
    broken = (sums, strength[..., None], mass[..., None])
    assert all(table[1, 2].isnan().all() for table in broken)
    assert templates_from_offsets(sums, layout.grid)[1, 2].isnan().all()
    assert sums.isnan().any(-1).any(-1).sum() == 1
    assert torch.equal(sums[0], clean[0])


def test_what_does_not_fit_is_refused():
    layout = TokenLayout(("cls",), PatchGrid(3, 4))
    with pytest.raises(
        ValueError, match=r"13, 13\) of 1 prefix tokens and 3 x 4 patches, got .*12"
    ):
        offset_sums(torch.ones(2, 12, 12), layout)
    with pytest.raises(ValueError, match="cls rule renormalised or raw, got 'none'"):
        offset_sums(torch.ones(13, 13), layout, "none")
    with pytest.raises(ValueError, match="grid with patches, got none"):
        offset_sums(torch.ones(1, 1), TokenLayout(("pool",), PatchGrid(0, 0)))
    with pytest.raises(ValueError, match=r"\(\.\.\., 5, 7\) of a grid of 3 x 4 patches, got"):
        distance_from_offsets(torch.ones(2, 7, 5), layout.grid)
