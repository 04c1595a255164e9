"""The sums made while a model runs give every metric that its explicit maps give."""

from __future__ import annotations

import itertools

import pytest
import torch

from analytics.capture.recording import capture
from analytics.capture.tracing import find_sites
from analytics.metrics import strength
from analytics.metrics.grids import scatter_to_grid
from analytics.metrics.strength_catalogue import RULES, SCALARS, TEMPLATES
from analytics.studies.head_sums import GridSums, is_regular, kept_rows
from analytics.studies.head_tables import head_tables
from analytics.studies.profile import _explicit, _fused
from analytics.studies.window_sums import sum_windows
from tests.capture.conftest import BUILDERS, SIDE

FAMILIES = ("vit", "any size", "registers", "layer scale", "map pool", "eva", "beit", "relpos")
WINDOWED = ("swin", "swin v2", "maxvit", "twins", "convit")


def build(kind: str):
    """A small model with weights large enough that its heads differ, its sites, two pictures."""
    torch.manual_seed(0)
    side = (32, 48) if kind == "any size" else (SIDE.get(kind, 32),) * 2
    model = BUILDERS[kind](side if kind == "any size" else side[0]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model, find_sites(model, side), torch.randn(2, 3, *side)


def maps_and_sums(kind: str):
    """Per layer whose patches ask: its site, full maps (b, heads, T, T) and sums."""
    model, sites, pixels = build(kind)
    with torch.no_grad(), capture(model, sites, keep=("attention",)) as kept:
        model(pixels)
    with torch.no_grad(), capture(model, sites, reduce=_explicit, attend=_fused) as summed:
        model(pixels)
    found = []
    for whole, small in zip(kept, summed, strict=True):
        site = whole.site
        assert site == small.site
        if not site.placed or not site.query_layout.grid.count:
            assert small.reduced is None
            continue
        tokens = site.query_layout.num_tokens, site.key_layout.num_tokens
        full = scatter_to_grid(whole.attention, site.query_index, site.key_index, *tokens)
        found.append((site, full, small.reduced))
    assert found
    return found


def assert_tables(full, layout, sums):
    """Every number of the tables against the metrics of the explicit maps."""
    tables = head_tables(sums, layout.grid, layout.grid)
    scalars = dict(zip(SCALARS, torch.from_numpy(tables.scalars), strict=True))
    full = full.double()

    def same(mine, theirs):
        torch.testing.assert_close(
            torch.as_tensor(mine).double(), theirs.double(), atol=2e-5, rtol=2e-5, equal_nan=True
        )

    for i, rule in enumerate(RULES):
        same(scalars[f"mean_distance:{rule}"], strength.mean_distance(full, layout, rule))
        powers = strength.hop_strength(full, layout, rule)
        same(tables.hops[i, 0], powers)
        same(tables.hops[i, 1], strength.hop_mass(full, layout, rule))
        same(scalars[f"hop_entropy:{rule}"], strength.hop_entropy(powers))
        same(scalars[f"row_entropy:{rule}"], strength.row_entropy(full, layout, rule))
        same(sums.received[rule], strength.received_attention(full, layout, rule))
        centroid = strength.offset_centroid(full, layout, rule)
        same(scalars[f"offset_length:{rule}"], centroid.norm(dim=-1))
    same(scalars["nmi"], strength.nmi(full, layout))
    same(tables.blocks, strength.block_mass(full, layout))
    same(tables.templates, strength.template_score(full, layout, "raw"))
    same(sums.clipped, strength.clipped_distance(full, layout))
    units = strength.unit_maps(full, layout).sum(0)  # heads, pairs of patches
    same(sums.units.norm(dim=-1), units.norm(dim=-1))
    if sums.units.shape == units.shape:  # windows keep the pairs that they hold
        same(sums.units, units)
    if "cls" in layout.prefix:
        row = full[:, :, layout.prefix.index("cls"), len(layout.prefix) :]
        same(sums.cls_row, row)


@pytest.mark.parametrize("kind", [*FAMILIES, "swin", "swin v2", "maxvit", "convit"])
def test_every_metric_equals_that_of_the_explicit_maps(kind):
    for site, full, sums in maps_and_sums(kind):
        assert site.query_layout == site.key_layout
        assert_tables(full, site.query_layout, sums)


def test_windows_and_blocks_give_the_same_sums():
    """The two ways meet on a layer that both can take."""
    model, sites, pixels = build("registers")
    seen = []

    def both(heads):
        assert is_regular(heads)
        seen.append((GridSums(heads).run()[1], sum_windows(heads)))

    with torch.no_grad(), capture(model, sites, reduce=both):
        model(pixels)
    assert len(seen) == 2
    for blocks, windows in seen:
        for rule in RULES:
            torch.testing.assert_close(blocks.offsets[rule], windows.offsets[rule])
            torch.testing.assert_close(blocks.entropy[rule], windows.entropy[rule])
            torch.testing.assert_close(blocks.received[rule], windows.received[rule])
        for name in ("clipped", "blocks", "cls_row", "units"):
            torch.testing.assert_close(
                getattr(blocks, name), getattr(windows, name), equal_nan=True
            )


def test_every_block_is_shown_once():
    model, sites, pixels = build("vit")
    seen = []

    def attend(heads):
        total = torch.zeros(len(pixels) * heads.site.num_heads, heads.site.query_tokens)

        def add(block):
            total[block.lines, block.queries] += block.attention.sum(-1)

        output, sums = GridSums(heads, add).run()
        seen.append(total)
        return output, sums

    with torch.no_grad(), capture(model, sites, attend=attend):
        model(pixels)
    assert len(seen) == 2
    for total in seen:
        torch.testing.assert_close(total, torch.ones_like(total))


def test_keys_of_a_coarser_grid_count_as_the_middle_of_what_they_cover():
    """Twins attends from 16 x 16 patches to keys pooled 4 x 4 in every second layer."""
    found = maps_and_sums("twins")
    site, full, sums = next(one for one in found if one[0].query_layout != one[0].key_layout)
    queries, keys = site.query_layout.grid, site.key_layout.grid
    ratio = queries.rows // keys.rows
    expected = torch.zeros(2 * queries.rows - 1, 2 * queries.columns - 1)
    for q in range(queries.count):
        for k in range(keys.count):
            y = int((k // keys.columns + 0.5) * ratio - 0.5 + 0.5) - q // queries.columns
            x = int((k % keys.columns + 0.5) * ratio - 0.5 + 0.5) - q % queries.columns
            expected[y + queries.rows - 1, x + queries.columns - 1] += full[0, 0, q, k]
    torch.testing.assert_close(sums.offsets["raw"][0, 0], expected, atol=1e-4, rtol=1e-4)
    assert sums.received["raw"].shape[-1] == keys.count
    torch.testing.assert_close(sums.received["raw"], full.mean(2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "beit", "registers"])
def test_the_model_goes_on_as_it_would_have(kind):
    model, sites, pixels = build(kind)
    with torch.no_grad():
        plain = model(pixels)
        with capture(model, sites, reduce=_explicit, attend=_fused):
            watched = model(pixels)
    torch.testing.assert_close(watched, plain, atol=1e-5, rtol=1e-5)


def test_not_a_number_stays_in_its_head_and_picture(monkeypatch):
    model, sites, pixels = build("vit")
    with torch.no_grad():
        model.blocks[0].attn.qkv.weight[:16] *= float("inf")
        with capture(model, sites, reduce=_explicit, attend=_fused) as captured:
            model(pixels)
    layout = captured[0].site.query_layout
    tables = head_tables(captured[0].reduced, layout.grid, layout.grid)
    distance = tables.scalars[SCALARS.index("mean_distance:raw")]
    assert torch.tensor(distance).isnan().tolist() == [[True, False, False]] * 2
    assert tables.counted.tolist() == [0, 2, 2]
    assert (tables.sums["offsets"][0] == 0).all()
    assert (tables.sums["units"][0] == 0).all()
    assert abs(tables.sums["offsets"][1].sum() - 2 * layout.grid.count) < 1e-3


def test_rows_without_mass_on_patches_are_left_out_of_means():
    from analytics.capture.recording import Heads
    from analytics.capture.sites import Site
    from analytics.types import PatchGrid, TokenLayout

    layout = TokenLayout(("cls",), PatchGrid(2, 2))
    site = Site(0, "a", 0, "fused", False, "b,h,w", 1, 1, 5, 5, layout, layout)
    query = torch.tensor([0.0, 400.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 5, 1)
    key = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 5, 1)
    value = torch.zeros(1, 1, 1, 5, 1)
    _, sums = GridSums(Heads(site, value, query, key, value, None, 1.0)).run()
    attention = torch.softmax(query * key.mT, -1)[:, 0]
    assert attention[0, 0, 1, 1:].sum() == 0
    for rule in RULES:
        expected = strength.row_entropy(attention, layout, rule)
        torch.testing.assert_close(sums.entropy[rule], expected)
        tables = head_tables(sums, layout.grid, layout.grid)
        distance = tables.scalars[SCALARS.index(f"mean_distance:{rule}")]
        torch.testing.assert_close(
            torch.from_numpy(distance), strength.mean_distance(attention, layout, rule)
        )
    assert sums.clipped[0, 0].isnan().tolist() == [True, False, False, False]


def test_large_maps_are_compared_on_evenly_spaced_rows():
    assert list(kept_rows(256, 256)) == list(range(256))
    rows = kept_rows(37 * 37, 37 * 37)
    assert len(rows) * 37 * 37 <= 2**16 and len(rows) > 40
    assert len({b - a for a, b in itertools.pairwise(rows)}) == 1
    assert list(kept_rows(1, 10**6)) == [0]


def test_uniform_attention_has_the_known_answers():
    from analytics.capture.recording import Heads
    from analytics.capture.sites import Site
    from analytics.types import PatchGrid, TokenLayout

    layout = TokenLayout(("cls",), PatchGrid(14, 14))
    site = Site(0, "a", 0, "fused", False, "b,h,w", 1, 1, 197, 197, layout, layout)
    flat = torch.zeros(1, 1, 1, 197, 4)
    _, sums = GridSums(Heads(site, flat, flat, flat, flat, None, 1.0)).run()
    tables = head_tables(sums, layout.grid, layout.grid)
    found = dict(zip(SCALARS, tables.scalars[:, 0, 0].tolist(), strict=True))
    assert found["mean_distance:renormalised"] == pytest.approx(7.280764, abs=1e-5)
    assert found["mean_distance:raw"] == pytest.approx(7.280764 * 196 / 197, abs=1e-5)
    assert found["hop_entropy:renormalised"] == pytest.approx(2.639057, abs=1e-5)
    assert found["row_entropy:renormalised"] == pytest.approx(5.278115, abs=1e-5)
    assert found["row_entropy:raw"] == pytest.approx(5.283204, abs=1e-5)
    assert found["nmi"] == pytest.approx(0, abs=1e-5)
    assert found["cls_mass"] == pytest.approx(1 / 197, abs=1e-6)
    assert sums.clipped.mean() == pytest.approx(2.874005, abs=1e-5)
    assert tables.templates[0, 0, TEMPLATES.index("cls")] == pytest.approx(1 / 197, abs=1e-6)
