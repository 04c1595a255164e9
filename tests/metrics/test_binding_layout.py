"""Separation of objects and aligned layouts: worked out by hand, and pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.metrics.binding_layout import (
    align_layouts,
    between_share,
    nearness_auc,
    random_spectra,
    separation,
)

TWO = np.array([1, 1, 2, 2], np.int32)
LINE = np.array([[0, 0], [0, 1], [0, 2], [0, 3]])


def rotation(seed=0, width=3):
    drawn = np.random.default_rng(seed).normal(size=(width, width))
    turned = np.linalg.qr(drawn)[0]
    return turned * np.sign(np.linalg.det(turned)) if width % 2 else turned


def test_the_share_between_objects_by_hand():
    # Means 1 and 5 about 3, deviations of 1: between 4 * 4 = 16, within 4, of 20 in all.
    share, chance = between_share(np.array([[0.0], [2], [4], [6]]), TWO)
    assert share == pytest.approx(0.8) and chance == pytest.approx(1 / 3)


def test_objects_of_one_place_each_have_all_variance_between_and_equal_means_none():
    assert between_share(np.array([[1.0, 2], [1, 2], [5, 0], [5, 0]]), TWO)[0] == pytest.approx(1)
    assert between_share(np.array([[-1.0], [1], [-3], [3]]), TWO)[0] == pytest.approx(0)


def test_random_places_have_the_share_of_chance_on_average():
    rng = np.random.default_rng(3)
    objects = np.repeat([1, 2, 3, 4, 5], 6)
    shares = [between_share(rng.normal(size=(30, 4)), objects)[0] for _ in range(400)]
    assert np.mean(shares) == pytest.approx(4 / 29, abs=0.01)


def test_patches_of_no_object_do_not_count_and_one_object_says_nothing():
    places = np.array([[0.0], [2], [4], [6], [90]])
    assert between_share(places, np.append(TWO, 0))[0] == pytest.approx(0.8)
    assert np.isnan(between_share(places, np.array([1, 1, 1, 0, 0]))).all()
    assert np.isnan(between_share(np.ones((4, 2)), TWO)[0])


def brute_auc(places, objects):
    """Every same pair against every different one."""
    same: list[float] = []
    different: list[float] = []
    for i in range(len(places)):
        for j in range(i):
            if objects[i] and objects[j]:
                far = float(np.linalg.norm(places[i] - places[j]))
                (same if objects[i] == objects[j] else different).append(far)
    won = [(a < b) + 0.5 * (a == b) for a in same for b in different]
    return np.mean(won)


def test_nearness_equals_every_pair_against_every_other():
    rng = np.random.default_rng(1)
    objects = rng.integers(0, 4, 24)
    places = rng.normal(size=(24, 5)) + 0.8 * objects[:, None]
    grid = np.stack(np.divmod(np.arange(24), 6), axis=1)
    auc, matched = nearness_auc(places, objects, grid)
    assert auc == pytest.approx(brute_auc(places, objects)) and 0 <= matched <= 1


def test_far_objects_have_one_and_equal_places_a_half():
    far = np.array([[0.0, 0], [0, 1], [50, 0], [50, 1]])
    assert nearness_auc(far, TWO, LINE)[0] == 1
    assert nearness_auc(np.zeros((4, 2)), TWO, LINE)[0] == 0.5


def test_matched_on_distance_nothing_is_left_of_distance_alone():
    """Places that are the grid itself: near on the picture is near, whatever the object."""
    grid = np.stack(np.divmod(np.arange(64), 8), axis=1)
    objects = (1 + grid[:, 1] // 4).astype(np.int32)
    auc, matched = nearness_auc(grid.astype(float), objects, grid)
    assert auc > 0.75 and matched == pytest.approx(0.5, abs=0.04)


def test_turning_scaling_and_moving_all_places_changes_nothing():
    rng = np.random.default_rng(2)
    objects = rng.integers(1, 4, 20)
    places = rng.normal(size=(20, 3)) + objects[:, None]
    grid = np.stack(np.divmod(np.arange(20), 5), axis=1)
    before = separation(places, objects, grid)
    after = separation(7 * places @ rotation() + 4, objects, grid)
    for name in ("between", "chance", "auc", "matched"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-6)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many patches, got 3, 4 and 4"):
        separation(np.ones((3, 2)), TWO, LINE)


@pytest.mark.parametrize("seed", range(6))
def test_a_turned_or_mirrored_copy_comes_back_onto_the_original(seed):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(40, 3)) * [4, 2, 1]
    mirror = np.diag(rng.choice([-1, 1], 3))
    places, turns = align_layouts([first, first @ rotation(seed) @ mirror])
    np.testing.assert_allclose(places[1] @ turns[1], first, atol=1e-4)
    assert np.linalg.det(turns[1]) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(turns[0], np.eye(3))


def test_signs_of_flat_layouts_follow_the_one_before():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(30, 3))
    flipped = first * [-1, 1, -1] + 0.05 * rng.normal(size=(30, 3))
    places, _ = align_layouts([first, flipped])
    assert ((places[0][:, :2] * places[1][:, :2]).sum(0) > 0).all()


def test_layouts_without_extent_are_left_alone():
    places, turns = align_layouts([np.zeros((4, 3)), np.zeros((4, 3))])
    assert not places.any() and np.linalg.det(turns[1]) == pytest.approx(1)


def test_random_products_of_low_rank_are_nearly_even_and_symmetric_ones_end_at_the_edge():
    flat = random_spectra("product", 4000, np.ones(4))
    np.testing.assert_allclose(flat, 0.5, atol=0.06)  # four alike, squares adding up to 1
    wide = random_spectra("symmetric", 200, np.ones(1), draws=5)
    assert np.abs(wide[:, 0]).mean() == pytest.approx(2 / np.sqrt(200), rel=0.06)
    np.testing.assert_allclose(np.square(wide).sum(1), 1)


def test_a_random_product_equals_the_whole_matrix_and_keeps_the_signs():
    signs = np.array([1, 1, -1])
    found = random_spectra("product", 7, signs, draws=1, seed=5)[0]
    w = np.random.default_rng(5).normal(size=(7, 3)).T
    values = np.linalg.eigvalsh(w.T @ np.diag(signs) @ w)
    values = values[np.abs(values).argsort()[::-1]][:3]
    np.testing.assert_allclose(found, values / np.linalg.norm(values), atol=1e-9)
    assert sorted(np.sign(found)) == [-1, 1, 1]
