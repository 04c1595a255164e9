"""Rollout, relevance and LeGrad: answers worked out by hand, and the same the long way."""

import pytest
import torch

from analytics.metrics.flow import (
    legrad,
    legrad_layer,
    relevance,
    relevance_row,
    rollout,
    rollout_row,
    supported,
)

TOKENS = 5


def maps(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).softmax(-1)


def slopes(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(layers, heads=2):
    return torch.full((layers, heads, TOKENS, TOKENS), 1 / TOKENS, dtype=torch.float64)


EYE, EVEN = torch.eye(TOKENS).double(), torch.full((TOKENS, TOKENS), 1 / TOKENS).double()


@pytest.mark.parametrize("layers", [1, 2, 7])
def test_rollout_of_uniform_layers(layers):
    expected = 2.0**-layers * EYE + (1 - 2.0**-layers) * EVEN
    assert torch.allclose(rollout(uniform(layers)), expected, atol=1e-12)


def test_rollout_of_tokens_that_attend_to_themselves_is_the_identity():
    assert torch.equal(rollout(EYE.expand(4, 3, TOKENS, TOKENS)), EYE)


def test_the_last_layer_stands_on_the_left():
    # In layer 0 token 1 takes all from token 0; in layer 1 token 2 takes all from token 1.
    first, second = torch.eye(3), torch.eye(3)
    first[1] = torch.tensor([1.0, 0, 0])
    second[2] = torch.tensor([0.0, 1, 0])
    found = rollout(torch.stack([first, second])[:, None])
    assert found[2].tolist() == [0.25, 0.25, 0.5]
    turned = rollout(torch.stack([second, first])[:, None])
    assert turned[2].tolist() == [0, 0.5, 0.5]


def by_hand_rollout(attentions):
    """Sums over all paths, number by number."""
    total = [[float(i == j) for j in range(TOKENS)] for i in range(TOKENS)]
    for layer in attentions:
        heads = len(layer)
        mixed = [
            [sum(float(h[i, j]) for h in layer) / heads + (i == j) for j in range(TOKENS)]
            for i in range(TOKENS)
        ]
        mixed = [[value / sum(row) for value in row] for row in mixed]
        total = [
            [sum(mixed[i][k] * total[k][j] for k in range(TOKENS)) for j in range(TOKENS)]
            for i in range(TOKENS)
        ]
    return torch.tensor(total, dtype=torch.float64)


def test_rollout_number_by_number_for_each_image():
    attentions = maps(3, 2, 4, TOKENS, TOKENS)  # layers, images, heads, queries, keys
    attentions[1] *= 0.5  # rows that do not sum to 1 are normalised
    found = rollout(attentions)
    assert found.shape == (2, TOKENS, TOKENS)
    for image in range(2):
        expected = by_hand_rollout(attentions[:, image])
        assert torch.allclose(found[image], expected, atol=1e-12)
    assert torch.allclose(found.sum(-1), torch.ones(2, TOKENS).double())


def test_rows_of_the_rollout_without_the_whole():
    attentions = maps(4, 2, 3, TOKENS, TOKENS)
    start = torch.rand(2, TOKENS, dtype=torch.float64)
    found = rollout_row(list(attentions.mean(2)), start)
    assert torch.allclose(found, (start[:, None] @ rollout(attentions))[:, 0], atol=1e-12)


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_relevance_of_uniform_layers_with_slope_one(layers):
    found = relevance(uniform(layers), torch.ones(layers, 2, TOKENS, TOKENS).double())
    assert torch.allclose(found, EYE + (2.0**layers - 1) * EVEN, atol=1e-10)


def test_relevance_without_support_is_the_identity():
    attentions = maps(3, 2, TOKENS, TOKENS)
    assert torch.equal(relevance(attentions, -slopes(3, 2, TOKENS, TOKENS).abs()), EYE)


def test_relevance_number_by_number():
    attentions, gradients = maps(3, 4, TOKENS, TOKENS), slopes(3, 4, TOKENS, TOKENS)
    total = EYE.clone()
    for layer in range(3):
        before = total.clone()
        for i in range(TOKENS):
            for j in range(TOKENS):
                for k in range(TOKENS):
                    for head in range(4):
                        product = attentions[layer, head, i, k] * gradients[layer, head, i, k]
                        total[i, j] += max(float(product), 0.0) / 4 * before[k, j]
    assert torch.allclose(relevance(attentions, gradients), total, atol=1e-12)


def test_rows_of_the_relevance_without_the_whole():
    attentions, gradients = maps(3, 2, 4, TOKENS, TOKENS), slopes(3, 2, 4, TOKENS, TOKENS)
    supports = [supported(a, g) for a, g in zip(attentions, gradients, strict=True)]
    start = torch.rand(2, TOKENS, dtype=torch.float64)
    whole = relevance(attentions, gradients)
    found = relevance_row(supports, start)
    assert torch.allclose(found, (start[:, None] @ whole)[:, 0], atol=1e-12)


def test_legrad_of_slope_one_counts_the_layers():
    assert legrad([torch.ones(3, TOKENS, TOKENS)] * 4).tolist() == [4.0] * TOKENS


def test_legrad_of_falling_scores_is_nothing():
    assert legrad([-torch.ones(3, TOKENS, TOKENS)] * 4).tolist() == [0.0] * TOKENS


def test_legrad_cuts_before_it_averages():
    slope = torch.tensor([[[4.0, -8.0], [-4.0, 2.0]]])  # one head, two queries, two keys
    assert legrad_layer(slope).tolist() == [2.0, 1.0]


def test_legrad_number_by_number():
    gradients = [slopes(2, 3, TOKENS, TOKENS, seed=seed) for seed in range(4)]  # images first
    expected = torch.zeros(2, TOKENS, dtype=torch.float64)
    for layer in gradients:
        for image in range(2):
            for head in range(3):
                for query in range(TOKENS):
                    for key in range(TOKENS):
                        slope = float(layer[image, head, query, key])
                        expected[image, key] += max(slope, 0.0) / (3 * TOKENS)
    assert torch.allclose(legrad(gradients), expected, atol=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="every token is query and key"):
        rollout(torch.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match="a gradient for each of the maps"):
        relevance(torch.ones(2, 3, 4, 4), torch.ones(2, 1, 4, 4))
    with pytest.raises(ValueError, match="at least one layer"):
        legrad([])
