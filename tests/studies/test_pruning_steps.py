"""Heads chosen step by step: measured again on what is left, with classes and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.capture.recording import capture, switch_off
from analytics.capture.tracing import find_sites
from analytics.models.pruning import prune_heads
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.features import frozen_features, pooled_features
from analytics.studies.importance import measure_importance
from analytics.studies.importance_tables import mean_importance
from analytics.studies.pruning import least_important, modules_of
from analytics.studies.pruning_steps import prune_iteratively, silenced
from tests.models.pruning_cases import CASES, build, noise, sites_of, some_heads
from tests.studies.making import Made, cosine_shift, pixels_of, without

HEADS = tuple((layer, head) for layer in range(6) for head in range(2))
LABELS = ["odd", None, "even", "odd"]


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(4)]


@pytest.fixture(scope="module")
def record(loaded, pictures):
    return measure_importance(loaded, pictures, ("cls_shift", "confidence"))


@pytest.fixture(scope="module")
def readout(loaded, pictures):
    """Reads the output of layer 3; layers 4 and 5 mean nothing to it."""
    features = frozen_features(loaded, pictures * 3, layer=3)
    return fit_readout(features.values, ["odd", "even"] * 6, held_out=0.5, layer=3)


@pytest.mark.parametrize("metric", ["cls_shift", "confidence"])
def test_one_step_is_one_shot(loaded, pictures, record, metric):
    expected = least_important(HEADS, mean_importance(record, metric), 0.5)
    assert prune_iteratively(loaded, pictures, metric, 0.5, steps=1) == expected


def test_the_second_step_measures_the_smaller_model(loaded, pictures):
    found = prune_iteratively(loaded, pictures, "cls_shift", 6, steps=2)
    first = prune_iteratively(loaded, pictures, "cls_shift", 3, steps=1)
    assert found[:3] == first
    # By hand: of the heads left, those whose removal beside the first changes least.
    pixels = pixels_of(loaded, pictures)
    base = without(loaded, pixels, first)[:, 0]
    left = [pair for pair in HEADS if pair not in first]
    shifts = [
        float(cosine_shift(base, without(loaded, pixels, [*first, pair])[:, 0]).mean())
        for pair in left
    ]
    assert set(found[3:]) == {left[i] for i in np.argsort(shifts)[:3]}


@pytest.mark.parametrize("steps", [3, 12, 30])
def test_more_steps_never_name_a_head_twice_and_empty_whole_layers(loaded, pictures, steps):
    found = prune_iteratively(loaded, pictures[:1], "confidence", 11, steps=steps)
    assert len(found) == len(set(found)) == 11 and set(found) <= set(HEADS)
    layers = [layer for layer, _ in found]
    assert sum(layers.count(layer) == 2 for layer in range(6)) == 5


def test_no_budget_removes_nothing(loaded, pictures):
    assert prune_iteratively(loaded, pictures[:1], "cls_shift", 0, steps=2) == ()


def class_effects(loaded, pixels, readout, gone, metric):
    """Of each head that is left: the metric by whole forward passes, mean over pictures."""
    sites = find_sites(loaded.module, loaded.input_size)

    @torch.no_grad()
    def read(heads):
        with capture(loaded.module, sites, gates=switch_off(sites, heads)):
            return readout.probabilities(pooled_features(loaded.module, pixels, readout.layer))

    before = read(gone).double()
    rows = [
        int(before[row].argmax()) if label is None else readout.classes.index(label)
        for row, label in enumerate(LABELS)
    ]
    found = {}
    for pair in HEADS:
        if pair in gone:
            continue
        after = read([*gone, pair]).double()
        if metric == "probability_drop":
            one = (before - after)[range(len(rows)), rows]
        else:
            half = (before + after) / 2
            kl = [(p * (p / half).log()).sum(1) for p in (before, after)]
            one = (kl[0] + kl[1]) / 2
        found[pair] = abs(float(one.mean()))
    return found


@pytest.mark.parametrize("metric", ["probability_drop", "js_divergence"])
def test_classes_are_measured_again_on_what_is_left(loaded, pictures, readout, metric):
    found = prune_iteratively(loaded, pictures, metric, 11, 11, LABELS, readout)
    # What comes after the layer that is read goes first.
    assert set(found[:4]) == {(4, 0), (4, 1), (5, 0), (5, 1)}
    # Whole layers before it are gone too while the last heads are still measured.
    early = [layer for layer, _ in found[:10]]
    assert sum(early.count(layer) == 2 for layer in range(4)) >= 2
    pixels = pixels_of(loaded, pictures)
    for step, chosen in enumerate(found):
        effects = class_effects(loaded, pixels, readout, list(found[:step]), metric)
        assert effects[chosen] <= min(effects.values()) + 1e-6


def test_flips_and_the_class_taylor_work_step_by_step(loaded, pictures, readout):
    for metric in ("flip_rate", "taylor"):
        found = prune_iteratively(loaded, pictures, metric, 5, 2, LABELS, readout)
        assert len(set(found)) == 5
        # By one step: the same order as measured at once, which the labels make.
        once = measure_importance(loaded, pictures, (metric,), labels=LABELS, readout=readout)
        expected = least_important(HEADS, mean_importance(once, metric), 2)
        assert found[:2] == expected


def test_a_readout_changes_what_taylor_means(loaded, pictures, readout):
    labelled = prune_iteratively(loaded, pictures, "taylor", 4, 1, LABELS, readout)
    # Heads after the layer that is read have no slope, so they go first.
    assert set(labelled) == {(4, 0), (4, 1), (5, 0), (5, 1)}
    assert set(prune_iteratively(loaded, pictures, "taylor", 4, 1)) != set(labelled)


def test_classes_need_a_classifier_and_labels_a_readout(loaded, pictures, readout):
    headless = replace(loaded, module=prune_heads(loaded.module, {}))
    headless.module.num_classes = 0
    with pytest.raises(ValueError, match="probability_drop needs a classifier"):
        prune_iteratively(headless, pictures, "probability_drop", 2, 2)
    with pytest.raises(ValueError, match="labels were given without a read-out"):
        prune_iteratively(loaded, pictures, "cls_shift", 2, 2, LABELS)
    with pytest.raises(ValueError, match="got 'neither'"):
        prune_iteratively(loaded, pictures, "cls_shift", 2, 2, ["neither"] * 4, readout)


@pytest.mark.parametrize("gone", [((0, 1), (3, 0), (3, 1)), ()])
def test_silenced_heads_hand_on_nothing_and_the_model_keeps_its_own(loaded, pictures, gone):
    sites = find_sites(loaded.module, loaded.input_size)
    pixels = pixels_of(loaded, pictures)
    with torch.no_grad():
        before = loaded.module.forward_features(pixels)
        silent = silenced(loaded.module, modules_of(sites, gone))
        found = silent.forward_features(pixels)
        cut = prune_heads(loaded.module, modules_of(sites, gone)).forward_features(pixels)
        assert torch.equal(loaded.module.forward_features(pixels), before)
    torch.testing.assert_close(found, without(loaded, pixels, gone), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, cut, rtol=1e-5, atol=1e-5)
    assert silent.blocks[0].mlp.fc1.weight is loaded.module.blocks[0].mlp.fc1.weight


@pytest.mark.parametrize("case", CASES)
def test_every_family_is_silenced_as_it_is_cut(case):
    model = build(case)
    gone = some_heads(sites_of(case, model), 1)
    with torch.no_grad():
        found = silenced(model, gone)(noise(case))
        expected = prune_heads(model, gone)(noise(case))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_no_step_is_refused(loaded, pictures):
    with pytest.raises(ValueError, match="at least 1 step"):
        prune_iteratively(loaded, pictures, "cls_shift", 1, steps=0)


def test_a_family_that_cannot_be_cut_is_refused_before_anything_is_measured(loaded, pictures):
    # A norm over all joined heads: no head can go without changing the others.
    module = prune_heads(loaded.module, {})
    module.blocks[1].attn.norm = torch.nn.LayerNorm(64)
    made = replace(loaded, module=module)
    seen = []
    with pytest.raises(ValueError, match=r"blocks\.1\.attn cannot be cut out"):
        prune_iteratively(made, pictures, "cls_shift", 2, progress=lambda *a: seen.append(a))
    assert seen == []
