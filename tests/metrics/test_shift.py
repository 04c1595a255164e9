"""Shift consistency, against answers worked out by hand and loops over patches."""

import numpy as np
import pytest
import torch

from analytics.metrics.shift import (
    roll_picture,
    shift_agreement,
    shift_consistency,
    shifted_places,
)

ROWS, COLUMNS = 3, 4
SHIFTS = [(0, 0), (0, 1), (1, 0), (2, 3), (-1, 2)]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def test_places_of_a_row_shifted_to_the_right():
    assert shifted_places(1, 3, (0, 1)).tolist() == [2, 0, 1]
    assert shifted_places(2, 2, (1, 0)).tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("shift", SHIFTS)
def test_places_follow_the_pixels(shift):
    # A picture in which every patch shows its own number.
    numbers = torch.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    pixels = numbers.repeat_interleave(2, 0).repeat_interleave(5, 1)[None]
    moved = roll_picture(pixels, shift, (2, 5))
    assert moved[0, ::2, ::5].flatten().tolist() == shifted_places(ROWS, COLUMNS, shift).tolist()


@pytest.mark.parametrize("shift", SHIFTS)
def test_attention_that_knows_only_offsets_agrees_with_itself(shift):
    by_offset = noise(2, ROWS, COLUMNS).softmax(1)  # heads, dy, dx round the circle
    attention = torch.zeros(2, ROWS * COLUMNS, ROWS * COLUMNS).double()
    for query in range(ROWS * COLUMNS):
        for key in range(ROWS * COLUMNS):
            dy = key // COLUMNS - query // COLUMNS
            dx = key % COLUMNS - query % COLUMNS
            attention[:, query, key] = by_offset[:, dy % ROWS, dx % COLUMNS]
    found = shift_agreement(attention, attention, (ROWS, COLUMNS), shift)
    assert found.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("shift", SHIFTS)
def test_agreement_number_by_number(shift):
    count = ROWS * COLUMNS
    attention, shifted = noise(2, count, count).softmax(-1), noise(2, count, count, seed=1).exp()
    for head in range(2):
        moved = np.zeros((count, count))
        for query in range(count):
            for key in range(count):
                there = [
                    (place // COLUMNS + shift[0]) % ROWS * COLUMNS
                    + (place % COLUMNS + shift[1]) % COLUMNS
                    for place in (query, key)
                ]
                moved[there[0], there[1]] = attention[head, query, key]
        other = shifted[head].numpy()
        expected = (moved * other).sum() / np.sqrt((moved**2).sum() * (other**2).sum())
        found = shift_agreement(attention, shifted, (ROWS, COLUMNS), shift)[head]
        assert float(found) == pytest.approx(expected)


def test_attention_to_a_fixed_place_disagrees():
    attention = torch.zeros(1, 4, 4)
    attention[..., 1] = 1
    assert shift_agreement(attention, attention, (2, 2), (0, 1)).tolist() == [0]
    assert shift_agreement(attention, attention, (2, 2), (1, 0)).tolist() == [0]
    assert shift_agreement(attention, attention, (2, 2), (0, 0)).tolist() == [1]


def test_the_end_of_the_model():
    one = torch.tensor([[3.0, 4.0]])
    copies = torch.tensor([[3.0, 4.0], [4.0, -3.0], [-6.0, -8.0]])
    cosine, same = shift_consistency(one, copies)
    assert cosine.tolist() == pytest.approx([1, 0, -1])
    assert same is None
    classes = torch.tensor([[0.2, 0.7, 0.1]])
    after = torch.tensor([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.3, 0.4, 0.3]])
    _, same = shift_consistency(one, copies, classes, after)
    assert same.tolist() == [True, False, True]
