"""The steps of an ablation: their order, what is there before the end, going on after a stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.metrics.binding_subspace import energy
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.binding_ablation import binding_subspace, measure_ablation, whole_stream
from analytics.studies.binding_ablation_record import AblationChoices, load_ablation
from analytics.studies.binding_ablation_sweep import ordered_steps
from analytics.studies.binding_edits import changed_patches
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Objects
from tests.studies.flow_making import vit

SOURCES = [Objects(seed) for seed in range(3)]
CHOSEN = AblationChoices(
    point=2,
    ratios=(0.0, 0.5, 1.0),
    alphas=(1.0, 0.0),
    subspaces=("binding", "principal", "stream"),
    patches=24,
    draws=20,
    neighbours=3,
)


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def loaded():
    return vit(load_model(parse_model("test_vit:random")), reg_tokens=1)


@pytest.fixture(scope="module")
def probe():
    return drawn_probe("quadratic", points=4, width=48, rank=6)


@pytest.fixture(scope="module")
def whole(loaded, probe):
    """The record, and all that were shown on the way."""
    seen = []
    return measure_ablation(loaded, SOURCES, probe, CHOSEN, partial=seen.append), seen


def test_strong_edits_come_first_and_identities_not_at_all():
    steps = [(CHOSEN.subspaces[row], *CHOSEN.steps[at]) for row, at in ordered_steps(CHOSEN)]
    assert steps[:3] == [(name, "shuffle", 1.0) for name in CHOSEN.subspaces]
    assert [step[1:] for step in steps[3:6]] == [("inject", 0.0)] * 3
    assert [step[1:] for step in steps[6:]] == [("shuffle", 0.5)] * 3


def test_partial_records_grow_step_by_step(whole):
    record, seen = whole
    # 3 subspaces x 5 steps; the two that change nothing are known at once.
    assert [one.done for one in seen] == [6, *range(7, 16)]
    assert [one.complete for one in seen[-2:]] == [False, True] and record.complete
    first = seen[0]
    np.testing.assert_array_equal(first.values[:, 0], np.stack([first.clean] * 3))
    assert np.isnan(first.values[:, 1]).all() and np.isnan(first.moved[:, 1]).all()
    known = np.isfinite(seen[4].moved)
    np.testing.assert_array_equal(seen[4].values[known], record.values[known])


def test_controls_move_as_much_and_the_whole_stream_its_own(whole):
    moved = whole[0].moved
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-3)
    assert (moved[2, [1, 2, 4]] > moved[0, [1, 2, 4]]).all()
    assert whole[0].held[2] == pytest.approx(1)


def test_injected_at_alpha_0_the_whole_stream_is_the_mean_of_the_object(probe):
    patches = torch.randn(6, 48, generator=torch.Generator().manual_seed(1))
    objects = torch.tensor([1, 1, 1, 2, 2, 0])
    space = whole_stream(binding_subspace(probe, 2))
    new, share = changed_patches(patches, objects, space, space, "inject", 0.0, 0)
    for number in (1, 2):
        mean = patches[objects == number].mean(0).expand(int((objects == number).sum()), -1)
        torch.testing.assert_close(new[objects == number], mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(new[5], patches[5])
    spread = energy(patches - patches.mean(0))
    assert share == pytest.approx(energy(new - patches) / spread, rel=1e-4)


def test_a_stopped_run_goes_on_with_the_step_that_it_lacks(loaded, probe, whole, tmp_path):
    store, seen = ResultStore(tmp_path), []

    def stop(done, total, message):
        if done == 4 and total == 10:
            raise Stopped

    with pytest.raises(Stopped):
        measure_ablation(loaded, SOURCES, probe, CHOSEN, stop, store=store)
    key = whole[0].id
    assert store.count(key) == 3 and load_ablation(store, key) is None
    # A step that was kept is taken as it is: a mark on it stays.
    part, arrays, about = next(store.parts(key))
    store.put(key, part, {**arrays, "moved": np.float32(7)}, about)
    again = measure_ablation(loaded, SOURCES, probe, CHOSEN, store=store, partial=seen.append)
    assert 7 in again.moved and again.complete
    np.testing.assert_array_equal(again.values, whole[0].values)
    known = load_ablation(store, key)
    assert known is not None and known.complete
    np.testing.assert_array_equal(known.values, again.values)


def test_a_subspace_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="stream"):
        replace(CHOSEN, subspaces=("all",)).checked()
