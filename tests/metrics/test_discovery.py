"""Objects found in planted features, by hand and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from analytics.metrics.discovery import (
    connected,
    local_coherence,
    lost_mask,
    maskcut_masks,
    mass_mask,
    spectral_labels,
    tokencut_mask,
)
from analytics.metrics.discovery_scores import (
    box_mask,
    foreground_ari,
    mask_iou,
    mean_iou,
    nearest_vote,
    overlap_counts,
    score_masks,
)
from analytics.types import PatchGrid

GRID = PatchGrid(8, 10)
SHAPE = (8, 10)


def two_blocks():
    """Objects 1 (3 x 4) and 2 (2 x 2) that do not touch, in the middle of the grid."""
    objects = np.zeros(SHAPE, int)
    objects[2:5, 1:5] = 1
    objects[4:6, 7:9] = 2
    return objects


def planted(objects, noise=0.01, seed=0):
    """Unlike features for background and each object, with a little noise."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(12, 12)))[0][: objects.max() + 1]
    return directions[objects.reshape(-1)] + noise * rng.normal(size=(objects.size, 12))


def opposed(inside, seed=0):
    """Features u inside and -u outside, with a little noise."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=12)
    return np.where(inside.reshape(-1, 1), u, -u) + 0.05 * rng.normal(size=(inside.size, 12))


@pytest.mark.parametrize("seeds", [1, 5, 100])
def test_lost_finds_the_rare_block_exactly(seeds):
    inside = two_blocks() == 1
    np.testing.assert_array_equal(lost_mask(opposed(inside), GRID, seeds), inside)


def test_lost_keeps_what_hangs_together_with_the_seed():
    inside = two_blocks() > 0
    features = opposed(inside)
    features[inside.reshape(-1)] *= 1.5
    found = lost_mask(features, GRID)
    # Both blocks are alike: the seed is the first of them.
    np.testing.assert_array_equal(found, two_blocks() == 1)


def test_lost_is_worked_out_patch_by_patch():
    grid = PatchGrid(4, 5)
    f = np.random.default_rng(4).normal(size=(20, 3))
    dots = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in f] for x in f]
    degree = [sum(one >= 0 for one in row) for row in dots]
    lowest = sorted(range(20), key=lambda i: (degree[i], i))
    joined = [i for i in lowest[:6] if dots[i][lowest[0]] >= 0]
    inside = np.array([sum(dots[i][j] for j in joined) >= 0 for i in range(20)]).reshape(4, 5)
    expected = flood(inside, lowest[0])
    assert 0 < expected.sum() < 20
    np.testing.assert_array_equal(lost_mask(f, grid, seeds=6), expected)


def flood(mask, seed):
    found, waiting = np.zeros(mask.shape, bool), [divmod(seed, mask.shape[1])]
    while waiting:
        y, x = waiting.pop()
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not found[y, x]:
            found[y, x] = True
            waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return found


def test_what_hangs_together_is_what_a_flood_reaches():
    mask = np.random.default_rng(1).random((9, 7)) < 0.6
    for seed in range(63):
        np.testing.assert_array_equal(connected(mask, seed), flood(mask, seed))


def test_tokencut_finds_one_object_on_a_background_exactly():
    objects = two_blocks() == 1
    np.testing.assert_array_equal(tokencut_mask(planted(objects.astype(int)), GRID), objects)


@pytest.mark.parametrize("seed", range(8))
def test_tokencut_solves_the_normalised_cut(seed):
    """Twin: the generalised problem written out with the inverse of D."""
    grid = PatchGrid(4, 4)
    f = np.random.default_rng(seed).normal(size=(16, 3))
    weights = np.where(cosine_similarity(f) >= 0.2, 1.0, 1e-5)
    degree = np.diag(weights.sum(1))
    values, vectors = np.linalg.eig(np.linalg.inv(degree) @ (degree - weights))
    x = vectors[:, np.argsort(values.real)[1]].real
    first = np.abs(x).argmax()
    side = (x > x.mean()) == (x > x.mean())[first]
    np.testing.assert_array_equal(tokencut_mask(f, grid), flood(side.reshape(4, 4), first))


def test_maskcut_finds_both_blocks_exactly_and_then_nothing():
    objects = two_blocks()
    masks = maskcut_masks(planted(objects), GRID, cuts=5)
    assert len(masks) == 2
    np.testing.assert_array_equal(masks[0], objects == 1)
    np.testing.assert_array_equal(masks[1], objects == 2)
    scores = score_masks(masks, objects)
    assert (scores.best_iou, scores.mean_best_iou, scores.box_iou) == (1, 1, 1)
    assert scores.correct


def test_maskcut_takes_a_side_with_three_corners_for_background():
    objects = np.ones(SHAPE, int)
    objects[1:7, 1:9] = 0  # the larger part is the middle, the rim holds the corners
    masks = maskcut_masks(planted(objects), GRID, cuts=1)
    np.testing.assert_array_equal(masks[0], objects == 0)


def test_spectral_clustering_finds_planted_blocks_exactly():
    objects = two_blocks()
    same = objects.reshape(-1, 1) == objects.reshape(1, -1)
    chance = np.where(same, 0.9, 0.05) + 0.02 * np.random.default_rng(0).random(same.shape)
    labels = spectral_labels(chance, 3)
    assert labels.dtype == np.int32
    assert foreground_ari(labels, objects) == 1
    everything = foreground_ari(labels, objects + 1)
    assert everything == 1


def test_random_groups_have_an_index_near_0():
    rng = np.random.default_rng(0)
    objects = rng.integers(1, 4, 3000)
    assert abs(foreground_ari(rng.integers(0, 3, 3000), objects)) < 0.01


def test_the_index_leaves_the_background_out():
    objects = np.array([0, 0, 1, 1, 2, 2])
    assert foreground_ari(np.array([0, 5, 7, 7, 3, 3]), objects) == 1
    assert foreground_ari(np.array([1, 1, 1, 1, 1, 1]), objects) == 0
    assert np.isnan(foreground_ari(np.zeros(3), np.array([0, 0, 1])))


def test_the_mass_is_held_by_the_fewest_patches():
    rows = np.array([[0.2, 0.5, 0.3], [1, 1, 2], [0, 0, 0], [0, 4, 0]])
    expected = [[0, 1, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(mass_mask(rows, 0.6), np.array(expected, bool))
    np.testing.assert_array_equal(mass_mask(rows, 1.0), rows > 0)
    # A sum that is met exactly needs no further patch.
    np.testing.assert_array_equal(mass_mask(np.array([0.5, 0.1, 0.4]), 0.5), [True, False, False])


def test_coherence_is_worked_out_neighbour_by_neighbour():
    grid = PatchGrid(4, 5)
    f = np.random.default_rng(3).normal(size=(20, 6))
    cosines = cosine_similarity(f)
    found = local_coherence(f, grid)
    for y in range(4):
        for x in range(5):
            near = [
                cosines[y * 5 + x, v * 5 + u]
                for v in range(max(0, y - 1), min(4, y + 2))
                for u in range(max(0, x - 1), min(5, x + 2))
                if (v, u) != (y, x)
            ]
            best = sorted(near)[-4:]
            assert found[y, x] == pytest.approx(sum(best) / len(best), abs=1e-6)


def test_a_block_coheres_where_noise_does_not():
    objects = two_blocks()
    noise = np.random.default_rng(0).normal(size=(80, 64))
    inside = objects.reshape(-1) == 1
    noise[inside] = noise[inside][0]
    found = local_coherence(noise, GRID)
    assert found[objects == 1].min() > 0.7 > 0.5 > found[objects == 0].max()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("grid", [PatchGrid(1, 1), PatchGrid(1, 2), PatchGrid(4, 5)])
def test_equal_patches_and_one_patch_have_plain_answers(grid, value):
    f = np.full((grid.count, 3), value)
    assert lost_mask(f, grid).all()
    assert not tokencut_mask(f, grid).any()
    assert maskcut_masks(f, grid).shape == (0, grid.rows, grid.columns)
    coherence = local_coherence(f, grid)
    assert np.isnan(coherence).all() if grid.count == 1 else np.allclose(coherence, value)
    labels = spectral_labels(np.full((grid.count, grid.count), value), 3)
    assert labels.shape == (grid.count,)


def test_scores_of_masks_by_hand():
    objects = np.zeros((4, 4), int)
    objects[:2, :2], objects[3, 3] = 1, 2
    mask = np.zeros((4, 4), bool)
    mask[:2, :3] = True  # 4 shared of 6
    scores = score_masks(mask, objects)
    assert scores.best_iou == pytest.approx(4 / 6)
    assert scores.mean_best_iou == pytest.approx(2 / 6)
    assert scores.box_iou == pytest.approx(4 / 6)
    assert scores.correct
    assert not score_masks(np.zeros((0, 4, 4), bool), objects).correct
    assert score_masks(np.zeros((4, 4), bool), objects).best_iou == 0
    nothing = score_masks(mask, np.full((4, 4), -1))
    assert np.isnan(nothing.best_iou)
    assert not nothing.correct


def test_boxes_and_overlaps_by_hand():
    mask = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(box_mask(mask), [[0, 1, 1], [0, 1, 1], [0, 0, 0]])
    assert mask_iou(mask, box_mask(mask)) == 0.5
    assert mask_iou(~mask & mask, ~mask & mask) == 0


def test_the_nearest_vote_and_the_smaller_number_wins_a_tie():
    likeness = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.9], [-np.inf] * 4])
    labels = np.array([2, 1, 1, 0])
    assert nearest_vote(likeness, labels, 1).tolist() == [2, 0, -1]
    assert nearest_vote(likeness, labels, 2).tolist() == [1, 0, -1]
    assert nearest_vote(likeness, labels, 3).tolist() == [1, 1, -1]


def test_the_mean_overlap_leaves_out_classes_that_do_not_occur():
    found, truth = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    counts = overlap_counts(found, truth, 3)
    assert counts.tolist() == [[1, 3], [2, 4], [0, 0]]
    assert mean_iou(counts) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert np.isnan(mean_iou(np.zeros((2, 2))))


def test_wrong_sizes_and_values_are_named():
    grid = PatchGrid(2, 2)
    with pytest.raises(ValueError, match="leave prefix tokens out"):
        lost_mask(np.ones((5, 3)), grid)
    with pytest.raises(ValueError, match="finite"):
        tokencut_mask(np.full((4, 3), np.nan), grid)
    with pytest.raises(ValueError, match="one cut"):
        maskcut_masks(np.ones((4, 3)), grid, cuts=0)
    with pytest.raises(ValueError, match="mass"):
        mass_mask(np.ones(3), 0)
    with pytest.raises(ValueError, match="one group"):
        spectral_labels(np.ones((3, 2)), 2)
    with pytest.raises(ValueError, match="0 or more"):
        spectral_labels(-np.ones((3, 3)), 2)
    with pytest.raises(ValueError, match="masks of"):
        score_masks(np.ones((2, 3), bool), np.ones((2, 2)))
    with pytest.raises(ValueError, match="each of 4"):
        foreground_ari(np.ones(3), np.ones(4))
