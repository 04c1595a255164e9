"""Correlations, shares and chance of attention, against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.metrics.binding import pair_set, resamples
from analytics.metrics.head_link import (
    chance_shares,
    compare_scores,
    pair_aucs,
    resampled_correlation,
    resampled_share,
    three_scores,
    within_groups,
)


def made(images=5, patches=8, seed=0):
    rng = np.random.default_rng(seed)
    objects = rng.integers(1, 4, (images, patches))
    places = rng.integers(0, 6, (images, patches, 2))
    return pair_set(objects, places), rng


def test_a_correlation_is_numpys_and_its_interval_that_of_drawn_images():
    pairs, rng = made()
    first = rng.normal(size=len(pairs.flat))
    second = 0.4 * first + rng.normal(size=len(first)) + 3
    counts = resamples(pairs.images, 50, 0)
    value, low, high = resampled_correlation(first, second, pairs.image, counts)
    assert value == pytest.approx(np.corrcoef(first, second)[0, 1])
    drawn = []
    for row in counts.astype(int):
        order = np.concatenate(
            [np.flatnonzero(pairs.image == image) for image in np.repeat(np.arange(5), row)]
        )
        drawn.append(np.corrcoef(first[order], second[order])[0, 1])
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_a_straight_line_has_one_and_a_constant_or_a_gap_nothing():
    pairs, _ = made()
    line = np.arange(len(pairs.flat), dtype=float)
    counts = resamples(pairs.images, 20, 0)
    found = resampled_correlation(line, 3 - 2 * line, pairs.image, counts)
    assert found == pytest.approx([-1, -1, -1])
    for other in (np.full(len(line), 1 / 7), np.where(line == 3, np.nan, line)):
        assert np.isnan(resampled_correlation(line, other, pairs.image, counts)).all()


def test_one_image_has_a_value_and_no_interval():
    pairs, rng = made(images=1)
    one, two = rng.normal(size=(2, len(pairs.flat)))
    found = resampled_correlation(one, two, pairs.image, resamples(1, 20, 0))
    assert np.isfinite(found[0]) and np.isnan(found[1:]).all()


def test_nothing_is_left_of_a_score_that_distance_explains():
    pairs, rng = made()
    near = 1 / (1 + pairs.distance)
    counts = resamples(pairs.images, 20, 0)
    truth = three_scores(pairs.truth, pairs)
    found = compare_scores(three_scores(near, pairs), truth, pairs, counts)
    assert np.isfinite(found[:2, 0]).all() and np.isnan(found[2]).all()
    np.testing.assert_allclose(within_groups([1, 3, 10, 10], np.array([0, 0, 2, 2])), [-1, 1, 0, 0])
    score = near + pairs.truth + rng.normal(size=len(near))
    residues = [np.array(one, float) for one in (score, pairs.truth)]
    for one in residues:
        for distance in np.unique(pairs.distance):
            one[pairs.distance == distance] -= one[pairs.distance == distance].mean()
    found = compare_scores(three_scores(score, pairs), truth, pairs, counts)
    assert found[2, 0] == pytest.approx(np.corrcoef(*residues)[0, 1])


def test_the_truth_has_an_auc_of_one_and_a_constant_of_one_half():
    pairs, _ = made(images=8, patches=20)
    assert pair_aucs(pairs.truth.astype(float), pairs, 20)[:2, 0] == pytest.approx([1, 1])
    assert pair_aucs(np.full(len(pairs.flat), 0.25), pairs, 20)[:2, 0] == pytest.approx([0.5, 0.5])


def test_a_share_is_over_the_queries_of_all_images():
    counts = resamples(3, 50, 0)
    shares, queries = np.array([1.0, 0.0, np.nan]), np.array([1, 3, 0])
    value, low, high = resampled_share(shares, queries, counts)
    assert value == 0.25 and 0 <= low <= high <= 1
    assert np.isnan(resampled_share(shares[2:], queries[2:], resamples(1, 5, 0))).all()


def test_chance_is_counted_over_all_patches_and_over_neighbours():
    share, queries = chance_shares(np.array([[1, 1, 2, 2]]))
    assert queries == 4 and share == pytest.approx([1 / 3, 3 / 4])
    share, queries = chance_shares(np.ones((2, 2), int))
    assert queries == 4 and share == pytest.approx([1, 1])
    # A lone patch asks nothing, and unmarked ones are no object.
    share, queries = chance_shares(np.array([[3, 0, 0], [0, 0, 0]]))
    assert queries == 0 and np.isnan(share).all()


def test_chance_is_that_of_counting_patch_by_patch():
    objects = np.random.default_rng(2).integers(0, 3, (4, 5))
    overall, near = [], []
    for row in range(4):
        for column in range(5):
            own = objects[row, column]
            if own == 0:
                continue
            others = [(r, c) for r in range(4) for c in range(5) if (r, c) != (row, column)]
            around = [(r, c) for r, c in others if max(abs(r - row), abs(c - column)) == 1]
            overall.append(np.mean([objects[at] == own for at in others]))
            near.append(np.mean([objects[at] == own for at in around]))
    share, queries = chance_shares(objects)
    assert queries == len(near) and share == pytest.approx([np.mean(overall), np.mean(near)])
