"""Strength metrics against the same computed by loops over the rows of a map."""

import math

import numpy as np
import pytest
import torch

from analytics.metrics.strength import (
    agnosticism_from_sum,
    block_mass,
    clipped_distance,
    content_agnosticism,
    hop_strength,
    mean_distance,
    nmi,
    received_attention,
    row_entropy,
    template_score,
    unit_maps,
)
from analytics.metrics.strength_catalogue import RULES, TEMPLATES
from analytics.types import PatchGrid, TokenLayout

LAYOUTS = [
    TokenLayout(("cls",), PatchGrid(3, 5)),
    TokenLayout(("cls", "reg0", "reg1"), PatchGrid(4, 2)),
    TokenLayout(("reg0",), PatchGrid(2, 3)),
    TokenLayout((), PatchGrid(1, 6)),
    TokenLayout(("cls", "dist"), PatchGrid(5, 1)),
    TokenLayout(("cls",), PatchGrid(1, 1)),
]
each_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)
each_rule = pytest.mark.parametrize("rule", RULES)


def random_attention(layout, lead=(2, 3), seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (*lead, layout.num_tokens, layout.num_tokens)
    return (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(-1)


def rows_of(one, layout, rule):
    """The rows of the patch queries: over patches scaled to sum 1, or over all keys as is."""
    first = len(layout.prefix)
    rows = np.asarray(one)[first:]
    if rule == "raw":
        return rows
    return np.stack([row[first:] / row[first:].sum() for row in rows])


def entropy_of(shares):
    return -sum(p * math.log(p) for p in shares if p > 0)


def over_maps(attention, count_of):
    tables = [torch.tensor(count_of(one), dtype=torch.float64) for one in attention.flatten(0, -3)]
    return torch.stack(tables).unflatten(0, attention.shape[:-2])


@each_layout
@each_rule
def test_row_entropy_is_that_of_a_loop(layout, rule):
    attention = random_attention(layout)
    expected = over_maps(
        attention, lambda one: np.mean([entropy_of(row) for row in rows_of(one, layout, rule)])
    )
    torch.testing.assert_close(row_entropy(attention, layout, rule), expected, rtol=1e-9, atol=1e-9)


@each_layout
@each_rule
def test_received_attention_is_that_of_a_loop(layout, rule):
    def by_loop(one):
        rows = rows_of(one, layout, rule)
        keys = rows[:, len(layout.prefix) :] if rule == "raw" else rows
        return [sum(row[j] for row in keys) / len(keys) for j in range(layout.grid.count)]

    attention = random_attention(layout, seed=1)
    received = received_attention(attention, layout, rule)
    torch.testing.assert_close(received, over_maps(attention, by_loop), rtol=1e-9, atol=1e-12)


@each_layout
@each_rule
@pytest.mark.parametrize("limit", [1.0, 2.5, 3.0])
def test_clipped_distance_is_that_of_a_loop(layout, rule, limit):
    columns = layout.grid.columns

    def by_loop(one):
        reach = []
        for i, row in enumerate(rows_of(one, layout, rule)):
            keys = row[len(layout.prefix) :] if rule == "raw" else row
            steps = [
                (j // columns - i // columns, j % columns - i % columns) for j in range(len(keys))
            ]
            reach.append(
                sum(a * min(math.hypot(*d), limit) for a, d in zip(keys, steps, strict=True))
            )
        return reach

    attention = random_attention(layout, seed=2)
    clipped = clipped_distance(attention, layout, limit, rule)
    torch.testing.assert_close(clipped, over_maps(attention, by_loop), rtol=1e-9, atol=1e-12)
    far = clipped_distance(attention, layout, math.inf, rule).mean(-1)
    torch.testing.assert_close(far, mean_distance(attention, layout, rule))


@each_layout
def test_mutual_information_is_that_of_the_joint_table(layout):
    def by_loop(one):
        joint = rows_of(one, layout, "renormalised") / layout.grid.count
        query, key = joint.sum(1), joint.sum(0)
        shared = sum(
            p * math.log(p / (query[i] * key[j])) for (i, j), p in np.ndenumerate(joint) if p > 0
        )
        scale = math.sqrt(entropy_of(query) * entropy_of(key))
        return shared / scale if layout.grid.count > 1 else 0.0

    attention = random_attention(layout, seed=3)
    torch.testing.assert_close(
        nmi(attention, layout), over_maps(attention, by_loop), rtol=1e-9, atol=1e-9
    )


@each_layout
def test_block_mass_is_that_of_a_loop(layout):
    def kind(i):
        if i >= len(layout.prefix):
            return "patches"
        return "cls" if layout.prefix[i] == "cls" else "registers"

    def by_loop(one):
        kinds = [kind(i) for i in range(layout.num_tokens)]
        table = [[math.nan] * 3 for _ in range(3)]
        for a, source in enumerate(("cls", "registers", "patches")):
            for b, target in enumerate(("cls", "registers", "patches")):
                rows = [one[i] for i, name in enumerate(kinds) if name == source]
                keys = [j for j, name in enumerate(kinds) if name == target]
                if rows and keys:
                    table[a][b] = sum(float(row[j]) for row in rows for j in keys) / len(rows)
        return table

    attention = random_attention(layout, seed=4)
    blocks, expected = block_mass(attention, layout), over_maps(attention, by_loop)
    torch.testing.assert_close(blocks, expected, equal_nan=True)
    torch.testing.assert_close(blocks[..., 2, :].nansum(-1), torch.ones(2, 3, dtype=torch.float64))


@each_layout
@each_rule
def test_the_cls_template_is_the_mass_on_cls(layout, rule):
    attention = random_attention(layout, seed=5)
    templates = template_score(attention, layout, rule)
    assert templates.shape == (2, 3, len(TEMPLATES))
    blocks = block_mass(attention, layout)
    cls = blocks[..., 2, 0].nan_to_num(0) if rule == "raw" else torch.zeros(2, 3).double()
    torch.testing.assert_close(templates[..., -1], cls)
    assert float((1 - templates.sum(-1)).min()) >= -1e-12


@each_layout
def test_content_agnosticism_is_the_mean_cosine_of_all_pairs(layout):
    attention, first = random_attention(layout, lead=(4, 2, 3), seed=6), len(layout.prefix)

    def cosine(a, b):
        a, b = (np.asarray(one)[first:, first:].ravel() for one in (a, b))
        return a @ b / math.sqrt((a @ a) * (b @ b))

    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = [
        [
            np.mean([cosine(attention[i, l, h], attention[j, l, h]) for i, j in pairs])
            for h in range(3)
        ]
        for l in range(2)  # noqa: E741
    ]
    found = content_agnosticism(attention, layout)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    total = unit_maps(attention, layout).sum(0)
    torch.testing.assert_close(agnosticism_from_sum(total, 4), found)


@each_rule
def test_single_precision_keeps_six_digits(rule):
    layout = TokenLayout(("cls",), PatchGrid(30, 37))
    exact = random_attention(layout, lead=(2,), seed=7).float().double()
    for metric in (mean_distance, hop_strength, row_entropy, received_attention, template_score):
        single = metric(exact.float(), layout, rule=rule)
        assert single.dtype == torch.float32
        torch.testing.assert_close(
            single.double(), metric(exact, layout, rule=rule), rtol=1e-6, atol=0
        )
    clipped = clipped_distance(exact.float(), layout, rule=rule)
    expected = clipped_distance(exact, layout, rule=rule)
    torch.testing.assert_close(clipped.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        nmi(exact.float(), layout).double(), nmi(exact, layout), rtol=0, atol=1e-6
    )
