"""Deletion and insertion, against answers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from analytics.metrics.faithfulness import (
    area_under,
    first_of,
    mean_colour,
    paint_patches,
    patch_order,
    step_counts,
)


def test_the_largest_patch_goes_first_and_equals_keep_their_order():
    assert patch_order(np.array([[0.1, 0.9], [0.5, 0.9]])).tolist() == [1, 3, 2, 0]
    assert patch_order(np.zeros((2, 2))).tolist() == [0, 1, 2, 3]
    assert patch_order(np.array([math.nan, -math.inf, 2.0])).tolist() == [2, 1, 0]


def test_steps_go_from_none_to_all():
    assert step_counts(10, 4).tolist() == [0, 2, 5, 8, 10]
    assert step_counts(3, 16).tolist() == [0, 1, 2, 3]
    assert step_counts(256, 16).tolist() == list(range(0, 257, 16))
    with pytest.raises(ValueError, match="at least 1 patch and 1 step, got 4 and 0"):
        step_counts(4, 0)


def test_the_first_patches_of_an_order():
    found = first_of(np.array([2, 0, 1]), np.array([0, 1, 3]))
    assert found.tolist() == [[False] * 3, [False, False, True], [True] * 3]


def test_patches_are_painted_and_nothing_else():
    pixels = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(2, 4, 6)
    painted = torch.zeros(2, 2, 3, dtype=torch.bool)
    painted[1, 1, 0] = True
    fill = torch.tensor([-1.0, -2.0])
    found = paint_patches(pixels, fill, painted)
    assert torch.equal(found[0], pixels)
    for channel in range(2):
        for y in range(4):
            for x in range(6):
                inside = y >= 2 and x < 2
                expected = fill[channel] if inside else pixels[channel, y, x]
                assert found[1, channel, y, x] == expected
    with pytest.raises(ValueError, match="a grid that divides the picture of 4 x 6, got 3 x 3"):
        paint_patches(pixels, fill, torch.zeros(1, 3, 3, dtype=torch.bool))


def test_the_mean_colour_is_that_of_each_channel():
    pixels = torch.stack([torch.full((2, 2), 3.0), torch.tensor([[0.0, 1], [2, 5]])])
    assert mean_colour(pixels).tolist() == [3, 2]


def test_areas_by_hand():
    half = np.array([0, 0.5, 1])
    assert area_under(half, np.ones(3)) == 1
    assert area_under(half, np.array([1, 0.5, 0])) == 0.5
    assert area_under(half, np.array([1, 0, 0])) == 0.25
    uneven = np.array([0, 0.2, 1])
    assert area_under(uneven, np.array([0, 1, 1])) == pytest.approx(0.9)
    curve = np.random.default_rng(0).random(3)
    assert area_under(uneven, curve) == pytest.approx(np.trapezoid(curve, uneven))


def test_a_perfect_map_has_the_smallest_deletion_and_the_largest_insertion():
    # The score is the mass of what is left to see, so that its own map is the best order.
    mass = np.array([0.4, 0.1, 0.3, 0.2])
    counts = step_counts(4, 4)
    areas = {}
    for name, values in {"own": mass, "turned": -mass}.items():
        gone = first_of(patch_order(values), counts)
        areas[name] = (
            area_under(counts / 4, (mass * ~gone).sum(1)),
            area_under(counts / 4, (mass * gone).sum(1)),
        )
    # 1, .6, .3, .1, 0 and 0, .4, .7, .9, 1; turned round, 1, .9, .7, .4, 0.
    assert areas["own"] == pytest.approx((0.375, 0.625))
    assert areas["turned"] == pytest.approx((0.625, 0.375))
