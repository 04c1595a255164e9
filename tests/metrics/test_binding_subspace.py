"""The binding part of tokens and its changes: worked out by hand, and number by number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.metrics.binding_subspace import (
    Subspace,
    energy,
    injected_change,
    matched_gain,
    principal_plot,
    principal_subspace,
    random_subspace,
    shuffle_order,
    shuffled_change,
    split_tokens,
    variance_share,
)
from analytics.models.binding_probes import BindingProbe
from tests.models.binding_cases import drawn_probe


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def subspace_of(probe: BindingProbe, point=1) -> Subspace:
    held = {name: tensor[point] for name, tensor in probe.tensors.items()}
    return Subspace(probe.subspace(point), held["mean"], held["spread"])


def test_the_binding_part_is_the_projection_on_the_rows_of_the_probe_s_matrix():
    probe = drawn_probe("quadratic", width=6, rank=3)
    tokens = drawn(5, 6)
    binding, feature = split_tokens(tokens, subspace_of(probe))
    w = probe.tensors["matrix"][1].double().numpy()
    mean, spread = (probe.tensors[n][1].double().numpy() for n in ("mean", "spread"))
    for row in range(5):
        x = (tokens[row].double().numpy() - mean) / spread
        best = np.linalg.lstsq(w.T, x, rcond=None)[0]  # the nearest mixture of the rows
        np.testing.assert_allclose(binding[row], w.T @ best * spread, atol=1e-5)
        rest = (feature[row].double().numpy() - mean) / spread
        np.testing.assert_allclose(w @ rest, 0, atol=1e-5)  # the probe sees nothing of f
    torch.testing.assert_close(binding + feature, tokens)


def test_a_planted_binding_part_is_found_by_hand():
    flat = Subspace(torch.eye(3)[:1], torch.tensor([1.0, 0, 0]), torch.tensor([2.0, 1, 1]))
    binding, feature = split_tokens(torch.tensor([[5.0, 7, 8]]), flat)
    assert binding.tolist() == [[4, 0, 0]]
    assert feature.tolist() == [[1, 7, 8]]


def test_a_constant_dimension_stays_as_it_is():
    basis = torch.full((1, 4), 0.5)
    held = Subspace(basis, torch.zeros(4), torch.tensor([1.0, torch.inf, 1, 1]))
    binding, feature = split_tokens(torch.tensor([[2.0, 7, 2, 2]]), held)
    assert binding.tolist() == [[1.5, 0, 1.5, 1.5]]
    assert feature.tolist() == [[0.5, 7, 0.5, 0.5]]


def test_all_directions_leave_the_mean():
    whole = Subspace(torch.eye(4), drawn(4, seed=1), torch.full((4,), 2.0))
    feature = split_tokens(drawn(3, 4), whole)[1]
    torch.testing.assert_close(feature, whole.mean.expand(3, 4))
    assert variance_share(drawn(9, 4), whole) == pytest.approx(1)


def test_moving_coordinates_moves_what_the_probe_reads_and_nothing_else():
    probe = drawn_probe("quadratic", width=6, rank=3)
    tokens, space = drawn(5, 6), subspace_of(probe)
    order = torch.tensor([1, 2, 3, 4, 0])
    change = space.lifted(shuffled_change(space.coordinates(tokens), order))
    moved = tokens + change
    before, after = probe.read(tokens, 1).z, probe.read(moved, 1).z
    torch.testing.assert_close(after, before[order], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        split_tokens(moved, space)[1], split_tokens(tokens, space)[1], rtol=1e-4, atol=1e-4
    )


def test_principal_directions_are_those_that_vary_most():
    tokens = drawn(200, 5) * torch.tensor([1.0, 9, 1, 5, 1]) + 3
    like = Subspace(torch.eye(5)[:2], torch.zeros(5), torch.ones(5))
    found = principal_subspace(tokens, like)
    axes = torch.linalg.svd(tokens - tokens.mean(0))[2][:2]
    torch.testing.assert_close((found.basis * axes).sum(1).abs(), torch.ones(2))
    values = torch.linalg.svdvals(tokens - tokens.mean(0)).square()
    assert variance_share(tokens, found) == pytest.approx(float(values[:2].sum() / values.sum()))


def test_random_directions_are_orthonormal_and_hold_their_share():
    like = Subspace(torch.eye(40)[:10], torch.zeros(40), torch.ones(40))
    found = random_subspace(like, seed=3)
    torch.testing.assert_close(found.basis @ found.basis.mT, torch.eye(10), rtol=1e-5, atol=1e-5)
    assert variance_share(drawn(4000, 40), found) == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(found.basis, random_subspace(like, seed=4).basis)
    assert torch.equal(found.basis, random_subspace(like, seed=3).basis)


@pytest.mark.parametrize(("ratio", "moved"), [(0, 0), (0.5, 10), (1, 20)])
def test_a_shuffle_moves_the_share_that_was_asked_for(ratio, moved):
    order = shuffle_order(20, ratio, seed=1)
    assert sorted(order.tolist()) == list(range(20))
    assert sum(i != place for i, place in enumerate(order.tolist())) == moved


def test_ratio_0_and_alpha_1_change_nothing_bit_for_bit():
    c = drawn(20, 4)
    assert torch.equal(shuffled_change(c, shuffle_order(20, 0)), torch.zeros(20, 4))
    objects = torch.arange(20) % 3
    assert torch.equal(injected_change(c, objects, 1), torch.zeros(20, 4))


def test_one_patch_or_none_is_shuffled_to_itself():
    assert shuffle_order(1, 1).tolist() == [0]
    assert shuffle_order(0, 1).tolist() == []


@pytest.mark.parametrize("alpha", [0, 0.25, 1])
def test_an_injection_is_worked_out_patch_by_patch(alpha):
    c, objects = drawn(12, 3), torch.tensor([0, 5, 2, 5, 2, 0, 7, 5, 2, 2, 0, 5])
    after = c + injected_change(c, objects, alpha)
    for i, number in enumerate(objects.tolist()):
        mates = [c[j] for j in range(12) if objects[j] == number]
        mean = sum(mates) / len(mates)
        expected = c[i] if number == 0 else (1 - alpha) * mean + alpha * c[i]
        torch.testing.assert_close(after[i], expected)


def test_an_energy_is_matched():
    change = drawn(6, 3)
    assert matched_gain(energy(change) * 4, change) == pytest.approx(2)
    gain = matched_gain(7.5, change)
    assert energy(change * gain) == pytest.approx(7.5, rel=1e-6)
    assert matched_gain(3, torch.zeros(6, 3)) == 0
    assert matched_gain(0, change) == 0


def test_points_on_a_line_lie_on_the_first_axis():
    along = np.array([0.0, 1, 2, 9])[:, None] * np.array([[3.0, 4, 0]])
    plot = principal_plot(along, np.array([1, 1, 2, 2]))
    np.testing.assert_allclose(plot.places[:, 0], [-15, -10, -5, 30], atol=1e-5)
    np.testing.assert_allclose(plot.places[:, 1:], 0, atol=1e-5)
    np.testing.assert_allclose(plot.explained, [1, 0, 0], atol=1e-6)
    assert plot.objects.tolist() == [1, 1, 2, 2]


def test_a_layout_keeps_distances_where_its_axes_hold_everything():
    values = drawn(10, 3).double().numpy()
    places = principal_plot(values, np.zeros(10, int)).places
    for i in range(10):
        for j in range(10):
            expected = np.linalg.norm(values[i] - values[j])
            assert np.linalg.norm(places[i] - places[j]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("values", [np.ones((1, 4)), np.full((5, 4), 2.0), np.ones((5, 1))])
def test_equal_patches_are_laid_out_in_one_place(values):
    plot = principal_plot(values, np.zeros(len(values), int), axes=2)
    np.testing.assert_array_equal(plot.places, np.zeros((len(values), 2)))
    assert np.isnan(variance_share(torch.ones(3, 2), Subspace(torch.eye(2), *torch.ones(2, 2))))


def test_wrong_sizes_and_ranges_are_named():
    with pytest.raises(ValueError, match="basis"):
        Subspace(torch.eye(3)[:2], torch.zeros(2), torch.ones(3))
    with pytest.raises(ValueError, match=r"ratio of 0 to 1, got 1\.5"):
        shuffle_order(4, 1.5)
    with pytest.raises(ValueError, match="alpha of 0 to 1, got -1"):
        injected_change(drawn(2, 2), torch.ones(2), -1)
    with pytest.raises(ValueError, match="2 or 3 axes"):
        principal_plot(np.zeros((3, 2)), np.zeros(3, int), axes=4)
    with pytest.raises(ValueError, match="got none"):
        principal_subspace(torch.zeros(0, 2), Subspace(torch.eye(2), *torch.ones(2, 2)))
