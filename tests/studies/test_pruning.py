"""Smaller models: which heads go, what was predicted, and what was found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analytics.capture.tracing import find_sites
from analytics.models.pruning import count_parameters, prune_heads
from analytics.models.readout_fit import fit_readout
from analytics.models.registry import load_model, parse_model
from analytics.studies.features import frozen_features, pooled_features
from analytics.studies.importance import measure_importance
from analytics.studies.importance_tables import mean_importance
from analytics.studies.pruning import (
    added_up,
    least_important,
    modules_of,
    parse_pairs,
    predicted_cosine,
    prune_and_measure,
)
from tests.studies.making import Broken, Made, cosine_shift, pixels_of, without

HEADS = tuple((layer, head) for layer in range(6) for head in range(2))
GONE = ((0, 1), (3, 0), (3, 1))


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
def pruned(loaded, pictures, record):
    return prune_and_measure(loaded, [*pictures, Broken()], GONE, record, rounds=2)


@pytest.mark.parametrize("text", ["L3H5,L4H1", "3:5,4:1", "l3h5, L4H1", "L3H5,L3H5,L4H1"])
def test_heads_are_read_as_they_are_written(text):
    assert parse_pairs(text) == ((3, 5), (4, 1))


@pytest.mark.parametrize("text", ["L3", "3-5", "L3H5;L4H1", "LH", "L-1H0"])
def test_other_spellings_are_refused(text):
    with pytest.raises(ValueError, match="expected heads as L3H5,L4H1"):
        parse_pairs(text)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(0, 0), (0.25, 3), (0.5, 6), (0.99, 12), (1, 1), (3.0, 3), (12, 12)],
)
def test_a_budget_is_a_share_below_1_and_a_number_above(budget, expected):
    values = np.arange(12.0)[::-1]
    found = least_important(HEADS, values, budget)
    assert found == HEADS[::-1][:expected]


@pytest.mark.parametrize("budget", [-1, -0.1, 13, 1.5, float("nan"), float("inf")])
def test_other_budgets_are_refused(budget):
    with pytest.raises(ValueError, match="expected a budget below 1"):
        least_important(HEADS, np.zeros(12), budget)


def test_ties_go_by_index_and_unmeasured_heads_last():
    values = [0.2, 0.1, 0.2, np.nan]
    assert least_important(HEADS[:4], np.array(values), 4) == (
        HEADS[1],
        HEADS[0],
        HEADS[2],
        HEADS[3],
    )


def test_signed_metrics_count_by_size_of_their_mean(record):
    values = np.zeros((1, 2, 12), np.float32)
    values[0, :, 0], values[0, :, 1], values[0, :, 2] = (-0.2, 0.1), (0.3, 0.1), np.nan
    signed = replace(record, metrics=("probability_drop",), values=values)
    found = mean_importance(signed, "probability_drop")
    np.testing.assert_allclose(found[:2], (0.05, 0.2), atol=1e-7)
    assert np.isnan(found[2]) and (found[3:] == 0).all()


def test_measured_cosine_and_parameters_are_those_worked_out_by_hand(loaded, pictures, pruned):
    pixels = pixels_of(loaded, pictures)
    clean = loaded.module.forward_features(pixels)
    expected = 1 - cosine_shift(clean[:, 0], without(loaded, pixels, GONE)[:, 0]).mean()
    assert pruned.measured == pytest.approx(float(expected), abs=1e-5)
    assert pruned.measured < 0.9999 and pruned.num_images == 4
    # Width 64, heads of 32: each takes 3 * 32 rows of qkv with biases and 32 columns of proj.
    saved = 3 * (3 * 32 * 64 + 3 * 32 + 32 * 64)
    assert pruned.parameters[0] - pruned.parameters[1] == saved
    assert pruned.parameters[1] == count_parameters(pruned.module)
    assert list(pruned.latency) == ["full", "pruned"]
    assert pruned.latency["pruned"].rounds == 2 and pruned.latency["pruned"].images == 4
    assert pruned.heads == GONE and pruned.accuracy is None
    assert pruned.modules == {"blocks.0.attn": {1}, "blocks.3.attn": {0, 1}}


def test_predicted_cosine_adds_up_the_single_effects(record, pruned):
    columns = [HEADS.index(pair) for pair in GONE]
    total = record.table("cls_shift")[:, columns].mean(0).sum()
    assert pruned.predicted == pytest.approx(1 - float(total), abs=1e-6)
    assert predicted_cosine(record, ()) == 1
    # One head alone: what was measured of it is what is predicted.
    one = record.table("cls_shift")[:, 5].mean()
    assert predicted_cosine(record, (HEADS[5],)) == pytest.approx(1 - float(one), abs=1e-6)


def test_nothing_is_predicted_of_what_was_not_measured(record):
    assert added_up({(0, 0): 0.2, (0, 1): 0.3}, ((0, 0), (0, 1))) == pytest.approx(0.5)
    assert added_up({(0, 0): 1.5, (0, 1): 1.3}, ((0, 0), (0, 1))) == -1
    assert added_up({(0, 0): 0.2}, ((0, 0), (0, 1))) is None
    assert added_up({(0, 0): float("nan")}, ((0, 0),)) is None
    other = replace(record, metrics=("patch_shift", "confidence"))
    assert predicted_cosine(other, GONE) is None
    with pytest.raises(ValueError, match="got L9 H0"):
        predicted_cosine(record, ((9, 0),))


def test_a_readout_names_the_pictures_before_and_after(loaded, pictures):
    features = frozen_features(loaded, pictures * 3, layer=4)
    readout = fit_readout(features.values, ["odd", "even"] * 6, held_out=0.5, layer=4)
    labels = ["odd", None, "even", "odd"]
    half = tuple(pair for pair in HEADS if pair[1] == 0)
    found = prune_and_measure(
        loaded, [Broken(), *pictures], half, None, ["even", *labels], readout, rounds=1
    )
    pixels = pixels_of(loaded, pictures)
    rows = [0, 2, 3]
    for share, module in zip(found.accuracy, (loaded.module, found.module), strict=True):
        with torch.no_grad():
            named = readout.logits(pooled_features(module, pixels, 4)).argmax(1)
        right = [readout.classes[int(named[row])] == labels[row] for row in rows]
        assert share == pytest.approx(np.mean(right))
    assert found.predicted is None
    # Labels or a read-out alone give no accuracy.
    alone = prune_and_measure(loaded, pictures, half, None, labels, None, rounds=1)
    assert alone.accuracy is None


def test_an_emptied_layer_still_runs(loaded, pictures):
    gone = ((2, 0), (2, 1))
    found = prune_and_measure(loaded, pictures, gone, rounds=1)
    pixels = pixels_of(loaded, pictures)
    clean = loaded.module.forward_features(pixels)
    expected = 1 - cosine_shift(clean[:, 0], without(loaded, pixels, gone)[:, 0]).mean()
    assert found.measured == pytest.approx(float(expected), abs=1e-5)


def test_what_cannot_be_cut_is_refused(loaded, pictures):
    sites = find_sites(loaded.module, loaded.input_size)
    with pytest.raises(ValueError, match="choose heads or a budget"):
        prune_and_measure(loaded, pictures, ())
    with pytest.raises(ValueError, match="expected layers 0 to 5; got L6 H0"):
        modules_of(sites, ((6, 0),))
    with pytest.raises(ValueError, match="got head 2"):
        prune_and_measure(loaded, pictures, ((0, 2),))
    with pytest.raises(ValueError, match="pictures that can be read"):
        prune_and_measure(loaded, [Broken()], ((0, 1),))


def test_a_family_that_cannot_be_cut_is_refused(loaded, pictures):
    # A norm over all joined heads: no head can go without changing the others.
    module = prune_heads(loaded.module, {})
    module.blocks[1].attn.norm = torch.nn.LayerNorm(64)
    with pytest.raises(ValueError, match="normalises all heads together"):
        prune_and_measure(replace(loaded, module=module), pictures, ((1, 0),))


def test_a_model_with_one_head_a_layer_can_lose_all_of_them(loaded, pictures):
    """Every layer is then its projection's bias; the model still runs."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    single = VisionTransformer(
        img_size=loaded.input_size[0], patch_size=16, embed_dim=32, depth=3, num_heads=1
    )
    model = replace(loaded, module=single.eval().requires_grad_(False))
    record = measure_importance(model, pictures, ("cls_shift", "contribution"))
    assert record.num_heads == (1, 1, 1)
    np.testing.assert_allclose(record.table("contribution"), 1, rtol=1e-5)
    pruned = prune_and_measure(model, pictures, record.heads, record)
    pixels = pixels_of(model, pictures)
    with torch.no_grad():
        found = pruned.module.forward_features(pixels)
    torch.testing.assert_close(found, without(model, pixels, record.heads), rtol=1e-4, atol=1e-5)
