"""Measures of pairs against hand-made answers and against loops over every pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.metrics.binding import (
    MATCHED,
    MEASURES,
    auc_by_group,
    matched_weights,
    measure_pairs,
    pair_set,
    sample_patches,
    weighted_auc,
)
from analytics.metrics.binding_attention import correlations, object_head_auc, top_key_share


def made(images=6, patches=20, side=12, seed=0, objects=3):
    rng = np.random.default_rng(seed)
    places = np.stack(
        np.unravel_index(
            np.stack([rng.permutation(side**2)[:patches] for _ in range(images)]), (side, side)
        ),
        axis=-1,
    )
    return rng.integers(0, objects + 1, (images, patches)), places


def loop_auc(scores, truth, weights):
    """Every same pair against every different one."""
    won = total = 0.0
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth):
            weight = weights[i] * weights[j]
            won += weight * (1.0 if scores[i] > scores[j] else 0.5 * (scores[i] == scores[j]))
            total += weight
    return won / total


def test_patches_are_drawn_from_objects_without_repeats():
    objects = np.zeros((10, 10), int)
    objects[2:8, 3:6] = 4
    few = sample_patches(objects, 64)
    np.testing.assert_array_equal(few, np.flatnonzero(objects))
    drawn = sample_patches(objects, 7, seed=1)
    assert len(set(drawn)) == 7 and (objects.reshape(-1)[drawn] == 4).all()
    np.testing.assert_array_equal(drawn, sample_patches(objects, 7, seed=1))
    assert list(drawn) != list(sample_patches(objects, 7, seed=2))


def test_every_pair_counts_once_and_no_patch_with_itself():
    objects, places = made()
    pairs = pair_set(objects, places)
    expected = []
    for image in range(6):
        for a in range(20):
            for b in range(a + 1, 20):
                if objects[image, a] and objects[image, b]:
                    apart = np.linalg.norm(places[image, a] - places[image, b])
                    same = objects[image, a] == objects[image, b]
                    expected.append((image, (image * 20 + a) * 20 + b, same, round(apart)))
    found = zip(pairs.image, pairs.flat, pairs.truth, pairs.distance, strict=True)
    assert list(found) == expected
    four = pair_set(np.array([[1, 1, 2, 2]]), np.zeros((1, 4, 2), int))
    assert four.truth.tolist() == [True, False, False, False, False, True]
    matrix = np.arange(6 * 400).reshape(6, 20, 20)
    np.testing.assert_array_equal(pairs.scores(matrix), pairs.flat)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="places"):
        pair_set(np.ones((2, 3)), np.ones((2, 3)))
    pairs = pair_set(*made())
    with pytest.raises(ValueError, match="one a pair"):
        measure_pairs(np.zeros(3), pairs)


@pytest.mark.parametrize("levels", [3, 1000])
def test_auc_is_the_count_over_all_pairs(levels):
    rng = np.random.default_rng(levels)
    truth = rng.random(90) < 0.3
    scores = rng.integers(0, levels, 90) + 0.3 * levels * truth
    weights = rng.random(90) * (rng.random(90) < 0.8)
    assert weighted_auc(scores, truth) == pytest.approx(loop_auc(scores, truth, np.ones(90)))
    assert weighted_auc(scores, truth, weights) == pytest.approx(loop_auc(scores, truth, weights))
    assert np.isnan(weighted_auc(scores, np.ones(90, bool)))
    assert weighted_auc(truth.astype(float), truth) == 1
    assert weighted_auc(np.zeros(90), truth) == 0.5


def test_weights_make_both_kinds_alike_in_every_bin():
    rng = np.random.default_rng(3)
    bins = rng.integers(0, 6, 400)
    truth = rng.random(400) < 1 / (1 + bins)  # all of bin 0 is the same object
    weights = matched_weights(truth, bins)
    for number in range(6):
        own = bins == number
        same, different = weights[own & truth].sum(), weights[own & ~truth].sum()
        assert same == pytest.approx(different)
        assert same == pytest.approx(min((own & truth).sum(), (own & ~truth).sum()))
    assert weights.max() <= 1 and (weights[bins == 0] == 0).all()


def distance_alone(seed=0, images=60, patches=24):
    """Pairs that are the same with a chance that depends on their distance alone."""
    objects, places = made(images, patches, seed=seed, objects=1)
    pairs = pair_set(np.ones_like(objects), places)
    rng = np.random.default_rng(seed + 1)
    truth = rng.random(len(pairs.truth)) < 0.9 * np.exp(-pairs.distance / 3)
    return replace(pairs, truth=truth), places


def test_a_score_of_distance_alone_has_one_half_when_matched():
    pairs, _ = distance_alone()
    measures = measure_pairs(-pairs.distance.astype(float), pairs)
    auc, matched = measures[2], measures[3]
    assert auc[0] > 0.75
    assert matched[0] == pytest.approx(0.5, abs=1e-12)
    small = pairs.where(pairs.image < 1)
    weights = matched_weights(small.truth, small.distance)
    rng = np.random.default_rng(0)
    scores = rng.normal(size=len(small.truth)).round(1)
    expected = loop_auc(scores, small.truth, weights)
    assert weighted_auc(scores, small.truth, weights) == pytest.approx(expected)


def test_a_score_of_colour_alone_has_one_half_when_matched_on_colour():
    objects, places = made(40, 24, seed=3, objects=1)
    rng = np.random.default_rng(6)
    colours = rng.integers(0, 3, (40, 24, 1)) * 0.05 * np.ones(3)
    pairs = pair_set(np.ones_like(objects), places, colours)
    first, second = np.triu_indices(24, 1)
    away = np.linalg.norm(colours[:, first] - colours[:, second], axis=-1).ravel()
    np.testing.assert_array_equal(
        pairs.colour, np.searchsorted([0.01, 0.02, 0.04, 0.08, 0.16], away)
    )
    truth = rng.random(len(away)) < np.where(away == 0, 0.8, 0.2)
    measures = measure_pairs(-away, replace(pairs, truth=truth))
    assert measures[2, 0] > 0.7 and measures[3, 0] > 0.7
    assert measures[4, 0] > 0.7
    assert measures[5, 0] == pytest.approx(0.5, abs=1e-12)
    places = np.stack([pairs.image, pairs.distance, pairs.colour], axis=1)
    for number, bins in enumerate(pairs.bins):
        columns = ([1], [0, 1], [0, 1, 2])[number]
        pair_of = np.unique(np.column_stack([bins, places[:, columns]]), axis=0)
        # A bin is one place, and a place one bin.
        assert len(pair_of) == len(np.unique(bins)) == len(np.unique(places[:, columns], axis=0))


def test_telling_images_apart_gains_nothing_when_each_is_matched():
    pairs, _ = distance_alone(11)
    rng = np.random.default_rng(12)
    truth = rng.random(len(pairs.truth)) < np.where(pairs.image % 2, 0.7, 0.2)
    measures = measure_pairs((pairs.image % 2).astype(float), replace(pairs, truth=truth))
    assert measures[2, 0] > 0.7 and measures[3, 0] > 0.7
    assert measures[4, 0] == pytest.approx(0.5, abs=1e-12)


def test_measures_of_known_scores():
    pairs, _ = distance_alone(4)
    perfect = measure_pairs(np.where(pairs.truth, 2.0, -1.0), pairs)
    np.testing.assert_allclose(perfect, np.ones((6, 3)), rtol=1e-12)
    never = measure_pairs(np.full(len(pairs.truth), -1.0), pairs)
    assert never[0, 0] == pytest.approx(1 - pairs.truth.mean())
    np.testing.assert_allclose(never[1:, 0], 0.5)
    noise = np.random.default_rng(9).normal(size=len(pairs.truth))
    chance = measure_pairs(noise, pairs)
    np.testing.assert_allclose(chance[1:, 0], 0.5, atol=0.02)
    assert (chance[:, 1] < chance[:, 0]).all() and (chance[:, 0] < chance[:, 2]).all()
    assert np.isnan(measure_pairs(np.full(len(noise), np.nan), pairs)).all()


def test_the_interval_is_that_of_resampled_images():
    pairs, _ = distance_alone(7, images=12, patches=10)
    scores = np.random.default_rng(1).normal(size=len(pairs.truth)) + pairs.truth
    found = measure_pairs(scores, pairs, draws=400, seed=5)
    weights = matched_weights(pairs.truth, pairs.distance)
    counts = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12), 400)
    balanced, aucs, matched = [], [], []
    right = (scores > 0) == pairs.truth
    for one in counts:
        times = one[pairs.image].astype(float)
        kinds = [np.average(right[k], weights=times[k]) for k in (pairs.truth, ~pairs.truth)]
        balanced.append(np.mean(kinds))
        aucs.append(weighted_auc(scores, pairs.truth, times))
        matched.append(weighted_auc(scores, pairs.truth, times * weights))
    for row, drawn, off in ((1, balanced, 1e-9), (2, aucs, 1e-3), (3, matched, 1e-3)):
        np.testing.assert_allclose(found[row, 1:], np.quantile(drawn, [0.025, 0.975]), atol=off)
    alone = measure_pairs(scores[pairs.image == 0], pair_of_one(pairs))
    assert np.isfinite(alone[:, 0]).all() and np.isnan(alone[:, 1:]).all()
    assert MEASURES[3:] == MATCHED


def pair_of_one(pairs):
    own = pairs.where(pairs.image == 0)
    return replace(own, images=1)


def test_groups_are_measured_on_their_own():
    pairs, _ = distance_alone(2, images=8)
    scores = np.random.default_rng(2).normal(size=len(pairs.truth)) + pairs.truth
    groups = pairs.image % 3
    found = auc_by_group(scores, pairs, groups, 4)
    for group in range(3):
        own = groups == group
        weights = matched_weights(pairs.truth[own], pairs.distance[own])
        assert found[group, 0] == pytest.approx(weighted_auc(scores[own], pairs.truth[own]))
        expected = weighted_auc(scores[own], pairs.truth[own], weights)
        assert found[group, 1] == pytest.approx(expected)
        each = matched_weights(pairs.truth[own], pairs.image[own] * 50 + pairs.distance[own])
        expected = weighted_auc(scores[own], pairs.truth[own], each)
        # Colours are not known here: matching on them too changes nothing.
        assert found[group, 2:] == pytest.approx([expected] * 2)
    assert np.isnan(found[3]).all()


def test_correlations_by_hand():
    table = np.array([[1, 8, 27, 64], [4, 3, 2, 1], [5, 5, 5, 5], [1, 2, np.nan, 4]])
    pearson, rank = correlations(table, np.array([1, 2, 3, 4]))
    np.testing.assert_allclose(pearson, [0.9514, -1, np.nan, np.nan], atol=1e-4)
    np.testing.assert_allclose(rank, [1, -1, np.nan, np.nan])
    pearson, rank = correlations(np.array([[0, 1, 2]]), np.array([True, False, False]))
    np.testing.assert_allclose([pearson, rank], -np.sqrt(3) / 2)


def test_a_head_that_stays_within_objects_is_an_object_head():
    objects, places = made(4, 12, seed=5, objects=2)
    pairs = pair_set(objects, places)
    within = (objects[:, :, None] == objects[:, None, :]).astype(float)
    even = np.ones_like(within)
    np.testing.assert_array_equal(object_head_auc(np.stack([within, even]), pairs), [1, 0.5])
    # One direction alone is enough: a pair is scored by both.
    upper = np.triu(within)
    assert object_head_auc(upper[None], pairs)[0] == 1


def test_the_top_other_key_by_hand():
    objects = np.array([1, 1, 0, 2, 2, 3])
    attention = np.full((2, 6, 6), 0.01)
    attention[:, range(6), range(6)] = 0.9  # a patch itself never counts
    attention[0, 0, 1] = attention[0, 1, 0] = attention[0, 3, 4] = attention[0, 4, 2] = 0.05
    attention[1, :, 5] = 0.05
    share, queries = top_key_share(attention, objects)
    assert queries == 4  # the patch without an object and the object of one patch ask nothing
    np.testing.assert_allclose(share, [0.75, 0])
    assert np.isnan(top_key_share(attention, np.zeros(6, int))[0]).all()
    with pytest.raises(ValueError, match="prefix"):
        top_key_share(attention, objects[:5])
