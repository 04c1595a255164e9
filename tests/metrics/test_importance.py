"""Head importance against answers worked out by hand, and the same computed the long way."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from analytics.metrics import importance
from analytics.metrics.importance import (
    confidence,
    contribution,
    correlation_shift,
    cosine_shift,
    flipped,
    js_divergence,
    l2_shift,
    map_divergence,
    mean_cosine_shift,
    probability_drop,
    taylor,
)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def chances(*shape, seed=0, dtype=torch.float32):
    return random(*shape, seed=seed, dtype=dtype).softmax(-1)


def test_the_drop_is_that_of_the_class_of_each_image():
    clean = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    pruned = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.1, 0.9]])
    drop = probability_drop(clean, pruned, torch.tensor([0, 1, 1]))
    assert drop.tolist() == pytest.approx([0.5, -0.1, 0], abs=1e-7)


def test_divergence_by_hand():
    p = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]])
    q = torch.tensor([[0.0, 1, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])
    expected = [math.log(2), 0.75 * math.log(4 / 3), 0, 0.75 * math.log(4 / 3)]
    assert js_divergence(p, q).tolist() == pytest.approx(expected, abs=1e-6)


def test_divergence_is_that_of_scipy_and_symmetric():
    p, q = chances(5, 3, 40, dtype=torch.float64), chances(5, 3, 40, seed=1, dtype=torch.float64)
    ours = js_divergence(p, q)
    assert ours.shape == (5, 3)
    np.testing.assert_allclose(ours, jensenshannon(p, q, axis=-1) ** 2, rtol=1e-10)
    assert torch.equal(ours, js_divergence(q, p))


def test_small_divergences_keep_their_digits_in_single_precision():
    p = chances(4, 1000)
    q = (p * (1 + 1e-3 * random(4, 1000, seed=1))).clamp(min=0)
    q /= q.sum(-1, keepdim=True)
    expected = js_divergence(p.double(), q.double())
    assert (expected < 1e-6).all()
    assert torch.allclose(js_divergence(p, q).double(), expected, rtol=1e-3)


def test_a_prediction_flips_where_another_class_leads():
    clean = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    pruned = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])
    flips = flipped(clean, pruned)
    assert flips.dtype == torch.float32
    assert flips.tolist() == [1, 0, 1]


def test_cosine_shift_by_hand():
    clean = torch.tensor([[1.0, 0], [1, 0], [1, 1], [3, 4], [0, 0], [0, 0], [2, 1]])
    pruned = torch.tensor([[0.0, 2], [-5, 0], [2, 2], [4, 3], [0, 0], [1e-30, 0], [0, 0]])
    expected = [1, 2, 0, 1 - 24 / 25, 0, 1, 1]
    assert cosine_shift(clean, pruned).tolist() == pytest.approx(expected, abs=1e-6)


def test_cosine_shift_is_that_of_torch_and_keeps_small_angles():
    clean = random(8, 384, dtype=torch.float64)
    far, near = random(8, 384, seed=1, dtype=torch.float64), clean.clone()
    near[:, 0] += 1e-4
    for pruned, tolerance in ((far, 1e-5), (near, 1e-2)):
        expected = 1 - torch.cosine_similarity(clean, pruned)
        assert (expected > 0).all()
        ours = cosine_shift(clean.float(), pruned.float()).double()
        assert torch.allclose(ours, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_square_is_lost_or_overflows(scale):
    clean, pruned = torch.tensor([[1.0, 0]]) * scale, torch.tensor([[1.0, 1]]) * scale
    assert float(cosine_shift(clean, pruned)) == pytest.approx(1 - math.sqrt(0.5), abs=1e-6)


def test_l2_shift_of_three_and_four_is_five():
    assert l2_shift(torch.zeros(2, 2), torch.tensor([[3.0, 4], [0, 0]])).tolist() == [5, 0]


def test_one_of_four_tokens_turned_shifts_by_a_quarter():
    clean = torch.tensor([1.0, 0]).expand(2, 4, 2).clone()
    pruned = clean.clone()
    pruned[1, 2] = torch.tensor([0.0, 3])
    assert mean_cosine_shift(clean, pruned).tolist() == pytest.approx([0, 0.25])


def test_mean_cosine_shift_is_one_less_the_mean_cosine():
    clean, pruned = random(3, 7, 16), random(3, 7, 16, seed=1)
    expected = 1 - torch.cosine_similarity(clean, pruned, dim=-1).mean(-1)
    assert torch.allclose(mean_cosine_shift(clean, pruned), expected, atol=1e-6)


def test_correlation_shift_is_one_less_pearson():
    clean, pruned = random(4, 5, 6), random(4, 5, 6, seed=1)
    expected = [
        1 - np.corrcoef(a.flatten(), b.flatten())[0, 1]
        for a, b in zip(clean.numpy(), pruned.numpy(), strict=True)
    ]
    assert correlation_shift(clean, pruned).tolist() == pytest.approx(expected, abs=1e-5)


def test_correlation_ignores_scale_and_knows_opposites_and_constants():
    ramp = torch.linspace(0, 1, 12).reshape(3, 4)
    tenth = torch.full((3, 4), 0.1)
    clean = torch.stack([ramp, ramp, tenth, tenth, ramp, tenth])
    pruned = torch.stack([2 * ramp + 5, 1 - ramp, tenth, 2 * tenth, tenth, ramp])
    expected = [0, 2, 0, 1, 1, 1]
    assert correlation_shift(clean, pruned).tolist() == pytest.approx(expected, abs=1e-6)


def test_map_divergence_by_hand():
    clean = torch.tensor([[[1.0, 0]], [[1, 1]], [[2, 6]], [[1, 1]]])
    pruned = torch.tensor([[[1.0, 1]], [[3, 1]], [[1, 3]], [[1, 0]]])
    expected = [math.log(2), math.log(2) - 0.5 * math.log(3), 0, math.inf]
    assert map_divergence(clean, pruned).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("wrong", [[[-1.0, 2]], [[0.0, 0]]])
def test_maps_that_are_no_distribution_are_refused(wrong):
    with pytest.raises(ValueError, match="expected maps of values >= 0 that are not all 0"):
        map_divergence(torch.ones(1, 2), torch.tensor(wrong))


PAIRS = {
    "js_divergence": lambda dtype: chances(6, 50).to(dtype),
    "flipped": lambda dtype: chances(6, 50).to(dtype),
    "cosine_shift": lambda dtype: random(6, 50).to(dtype),
    "l2_shift": lambda dtype: random(6, 50).to(dtype),
    "mean_cosine_shift": lambda dtype: random(6, 5, 50).to(dtype),
    "correlation_shift": lambda dtype: random(6, 5, 10).to(dtype),
    "map_divergence": lambda dtype: random(6, 5, 10).abs().to(dtype),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_equal_input_gives_exactly_nothing(name, dtype):
    values = PAIRS[name](dtype)
    result = getattr(importance, name)(values, values.clone())
    assert result.tolist() == [0] * 6
    wide = torch.float64 if dtype == torch.float64 and name != "flipped" else torch.float32
    assert result.dtype == wide


@pytest.mark.parametrize("name", PAIRS)
def test_two_shapes_are_refused(name):
    values = PAIRS[name](torch.float32)
    with pytest.raises(ValueError, match=r"expected two tensors of one shape .*, got \(6, "):
        getattr(importance, name)(values, values[:3])


def test_classes_of_another_count_are_refused():
    with pytest.raises(ValueError, match=r"one class for each of 2 images, got .* \(3,\)"):
        probability_drop(torch.ones(2, 4), torch.ones(2, 4), torch.zeros(3, dtype=torch.long))


def test_confidence_of_uniform_sharp_and_half_sharp_heads():
    attention = torch.full((1, 3, 4, 4), 0.25)
    attention[0, 1] = torch.eye(4)
    attention[0, 2, :2] = torch.eye(4)[:2]
    assert confidence(attention).tolist() == [[0.25, 1, 0.625]]


def test_contribution_of_one_head_of_two_alike_and_of_none():
    outputs = torch.zeros(3, 2, 1, 2)
    outputs[0, 0, 0] = torch.tensor([3.0, 4])
    outputs[1, :, 0] = torch.tensor([3.0, 4])
    projection = torch.cat([torch.eye(2), torch.eye(2)], dim=1)
    shares = contribution(outputs, projection).tolist()
    assert shares == [pytest.approx([1, 0]), pytest.approx([0.5, 0.5]), [0, 0]]


def test_heads_that_cancel_have_no_finite_share():
    outputs = torch.tensor([[[[1.0]], [[-1.0]]]])
    assert contribution(outputs, torch.ones(1, 2)).tolist() == [[math.inf, math.inf]]


def test_contribution_is_that_of_every_head_projected():
    outputs, projection = random(2, 3, 5, 4), random(10, 12, seed=1)
    written = torch.stack(
        [outputs[:, h] @ projection[:, 4 * h : 4 * h + 4].T for h in range(3)], dim=1
    )  # b h t D
    expected = written.flatten(2).norm(dim=-1) / written.sum(1).flatten(1).norm(dim=-1)[:, None]
    assert torch.allclose(contribution(outputs, projection), expected, rtol=1e-5)


def test_a_projection_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"3 heads x 4 = 12 columns, got shape \(12, 10\)"):
        contribution(random(2, 3, 5, 4), random(12, 10))


def test_taylor_is_output_times_gradient_for_each_image():
    outputs = random(4, 3, 5, 2, dtype=torch.float64).requires_grad_()
    gates = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    weight = random(3, 5, 2, seed=1, dtype=torch.float64)
    losses = ((outputs * gates[:, :, None, None]).tanh() * weight).sum((1, 2, 3))  # b
    by_gate, by_output = torch.autograd.grad(losses.sum(), [gates, outputs])
    expected = (outputs * by_output).sum((-2, -1)).abs()
    assert (by_gate < 0).any()
    assert torch.allclose(taylor(by_gate), expected, atol=1e-12)


def test_taylor_of_a_distance_to_oneself_is_zero():
    outputs = random(2, 3, 4)
    gates = torch.ones(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad((outputs * gates[..., None] - outputs).square().sum(), gates)
    assert taylor(gradient).tolist() == [[0, 0, 0]] * 2
