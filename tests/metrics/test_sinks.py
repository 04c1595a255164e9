"""Sinks, their redistribution, and massive activations, against answers worked out by hand."""

import numpy as np
import pytest
import torch

from analytics.metrics.sinks import massive_activations, received_relative, redistribute, sinks


def maps(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).softmax(-1)


def test_uniform_attention_gives_every_key_its_even_share():
    even = torch.full((2, 5, 5), 0.2)
    assert received_relative(even).tolist() == pytest.approx([1.0] * 5)
    assert not sinks(even, 1.01).any()


def test_a_key_that_takes_all_receives_as_many_shares_as_there_are_keys():
    attention = torch.zeros(3, 6, 6)
    attention[..., 4] = 1
    assert received_relative(attention).tolist() == [0, 0, 0, 0, 6, 0]
    assert sinks(attention, 5.9).tolist() == [False] * 4 + [True, False]
    assert not sinks(attention, 6).any()


def test_received_relative_number_by_number():
    attention = maps(2, 3, 4, 5)  # images, heads, queries, keys
    for image in range(2):
        for key in range(5):
            taken = [float(attention[image, h, q, key]) for h in range(3) for q in range(4)]
            found = float(received_relative(attention)[image, key])
            assert found == pytest.approx(5 * sum(taken) / 12)


def test_a_threshold_must_be_a_multiple():
    with pytest.raises(ValueError, match="multiple of uniform attention above 0, got 0"):
        sinks(torch.ones(1, 2, 2), 0)


FIRST = torch.tensor([True, False, False])


def test_redistribution_by_hand():
    row = torch.tensor([[0.6, 0.3, 0.1]])
    assert redistribute(row, FIRST, 0)[0].tolist() == pytest.approx([0, 0.75, 0.25])
    assert redistribute(row, FIRST, 0.5)[0].tolist() == pytest.approx([0.3, 0.525, 0.175])


def test_a_factor_of_one_changes_no_bit():
    attention = maps(2, 3, 8, 8).float()
    some = torch.arange(8) % 3 == 0
    assert torch.equal(redistribute(attention, some, 1), attention)
    assert torch.equal(redistribute(attention, some, 1.0, torch.arange(8) > 2), attention)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_rows_keep_their_sum_number_by_number(p):
    attention = maps(2, 3, 6, 6)
    sink_keys = torch.tensor([True, False, False, True, False, False])
    receivers = torch.tensor([True, False, True, True, True, True])
    found = redistribute(attention, sink_keys, p, receivers)
    assert torch.allclose(found.sum(-1), torch.ones(2, 3, 6).double(), atol=1e-12)
    for where in np.ndindex(2, 3, 6):
        row = attention[where].tolist()
        freed = (1 - p) * (row[0] + row[3])
        others = row[2] + row[4] + row[5]
        expected = [
            p * row[0],
            row[1],
            row[2] + freed * row[2] / others,
            p * row[3],
            row[4] + freed * row[4] / others,
            row[5] + freed * row[5] / others,
        ]
        assert found[where].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_row_with_nobody_to_give_to_stays():
    rows = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0]])
    assert redistribute(rows, FIRST, 0).tolist() == [[1, 0, 0], [0, 1, 0]]
    nobody = torch.zeros(3, dtype=torch.bool)
    assert torch.equal(redistribute(rows, FIRST, 0, nobody), rows)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_factor_outside_is_refused(p):
    with pytest.raises(ValueError, match="expected p from 0"):
        redistribute(torch.ones(1, 3), FIRST, p)


def stream(**spikes):
    values = np.ones((6, 10), np.float32)
    for place, value in spikes.items():
        token, dimension = place[1:].split("_")
        values[int(token), int(dimension)] = value
    return values


def test_massive_activations_largest_first():
    found = massive_activations(stream(t1_3=-1500, t4_0=2000, t2_2=999))
    assert found == [(4, 0, 2000.0, 2000.0), (1, 3, -1500.0, 1500.0)]


def test_large_is_not_massive():
    assert massive_activations(stream(t1_3=900)) == []  # 900 times the median
    assert massive_activations(0.05 * stream(t1_3=1500)) == []  # 75, below 100
    assert massive_activations(2 * stream(t1_3=1500))[0].ratio == pytest.approx(1500)


def test_a_stream_of_zeros_with_one_spike():
    values = np.zeros((4, 4), np.float32)
    values[2, 1] = 101
    assert massive_activations(values) == [(2, 1, 101.0, float("inf"))]
