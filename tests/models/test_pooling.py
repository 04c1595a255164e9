"""Poolings by hand, against a straight-line reference, and by what holds for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from analytics.models.pooling import (
    AttentiveProbe,
    MaxPooling,
    MeanPooling,
    Pooling,
    forward_flops,
)
from analytics.models.pooling_heads import ClassAttention, ClipPooling, MultiHeadPooling
from analytics.models.pooling_light import AttentionMLP, EfficientProbing, SimPool

WIDTH = 24
FAMILY = {
    "mean": lambda: MeanPooling(WIDTH),
    "max": lambda: MaxPooling(WIDTH),
    "ep": lambda: EfficientProbing(WIDTH, 4),
    "ep, reduced": lambda: EfficientProbing(WIDTH, 4, 2),
    "abmilp": lambda: AttentionMLP(WIDTH, 8),
    "simpool": lambda: SimPool(WIDTH),
    "multihead": lambda: MultiHeadPooling(WIDTH, 3),
    "clip": lambda: ClipPooling(WIDTH, 3),
    "cait": lambda: ClassAttention(WIDTH, 3),
}


@pytest.fixture(params=FAMILY)
def pooling(request) -> Pooling:
    torch.manual_seed(3)
    return FAMILY[request.param]().double()


def made(bags: int = 3, instances: int = 11) -> Tensor:
    return torch.randn(bags, instances, WIDTH, generator=torch.Generator().manual_seed(5)).double()


def test_attention_sums_to_1_over_the_instances(pooling):
    pooled = pooling(made())
    assert pooled.vectors.shape == (3, pooling.out_dim)
    if pooling.num_queries == 0:
        assert pooled.attention is None
        return
    assert pooled.attention.shape == (3, pooling.num_queries, 11)
    torch.testing.assert_close(
        pooled.attention.sum(-1), torch.ones(3, pooling.num_queries).double()
    )
    assert bool((pooled.attention >= 0).all())


def test_the_order_of_instances_does_not_matter(pooling):
    bags, order = made(), torch.randperm(11, generator=torch.Generator().manual_seed(1))
    one, other = pooling(bags), pooling(bags[:, order])
    torch.testing.assert_close(one.vectors, other.vectors)
    if one.attention is not None:
        torch.testing.assert_close(one.attention[..., order], other.attention)


def test_bags_do_not_see_each_other(pooling):
    bags = made()
    alone = torch.cat([pooling(bag[None]).vectors for bag in bags])
    torch.testing.assert_close(pooling(bags).vectors, alone)


def test_one_instance_gets_all_attention(pooling):
    pooled = pooling(made(instances=1))
    if pooled.attention is not None:
        torch.testing.assert_close(pooled.attention, torch.ones_like(pooled.attention))
    assert bool(pooled.vectors.isfinite().all())


@pytest.mark.parametrize("name", ["mean", "max", "ep", "abmilp", "simpool", "multihead"])
def test_a_bag_given_twice_has_the_same_vector_and_half_the_attention(name):
    pooling = FAMILY[name]().double()
    bags = made()
    one, twice = pooling(bags), pooling(torch.cat([bags, bags], dim=1))
    torch.testing.assert_close(one.vectors, twice.vectors)
    if one.attention is not None:
        torch.testing.assert_close(one.attention / 2, twice.attention[..., :11])


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mean", 0),
        ("max", 0),
        ("ep", 4 * WIDTH + WIDTH**2),
        ("ep, reduced", 4 * WIDTH + WIDTH**2 // 2),
        ("abmilp", 8 * (WIDTH + 2)),
        ("simpool", 2 * WIDTH**2 + 2 * WIDTH),
        ("multihead", WIDTH + 3 * (WIDTH**2 + WIDTH)),
        ("clip", 4 * (WIDTH**2 + WIDTH)),
        ("cait", 12 * WIDTH**2 + 14 * WIDTH),
    ],
)
def test_parameters_are_counted_as_documented(name, formula):
    assert FAMILY[name]().num_parameters == formula


def test_efficient_probing_has_the_published_size_and_cost():
    pooling = EfficientProbing(768, 32)
    assert pooling.num_parameters == 614_400
    # Scores and pooled instances, 2 * 2 * 32 * 196 * 768; slices, 2 * 768 * 768.
    assert forward_flops(pooling, 196) == 2 * 2 * 32 * 196 * 768 + 2 * 768 * 768 == 20_447_232


def projected_first(pooling: EfficientProbing, bags: Tensor) -> np.ndarray:
    """Efficient probing as it is published, one sum at a time."""
    queries, projection = (one.detach().numpy() for one in (pooling.queries, pooling.projection))
    width = pooling.out_dim // pooling.num_queries
    vectors = np.zeros((len(bags), pooling.out_dim))
    for b, bag in enumerate(bags.numpy()):
        value = bag @ projection.T
        for j, query in enumerate(queries):
            logits = np.array([query @ x / math.sqrt(WIDTH) for x in bag])
            weights = np.exp(logits) / np.exp(logits).sum()
            for n, weight in enumerate(weights):
                part = slice(j * width, (j + 1) * width)
                vectors[b, part] += weight * value[n, part]
    return vectors


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_pooling_first_equals_projecting_first(reduction):
    torch.manual_seed(0)
    pooling = EfficientProbing(WIDTH, 4, reduction).double()
    pooling.queries.data *= 250  # attention that is far from uniform
    found = pooling(made())
    assert float(found.attention.detach().max()) > 0.5
    np.testing.assert_allclose(
        found.vectors.detach().numpy(), projected_first(pooling, made()), atol=1e-6
    )


def test_a_planted_instance_gets_the_attention_of_the_query_that_looks_for_it():
    pooling = EfficientProbing(WIDTH, 2)
    bags = torch.zeros(1, 9, WIDTH)
    bags[0, 4, 0], bags[0, 7, 1] = 100, 100
    pooling.queries.data = torch.eye(WIDTH)[:2] * 10
    attention = pooling(bags).attention[0]
    assert attention.argmax(-1).tolist() == [4, 7]
    torch.testing.assert_close(attention.amax(-1), torch.ones(2))


def test_abmilp_by_hand():
    pooling = AttentionMLP(2, 1)
    pooling.hidden.weight.data, pooling.hidden.bias.data = (
        torch.tensor([[1.0, 0.0]]),
        torch.zeros(1),
    )
    pooling.weigh.weight.data = torch.tensor([[math.log(3) / math.tanh(1)]])
    bags = torch.tensor([[[1.0, 8.0], [0.0, 4.0]]])  # logits log 3 and 0: attention 3/4 and 1/4
    pooled = pooling(bags)
    torch.testing.assert_close(pooled.attention, torch.tensor([[[0.75, 0.25]]]))
    torch.testing.assert_close(pooled.vectors, torch.tensor([[0.75, 7.0]]))


def test_simpool_step_by_step():
    torch.manual_seed(2)
    pooling = SimPool(WIDTH).double()
    bag = made(1)
    normed = torch.nn.functional.layer_norm(bag, (WIDTH,), eps=1e-6)[0]
    query = pooling.query.weight @ bag[0].mean(0)
    logits = torch.stack([query @ (pooling.key.weight @ one) for one in normed]) / math.sqrt(WIDTH)
    attention = logits.softmax(0)
    value = normed - normed.min() + 1e-6
    expected = (attention[:, None] * value**1.25).sum(0) ** (1 / 1.25)
    pooled = pooling(bag)
    torch.testing.assert_close(pooled.attention[0, 0], attention)
    torch.testing.assert_close(pooled.vectors[0], expected)


def by_torch(query: Tensor, instances: Tensor, layers: tuple) -> tuple[Tensor, Tensor]:
    """One query over instances by torch's own multi-head attention, 3 heads."""
    ask, key, value, out = layers
    return torch.nn.functional.multi_head_attention_forward(
        query[:, None],
        instances.transpose(0, 1),
        instances.transpose(0, 1),
        WIDTH,
        3,
        None,
        torch.cat([ask.bias, key.bias, value.bias]),
        None,
        None,
        False,
        0.0,
        out.weight,
        out.bias,
        need_weights=True,
        average_attn_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=ask.weight,
        k_proj_weight=key.weight,
        v_proj_weight=value.weight,
    )


def test_clip_pooling_is_multi_head_attention_of_the_mean():
    torch.manual_seed(4)
    pooling, bag = ClipPooling(WIDTH, 3).double(), made(1)
    mean = bag.mean(1)
    layers = (pooling.query, pooling.key, pooling.value, pooling.out)
    vector, attention = by_torch(mean, torch.cat([mean[:, None], bag], 1), layers)
    pooled = pooling(bag)
    torch.testing.assert_close(pooled.vectors, vector[0])
    rest = attention[0, :, 0, 1:]
    torch.testing.assert_close(pooled.attention[0], rest / rest.sum(-1, keepdim=True))


def test_class_attention_is_a_layer_on_the_class_token():
    torch.manual_seed(4)
    pooling, bag = ClassAttention(WIDTH, 3).double(), made(1)
    token = pooling.token[None]
    joined = pooling.norm(torch.cat([token[None], bag], 1))
    layers = (pooling.query, pooling.key, pooling.value, pooling.out)
    mixed, _ = by_torch(joined[:, 0], joined, layers)
    token = token + mixed[0]
    inner = torch.nn.functional.gelu(pooling.wide(pooling.norm_mlp(token)))
    torch.testing.assert_close(pooling(bag).vectors, token + pooling.narrow(inner))


def test_a_probe_learns_what_one_instance_of_a_bag_says():
    torch.manual_seed(0)
    made_noise = torch.Generator().manual_seed(1)
    bags = torch.randn(120, 8, WIDTH, generator=made_noise) / 4
    labels = torch.arange(120) % 2
    bags[torch.arange(120), torch.arange(120) % 8, 0] = torch.where(labels == 1, 6.0, -6.0)
    probe = AttentiveProbe(EfficientProbing(WIDTH, 4), 2)
    optimiser = torch.optim.AdamW(probe.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(probe(bags[:80]), labels[:80]).backward()
        optimiser.step()
    probe.eval()
    assert float((probe(bags[80:]).argmax(1) == labels[80:]).float().mean()) > 0.9


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"32 queries x reduction 1 divide, got 100; .* as 25"):
        EfficientProbing(100, 32)
    with pytest.raises(ValueError, match="divides 24, got 7"):
        ClipPooling(WIDTH, 7)
    with pytest.raises(ValueError, match=r"\(bags, instances, 24\) .* got \(3, 11, 23\)"):
        SimPool(WIDTH)(made()[..., :23])
    with pytest.raises(ValueError, match="at least one instance"):
        EfficientProbing(WIDTH, 4)(made()[:, :0])
    with pytest.raises(ValueError, match="at least 2 classes"):
        AttentiveProbe(MeanPooling(WIDTH), 1)
    with pytest.raises(ValueError, match="widths of at least 1"):
        MeanPooling(0)
