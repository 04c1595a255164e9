"""Intervals, rank agreement and sets of heads, by hand, the long way and against scipy."""

import numpy as np
import pytest
from scipy import stats

from analytics.metrics import ranking
from analytics.metrics.ranking import (
    bootstrap_interval,
    class_importance,
    head_overlap,
    overlap_between_classes,
    rank_agreement,
    removal_order,
    surely_above,
    t_quantile,
    top_heads,
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).lognormal(size=shape)


def test_the_interval_is_that_of_resampling_the_long_way():
    values = random(40, 3)
    interval = bootstrap_interval(values, draws=4000)
    generator = np.random.default_rng(1)
    means = [values[generator.integers(40, size=40)].mean(axis=0) for _ in range(4000)]
    np.testing.assert_allclose(interval.mean, values.mean(axis=0))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(interval.low, low, rtol=0.03)
    np.testing.assert_allclose(interval.high, high, rtol=0.03)


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    many = np.random.default_rng(0).normal(5, 1, (50, 1000))
    interval = bootstrap_interval(many, level=0.8)
    covered = ((interval.low < 5) & (interval.high > 5)).mean()
    assert 0.75 < covered < 0.85


def test_images_not_measured_are_as_if_they_were_not_there():
    values = random(30, 4)
    gaps = np.insert(values, [3, 10], np.nan, axis=0)
    gaps[:, 1] = np.append([np.nan, np.nan], values[:, 1])
    whole, holed = bootstrap_interval(values), bootstrap_interval(gaps)
    for name in ("mean", "low", "high"):
        np.testing.assert_allclose(getattr(whole, name), getattr(holed, name), rtol=1e-12)


def test_the_interval_does_not_depend_on_memory(monkeypatch):
    whole = bootstrap_interval(random(30, 4))
    monkeypatch.setattr(ranking, "COUNTS_AT_ONCE", 1000)
    parts = bootstrap_interval(random(30, 4))
    np.testing.assert_allclose(parts.low, whole.low, rtol=1e-12)


def test_no_interval_from_one_image_and_no_mean_from_none():
    interval = bootstrap_interval(np.array([[2.0, np.nan, 1], [np.nan, np.nan, 1]]))
    np.testing.assert_array_equal(interval.mean, [2, np.nan, 1])
    np.testing.assert_array_equal(interval.low, [np.nan, np.nan, 1])
    np.testing.assert_array_equal(interval.high, [np.nan, np.nan, 1])


def test_equal_values_leave_no_width():
    interval = bootstrap_interval(np.full((7, 1), 0.1))
    assert interval.low.tolist() == interval.mean.tolist() == interval.high.tolist() == [0.1]


@pytest.mark.parametrize(("level", "draws"), [(0, 10), (1, 10), (0.9, 0)])
def test_a_level_that_is_no_share_is_refused(level, draws):
    with pytest.raises(ValueError, match="expected a level between 0 and 1 and at least 1 draw"):
        bootstrap_interval(random(3, 2), level, draws)


def test_rank_agreement_is_that_of_scipy_with_ties():
    table = np.random.default_rng(0).integers(0, 6, (4, 30)).astype(float)
    expected = stats.spearmanr(table, axis=1).statistic
    np.testing.assert_allclose(rank_agreement(table), expected, atol=1e-12)


def test_rising_functions_agree_and_falling_ones_oppose():
    row = random(9)
    agreement = rank_agreement(np.stack([row, np.log(row), -row]))
    expected = [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    np.testing.assert_allclose(agreement, expected, atol=1e-12)


def test_a_constant_row_and_one_with_a_hole_agree_with_nothing():
    row = random(5)
    agreement = rank_agreement(np.stack([row, np.full(5, 0.1), [1, 2, 3, 4, np.nan]]))
    assert agreement[0, 0] == 1
    assert np.isnan(agreement).sum() == 8


def test_the_largest_come_first_ties_by_index_and_holes_last():
    values = np.array([1, 3, np.nan, 2, 3])
    assert top_heads(values, 3).tolist() == [1, 4, 3]
    assert top_heads(values, 5).tolist() == [1, 4, 3, 0, 2]


@pytest.mark.parametrize("k", [0, 4])
def test_more_heads_than_there_are_are_refused(k):
    with pytest.raises(
        ValueError, match=rf"k from 1 to their number, got shape \(3,\) and k = {k}"
    ):
        top_heads(np.arange(3), k)


def test_overlap_of_two_rankings_stands_beside_chance():
    first, second = np.array([5, 4, 3, 2, 1, 0]), np.array([0, 9, 8, 1, 2, 3])
    assert head_overlap(first, second, 3) == (2, 1.5)
    assert head_overlap(first, first, 3)[0] == 3


def test_chance_is_the_mean_overlap_of_random_rankings():
    generator = np.random.default_rng(0)
    pairs = [head_overlap(*generator.random((2, 20)), 6) for _ in range(2000)]
    assert np.mean([size for size, _ in pairs]) == pytest.approx(pairs[0][1], abs=0.1)


VALUES = np.array([[1.0, 2, 0], [3, 4, 0], [0, np.nan, 9], [0, 5, 7], [8, np.nan, 0]])
LABELS = np.array(["cat", "cat", "dog", "dog", "ant"])


def test_importance_of_each_class_is_the_mean_over_its_images():
    means = class_importance(VALUES, LABELS)
    assert list(means) == ["ant", "cat", "dog"]
    np.testing.assert_array_equal(means["ant"], [8, np.nan, 0])
    np.testing.assert_array_equal(means["cat"], [2, 3, 0])
    np.testing.assert_array_equal(means["dog"], [0, 5, 8])


def test_overlap_between_classes_is_that_of_every_pair():
    classes, overlap, chance = overlap_between_classes(VALUES, LABELS, 2)
    means = class_importance(VALUES, LABELS)
    expected = [[head_overlap(means[a], means[b], 2)[0] for b in classes] for a in classes]
    assert classes == ("ant", "cat", "dog")
    assert overlap.tolist() == expected == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]
    assert chance == pytest.approx(4 / 3)


def test_labels_of_another_count_are_refused():
    with pytest.raises(ValueError, match=r"one label for each of 5 images, got shape \(2,\)"):
        class_importance(VALUES, LABELS[:2])


def test_the_least_important_is_removed_first():
    assert removal_order(np.array([0.2, 0.1, 0.2, np.nan, 0])).tolist() == [4, 1, 0, 2, 3]


@pytest.mark.parametrize("degrees", [1, 2, 7, 30, 199])
@pytest.mark.parametrize("tail", [0.25, 1e-3, 1e-6, 1e-9])
def test_the_t_quantile_is_that_of_scipy(degrees, tail):
    assert t_quantile(tail, degrees) == pytest.approx(stats.t.isf(tail, degrees), rel=1e-9)


def test_the_t_quantile_of_many_degrees_is_never_too_small():
    assert t_quantile(1e-6, 5000) > stats.t.isf(1e-6, 5000)


def the_long_way(first, second, num_images, tail):
    """Whether `first` is surely above `second`, from the formula, one pair at a time."""
    n = len(first)
    difference = first / first.mean() - second / second.mean()
    if not difference.any():
        return False
    error = np.std(difference, ddof=1) * np.sqrt(1 / n - 1 / num_images)
    skew = (difference**3).mean() / np.std(difference, ddof=1) ** 3
    t = stats.t.isf(tail, min(n, num_images - n) - 1)
    factor = t + max(0, -skew) * (1 + 2 * t**2) / (6 * np.sqrt(n))
    return np.log(first.mean() / second.mean()) > factor * error


@pytest.mark.parametrize(("num_images", "tail"), [(60, 1e-2), (44, 1e-3), (1000, 1e-4)])
def test_the_bound_is_its_formula_for_every_pair(num_images, tail):
    values = random(40, 12) * np.linspace(1, 4, 12)
    above = surely_above(values, num_images, tail)
    expected = [[the_long_way(a, b, num_images, tail) for b in values.T] for a in values.T]
    assert 0 < above.sum() < 66
    assert above.tolist() == expected


def test_nothing_is_sure_of_equal_heads_or_from_one_image():
    equal = np.repeat(random(20, 1), 3, axis=1)
    assert not surely_above(equal, 100, 0.05).any()
    assert not surely_above(np.zeros((20, 3)), 100, 0.05).any()
    assert not surely_above(np.array([[1.0, 100]]), 100, 0.05).any()
    assert not surely_above(random(99, 2) * [1, 100], 100, 0.05).any()


def test_a_head_without_any_effect_yet_needs_many_images():
    values = np.stack([np.ones(100), np.zeros(100)], axis=1)
    assert not surely_above(values[:12], 1000, 1e-3).any()
    assert surely_above(values, 1000, 1e-3).tolist() == [[False, True], [False, False]]
