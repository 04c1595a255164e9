"""Strength metrics against answers worked out by hand."""

import math

import pytest
import torch

from analytics.metrics.strength import (
    block_mass,
    clipped_distance,
    content_agnosticism,
    hop_entropy,
    hop_mass,
    hop_strength,
    mean_distance,
    nan_heads,
    nmi,
    nmi_from,
    offset_centroid,
    offset_map,
    received_attention,
    row_entropy,
    template_score,
    unit_maps,
)
from analytics.metrics.strength_catalogue import RULES, TEMPLATES
from analytics.types import PatchGrid, TokenLayout

each_rule = pytest.mark.parametrize("rule", RULES)
OF_HEADS = (mean_distance, hop_strength, hop_mass, row_entropy, offset_centroid, template_score)


def square(side, prefix=("cls",)):
    return TokenLayout(prefix, PatchGrid(side, side))


def among_patches(layout, patches, on_cls=0.0):
    """Attention of which each patch gives `on_cls` to cls and the rest as `patches` says."""
    first, tokens = len(layout.prefix), layout.num_tokens
    attention = torch.zeros(tokens, tokens, dtype=torch.float64)
    attention[:first] = 1 / tokens
    attention[first:, :1] = on_cls
    attention[first:, first:] = (1 - on_cls) * torch.as_tensor(patches, dtype=torch.float64)
    return attention


def uniform(layout, on_cls=0.0):
    count = layout.grid.count
    return among_patches(layout, torch.full((count, count), 1 / count), on_cls)


def identity(layout, on_cls=0.0):
    return among_patches(layout, torch.eye(layout.grid.count), on_cls)


def right_shift(layout, on_cls=0.0):
    columns, count = layout.grid.columns, layout.grid.count
    patches = torch.zeros(count, count)
    for i in range(count):
        patches[i, i + 1 if i % columns < columns - 1 else i] = 1
    return among_patches(layout, patches, on_cls)


def window(layout, reach=1):
    """Each patch attends evenly to the patches within `reach` hops that exist."""
    rows, columns = layout.grid.rows, layout.grid.columns
    patches = torch.zeros(rows, columns, rows, columns)
    for y in range(rows):
        for x in range(columns):
            top, left = max(0, y - reach), max(0, x - reach)
            patches[y, x, top : y + reach + 1, left : x + reach + 1] = 1
            patches[y, x] /= patches[y, x].sum()
    return among_patches(layout, patches.flatten(2).flatten(0, 1))


def value(tensor):
    return float(tensor) if tensor.ndim == 0 else tensor.tolist()


@pytest.mark.parametrize("side", [7, 8, 14, 16, 37])
def test_uniform_attention(side):
    layout = square(side)
    attention, count = uniform(layout, on_cls=0.25), side * side
    distance = {7: 3.609465, 8: 4.136483, 14: 7.280764, 16: 8.326075, 37: 19.285134}[side]
    assert value(mean_distance(attention, layout)) == pytest.approx(distance, abs=1e-6)
    raw = value(mean_distance(attention, layout, "raw"))
    assert raw == pytest.approx(0.75 * distance, abs=1e-6)
    hops = hop_strength(attention, layout)
    assert value(hops) == pytest.approx([1 / count] * side, abs=1e-9)
    assert value(hop_strength(attention, layout, "raw")) == pytest.approx([0.75 / count] * side)
    assert value(hop_entropy(hops)) == pytest.approx(math.log(side), abs=1e-9)
    assert value(row_entropy(attention, layout)) == pytest.approx(math.log(count), abs=1e-9)
    assert value(nmi(attention, layout)) == pytest.approx(0, abs=1e-9)
    received = received_attention(attention, layout)
    assert value(received) == pytest.approx([1 / count] * count)


def test_uniform_attention_in_pixels_and_clipped_at_three():
    layout = square(14)
    assert 16 * value(mean_distance(uniform(layout), layout)) == pytest.approx(116.49, abs=0.005)
    assert 14 * value(mean_distance(uniform(square(16)), square(16))) == pytest.approx(
        116.57, abs=0.005
    )
    clipped = clipped_distance(uniform(layout), layout)
    assert value(clipped.mean()) == pytest.approx(2.874005, abs=1e-6)


def test_identity():
    layout = square(6)
    attention = identity(layout)
    assert value(mean_distance(attention, layout)) == 0
    assert value(hop_mass(attention, layout)) == [1, 0, 0, 0, 0, 0]
    assert value(hop_entropy(hop_strength(attention, layout))) == 0
    assert value(row_entropy(attention, layout)) == 0
    assert value(nmi(attention, layout)) == pytest.approx(1, abs=1e-12)
    assert value(template_score(attention, layout)) == [1, *[0] * 11]
    assert value(clipped_distance(attention, layout)) == [0] * 36


@pytest.mark.parametrize("grid", [PatchGrid(7, 7), PatchGrid(3, 5), PatchGrid(1, 4)], ids=str)
def test_right_shift_with_clamp(grid):
    layout = TokenLayout(("cls",), grid)
    attention, share = right_shift(layout), (grid.columns - 1) / grid.columns
    assert value(mean_distance(attention, layout)) == pytest.approx(share)
    peak = offset_map(attention, layout)
    assert divmod(int(peak.argmax()), 2 * grid.columns - 1) == (grid.rows - 1, grid.columns)
    assert value(peak.max()) == pytest.approx(1)
    assert value(peak[grid.rows - 1, grid.columns - 1]) == pytest.approx(1 - share)
    assert value(offset_centroid(attention, layout)) == pytest.approx([0, share])
    expected = {"self": 1 - share, "right": share}
    found = dict(zip(TEMPLATES, value(template_score(attention, layout)), strict=True))
    assert found == pytest.approx({name: expected.get(name, 0) for name in TEMPLATES})


def test_neighbourhood_of_three_by_three():
    layout = square(14)
    attention = window(layout)
    assert value(mean_distance(attention, layout)) == pytest.approx(1.043629, abs=1e-6)
    entropy = value(hop_entropy(hop_strength(attention, layout)))
    assert entropy == pytest.approx(0.692881, abs=1e-6)
    assert value(hop_mass(attention, layout)[2:].sum()) == 0
    scores = template_score(attention, layout)
    assert value(scores[:9].sum()) == pytest.approx(1)


def test_rows_columns_and_cls_have_their_templates():
    layout = TokenLayout(("cls", "reg0"), PatchGrid(4, 6))
    same = torch.arange(24) // 6
    row = (same[:, None] == same).double() / 6
    scores = dict(
        zip(TEMPLATES, value(template_score(among_patches(layout, row, 0.5), layout)), strict=True)
    )
    # 6 queries of a row: 5 have a left neighbour, 5 a right one, and 36 - 6 - 10 pairs are left.
    assert scores["self"] == pytest.approx(0.5 / 6)
    assert scores["left"] == scores["right"] == pytest.approx(0.5 * 5 / 36)
    assert scores["row"] == pytest.approx(0.5 * 20 / 36)
    assert scores["cls"] == 0.5
    assert scores["column"] == scores["up"] == 0


@each_rule
def test_mass_on_cls_counts_under_raw_only(rule):
    layout = square(5)
    kept = 0.7 if rule == "raw" else 1.0
    for metric in (mean_distance, hop_strength, hop_mass, received_attention, offset_map):
        bare, part = (metric(right_shift(layout, m), layout, rule) for m in (0.0, 0.3))
        torch.testing.assert_close(part, kept * bare)
    clipped = [clipped_distance(right_shift(layout, m), layout, 3, rule) for m in (0.0, 0.3)]
    torch.testing.assert_close(clipped[1], kept * clipped[0])


def test_row_entropy_counts_cls_under_raw():
    layout = square(4)
    attention = identity(layout, on_cls=0.5)
    assert value(row_entropy(attention, layout, "raw")) == pytest.approx(math.log(2))
    assert value(row_entropy(attention, layout)) == 0


def test_attention_of_all_patches_to_one_shares_nothing():
    layout = square(3)
    patches = torch.zeros(9, 9)
    patches[:, 4] = 1
    attention = among_patches(layout, patches)
    assert value(nmi(attention, layout)) == 0
    assert value(nmi_from(torch.tensor(0.0), torch.tensor([0.5, 0.5, 0, 0]))) == pytest.approx(
        math.sqrt(0.5)  # ln 2 / sqrt(ln 4 * ln 2)
    )


def test_agnosticism_by_hand():
    layout = TokenLayout(("cls",), PatchGrid(1, 2))
    shift, same = torch.tensor([[0, 1], [1, 0]]), torch.eye(2)
    maps = {name: among_patches(layout, one) for name, one in (("same", same), ("shift", shift))}
    constant = torch.stack([maps["same"]] * 3)
    assert value(content_agnosticism(constant, layout)) == pytest.approx(1, abs=1e-12)
    apart = torch.stack([maps["same"], maps["shift"]])
    assert value(content_agnosticism(apart, layout)) == pytest.approx(0, abs=1e-12)
    third = torch.stack([maps["same"], maps["same"], maps["shift"]])
    assert value(content_agnosticism(third, layout)) == pytest.approx(1 / 3)
    assert math.isnan(value(content_agnosticism(constant[:1], layout)))


def test_rows_without_mass_on_patches_have_no_number_of_their_own():
    layout = TokenLayout(("cls",), PatchGrid(1, 3))
    attention = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0, 0, 0.5], [0, 0, 1, 0]])
    assert value(mean_distance(attention, layout)) == 1
    assert value(received_attention(attention, layout)) == [0, 0.5, 0.5]
    clipped = value(clipped_distance(attention, layout))
    assert math.isnan(clipped[0])
    assert clipped[1:] == [1, 1]
    assert value(row_entropy(attention, layout)) == 0
    assert value(clipped_distance(attention, layout, rule="raw")) == [0, 0.5, 1]
    attention[1:] = torch.tensor([1.0, 0, 0, 0])
    for metric in (*OF_HEADS[:-1], received_attention):
        assert metric(attention, layout).isnan().all()
    assert value(template_score(attention, layout))[-1] == 1


@each_rule
def test_overflow_shows_as_nan_of_its_head(rule):
    layout = TokenLayout(("cls",), PatchGrid(3, 4))
    logits = torch.randn(2, 3, 13, 13, generator=torch.Generator().manual_seed(0)).half()
    logits[1, 2, 7, 3] = 8e4  # more than half precision holds
    attention = logits.softmax(-1)
    broken = torch.zeros(2, 3, dtype=torch.bool)
    broken[1, 2] = True
    assert torch.equal(nan_heads(attention), broken)
    for metric in (*OF_HEADS, received_attention, offset_map):
        found = metric(attention, layout, rule).reshape(2, 3, -1)
        assert found.dtype == torch.float32
        assert torch.equal(found.isnan().all(-1), broken)
        assert torch.equal(found.isnan().any(-1), broken)
    assert torch.equal(nmi(attention, layout).isnan(), broken)
    assert torch.equal(content_agnosticism(attention, layout).isnan(), broken[1])
    assert torch.equal(block_mass(attention, layout)[..., 2, 2].isnan(), broken)


def test_what_does_not_fit_is_refused():
    layout = TokenLayout(("cls",), PatchGrid(3, 4))
    for metric in (*OF_HEADS, received_attention, clipped_distance, block_mass, nmi, unit_maps):
        with pytest.raises(ValueError, match="expected attention"):
            metric(torch.ones(2, 12, 12), layout)
    for metric in (*OF_HEADS, received_attention, offset_map):
        with pytest.raises(ValueError, match="cls rule"):
            metric(torch.ones(13, 13), layout, "dropped")
    with pytest.raises(ValueError, match="cls rule"):
        clipped_distance(torch.ones(13, 13), layout, rule="dropped")
