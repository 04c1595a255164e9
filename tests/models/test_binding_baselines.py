"""Position and colour baselines against hand-made answers."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.metrics.binding import pair_set, weighted_auc
from analytics.models.binding_baselines import (
    PairFacts,
    fit_baselines,
    logistic,
    offset_log_odds,
    pair_facts,
)


def test_facts_of_a_pair_by_hand():
    places = np.array([[[0, 0], [2, 5]], [[7, 1], [3, 1]]])
    pixels = np.zeros((2, 2, 6))
    pixels[1, 0] = [0.3, 0, 0.4, 0, 0, 1]
    pairs = pair_set(np.ones((2, 2), int), places)
    facts = pair_facts(pairs.flat, places, pixels, [0, 1])
    assert facts.offset.tolist() == [[2, 5], [4, 0]]
    np.testing.assert_allclose(facts.colour[1], [0.3, 0, 0.4, 0, 0, 1, 0.5])
    swapped = pair_facts(pairs.flat, places, pixels, [1, 0])
    assert swapped.offset.tolist() == [[4, 0], [2, 5]]


def test_log_odds_of_offsets_with_many_pairs_are_those_of_their_share():
    rng = np.random.default_rng(0)
    offset = np.column_stack([rng.integers(0, 3, 60_000), rng.integers(0, 2, 60_000)])
    chance = np.array([[0.9, 0.6], [0.5, 0.2], [0.3, 0.05]])
    truth = rng.random(60_000) < chance[tuple(offset.T)]
    found = offset_log_odds(offset, truth)
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), chance, atol=0.02)
    rare = np.concatenate([offset, [[6, 0]]])
    alone = offset_log_odds(rare, np.append(truth, True))[6, 0]
    of_distance = (1 + 16 * np.append(truth, True).mean()) / 17
    assert 1 / (1 + np.exp(-alone)) == pytest.approx((1 + 16 * of_distance) / 17)


def test_logistic_regression_finds_the_weights():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40_000, 2)).astype(np.float32)
    y = rng.random(40_000) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] - 0.5)))
    np.testing.assert_allclose(logistic(x, y), [1.5, -1, -0.5], atol=0.06)
    separable = logistic(x, x[:, 0] > 0)
    assert np.isfinite(separable).all() and separable[0] > 3


def test_each_baseline_sees_what_it_is_told_and_no_more():
    rng = np.random.default_rng(2)

    def made(count):
        offset = rng.integers(0, 6, (count, 2))
        colour = rng.random((count, 7))
        near, alike = offset.sum(1) < 4, colour[:, 6] < 0.4
        truth = rng.random(count) < 0.1 + 0.4 * near + 0.4 * alike
        return PairFacts(offset, colour), truth

    (train, y), (test, truth) = made(8000), made(8000)
    scores = fit_baselines(train, y, test)
    aucs = {name: weighted_auc(one, truth) for name, one in scores.items()}
    assert aucs["majority"] == 0.5
    assert min(aucs["position"], aucs["pixel"]) > 0.6
    assert aucs["both"] > max(aucs["position"], aucs["pixel"]) + 0.05
    shuffled = fit_baselines(train, rng.permutation(y), test)
    for name, one in shuffled.items():
        assert weighted_auc(one, truth) == pytest.approx(0.5, abs=0.05), name
